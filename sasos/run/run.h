// run.h — what the machine is for: carries out the configuration's steps, reports, and switches off.
#ifndef SASOS_RUN_RUN_H
#define SASOS_RUN_RUN_H
#include <stdbool.h>
#include <stdint.h>
struct bootinfo;
struct pack_module;
struct dom;
struct channel;

// The last step of the boot: makes the thread that carries out the steps. The caller then becomes the idle thread.
void run_start(const struct bootinfo *info);
// A file of the boot image by its name.
bool run_file(const char *name, struct pack_module *out);
// What dom_control() does; d: NULL where the operation is about the machine. Returns at once.
int32_t run_control(struct dom *d, uint32_t op);
// The channel of connection `connect` of configured module `module`. Lives for ever.
struct channel *run_channel(uint32_t module, uint32_t connect);
#endif
