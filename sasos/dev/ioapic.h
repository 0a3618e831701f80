// ioapic.h — interrupt lines of the old numbering (ISA 1–15), through the I/O APICs (Intel 82093AA; I/O Unit in Intel's SDM terms).
//
// ioapic_init() masks every input of every I/O APIC that the MADT names. A bound line is one irq.h vector and, where interrupts are
// remapped, one remapping entry that only this I/O APIC may raise. Which input a line is, its polarity and its trigger come from the MADT's
// overrides; without one it is the input of the same number, edge-triggered, active high.
//
// A level-triggered line is masked when it fires, before its handler is called: it stays silent until ioapic_unmask(), that is, until
// somebody has looked after the device. Not from interrupt handlers, but for the handler's own call.
#ifndef SASOS_DEV_IOAPIC_H
#define SASOS_DEV_IOAPIC_H
#include "sasos/arch/irq.h"
#include "sasos/status.h"

#define IOAPIC_LINES 16u

void ioapic_init(void);
// Leaves it masked. NOT_FOUND: no I/O APIC has such an input; EXISTS: somebody has it; NO_SPACE: vectors or entries are out.
enum status ioapic_bind(unsigned line, irq_handler_fn *handler, void *arg);
void ioapic_unmask(unsigned line);
void ioapic_free(unsigned line); // masked, and no handler of it runs any more
#endif
