// native.h — native twins of drivers, linked into the bench kernel (build/bench/kernel.elf). No other kernel has any of this.
//
// A module instance that the configuration calls `native` (module native virtio-blk) is created as every other: its grants, fence, channels
// and interrupts are the module's. But it is never entered: native.c, put in front of some functions of the loader by the linker (--wrap),
// calls the twin instead. The twin is the module's own source as kernel code; where a module sees its window, the twin sees the same pages at the
// same 32-bit addresses, since the window's DMA and device areas are mapped a second time at 2 to 4 GiB. One instance a boot.
#ifndef BENCH_GUEST_NATIVE_H
#define BENCH_GUEST_NATIVE_H
#include "sasos/run/domain.h"

#define NATIVES(X) \
    X(virtio_blk, "virtio-blk") X(nvme, "nvme") X(virtio_net, "virtio-net") X(e1000e, "e1000e")
#define NATIVE_CALLS(C) /* what clients may call */ \
    C(virtio_blk, "virtio-blk", blk_submit)         \
    C(virtio_blk, "virtio-blk", blk_attach)         \
    C(nvme, "nvme", blk_submit)                     \
    C(nvme, "nvme", blk_attach)                     \
    C(virtio_net, "virtio-net", net_attach)         \
    C(virtio_net, "virtio-net", net_submit)         \
    C(e1000e, "e1000e", net_attach)                 \
    C(e1000e, "e1000e", net_submit)

void native_rings(void);          // rings.c
extern struct dom *native_domain; // whose twin runs
extern struct dom *native_caller; // who called it last
void native_map(void);            // the window's areas as they are now
#define X(twin, name)                  \
    int32_t twin##_driver_start(void); \
    int32_t twin##_driver_event(uint32_t events);
NATIVES(X)
#undef X
#define C(twin, name, export) int32_t twin##_##export(void);
NATIVE_CALLS(C)
#undef C
#endif
