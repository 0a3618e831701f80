// msix.h — MSI-X, owned by the kernel (PCIe Base 5.0 §6.1.4, §7.7.2).
//
// The table and the pending bits live in a page of the device that is never mapped into a driver's
// window. Each used entry is one irq.h vector and, where interrupt remapping is on, one remapping
// entry that only this function's requester id may raise. Entries start masked. An interrupt says
// "look at the device", nothing more: a device can raise its own entries at any time, so a handler
// must tolerate calls without cause.
//
// A device may send as fast as it can: an entry that exceeds msix_storm_limit is masked for the rest
// of a window of 50 ms, whatever its user wants, and opened again; its last message is not lost.
//
// Life: msix_open (table mapped, everything masked, MSI-X enabled) → msix_bind per entry →
// msix_unmask … → msix_close. Open, bind and close are not for interrupt handlers; mask and unmask
// are.
#ifndef SASOS_DEV_MSIX_H
#define SASOS_DEV_MSIX_H
#include "sasos/arch/irq.h"
#include "sasos/dev/pci.h"
#include "sasos/status.h"

struct msix; // one opened function's table

extern uint32_t msix_storm_limit; // messages of one entry in a window; a test lowers it
void msix_init(void);             // once, when threads can be made
// NOT_FOUND: no MSI-X; NO_MEMORY.
enum status msix_open(const struct pci_fn *fn, struct msix **out);
unsigned msix_count(const struct msix *m); // entries in the table
// Gives entry `index` a vector whose handler is called with arg; leaves it masked. EXISTS if bound
// already.
enum status msix_bind(struct msix *m, unsigned index, irq_handler_fn *handler, void *arg);
void msix_unmask(struct msix *m, unsigned index);
// For the self-test: what the device will send, whatever was bound. The entry stays masked or not.
void msix_message(struct msix *m, unsigned index, uint64_t address, uint32_t data);
void msix_mask(struct msix *m, unsigned index);
uint32_t msix_storms(const struct msix *m, unsigned index);     // times it was held back
uint64_t msix_interrupts(const struct msix *m, unsigned index); // since bind
// Masks and unbinds all, MSI-X off; when it returns no handler of it runs any more. Also after the
// function was reset.
void msix_close(struct msix *m);
#endif
