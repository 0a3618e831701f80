// console.h — where text comes out: the first 16550 UART (COM1, polled) and the framebuffer, whichever exist.
//
// Both are the kernel's own. Output never blocks for ever: a UART that does not drain within a bounded time is given up.
// Text from any context, an interrupt or a panic too; lines of two contexts may be cut into each other only in a panic.
#ifndef SASOS_LIB_CONSOLE_H
#define SASOS_LIB_CONSOLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void con_init_serial(void); // first step of the boot; an absent UART is no error
void con_write(const char *s, size_t n);
// A panic, or the end of the machine, takes the console: its lock is broken open and never taken again.
void con_panic(void);
#endif
