// ps2.c — driver for the PS/2 keyboard behind an 8042 controller (IBM PS/2 Technical Reference, 1990), as a terminal that only has input.
//
// Grants: `port 60-60`, `port 64-64`, `isa-irq 1`. The controller is brought into a known state whatever was there before: both ports off, its buffer
// emptied, interrupt and translation to set 1 on for the keyboard, the mouse's off. Where translation cannot be switched on the keyboard's set 2 is
// decoded here. Output of the client goes nowhere. Waiting for the controller is bounded (PATIENCE_NS); a controller or keyboard that does not answer is refused.
#include "drivers/ps2/keys.h"
#include "drivers/sdk/ttyserve.h"

enum { DATA = 0x60, STATUS = 0x64, COMMAND = 0x64 };
enum { STATUS_OUTPUT_FULL = 0x01, STATUS_INPUT_FULL = 0x02, STATUS_MOUSE = 0x20 };
enum { // controller commands
    READ_CONFIG = 0x20,
    WRITE_CONFIG = 0x60,
    MOUSE_OFF = 0xa7,
    SELF_TEST = 0xaa,
    KEYBOARD_OFF = 0xad,
    KEYBOARD_ON = 0xae,
};
enum {
    CONFIG_KEYBOARD_IRQ = 0x01,
    CONFIG_MOUSE_IRQ = 0x02,
    CONFIG_KEYBOARD_OFF = 0x10,
    CONFIG_TRANSLATE = 0x40
};
enum { SELF_TEST_GOOD = 0x55 };
enum { // keyboard
    KEYBOARD_RESET = 0xff,
    KEYBOARD_SCAN = 0xf4,
    KEYBOARD_ACKNOWLEDGE = 0xfa,
    KEYBOARD_GOOD = 0xaa,
};
enum { BUFFERED_MAX = 64 };
#define MS 1000000ll
#define PATIENCE_NS (100 * MS)
#define RESET_PATIENCE_NS (700 * MS) // the keyboard's own test takes up to 500 ms

static struct keys keys = {.num_lock = true};
static bool set2;

static uint32_t status(void) { return (uint32_t)sasos_port_read(STATUS, 1); }

static bool wait_status(uint32_t bit, uint32_t value, int64_t patience) {
    int64_t start = sasos_time_ns();
    while ((status() & bit) != value)
        if (sasos_time_ns() - start > patience) return false;
    return true;
}

static bool send(uint32_t port, uint32_t byte) {
    return wait_status(STATUS_INPUT_FULL, 0, PATIENCE_NS) && sasos_port_write(port, 1, byte) == 0;
}

static int32_t receive(int64_t patience) {
    return wait_status(STATUS_OUTPUT_FULL, STATUS_OUTPUT_FULL, patience) ? sasos_port_read(DATA, 1)
                                                                         : E_IO;
}

static void drop_buffered(void) {
    for (int i = 0; i < BUFFERED_MAX && (status() & STATUS_OUTPUT_FULL); i++)
        sasos_port_read(DATA, 1);
}

// Sends a byte to the keyboard and waits for its acknowledgement; what it sent before that is dropped.
static bool tell_keyboard(uint32_t byte) {
    if (!send(DATA, byte)) return false;
    for (int i = 0; i < BUFFERED_MAX; i++) {
        int32_t answer = receive(PATIENCE_NS);
        if (answer < 0 || answer == KEYBOARD_ACKNOWLEDGE) return answer == KEYBOARD_ACKNOWLEDGE;
    }
    return false;
}

// NULL, or what is wrong.
static const char *set_up(void) {
    if (!send(COMMAND, KEYBOARD_OFF) || !send(COMMAND, MOUSE_OFF))
        return "there is no keyboard controller";
    drop_buffered();
    if (!send(COMMAND, SELF_TEST) || receive(RESET_PATIENCE_NS) != SELF_TEST_GOOD)
        return "the controller's self-test failed";
    if (!send(COMMAND, READ_CONFIG)) return "the controller does not answer";
    int32_t config = receive(PATIENCE_NS);
    if (config < 0) return "the controller does not answer";
    config = (config & ~(CONFIG_KEYBOARD_IRQ | CONFIG_MOUSE_IRQ)) | CONFIG_TRANSLATE;
    if (!send(COMMAND, WRITE_CONFIG) || !send(DATA, (uint32_t)config) || !send(COMMAND, READ_CONFIG))
        return "the controller does not take its configuration";
    int32_t kept = receive(PATIENCE_NS);
    if (kept < 0) return "the controller does not answer";
    set2 = !(kept & CONFIG_TRANSLATE);
    if (!send(COMMAND, KEYBOARD_ON)) return "the controller does not answer";
    if (!tell_keyboard(KEYBOARD_RESET) || receive(RESET_PATIENCE_NS) != KEYBOARD_GOOD)
        return "no keyboard answers";
    if (!tell_keyboard(KEYBOARD_SCAN)) return "the keyboard does not start";
    drop_buffered();
    kept = (kept & ~CONFIG_KEYBOARD_OFF) | CONFIG_KEYBOARD_IRQ;
    if (!send(COMMAND, WRITE_CONFIG) || !send(DATA, (uint32_t)kept))
        return "the controller does not take its configuration";
    return NULL;
}

static uint32_t device_write(const uint8_t *bytes, uint32_t length) {
    (void)bytes;
    return length; // a keyboard shows nothing
}

static void device_resume(void) {}

int32_t SASOS_EXPORT(driver_start)(void) {
    int error = sasos_port_read(STATUS, 1) < 0 ? E_DENIED : sasos_irq_enable(0);
    if (error) return error;
    const char *why = set_up();
    if (why) {
        log_line("%s", why);
        return E_NODEV;
    }
    error = ts_open(0, 0);
    if (error) return error;
    log_line("a keyboard, scan codes of set %d", set2 ? 2 : 1);
    return 0;
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    (void)events; // which one came does not matter: all there is to do is done
    for (int i = 0; i < BUFFERED_MAX; i++) {
        uint32_t now = status();
        if (!(now & STATUS_OUTPUT_FULL)) return 0;
        uint8_t code = (uint8_t)sasos_port_read(DATA, 1), out[KEYS_BYTES];
        if (now & STATUS_MOUSE) continue;
        if (set2 && !keys_from_set2(&keys, code, &code)) continue;
        uint32_t n = keys_decode(&keys, code, out);
        if (n) ts_input(out, n);
    }
    sasos_timer(sasos_time_ns() + MS); // a keyboard that never pauses has had its turn
    return 0;
}
