// stop-app.c — waits until the system is switched off, and then has something to finish.
#include "drivers/sdk/sasos.h"

__attribute__((import_module("lib"), import_name("touch"))) int32_t touch(void);

int32_t SASOS_EXPORT(app_main)(void) {
    touch();
    log_line("waiting");
    int32_t events = sasos_wait(SASOS_EVENT_STOP, -1);
    log_line("event %x: finishing", (uint32_t)events);
    touch();
    return 0;
}
