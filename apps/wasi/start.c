// start.c — the library's start, and the memory that is asked for then.
#include "apps/wasi/wasi.h"

#ifdef __wasm__
extern uint8_t __heap_base;
#define PAGE 65536u

void *more_memory(uint32_t bytes) {
    static uint32_t next;
    if (!next) next = ((uint32_t)(uintptr_t)&__heap_base + 15) & ~15u;
    uint32_t at = next, have = (uint32_t)__builtin_wasm_memory_size(0) * PAGE;
    bytes = (bytes + 15) & ~15u;
    if (bytes > have - at &&
        __builtin_wasm_memory_grow(0, (bytes - (have - at) + PAGE - 1) / PAGE) == (size_t)-1)
        return NULL;
    next = at + bytes;
    return (void *)(uintptr_t)at;
}
#endif

int32_t WASI(library_start)(void) {
    int32_t error = 0;
    process_start();
    stdio_start();
    fd_mount("/", archive_start(&error));
    fd_mount("/data", datafs_start(&error));
    fd_mount("/sys", sysfs_start());
    if (!error) error = socket_start();
    if (!error) error = terminal_start();
    if (!error) fd_open_all();
    return error;
}
