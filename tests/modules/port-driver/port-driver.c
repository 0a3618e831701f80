// port-driver.c — drives the second serial port by granted ports 2f8–2ff and interrupt line 3: in loop-back mode it sends itself bytes and counts
// the interrupts. Ends by exit(7) after the third; else exit status = the line of what went wrong.
#include "drivers/sdk/sasos.h"

#define BASE 0x2f8
enum { DATA, IER, FCR, LCR, MCR, LSR }; // 16550

#define CHECK(x) \
    if (!(x)) sasos_exit(__LINE__)

static int32_t seen;

static void out(uint32_t reg, uint8_t v) { CHECK(sasos_port_write(BASE + reg, 1, v) == 0); }

int32_t SASOS_EXPORT(driver_start)(void) {
    CHECK(sasos_port_read(BASE - 1, 1) == E_DENIED && sasos_port_read(BASE + 8, 1) == E_DENIED);
    CHECK(sasos_port_read(BASE + 7, 2) == E_DENIED && sasos_port_read(0xffffffffu, 4) == E_DENIED);
    CHECK(sasos_port_read(BASE, 3) == E_INVAL && sasos_port_write(BASE, 0, 1) == E_INVAL);
    CHECK(sasos_port_write(0x80, 1, 0) == E_DENIED);
    CHECK(sasos_irq_enable(2) == E_DENIED && sasos_irq_enable(0x80000000u) == E_DENIED);
    CHECK(sasos_pci_config_read(0, 4) == E_DENIED);
    out(FCR, 7);
    out(LCR, 3);
    out(MCR, 0x1b); // loop-back, OUT2: interrupts
    out(IER, 1);    // received data
    CHECK(sasos_irq_enable(0) == 0);
    out(DATA, 'a');
    return 0;
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    if (!(events & SASOS_EVENT_IRQ(0)) || !(sasos_port_read(BASE + LSR, 1) & 1)) return 0;
    CHECK(sasos_port_read(BASE, 1) == 'a' + seen);
    if (++seen == 3) sasos_exit(7);
    out(DATA, (uint8_t)('a' + seen));
    return 0;
}
