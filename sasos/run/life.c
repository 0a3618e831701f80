// life.c — a domain's lives: how one begins, is lived and ends, and whether there is another (domain.h). All of it runs on the domain's home
// thread, which never ends.
//
// The home thread holds the domain's monitor while it begins a life, until driver_start() or library_start() has returned, and while it takes
// one apart. So a client that calls meanwhile waits, or gets E_DEAD, and never finds a module that is half set up.
#include "sasos/arch/smp.h"
#include "sasos/arch/time.h"
#include "sasos/lib/log.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/slot.h"
#include "sasos/run/domain.h"

#define C_STACK_RESERVE (16u << 10) // what a kernel call may need at most
#define MINUTE_NS (60000 * TIME_MS)
#define BACKOFF_MAX_NS (10000 * TIME_MS)

uint32_t dom_timer_due(struct dom *d) {
    if (d->timer > time_now_ns()) return 0;
    d->timer = THR_FOREVER;
    return SASOS_EVENT_TIMER;
}

static void set_state(struct dom *d, enum dom_state state) {
    d->state = state;
    thr_wake(&d->done, 1);
}

// ---- living ----

// Calls an export; false when the domain is over. *out is its result, untouched when it gave none.
static bool enter(struct dom *d, uint32_t index, uint64_t arg, int32_t *out) {
    uint64_t result = 0;
    d->ticks = 0;
    enum ldr_status s = ldr_call(d->thread, d->inst, index, &arg, &result, NULL);
    if (s == LDR_OK) *out = (int32_t)result; // exit() has left its status there
    return s == LDR_OK;
}

static void ready(struct dom *d) {
    thr_exempt(thr_current(), false);
    TRACE(READY, d->number, d->lives, 0);
    d->was_ready = true;
    set_state(d, DOM_RUNNING);
    chan_tell_all(d);
    if (d->lives > 1)
        log_info("run", "%s: life %u, ready %u us after the end of the one before (%u us of it the device's reset)",
                 dom_name(d), d->lives, (uint32_t)((time_now_ns() - d->ended_ns) / 1000),
                 (uint32_t)(d->reset_ns / 1000));
}

// driver_start(), library_start(). The monitor is held, and free afterwards.
static bool start_with(struct dom *d, const char *name) {
    int32_t result = 0;
    uint32_t index;
    bool good = !ldr_find_func(d->inst, name, &index) || enter(d, index, 0, &result);
    if (good && result < 0) {
        d->status = result;
        if (d->end == DOM_END_NONE) d->end = DOM_END_FAILED;
        good = false;
    }
    if (!good) ldr_kill(d->inst, SFI_TRAP_KILLED); // nobody may come in
    ldr_release(d->inst, d->thread);
    if (good) ready(d);
    return good;
}

static void live_driver(struct dom *d) {
    int32_t result;
    uint32_t event = 0;
    ldr_find_func(d->inst, "driver_event", &event); // checked when it was loaded
    if (!start_with(d, "driver_start")) return;
    for (;;) {
        uint32_t events = thr_wait(&d->events, d->timer);
        if (ldr_is_dead(d->inst)) return;
        events = (events & ~DOM_EVENTS_KERNEL) | dom_timer_due(d);
        if (events && !enter(d, event, events, &result)) return;
    }
}

// Its calls come on its clients' threads; this one waits for its end, and tells it who else has ended.
static void live_library(struct dom *d) {
    uint32_t stop, left;
    int32_t result = 0;
    bool cares = ldr_find_func(d->inst, "library_left", &left);
    if (!start_with(d, "library_start")) return;
    while (!ldr_is_dead(d->inst) && !d->closing)
        if (thr_wait(&d->orders, THR_FOREVER) & DOM_ORDER_LEFT && cares && !enter(d, left, 0, &result))
            return;
    if (ldr_is_dead(d->inst)) return;
    if (ldr_find_func(d->inst, "library_stop", &stop) && enter(d, stop, 0, &result) && result < 0)
        log_error("run", "%s: its library_stop() failed: %d", dom_name(d), result);
    dom_kill(d, DOM_END_STOPPED);
}

static void live_app(struct dom *d) {
    int32_t status = 0;
    uint32_t index = 0;
    ldr_find_func(d->inst, d->manifest.kind == MANIFEST_PROGRAM ? "_start" : "app_main", &index);
    ldr_release(d->inst, d->thread);
    ready(d);
    uint64_t before = heap_stats().allocations;
    bool returned = enter(d, index, 0, &status);
    if (returned && d->end == DOM_END_NONE) {
        d->status = status;
        d->end = DOM_END_EXIT;
    }
    d->allocations = (uint32_t)(heap_stats().allocations - before);
}

static void live(struct dom *d) {
    struct ldr_trap_info info;
    ldr_revive(d->inst, d->thread);
    if (!d->wanted)
        dom_kill(d, DOM_END_STOPPED); // the order may have come before there was anything to kill
    if (ldr_start(d->thread, d->inst, &info) != LDR_OK) {
        ldr_release(d->inst, d->thread);
    } else if (d->manifest.kind == MANIFEST_DRIVER) {
        live_driver(d);
    } else if (d->manifest.kind == MANIFEST_LIBRARY) {
        live_library(d);
    } else {
        live_app(d);
    }
}

