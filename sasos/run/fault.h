// fault.h — what stops a domain from outside its own code: traps, the tick, blocked DMA. Handlers: no waiting, no allocation.
#ifndef SASOS_RUN_FAULT_H
#define SASOS_RUN_FAULT_H

void fault_init(void); // registers the hooks with arch/trap.h and dev/iommu.h
#endif
