// devices.h — see devices.c and attack.c.
#ifndef SASOS_KTEST_DEVICES_H
#define SASOS_KTEST_DEVICES_H
#include "sasos/dev/pci.h"

unsigned ktest_devices(void); // prints its points; returns how many were bad
// attack.c; `kernel`: physical address of the kernel image. A virtio disk and a virtio-rng must be there.
unsigned ktest_attack(uint64_t kernel);
const struct pci_fn *ktest_function(uint16_t vendor, uint16_t device); // the first of these ids, or NULL

#endif
