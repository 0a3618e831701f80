// panic.h — the kernel found a mistake of its own: say where, show registers and a symbolised backtrace, stop the machine.
//
// Never for what a module, a device or the operator did. Any context; needs only the console. After the text the machine
// ends with failure where QEMU's isa-debug-exit is there, else it halts with the text on the screen.
#ifndef SASOS_LIB_PANIC_H
#define SASOS_LIB_PANIC_H
#include <stdint.h>

struct trap_frame;
struct bootinfo;

#define panic(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void panic_at(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// For traps: the registers and the backtrace are those of the frame.
_Noreturn void panic_trap(const struct trap_frame *frame, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

// The machine cannot run this system: a sentence, no backtrace, then off.
_Noreturn void panic_refuse(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

// Asserts stay on in every build.
#define KASSERT(x) ((x) ? (void)0 : panic("assertion failed: %s", #x))

// Symbols come from the kernel's own ELF image, kept by the boot application. Checked here; without it addresses are bare.
void panic_symbols(const struct bootinfo *info);
#endif
