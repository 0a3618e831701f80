// lib-wait.c — a library: blocks on its clients' threads, reads and writes their memory, and ends one.
#include "drivers/sdk/sasos.h"

static int32_t started, inside;

int32_t SASOS_EXPORT(library_start)(void) {
    char byte;
    started = 1;
    return sasos_caller_read(&byte, 0, 1) == E_NOENT && sasos_caller_channel() == E_NOENT ? 0 : -1;
}

// Reverses `n` bytes at `at` in the caller's memory. Returns the channel that it shares with it.
int32_t SASOS_EXPORT(visit)(uint32_t at, uint32_t n) {
    char text[64];
    if (!started || n > sizeof text) return E_INVAL;
    int32_t error = sasos_caller_read(text, at, n);
    if (error) return error;
    for (uint32_t i = 0; i < n / 2; i++) {
        char c = text[i];
        text[i] = text[n - 1 - i];
        text[n - 1 - i] = c;
    }
    error = sasos_caller_write(at, text, n);
    return error ? error : sasos_caller_channel();
}

// Waits for its timer, or (negative) for what never comes. Only one client is inside at a time.
int32_t SASOS_EXPORT(nap)(int32_t ms) {
    if (inside++) return E_INVAL;
    int32_t got =
        ms < 0 ? sasos_wait(SASOS_EVENT_TIMER, -1)
               : (sasos_timer(sasos_time_ns() + ms * 1000000ll), sasos_wait(SASOS_EVENT_TIMER, -1));
    inside--;
    return got;
}

int32_t SASOS_EXPORT(finish)(int32_t status) {
    sasos_caller_exit(status);
    return 0;
}

// For a program: as WASI's, it has no result.
void SASOS_EXPORT(proc_exit)(int32_t status) { sasos_caller_exit(status); }