// ---- begin and end ----

// With the monitor held. False: it could not be set up, and `end` says so.
static bool begin(struct dom *d) {
    thr_wait(&d->events, 0); // what is left of the life before
    d->pending = 0;
    d->closing = d->hears_stop = false;
    d->timer = THR_FOREVER;
    d->status = 0;
    d->interrupts = 0;
    for (uint32_t i = 0; i < d->manifest.counters; i++) d->counter[i] = 0;
    d->lives++;
    TRACE(BEGIN, d->number, d->lives, 0);
    d->started_ns = time_now_ns();
    enum status s = dom_device_open(d);
    d->end = DOM_END_NONE; // only now: a fault that its device made before is not this life's
    if (s == ST_OK) {
        chan_open_all(d);
        return true;
    }
    d->status = s == ST_NO_MEMORY || s == ST_NO_SPACE ? E_NOMEM : E_NODEV;
    d->end = DOM_END_REFUSED;
    return false;
}

// Everything that it had is taken back, whoever is inside yet.
static void end(struct dom *d) {
    ldr_kill(d->inst, SFI_TRAP_KILLED);
    smp_stop_sandboxed(); // on whatever CPU:
    smp_sync();           // from here on no CPU runs its code
    d->ended_ns = time_now_ns();
    dom_device_stop(d);
    chan_close_all(d);
    chan_tell_all(d);
    ldr_hold(d->inst, d->thread); // those inside leave: each waits for no longer than its callee's budget
    if (d->end == DOM_END_NONE) d->end = DOM_END_TRAP;
    TRACE(END, d->number, d->lives, d->end);
    d->info = *ldr_last_trap(d->inst);
    dom_device_close(d);
    if (!ldr_reset(d->inst, d->thread)) panic("%s cannot be reset", dom_name(d));
    ldr_release(d->inst, d->thread);
    KASSERT(slot_frames(slot_of(ldr_window(d->inst))) == d->frames); // nothing of that life is left
}

// ---- and then? ----

static bool is_fault(enum dom_end end) {
    return end == DOM_END_TRAP || end == DOM_END_BUDGET || end == DOM_END_DMA ||
           end == DOM_END_KILLED || end == DOM_END_FAILED || end == DOM_END_REFUSED;
}

// After a fault: when the next life may begin; false if there shall be none.
static bool restart_after(struct dom *d, uint64_t *out_due) {
    const struct config_module *c = d->config;
    uint64_t now = time_now_ns();
    if (!c->restart || !d->was_ready) return false;
    if (now - d->minute > MINUTE_NS || !d->faults_lately) {
        d->minute = now;
        d->faults_lately = 0;
    }
    if (++d->faults_lately > c->restart_max) {
        log_error("run", "%s: failed %u times within a minute: it is not started again",
                  dom_name(d), d->faults_lately);
        return false;
    }
    // The first failure costs nothing, each further one twice the pause.
    uint32_t doublings = d->faults_lately < 2 ? 0 : d->faults_lately - 2;
    uint64_t pause = d->faults_lately < 2 ? 0 : c->backoff_ms * TIME_MS;
    while (doublings-- && pause && pause < BACKOFF_MAX_NS) pause *= 2;
    *out_due = now + (pause < BACKOFF_MAX_NS ? pause : BACKOFF_MAX_NS);
    return true;
}

static void settle(struct dom *d) {
    char text[320];
    bool fault = is_fault(d->end);
    d->faults += fault;
    d->due = 0;
    if (d->again)
        d->again = false;
    else if (!fault || !d->wanted || !restart_after(d, &d->due))
        d->wanted = false;
    dom_end_text(d, text, sizeof(text));
    bool good = d->end == DOM_END_STOPPED || (d->end == DOM_END_EXIT && d->status == 0);
    klog(good ? LOG_INFO : LOG_WARN, "run", "%s", text);
    set_state(d, DOM_PAUSED);
}

// Until a life shall begin. Without an order for one its device is free for others.
static void await_order(struct dom *d) {
    for (;;) {
        if (d->wanted && time_now_ns() >= d->due) return;
        if (!d->wanted && d->state == DOM_PAUSED) {
            d->fn = NULL;
            set_state(d, DOM_ENDED);
        }
        thr_wait(&d->orders, d->wanted ? d->due : THR_FOREVER);
    }
}

void dom_home(void *arg) {
    struct dom *d = arg;
    thr_set_data(thr_current(), d, d->number);
    thr_set_share(thr_current(), d->config->share);
    ldr_thread_set_c_limit(d->thread, thr_stack_bottom(thr_current()) + C_STACK_RESERVE);
    for (;;) {
        await_order(d);
        d->state = DOM_STARTING;
        ldr_hold(d->inst, d->thread);
        if (begin(d))
            live(d);
        else
            ldr_release(d->inst, d->thread);
        end(d);
        settle(d);
    }
}
