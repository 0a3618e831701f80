// test_amdvi_log.c — the event log of AMD-Vi against a unit that is played here, because QEMU 7.2 never
// writes one: what each event becomes, a log that wraps, one that overflows, and a unit that refuses
// without recording.
//
// Registers are plain memory: what is written to the status register to clear bits stays there for the
// test to see.
#include "tests/host/kernel_shim.h"

#include "sasos/dev/amdvi_log.c"

struct amdvi_unit amdvi_units[ACPI_IVHD_MAX];
unsigned amdvi_unit_count = 1;

static uint8_t registers[ACPI_IVHD_REGISTERS];
static uint64_t (*log_memory)[2];
static unsigned tail; // the unit's
static bool abort_signalled, one_attached;
static struct pci_fn own = {.rid = 0x0002}, device = {.rid = 0x0108};
static struct iommu_fault last;
static unsigned faults, lost;

void amdvi_control(struct amdvi_unit *u, uint64_t value, uint64_t run) {
    (void)run;
    if (value & AMDVI_CTL_EVENTLOGEN && !(u->control & AMDVI_CTL_EVENTLOGEN))
        tail = (unsigned)amdvi_read(u, AMDVI_EVENT_LOG_TAIL) / 16;
    u->control = value;
}

void iommu_fault_deliver(const struct iommu_fault *f) {
    last = *f;
    faults++;
}
void iommu_fault_lost(void) { lost++; }
const struct pci_fn *iommu_sole_function(unsigned unit) {
    assert_int_equal(unit, 0);
    return one_attached ? &device : NULL;
}
uint16_t pci_status_take(const struct pci_fn *fn, uint16_t bits) {
    assert_ptr_equal(fn, &own);
    assert_int_equal(bits, 0x800);
    bool was = abort_signalled;
    abort_signalled = false;
    return was ? bits : 0;
}
uint64_t frame_alloc_run(uint64_t frames, uint64_t align, unsigned flags) {
    assert_int_equal(align, 1);
    assert_true(flags & FRAME_ZERO);
    log_memory = calloc(frames, 4096);
    return (uint64_t)log_memory - DIRECT_MAP_BASE;
}
int irq_alloc(irq_handler_fn *handler, void *arg) {
    (void)handler, (void)arg;
    return -1;
}
uint64_t irq_msi_address(void) { return 0; }
bool pci_msi_start(const struct pci_fn *fn, uint64_t address, uint32_t data) {
    (void)fn, (void)address, (void)data;
    return false;
}
void klog(enum log_level level, const char *from, const char *fmt, ...) {
    (void)level, (void)from, (void)fmt;
}

