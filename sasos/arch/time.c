// time.c — TSC calibration and the conversions. The reference is the HPET (IA-PC HPET 1.0a) or the ACPI PM timer (ACPI 6.5, 4.8.3.3).
#include "sasos/arch/time.h"
#include "efi/bootinfo.h"
#include "sasos/arch/apic.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/io.h"
#include "sasos/dev/acpi.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/pt.h"

#define HPET_CAP 0x00
#define HPET_CONF 0x10
#define HPET_COUNTER 0xf0
#define HPET_CONF_ENABLE 1u
#define HPET_PERIOD_MAX 100000000u // femtoseconds, §2.3.4
#define PM_TIMER_HZ 3579545ull

#define CALIBRATION_NS (8 * TIME_MS)
#define SAMPLE_TRIES 8

static volatile uint8_t *hpet;
static uint64_t reference_mask, reference_hz;
static uint16_t pm_port;
static uint64_t tsc_start, tsc_hz, ns_mult; // ns = ticks · ns_mult / 2³²
static uint64_t unix_at_start_ns;

static uint64_t read_reference(void) {
    if (!hpet) return io_in32(pm_port);
    return reference_mask == UINT32_MAX ? mmio_read32(hpet + HPET_COUNTER)
                                        : mmio_read64(hpet + HPET_COUNTER);
}

static const char *choose_reference(void) {
    const struct acpi_info *a = acpi();
    if (a->have & ACPI_HAVE_HPET && (hpet = pt_map_mmio(a->hpet_base, 1024, PT_W | PT_UC))) {
        uint64_t cap = mmio_read64(hpet + HPET_CAP), period = cap >> 32;
        if (period && period <= HPET_PERIOD_MAX) {
            mmio_write64(hpet + HPET_CONF, mmio_read64(hpet + HPET_CONF) | HPET_CONF_ENABLE);
            reference_hz = 1000000000000000ull / period;
            reference_mask = cap >> 13 & 1 ? UINT64_MAX : UINT32_MAX; // COUNT_SIZE_CAP
            return "HPET";
        }
        hpet = NULL;
    }
    if (a->have & ACPI_HAVE_FADT && a->pm_timer.address && a->pm_timer.space_id == ACPI_SPACE_IO) {
        pm_port = (uint16_t)a->pm_timer.address;
        reference_hz = PM_TIMER_HZ;
        reference_mask = a->pm_timer_32bit ? UINT32_MAX : 0xffffff;
        return "ACPI PM timer";
    }
    panic_refuse("there is neither an HPET nor an ACPI PM timer to calibrate the clock with");
}

struct sample {
    uint64_t tsc, reference;
    uint32_t apic;
};

// The three counters at one time. The host may stop a virtual CPU between two reads: the tightest of some tries counts.
static struct sample sample(void) {
    struct sample best = {0};
    uint64_t best_width = UINT64_MAX;
    for (int i = 0; i < SAMPLE_TRIES; i++) {
        uint64_t before = cpu_rdtsc();
        uint64_t reference = read_reference();
        uint32_t apic = apic_timer_counted();
        uint64_t width = cpu_rdtsc() - before;
        if (width < best_width)
            best = (struct sample){before + width / 2, reference, apic}, best_width = width;
    }
    return best;
}

void time_init(const struct bootinfo *info, uint64_t tsc_kernel_entry) {
    const char *name = choose_reference();
    apic_timer_count_start();
    struct sample a = sample(), b;
    uint64_t want = reference_hz * CALIBRATION_NS / 1000000000, gone;
    uint64_t patience =
        cpu_rdtsc() + (100ull << 30); // a reference that stands still must not hang the boot
    do {
        if (cpu_rdtsc() > patience) panic_refuse("the %s does not count", name);
        cpu_pause();
    } while (((read_reference() - a.reference) & reference_mask) < want);
    b = sample();
    gone = (b.reference - a.reference) & reference_mask;
    tsc_hz = (b.tsc - a.tsc) * (reference_hz / 1000) / gone * 1000;
    uint64_t apic_hz = (uint64_t)(b.apic - a.apic) * (reference_hz / 1000) / gone * 1000;
    if (tsc_hz < 1000000 || !apic_hz) panic_refuse("clock calibration against the %s failed", name);
    ns_mult = (1000000000ull << 32) / tsc_hz;
    tsc_start = tsc_kernel_entry;
    apic_timer_set_hz(apic_hz);
    if (info->unix_time) {
        // The firmware's time was read by the boot application between its entry and its exit.
        uint64_t boot_ns = tsc_start > info->tsc_exit ? time_tsc_to_ns(tsc_start - info->tsc_exit) : 0;
        unix_at_start_ns = info->unix_time * 1000000000ull + boot_ns;
    }
    log_info("time", "TSC %llu kHz, APIC timer %llu kHz by %s%s", (unsigned long long)tsc_hz / 1000,
             (unsigned long long)apic_hz / 1000, name,
             cpu_features()->invariant_tsc ? "" : ", TSC not invariant");
}

uint64_t time_tsc_to_ns(uint64_t ticks) {
    return (uint64_t)((unsigned __int128)ticks * ns_mult >> 32);
}
uint64_t time_now_ns(void) { return ns_mult ? time_tsc_to_ns(cpu_rdtsc() - tsc_start) : 0; }
uint64_t time_unix_ns(void) { return unix_at_start_ns ? unix_at_start_ns + time_now_ns() : 0; }

void time_delay_ns(uint64_t ns) {
    uint64_t end = time_now_ns() + ns;
    while (time_now_ns() < end) cpu_pause();
}
