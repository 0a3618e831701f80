// stop-lib.c — a library that has something to finish, after its client.
#include "drivers/sdk/sasos.h"

static uint32_t touched;

int32_t SASOS_EXPORT(touch)(void) { return (int32_t)++touched; }

int32_t SASOS_EXPORT(library_stop)(void) {
    log_line("touched %u times, finishing", touched);
    return 0;
}
