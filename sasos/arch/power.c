// power.c — off and reset, each way in turn (power.h).
#include "sasos/arch/power.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/io.h"
#include "sasos/arch/smp.h"
#include "sasos/arch/time.h"
#include "sasos/dev/acpi.h"
#include "sasos/lib/console.h"
#include "sasos/lib/printf.h"

// QEMU's isa-debug-exit: a write of v ends it with status 2v + 1; a read gives 0, where an empty port gives all ones.
#define DEBUG_EXIT 0xf4
#define DEBUG_EXIT_OK 0x10     // status 33
#define DEBUG_EXIT_FAILED 0x11 // status 35
#define POWER_OFF_NS (1000 * TIME_MS)
#define RESET_CONTROL 0xcf9 // RST_CNT of Intel's chip sets: 6 = hard reset

static _Noreturn void halt(void) {
    for (;;) {
        __asm__ volatile("cli");
        cpu_halt();
    }
}

static void debug_exit(bool ok) {
    // Only under a hypervisor: on a real machine this port is somebody else's.
    if (cpu_features()->hypervisor && io_in8(DEBUG_EXIT) == 0)
        io_out32(DEBUG_EXIT, ok ? DEBUG_EXIT_OK : DEBUG_EXIT_FAILED);
}

// The others stop first: nothing is driven, and nothing printed, while the machine ends. Who comes second waits for that end.
static void last_one_running(void) {
    __asm__ volatile("cli");
    if (!smp_stop_others()) halt();
    con_panic(); // one of them may have stopped with the console's lock
}

_Noreturn void power_off(bool ok) {
    last_one_running();
    debug_exit(ok);
    acpi_power_off();
    time_delay_ns(POWER_OFF_NS); // the machine need not obey within an instruction
    kprintf("this machine has no way to be switched off; it is halted\n");
    halt();
}

_Noreturn void power_reboot(void) {
    last_one_running();
    acpi_reset();
    io_out8(RESET_CONTROL, 2);
    io_out8(RESET_CONTROL, 6);
    // Triple fault: an interrupt table without entries.
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } none = {0, 0};
    __asm__ volatile("lidt %0; int3" : : "m"(none));
    halt();
}

_Noreturn void power_halt_failed(void) {
    debug_exit(false);
    halt();
}
