// uart.c — driver for a 16550 serial port (National Semiconductor PC16550D, June 1995) as a terminal: 8 data bits, no parity, 1 stop bit.
//
// Grants: eight ports (`port 2f8-2ff`) and the line's interrupt (`isa-irq 3`); arguments: the first port in hexadecimal, and the baud rate if it
// is not 115200. The receiver's FIFO is emptied at 14 of its 16 bytes or when the line pauses; what the client has no room for is lost
// and counted, since there is no flow control. The transmitter is filled 16 bytes at a time, whenever it is empty.
#include "drivers/sdk/ttyserve.h"

enum { // 8.0 Registers: offsets; DLL and DLM while LCR has DLAB
    RBR = 0,
    THR = 0,
    DLL = 0,
    IER = 1,
    DLM = 1,
    IIR = 2,
    FCR = 2,
    LCR = 3,
    MCR = 4,
    LSR = 5,
    MSR = 6,
    SCR = 7,
};
enum { IER_RECEIVED = 1, IER_TRANSMITTER_EMPTY = 2, IER_LINE_STATUS = 4 };
enum { FCR_ENABLE = 1, FCR_RESET = 6, FCR_TRIGGER_14 = 0xc0 };
enum { LCR_8N1 = 3, LCR_DLAB = 0x80 };
enum { MCR_DTR_RTS = 3, MCR_OUT2 = 8 }; // OUT2 gates the interrupt on every PC
enum { LSR_DATA_READY = 1, LSR_OVERRUN = 2, LSR_TRANSMITTER_HOLDING_EMPTY = 0x20 };
enum { IIR_NONE = 1 };

#define FIFO 16u
#define CLOCK_BAUD 115200u // divisor 1
#define READ_MAX 1024u     // bytes taken in one go; a line that never pauses must not keep us

static uint32_t port;
static bool sending; // the transmitter's interrupt is wanted

static uint32_t get(uint32_t reg) { return (uint32_t)sasos_port_read(port + reg, 1); }
static void put(uint32_t reg, uint32_t value) { sasos_port_write(port + reg, 1, value); }

static uint32_t device_write(const uint8_t *bytes, uint32_t length) {
    uint32_t n = 0;
    if (get(LSR) & LSR_TRANSMITTER_HOLDING_EMPTY)
        while (n < length && n < FIFO) put(THR, bytes[n++]);
    return n;
}

// With more to send than the FIFO took, the interrupt that says that it is empty goes on with it.
static void pump(void) {
    bool more = ts_pump();
    if (more == sending) return;
    sending = more;
    put(IER, IER_RECEIVED | IER_LINE_STATUS | (more ? IER_TRANSMITTER_EMPTY : 0u));
}

static void device_resume(void) { pump(); }

static void receive(void) {
    uint8_t bytes[FIFO];
    uint32_t n = 0, total = 0, status;
    while (total < READ_MAX && ((status = get(LSR)) & LSR_DATA_READY)) {
        bytes[n++] = (uint8_t)get(RBR);
        total++;
        if (n == FIFO) {
            ts_input(bytes, n);
            n = 0;
        }
    }
    ts_input(bytes, n);
}

static uint32_t number_argument(uint32_t index, uint32_t base, uint32_t otherwise) {
    char text[12];
    int32_t length = sasos_arg(index, text, sizeof(text));
    if (length <= 0 || length > (int32_t)sizeof(text)) return otherwise;
    uint32_t v = 0;
    for (int32_t i = 0; i < length; i++) {
        uint32_t c = (uint8_t)text[i], digit = c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
        if (digit >= base) return 0;
        v = v * base + digit;
    }
    return v;
}

int32_t SASOS_EXPORT(driver_start)(void) {
    port = number_argument(0, 16, 0);
    uint32_t baud = number_argument(1, 10, CLOCK_BAUD);
    if (port == 0 || port > 0xfff8 || baud < 2 || baud > CLOCK_BAUD) {
        log_line("arguments: the first port in hexadecimal, and a baud rate from 2 to %u", CLOCK_BAUD);
        return E_INVAL;
    }
    put(IER, 0);
    for (uint32_t test = 0x5a; test <= 0xa5; test += 0xa5 - 0x5a) { // an empty port reads as ones
        int32_t error = sasos_port_write(port + SCR, 1, test);
        if (error) return error;
        if (get(SCR) == test) continue;
        log_line("there is no UART at port %x", port);
        return E_NODEV;
    }
    uint32_t divisor = CLOCK_BAUD / baud;
    put(LCR, LCR_DLAB | LCR_8N1);
    put(DLL, divisor & 0xff);
    put(DLM, divisor >> 8);
    put(LCR, LCR_8N1);
    put(FCR, FCR_ENABLE | FCR_RESET | FCR_TRIGGER_14);
    put(MCR, MCR_DTR_RTS | MCR_OUT2);
    int error = sasos_irq_enable(0);
    if (!error) error = ts_open(0, 0);
    if (error) return error;
    // Whatever made the line's interrupt active before is read away, so that the next one is an edge.
    get(LSR), get(RBR), get(IIR), get(MSR);
    put(IER, IER_RECEIVED | IER_LINE_STATUS);
    log_line("16550 at port %x, %u baud", port, CLOCK_BAUD / divisor);
    return 0;
}

int32_t SASOS_EXPORT(driver_event)(uint32_t events) {
    (void)events; // which one came does not matter: all there is to do is done
    // The interrupt is an edge: it comes again only after the UART has had nothing to say, so it is asked until then, or until
    // a line that never pauses has had its turn; then a timer goes on.
    for (uint32_t i = 0; i < FIFO; i++) {
        receive();
        pump();
        if (get(IIR) & IIR_NONE) return 0;
    }
    sasos_timer(sasos_time_ns() + 1000000);
    return 0;
}
