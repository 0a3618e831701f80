// native.h — native twins of drivers, linked into the bench kernel (build/bench/kernel.elf). No other kernel has any of this.
//
// Module instances that the configuration calls `native` and `native-b` (module native virtio-blk) are created as every other: their grants, fences,
// channels and interrupts are the module's. But they are never entered: native.c, put in front of some functions of the loader by the linker (--wrap),
// calls the twins instead. A twin is the module's own source as kernel code; where a module sees its window, the twin sees the same pages at the
// same 32-bit addresses, since the windows' DMA and device areas are mapped a second time at 2 to 4 GiB. There the first has the lower half
// of an area and the second, whose addresses begin in the middle, the upper one. Each has one life a boot.
#ifndef BENCH_GUEST_NATIVE_H
#define BENCH_GUEST_NATIVE_H
#include "sasos/run/domain.h"

#define NATIVE_INSTANCES 2u
// Function prefix, the manifest's name, the instance: a twin's static data are one instance's, so what has two of them is linked twice.
#define NATIVES(X)                 \
    X(virtio_blk, "virtio-blk", 0) \
    X(nvme, "nvme", 0)             \
    X(virtio_net, "virtio-net", 0) \
    X(e1000e, "e1000e", 0) X(virtio_net_b, "virtio-net", 1) X(e1000e_b, "e1000e", 1)
#define NATIVE_CALLS(C) /* what clients may call */ \
    C(virtio_blk, "virtio-blk", 0, blk_submit)      \
    C(virtio_blk, "virtio-blk", 0, blk_attach)      \
    C(nvme, "nvme", 0, blk_submit)                  \
    C(nvme, "nvme", 0, blk_attach)                  \
    C(virtio_net, "virtio-net", 0, net_attach)      \
    C(virtio_net, "virtio-net", 0, net_submit)      \
    C(e1000e, "e1000e", 0, net_attach)              \
    C(e1000e, "e1000e", 0, net_submit)              \
    C(virtio_net_b, "virtio-net", 1, net_attach)    \
    C(virtio_net_b, "virtio-net", 1, net_submit)    \
    C(e1000e_b, "e1000e", 1, net_attach)            \
    C(e1000e_b, "e1000e", 1, net_submit)

void native_rings(void); // rings.c
struct native {
    struct dom *domain; // whose twin runs; NULL: none
    struct dom *caller; // who called it last
};
extern struct native native[NATIVE_INSTANCES];
void native_map(void); // the windows' areas as they are now
#define X(twin, name, n)               \
    int32_t twin##_driver_start(void); \
    int32_t twin##_driver_event(uint32_t events);
NATIVES(X)
#undef X
#define C(twin, name, n, export) int32_t twin##_##export(void);
NATIVE_CALLS(C)
#undef C
#endif
