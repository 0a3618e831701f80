// rings.c — bench/rings in the bench kernel: measured when a module instance is made that the configuration calls `rings`, which is otherwise like
// every other. Every kind of it is a line "rings: NAME calls=N cycles=N". Interrupts are off meanwhile, for less than a second.
#include "bench/rings/rings.h"
#include "bench/guest/native.h"
#include "sasos/arch/cpu.h"
#include "sasos/lib/log.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/pt.h"

#define CALLS 4000u
#define ADDRESS 0x000ffffffffff000ull

static void *page(uint64_t *out_physical) { // kept to the end: a boot measures once
    *out_physical = frame_alloc(FRAME_ZERO);
    KASSERT(*out_physical);
    return pt_direct(*out_physical);
}

void native_rings(void) {
    uint64_t cycles[RINGS_KINDS];
    rings_begin(page, pt_direct(cpu_read_cr3() & ADDRESS));
    for (int kind = 0; kind < RINGS_KINDS; kind++)
        cycles[kind] = rings_has(kind) ? rings_measure(kind, CALLS) : 0;
    rings_end();
    for (int kind = 0; kind < RINGS_KINDS; kind++)
        if (rings_has(kind))
            log_info("rings", "%s calls=%u cycles=%lu", rings_name[kind], CALLS, cycles[kind]);
}
