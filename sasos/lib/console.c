// console.c — COM1 (16550A; registers by the names of the National Semiconductor data sheet) and the fan-out to fb.c.
//
// Polled output: the transmitter holding register empty (LSR.THRE) means that the whole FIFO is, so sixteen bytes go out
// for each look at the status. A text is written with interrupts off so that lines stay whole; under a slow real line that
// costs interrupt latency, which a log line is allowed to.
#include "sasos/lib/console.h"
#include "sasos/arch/io.h"
#include "sasos/arch/lock.h"
#include "sasos/lib/fb.h"
#include "sasos/lib/mem.h"

#define COM1 0x3f8
#define UART_THR 0 // transmitter holding (write)
#define UART_IER 1
#define UART_FCR 2
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define UART_SCR 7
#define UART_LCR_DLAB 0x80
#define UART_LCR_8N1 0x03
#define UART_FCR_ENABLE_CLEAR 0x07
#define UART_MCR_DTR_RTS 0x03
#define UART_LSR_THRE 0x20
#define UART_FIFO 16
#define UART_PATIENCE 4000000 // looks at LSR, seconds: then the line is taken for dead

static struct spinlock lock;
static bool serial_there, panicked;

void con_init_serial(void) {
    // A scratch register that keeps two different bytes is a UART's; an empty port reads FF.
    io_out8(COM1 + UART_SCR, 0x5a);
    if (io_in8(COM1 + UART_SCR) != 0x5a) return;
    io_out8(COM1 + UART_SCR, 0xa5);
    if (io_in8(COM1 + UART_SCR) != 0xa5) return;
    io_out8(COM1 + UART_IER, 0);
    io_out8(COM1 + UART_LCR, UART_LCR_DLAB);
    io_out8(COM1 + 0, 1); // divisor 1: 115200 baud
    io_out8(COM1 + 1, 0);
    io_out8(COM1 + UART_LCR, UART_LCR_8N1);
    io_out8(COM1 + UART_FCR, UART_FCR_ENABLE_CLEAR);
    io_out8(COM1 + UART_MCR, UART_MCR_DTR_RTS);
    serial_there = true;
}

static void serial_bytes(const char *s, size_t n) {
    for (unsigned looks = 0; !(io_in8(COM1 + UART_LSR) & UART_LSR_THRE); looks++) {
        if (looks == UART_PATIENCE) {
            serial_there = false;
            return;
        }
    }
    for (size_t i = 0; i < n; i++) io_out8(COM1 + UART_THR, (uint8_t)s[i]);
}

// A newline goes out as CR LF, for terminals.
static void serial_write(const char *s, size_t n) {
    char chunk[UART_FIFO];
    size_t used = 0;
    for (size_t i = 0; i < n && serial_there; i++) {
        if (s[i] == '\n') chunk[used++] = '\r';
        chunk[used++] = s[i];
        if (used >= UART_FIFO - 1) serial_bytes(chunk, used), used = 0;
    }
    if (used && serial_there) serial_bytes(chunk, used);
}

void con_write(const char *s, size_t n) {
    uint64_t flags = panicked ? 0 : spin_lock(&lock);
    serial_write(s, n);
    fb_write(s, n);
    if (!panicked) spin_unlock(&lock, flags);
}

void con_panic(void) {
    panicked = true;
    fb_give(false);
}
