// controller.c — gives orders with dom_control() and watches by dom_info() what becomes of them; at the end it switches the machine off.
// Module 0 of the configuration is `server` (lib-wait), restarted on faults; 1 is `client`, which sleeps in it; 2 is this one.
#include "drivers/sdk/sasos.h"

#define CHECK(x) \
    if (!(x)) return __LINE__
#define ORDER(name, op) sasos_dom_control(name, sizeof(name) - 1, op)

static struct sasos_dom_info info;

// Until that domain is in that state, in that life.
static bool await(uint32_t index, uint32_t state, uint32_t lives) {
    for (int32_t i = 0; i < 2000; i++) {
        if (sasos_dom_info(index, &info, sizeof info) == (int32_t)sizeof info &&
            info.state == state && info.lives == lives)
            return true;
        sasos_wait(0, 5000000);
    }
    return false;
}

int32_t SASOS_EXPORT(app_main)(void) {
    CHECK(ORDER("nobody", SASOS_START) == E_NOENT && ORDER("", SASOS_STOP) == E_NOENT);
    CHECK(ORDER("server", 6) == E_INVAL && ORDER("server", SASOS_POWER_OFF) == E_INVAL);
    CHECK(sasos_dom_control((const char *)(uintptr_t)0x7fff0000u, 6, SASOS_KILL) == E_FAULT);
    CHECK(sasos_dom_info(0, &info, sizeof info) > 0 && info.state == SASOS_NOT_LOADED);
    CHECK(ORDER("server", SASOS_START) == 0 && await(0, SASOS_RUNNING, 1));
    CHECK(ORDER("client", SASOS_START) == 0 && await(1, SASOS_RUNNING, 1));
    CHECK(ORDER("server", SASOS_KILL) == 0); // as a fault: its restart line counts, and its client gets E_DEAD
    CHECK(await(0, SASOS_RUNNING, 2) && info.faults == 1);
    CHECK(await(1, SASOS_ENDED, 1) && info.status == E_DEAD);
    CHECK(ORDER("client", SASOS_START) == 0 && await(1, SASOS_RUNNING, 2)); // linked as it was
    CHECK(ORDER("server", SASOS_RESTART) == 0 && await(0, SASOS_RUNNING, 3) && info.faults == 1);
    CHECK(await(1, SASOS_ENDED, 2) && info.status == E_DEAD);
    CHECK(ORDER("server", SASOS_STOP) == 0 && await(0, SASOS_ENDED, 3)); // no fault: it stays down
    CHECK(ORDER("client", SASOS_START) == 0); // refused: nothing to connect to
    sasos_wait(0, 20000000);
    CHECK(await(1, SASOS_ENDED, 2));
    CHECK(ORDER("server", SASOS_RESTART) == 0 && await(0, SASOS_RUNNING, 4));
    CHECK(ORDER("client", SASOS_RESTART) == 0 && await(1, SASOS_RUNNING, 3));
    for (uint32_t i = 0; i < 4; i++)
        CHECK(ORDER("server", SASOS_KILL) == 0 && (i == 3 || await(0, SASOS_RUNNING, 5 + i)));
    CHECK(await(0, SASOS_ENDED, 7)); // more than three faults within a minute
    CHECK(ORDER("", SASOS_POWER_OFF) == 0);
    sasos_wait(0, -1);
    return __LINE__;
}