static int setup(void **state) {
    (void)state;
    struct amdvi_unit *u = &amdvi_units[0];
    memset(registers, 0, sizeof registers);
    *u = (struct amdvi_unit){.regs = registers, .fn = &own, .segment = 3};
    faults = lost = 0;
    unrecorded = abort_signalled = one_attached = false;
    if (!amdvi_log_init(u)) return 1;
    assert_int_equal(amdvi_read(u, AMDVI_EVENT_LOG_BASE) >> 56, 15);
    amdvi_control(u, AMDVI_CTL_EVENTLOGEN, AMDVI_STS_EVENTLOGRUN);
    amdvi_write(u, AMDVI_STATUS, 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    free(log_memory);
    return 0;
}

static void post(uint64_t low, uint64_t address) {
    assert_int_equal(log_memory[tail][0] >> 60, 0); // the place is free
    log_memory[tail][1] = address;
    log_memory[tail][0] = low;
    tail = (tail + 1) % LOG_ENTRIES;
}

static uint64_t event(unsigned code, uint16_t rid, uint64_t flags) {
    return (uint64_t)code << 60 | flags | rid;
}

static void decoded(void **state) {
    (void)state;
    amdvi_poll_faults();
    assert_int_equal(faults, 0);
    post(event(AMDVI_EVENT_IO_PAGE_FAULT, 0x1234, AMDVI_EVENT_RW | 7ull << 32), 0x80001234);
    amdvi_poll_faults();
    assert_int_equal(faults, 1);
    assert_int_equal(last.segment, 3);
    assert_int_equal(last.rid, 0x1234);
    assert_int_equal(last.reason, AMDVI_EVENT_IO_PAGE_FAULT);
    assert_true(last.write && !last.interrupt);
    assert_int_equal(last.address, 0x80001000);
    assert_int_equal(amdvi_read(&amdvi_units[0], AMDVI_EVENT_LOG_HEAD), 16);
    post(event(AMDVI_EVENT_IO_PAGE_FAULT, 8, 0), 0x5000);
    amdvi_poll_faults();
    assert_true(!last.write && last.rid == 8);
    post(event(AMDVI_EVENT_IO_PAGE_FAULT, 8, AMDVI_EVENT_I), 0xfee00000); // an interrupt
    amdvi_poll_faults();
    assert_true(last.interrupt);
    post(event(AMDVI_EVENT_IO_PAGE_FAULT, 8, AMDVI_EVENT_I), 0x5000); // QEMU sets I for all
    post(event(AMDVI_EVENT_INVALID_DEVICE_REQUEST, 9, 0), 0x6000);
    amdvi_poll_faults();
    assert_int_equal(faults, 5);
    assert_true(!last.interrupt && last.reason == AMDVI_EVENT_INVALID_DEVICE_REQUEST);
    amdvi_poll_faults();
    assert_int_equal(faults, 5); // none is seen twice
    assert_string_equal(amdvi_fault_text(AMDVI_EVENT_IO_PAGE_FAULT), "not mapped or not permitted");
    assert_string_equal(amdvi_fault_text(200), "unknown event");
}

// Begun afresh whenever it is read to its end, round and round where it never is: nothing is lost.
static void wraps(void **state) {
    (void)state;
    unsigned posted = 0;
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = 0; i < 700; i++) post(event(2, 8, 0), 4096ull * posted++);
        amdvi_poll_faults();
        assert_int_equal(faults, posted);
        assert_int_equal(last.address, 4096ull * (posted - 1));
        assert_true(tail < LOG_RESTART + 700);
    }
    for (unsigned i = 0; i < 6000; i++) post(event(2, 8, 0), 4096ull * posted++);
    for (unsigned round = 0; round < 20; round++) {
        amdvi_poll_faults(); // 4096 of them
        assert_true(faults < posted);
        for (unsigned i = 0; i < 4096; i++) post(event(2, 8, 0), 4096ull * posted++);
    }
    amdvi_poll_faults(), amdvi_poll_faults();
    assert_int_equal(faults, posted);
    assert_int_equal(last.address, 4096ull * (posted - 1));
    assert_int_equal(lost, 0);
}

static void overflows(void **state) {
    (void)state;
    struct amdvi_unit *u = &amdvi_units[0];
    for (unsigned i = 0; i < 100; i++) post(event(2, 8, 0), 0x1000);
    amdvi_write(u, AMDVI_STATUS, AMDVI_STS_EVENTOVERFLOW | AMDVI_STS_EVENTLOGRUN);
    amdvi_poll_faults();
    assert_int_equal(faults, 100);
    assert_int_equal(lost, 1);
    assert_int_equal(amdvi_read(u, AMDVI_STATUS), AMDVI_STS_EVENTOVERFLOW); // written to clear it
    assert_int_equal(tail, 0);                                              // and begun afresh
    assert_true(u->control & AMDVI_CTL_EVENTLOGEN);
    amdvi_write(u, AMDVI_STATUS, 0);
    post(event(2, 9, 0), 0x2000);
    amdvi_poll_faults();
    assert_int_equal(faults, 101);
    assert_int_equal(last.rid, 9);
}

static void refused_without_a_word(void **state) {
    (void)state;
    abort_signalled = one_attached = true;
    amdvi_poll_faults();
    assert_int_equal(faults, 0); // a unit that records is not asked
    assert_true(amdvi_refused() && !amdvi_refused());
    amdvi_expect_unrecorded();
    amdvi_poll_faults();
    assert_int_equal(faults, 0);
    abort_signalled = true;
    amdvi_poll_faults();
    assert_int_equal(faults, 1);
    assert_int_equal(last.rid, device.rid);
    assert_true(last.address == IOMMU_ADDRESS_UNKNOWN);
    abort_signalled = true;
    one_attached = false; // or several: nobody's
    amdvi_poll_faults();
    assert_int_equal(faults, 2);
    assert_int_equal(last.rid, own.rid);
    abort_signalled = true;
    post(event(2, 0x77, 0), 0x3000); // recorded after all: one fault, not two
    amdvi_poll_faults();
    assert_int_equal(faults, 3);
    assert_int_equal(last.rid, 0x77);
}

static void our_own_mistakes(void **state) {
    (void)state;
    post(event(AMDVI_EVENT_ILLEGAL_COMMAND_ERROR, 0, 0), 0x9000);
    PANICS(log_lock, "refuses a command at 0x9000", amdvi_poll_faults());
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(decoded), T(wraps), T(overflows), T(refused_without_a_word), T(our_own_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
