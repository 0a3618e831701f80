// chaos.c — see chaos.h. A thread sleeps until the chosen instant, which is what makes the timer fire just then; the tick's handler, which comes
// before anything is scheduled, does the deed.
#include "sasos/run/chaos.h"
#include "sasos/arch/time.h"
#include "sasos/lib/log.h"
#include "sasos/lib/panic.h"
#include "sasos/run/domain.h"
#include "sasos/run/random.h"

#define LOOK_NS (TIME_MS / 5)

uint64_t chaos_next = THR_FOREVER;

static bool lives(const struct dom *d) { return d->state == DOM_RUNNING && d->end == DOM_END_NONE; }

void chaos_tick(void) {
    uint64_t now = time_now_ns(), next = THR_FOREVER;
    for (unsigned i = 0; i < dom_count(); i++) {
        struct dom *d = dom_at(i);
        uint64_t due = __atomic_load_n(&d->chaos_due, __ATOMIC_ACQUIRE);
        if (due && due <= now && lives(d)) {
            __atomic_store_n(&d->chaos_due, 0, __ATOMIC_RELEASE);
            dom_kill(d, DOM_END_KILLED);
        } else if (due && due < next) {
            next = due;
        }
    }
    __atomic_store_n(&chaos_next, next, __ATOMIC_RELEASE);
}

static void chaos(void *arg) {
    struct dom *d = arg;
    const struct config_module *c = d->config;
    for (uint32_t n = 0; n < c->chaos_count; n++) {
        while (!lives(d)) thr_sleep_until(time_now_ns() + LOOK_NS);
        uint64_t random;
        random_bytes((uint8_t *)&random, sizeof(random));
        uint64_t due = time_now_ns() + random % (2000ull * c->chaos_us) + 1;
        __atomic_store_n(&d->chaos_due, due, __ATOMIC_RELEASE);
        __atomic_store_n(&chaos_next, 0, __ATOMIC_RELEASE); // the next tick finds out
        thr_sleep_until(due);
        while (__atomic_load_n(&d->chaos_due, __ATOMIC_ACQUIRE))
            thr_sleep_until(time_now_ns() + LOOK_NS);
    }
    log_info("chaos", "%s: killed %u times", dom_name(d), c->chaos_count);
    thr_sleep_until(THR_FOREVER); // what the kernel has given out is now as it was before the first
}

void chaos_start(void) {
    for (unsigned i = 0; i < dom_count(); i++)
        if (dom_at(i)->config->chaos_count && !thr_create("chaos", THR_DRIVER, 0, chaos, dom_at(i)))
            panic_refuse("there is not enough memory to start");
}
