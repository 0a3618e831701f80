// button.c — see button.h. The button sets a bit in the PM1 status register, which raises the SCI, a level-triggered line, until the bit is
// written back.
#include "sasos/dev/button.h"
#include "sasos/arch/io.h"
#include "sasos/arch/time.h"
#include "sasos/dev/acpi.h"
#include "sasos/dev/ioapic.h"
#include "sasos/lib/log.h"

enum { SCI_EN = 1 << 0, PWRBTN = 1 << 8 }; // PM1 control; PM1 status and enable (§4.8.3.1)
#define ACPI_MODE_NS (500 * TIME_MS)

static uint16_t status_port, enable_port;
static void (*on_press)(void);

static void on_sci(void *arg) {
    (void)arg;
    uint16_t status = io_in16(status_port);
    if (status & PWRBTN) {
        io_out16(status_port, PWRBTN); // write one to clear
        on_press();
    }
    ioapic_unmask(acpi()->sci_int);
}

// §4.8.2.5, §5.2.9 SMI_CMD: firmware hands the registers over.
static bool acpi_mode(uint16_t control) {
    const struct acpi_info *a = acpi();
    if (io_in16(control) & SCI_EN) return true;
    if (!a->smi_command || !a->acpi_enable) return false;
    io_out8(a->smi_command, a->acpi_enable);
    uint64_t end = time_now_ns() + ACPI_MODE_NS;
    while (!(io_in16(control) & SCI_EN))
        if (time_now_ns() > end) return false;
    return true;
}

bool button_init(void (*pressed)(void)) {
    const struct acpi_info *a = acpi();
    const char *why = NULL;
    if (!(a->have & ACPI_HAVE_FADT) || a->hw_reduced || !a->power_button)
        why = "this machine has none of the fixed kind";
    else if (!acpi_is_port(&a->pm1a_evt) || !acpi_is_port(&a->pm1a_cnt) || a->pm1_evt_length < 4)
        why = "its registers are not where they should be";
    else if (!acpi_mode((uint16_t)a->pm1a_cnt.address))
        why = "the firmware does not hand over its registers";
    if (!why) {
        status_port = (uint16_t)a->pm1a_evt.address;
        enable_port = (uint16_t)(status_port + a->pm1_evt_length / 2);
        on_press = pressed;
        io_out16(enable_port, 0);
        io_out16(status_port, io_in16(status_port)); // whatever happened before counts no more
        if (ioapic_bind(a->sci_int, on_sci, NULL) != ST_OK)
            why = "its interrupt line cannot be had";
    }
    if (why) {
        log_warn("acpi", "no power button: %s", why);
        return false;
    }
    io_out16(enable_port, PWRBTN);
    ioapic_unmask(a->sci_int);
    return true;
}
