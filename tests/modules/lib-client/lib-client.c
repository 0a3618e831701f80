// lib-client.c — calls lib-wait. Its argument says what: `use` (ends by the library's finish(): status 33), `sleep` (never returns).
#include "drivers/sdk/sasos.h"

#define IMPORT(name) __attribute__((import_module("lib"), import_name(#name)))
IMPORT(visit) int32_t visit(void *at, uint32_t n);
IMPORT(nap) int32_t nap(int32_t ms);
IMPORT(finish) int32_t finish(int32_t status);
__attribute__((import_module("nobody"), import_name("here"))) int32_t nobody_here(int64_t x);

#define CHECK(x) \
    if (!(x)) return __LINE__

int32_t SASOS_EXPORT(app_main)(void) {
    static char text[] = "abcdef";
    char word[8];
    if (sasos_arg(0, word, sizeof word) == 5) return nap(-1); // sleep
    if (sasos_arg(0, word, sizeof word) == 6) {               // listen
        if (sasos_wait(SASOS_EVENT_STOP, -1) != SASOS_EVENT_STOP) return __LINE__;
        for (int32_t i = 0; i < 5000; i++) sasos_log("too much", 8);
        return 0;
    }
    CHECK(visit(text, 6) == 0);
    CHECK(text[0] == 'f' && text[5] == 'a' && text[6] == 0);
    CHECK(visit((void *)(uintptr_t)0x7fff0000u, 6) == E_FAULT);
    CHECK(visit((void *)(uintptr_t)0xfffffffeu, 6) == E_FAULT);
    int64_t before = sasos_time_ns();
    CHECK(nap(2) == SASOS_EVENT_TIMER && sasos_time_ns() - before >= 2000000);
    CHECK(sasos_chan_generation(0) == 1 && sasos_chan_generation(1) == E_NOENT);
    CHECK(nobody_here(5) == E_DENIED); // optional, not connected
    CHECK(sasos_caller_channel() == E_NOENT && sasos_caller_exit(1) == E_NOENT);
    finish(33);
    return __LINE__; // never comes here
}
