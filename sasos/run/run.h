// run.h — what the machine is for: carries out the configuration's steps, reports, and switches off.
#ifndef SASOS_RUN_RUN_H
#define SASOS_RUN_RUN_H
#include <stdint.h>
struct bootinfo;
struct channel;

// The last step of the boot: makes the thread that carries out the steps. The caller then becomes the idle thread.
void run_start(const struct bootinfo *info);
// The channel of connection `connect` of configured module `module`. Lives for ever.
struct channel *run_channel(uint32_t module, uint32_t connect);
#endif
