// hostcall.h — the kernel calls of hostcall.def, one function each, and what they share.
//
// Every argument is input: checked once, from private copies. A call runs on its thread's C stack with interrupts on, on behalf of the domain
// whose code made it, which need not be the thread's own. Nothing allocates but dma_alloc, pci_bar_map and irq_enable: set-up calls.
#ifndef SASOS_RUN_HOSTCALL_H
#define SASOS_RUN_HOSTCALL_H
#include "sasos/run/domain.h"

#define X(result, name, parameters, types, text) ldr_host_fn hc_##name;
#include "sasos/run/hostcall.def"
#undef X

static inline struct dom *caller(const struct ldr_instance *inst) { return ldr_user(inst); }

enum hc_row {
#define X(result, name, parameters, types, text) HC_##name,
#include "sasos/run/hostcall.def"
#undef X
};
static inline int64_t hc_traced(enum hc_row row, const struct ldr_instance *inst, int64_t result) {
    if (result < 0 && result >= E_DEAD) TRACE(CALL_ERROR, caller(inst)->number, row, result);
    return result;
}
#define CALL(name)                                                                    \
    static int64_t do_##name(struct ldr_instance *inst, const struct ldr_args *args); \
    int64_t hc_##name(struct ldr_instance *inst, const struct ldr_args *args) {       \
        return hc_traced(HC_##name, inst, do_##name(inst, args));                     \
    }                                                                                 \
    static int64_t do_##name(struct ldr_instance *inst, const struct ldr_args *args)
int64_t wall_now_ns(void); // what wall_ns() tells
// The domain whose thread it is.
static inline struct dom *home_of_thread(void) { return thr_data(thr_current()); }
#endif
