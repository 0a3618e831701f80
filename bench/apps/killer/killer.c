// killer.c — kills a domain some times, so that the system brings it back and says how long that took. Arguments: its name, and how often.
#include "drivers/sdk/sasos.h"

#define NAME_MAX 48u
#define PAUSE_NS (100ll * 1000000) // longer than a restart takes

int32_t SASOS_EXPORT(app_main)(void) {
    char name[NAME_MAX], times[1];
    int32_t length = sasos_arg(0, name, NAME_MAX);
    if (length <= 0 || length > (int32_t)NAME_MAX || sasos_arg(1, times, 1) != 1) return 1;
    for (int i = times[0] - '0'; i > 0; i--) {
        if (sasos_dom_control(name, (uint32_t)length, SASOS_KILL)) return 1;
        sasos_wait(0, PAUSE_NS);
    }
    return 0;
}
