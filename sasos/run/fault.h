// fault.h — what stops a domain from outside its own code: traps, the tick, blocked DMA. Handlers: no waiting, no allocation.
#ifndef SASOS_RUN_FAULT_H
#define SASOS_RUN_FAULT_H
struct dom;
struct pci_fn;

void fault_init(void); // registers the hooks with arch/trap.h and dev/iommu.h
struct dom *dom_of_function(const struct pci_fn *fn); // domain.c: who holds this function, NULL if nobody
#endif
