// abi-fuzz.c — every kernel call with arguments at random, as a driver with all grants: 2,000 sequences of ten a life, or as many as its
// first argument says, in the order of a seed that is the time. What a call gave may be an argument of the next ones of its sequence.
// It must come through: no call ends it. What it leaves is the kernel's business, which checks at its end that nothing is left.
#include "drivers/sdk/sasos.h"

enum { SEQUENCES = 2000, A_SEQUENCE = 10, LIMIT = 0x100000, ROWS = 47 };

static uint64_t state;
static uint32_t recent[4];

static uint64_t noise(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}
static uint32_t w(void) {
    static const uint32_t odd[] = {
        0,          1,          4,          64,         511,        512,        4095,
        4096,       4097,       LIMIT - 1,  LIMIT,      0x7fffffff, 0x80000000, 0x80001000,
        0xbfffffff, 0xc0000000, 0xfffffff0, 0xffffffff, 0x2e8,      0xcf8,      0x3f8};
    switch (noise() >> 20 & 3) {
    case 0: return (uint32_t)(noise() >> 32);
    case 1: return recent[noise() >> 40 & 3];
    case 2: return (uint32_t)(noise() >> 50 & 31);
    default: return odd[(noise() >> 33) % (sizeof odd / sizeof *odd)];
    }
}
// Where results may be written: behind all that this module needs, or wherever it has no memory.
static void *p(void) {
    static uint8_t scratch[4096 * 8];
    uint32_t at = w();
    return at < LIMIT ? scratch + at % (4096 * 4) : (void *)(uintptr_t)at;
}
static uint32_t n(void) {
    uint32_t v = w();
    return v < LIMIT ? v % (4096 * 4) : v;
}
static int64_t ll(void) { return (int64_t)(noise() & 1 ? noise() : w()); }

static int64_t call(uint32_t row) {
    switch (row) {
    case 0: return sasos_log(p(), noise() & 15 ? 0x80000000u | w() : n());
    case 1: return sasos_time_ns();
    case 2: return sasos_wall_ns();
    case 3: return 0; // would end it
    case 4: return sasos_arg(w(), p(), n());
    case 5: return sasos_env(w(), p(), n());
    case 6: return sasos_timer(ll());
    case 7: return sasos_counter(w(), ll());
    case 8: return sasos_wait(w(), ll());
    case 9: return sasos_chan_count();
    case 10: return sasos_chan_map(w());
    case 11: return sasos_chan_size(w());
    case 12: return sasos_chan_signal(w());
    case 13: return sasos_chan_generation(w());
    case 14: return sasos_caller_channel();
    case 15: return sasos_caller_read(p(), w(), n());
    case 16: return sasos_caller_write(w(), p(), n());
    case 17: return sasos_caller_exit((int32_t)w());
    case 18: return sasos_blob_find(p(), n());
    case 19: return sasos_blob_size(w());
    case 20: return sasos_blob_read(w(), ll(), p(), n());
    case 21: return sasos_console_write(p(), noise() & 255 ? 0x80000000u | w() : 0);
    case 22: return sasos_random(p(), n());
    case 23: return sasos_entropy_add(p(), n());
    case 24: return sasos_wall_set(ll());
    case 25: return sasos_screen_map(p(), n());
    case 26: return sasos_dom_info(w(), p(), n());
    case 27: return sasos_sys_info(p(), n());
    case 28: return sasos_log_read((uint64_t)ll(), p(), n());
    case 29: return sasos_dom_control(p(), n(), 8 + w() % 64); // no order that there is
    case 30: return sasos_pci_config_read(w(), w());
    case 31: return sasos_pci_bar_map(w() & 7, w(), w());
    case 32: return sasos_pci_enable();
    case 33: return sasos_dma_alloc(w());
    case 34: return sasos_pci_config_write(w(), w(), w());
    case 35: return sasos_irq_enable(w());
    case 36: return sasos_port_read(w(), w());
    case 37: return sasos_port_write(w(), w(), w());
    case 38: return sasos_dma_mode();
    case 39: return sasos_dma_address(w());
    case 40: return sasos_virtio_start(ll());
    case 41: return sasos_virtio_queue(w(), w(), w(), w(), w(), w());
    case 42: return sasos_virtio_vector(w());
    case 43: return sasos_virtio_state(w());
    case 44: return sasos_virtq_publish(w());
    case 45: return sasos_virtq_collect(w());
    case 46: return sasos_trace_read((uint64_t)ll(), p(), n());
    default: return sasos_time_ns();
    }
}

int32_t SASOS_EXPORT(driver_start)(void) {
    uint32_t good = 0, sequences = 0;
    char text[8];
    int32_t length = sasos_arg(0, text, sizeof(text));
    for (int32_t i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++)
        sequences = sequences * 10 + (uint32_t)(text[i] - '0');
    const uint32_t calls = (sequences ? sequences : SEQUENCES) * A_SEQUENCE;
    state = (uint64_t)sasos_time_ns() | 1;
    for (uint32_t i = 0; i < calls; i++) {
        if (i % A_SEQUENCE == 0) recent[0] = recent[1] = recent[2] = recent[3] = 0;
        int64_t got = call((uint32_t)(noise() >> 33) % ROWS);
        recent[i & 3] = (uint32_t)got;
        good += got >= 0;
    }
    sasos_counter(0, calls);
    // Some succeed, some do not, whatever the seed.
    return good > calls / 20 && good < calls ? 0 : E_INVAL;
}
int32_t SASOS_EXPORT(driver_event)(uint32_t events) { return (void)events, 0; }
