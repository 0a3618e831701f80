// stack.h — stacks with guards: one cell of address space each (layout.h), at least 1 MiB unmapped below and above.
//
// A frame of a module is at most SFI_FRAME_MAX (512 KiB), so no push, call or first access of a frame steps over a guard.
#ifndef SASOS_MEM_STACK_H
#define SASOS_MEM_STACK_H
#include <stdbool.h>
#include <stdint.h>

#define STACK_DEFAULT (256u << 10)
#define STACK_MAX (2u << 20)

// Zeroed; top is 16-aligned and one past the last byte. 0 when memory or cells are out.
uint64_t stack_alloc(uint32_t size);
void stack_free(uint64_t top);
// True for addresses in the stack range that belong to a guard (of any cell, used or not).
bool stack_is_guard(uint64_t address);
#endif
