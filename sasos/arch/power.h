// power.h — the end: off or reset.
//
// power_off(ok): where QEMU's isa-debug-exit answers at port 0xf4 its exit status says how it went (33 = ok, 35 = not);
// else ACPI S5; else the CPU halts for ever. reboot: ACPI reset register, 0xCF9, triple fault.
#ifndef SASOS_ARCH_POWER_H
#define SASOS_ARCH_POWER_H
#include <stdbool.h>

_Noreturn void power_off(bool ok);
_Noreturn void power_reboot(void);
// Only the debug exit, then halt: for a panic, where ACPI may be what is broken and the text must stay on the screen.
_Noreturn void power_halt_failed(void);
#endif
