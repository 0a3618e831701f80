// init.h — the parts of the Linux peer's one program: init.c starts and measures devices, frames.c sends and receives frames,
// serve.c serves the network.
#ifndef BENCH_LINUX_INIT_H
#define BENCH_LINUX_INIT_H
#include <stdbool.h>
#include <stdint.h>

// Where instructions are counted (bench/plugin/count.c): called twice for each measurement, around it.
int64_t now(void);
// A line of /cells that is about a network interface: done, and true.
bool frames_line(const char *line);
// Gives the interface this IPv4 address and serves there until the machine is switched off.
void serve(const char *interface, const char *address);
int stream_main(void); // bench/programs/stream.c
#endif
