// dice-client.c — the worked example of docs/write-an-application.md: throws dice through the driver virtio-dice, and logs how often each face came.
//
// Channel 0 is the driver's (drivers/virtio/dice/dice.c). Argument 0, if there is one, is the driver's name: after the first throw it is killed, to show
// that a client only has to ask again. Exit status 0: THROWS throws of DICE dice came, all of them faces.
#include "drivers/sdk/sasos.h"

__attribute__((import_module("dice"), import_name("dice_throw"))) int32_t dice_throw(uint32_t count);

#define DICE 100u
#define THROWS 3
#define TIMEOUT_NS (10ll * 1000000000)

// One throw: asks until it is answered, by whatever life of the driver. 0 or an error.
static int32_t throw(uint32_t table) {
    for (;;) {
        int32_t life = sasos_chan_generation(0);
        int32_t error = life < 0 ? life : dice_throw(DICE);
        if (error && error != E_DEAD && error != E_AGAIN) return error;
        while (error || read32(table) != DICE) {
            int32_t events = sasos_wait(SASOS_EVENT_CHANNEL(0), TIMEOUT_NS);
            if (events <= 0) return events ? events : E_IO;
            if (sasos_chan_generation(0) != life) break; // what was under way is lost: ask again
        }
        if (!error && sasos_chan_generation(0) == life) return 0;
    }
}

int32_t SASOS_EXPORT(app_main)(void) {
    uint32_t table = sasos_chan_map(0), count[6] = {0};
    char driver[40];
    int32_t length = sasos_arg(0, driver, sizeof(driver));
    for (int i = 0; i < THROWS; i++) {
        int32_t error = throw(table);
        if (error) {
            log_line("no dice (%d)", error);
            return 1;
        }
        for (uint32_t at = 4; at < 4 + DICE; at++) {
            uint8_t face = read8(table + at); // once: it is input
            if (face < 1 || face > 6) return 2;
            count[face - 1]++;
        }
        if (i == 0 && length > 0) sasos_dom_control(driver, (uint32_t)length, SASOS_KILL);
    }
    log_line("ones to sixes: %u %u %u %u %u %u", count[0], count[1], count[2], count[3], count[4],
             count[5]);
    return 0;
}
