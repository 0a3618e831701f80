// wasi.h — the part of WASI preview 1 that a command needs which computes, reads standard input and prints.
//
// args, environ, clock, random, fd_read/fd_write/fd_close/fd_fdstat_get on descriptors 0–2, proc_exit and sched_yield do what the
// specification says (witx: wasi_snapshot_preview1). Everything else is there, so that modules link, and answers badf or
// nosys. No file, directory or socket is reachable.
#ifndef SFI_HOST_WASI_H
#define SFI_HOST_WASI_H
#include "loader/loader.h"

struct wasi { // the instance's ldr_user()
    uint32_t args, environs;
    char *const *arg, *const *environ;
    bool exited;
    uint32_t status; // of proc_exit
};
// The host function of that name, or NULL.
const struct ldr_hostfunc *wasi_find(const struct wasm_import *import);
#endif
