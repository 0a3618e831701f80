// edu-client.c — uses the edu driver: a factorial, and a page through the device and back. With an argument, a bus address in hexadecimal,
// it then has the device write there. Exit status 0: all was right, and the driver was ended for that write.
#include "drivers/sdk/sasos.h"

#define IMPORT(name) __attribute__((import_module("edu"), import_name(#name)))
IMPORT(edu_factorial) int32_t edu_factorial(uint32_t n);
IMPORT(edu_dma) int32_t edu_dma(uint64_t address, uint32_t bytes, uint32_t to_memory);
IMPORT(edu_busy) int32_t edu_busy(void);
IMPORT(edu_buffer) int32_t edu_buffer(void);
IMPORT(edu_byte) int32_t edu_byte(uint32_t at, int32_t value);

#define BYTES 4095u // the most that the driver takes
#define MS 1000000ll

static int transfer(uint64_t address, uint32_t to_memory) {
    int error = edu_dma(address, BYTES, to_memory);
    if (error) return error;
    for (int i = 0; i < 10000; i++) {
        int busy = edu_busy();
        if (busy <= 0) return busy;
        sasos_wait(SASOS_EVENT_CHANNEL(0), 1 * MS);
    }
    return E_IO;
}

// Another's memory: what the device says of it means nothing, and it may say so before the kernel has heard of the fault. Then the driver is ended,
// which its clients are told.
static int transfer_outside(uint64_t address) {
    int error = transfer(address, 1);
    for (int i = 0; i < 1000 && error >= 0; i++) {
        sasos_wait(SASOS_EVENT_CHANNEL(0), 10 * MS);
        error = edu_busy();
    }
    return error;
}

static uint64_t hex_argument(const char *text, int32_t length) {
    uint64_t v = 0;
    for (int32_t i = 0; i < length; i++)
        v = v << 4 | (uint32_t)(text[i] <= '9' ? text[i] - '0' : (text[i] | 32) - 'a' + 10);
    return v;
}

int32_t SASOS_EXPORT(app_main)(void) {
    if (edu_factorial(10) != 3628800) return 1;
    uint32_t page = (uint32_t)edu_buffer();
    for (uint32_t i = 0; i < BYTES; i++)
        if (edu_byte(i, (int32_t)(i * 7 & 255)) < 0) return 2;
    if (transfer(page, 0)) return 3;
    for (uint32_t i = 0; i < BYTES; i++) edu_byte(i, 0);
    if (transfer(page, 1)) return 4;
    for (uint32_t i = 0; i < BYTES; i++)
        if (edu_byte(i, -1) != (int32_t)(i * 7 & 255)) return 5;
    log_line("the page came back as it was");
    char text[17];
    int32_t length = sasos_arg(0, text, sizeof(text));
    if (length <= 0) return 0;
    int error = transfer_outside(hex_argument(text, length));
    log_line("the transfer to %s ended with %d", text, error);
    return error == E_DEAD ? 0 : 6;
}
