// hostcall.c — the table of kernel calls, and those that are about the calling domain itself: its log, clock, arguments, end, events.
#include "sasos/run/hostcall.h"
#include "sasos/arch/time.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/run/random.h"

#define LOG_LINE 512u
#define LOG_SAVED 10u

// A line costs what one second gives for `log` lines; LOG_SAVED seconds' worth can be saved up.
static bool log_allowed(struct dom *d) {
    uint64_t cost = 1000000000ull / d->config->log_lines, now = time_now_ns();
    d->log_credit = MIN(d->log_credit + (now - d->log_at), LOG_SAVED * 1000000000ull);
    d->log_at = now;
    if (d->log_credit < cost) {
        d->log_dropped++;
        d->log_dropped_now++;
        return false;
    }
    d->log_credit -= cost;
    if (d->log_dropped_now)
        log_warn(dom_name(d), "%u lines dropped: more than %u a second", d->log_dropped_now,
                 d->config->log_lines);
    d->log_dropped_now = 0;
    return true;
}

CALL(log) {
    uint32_t length = ldr_arg32(args, 1);
    if (length > LOG_LINE) length = LOG_LINE;
    const char *text = ldr_memory_at(inst, ldr_arg32(args, 0), length);
    if (!text) return E_FAULT;
    if (!log_allowed(caller(inst))) return E_AGAIN;
    char line[LOG_LINE + 1]; // a private copy: shown is what was looked at
    memcpy(line, text, length);
    line[length] = 0;
    for (uint32_t i = 0; i < length; i++)
        if ((uint8_t)line[i] < 32 || line[i] == 127) line[i] = '?';
    log_info(dom_name(caller(inst)), "%s", line);
    return 0;
}

CALL(time_ns) {
    (void)inst, (void)args;
    return (int64_t)time_now_ns();
}

CALL(exit) {
    struct dom *d = caller(inst);
    d->status = (int32_t)ldr_arg32(args, 0);
    d->end = DOM_END_EXIT;
    ldr_trap(inst, SFI_TRAP_KILLED);
}

// Copies a text of the configuration; its length, whether it fitted or not.
static int64_t give_text(struct ldr_instance *inst, const struct ldr_args *args, const char *text) {
    uint32_t size = ldr_arg32(args, 2), length = (uint32_t)str_len(text), copied = MIN(length, size);
    char *to = ldr_memory_at(inst, ldr_arg32(args, 1), copied);
    if (!to) return E_FAULT;
    memcpy(to, text, copied);
    return length;
}

CALL(arg) {
    const struct config_module *c = caller(inst)->config;
    uint32_t i = ldr_arg32(args, 0);
    return i < c->args ? give_text(inst, args, c->text + c->arg[i]) : E_NOENT;
}

CALL(env) {
    const struct config_module *c = caller(inst)->config;
    uint32_t i = ldr_arg32(args, 0);
    return i < c->envs ? give_text(inst, args, c->text + c->env[i]) : E_NOENT;
}

CALL(counter) {
    struct dom *d = caller(inst);
    uint32_t i = ldr_arg32(args, 0);
    if (i >= d->manifest.counters) return E_NOENT;
    __atomic_store_n(&d->counter[i], (int64_t)ldr_arg(args, 1), __ATOMIC_RELAXED);
    return 0;
}

CALL(random) {
    uint32_t n = ldr_arg32(args, 1);
    if (!caller(inst)->config->entropy) return E_DENIED;
    if (n > RANDOM_MAX) return E_INVAL;
    uint8_t *to = ldr_memory_at(inst, ldr_arg32(args, 0), n);
    if (!to) return E_FAULT;
    random_bytes(to, n);
    return 0;
}

CALL(entropy_add) {
    uint32_t n = ldr_arg32(args, 1);
    if (!caller(inst)->config->entropy_source) return E_DENIED;
    if (n > RANDOM_MAX) return E_INVAL;
    const uint8_t *from = ldr_memory_at(inst, ldr_arg32(args, 0), n);
    if (!from) return E_FAULT;
    random_add(from, n);
    return 0;
}

// ---- Events ----

CALL(timer) {
    struct dom *d = caller(inst);
    int64_t at = (int64_t)ldr_arg(args, 0);
    d->timer = at < 0 ? THR_FOREVER : (uint64_t)at;
    d->pending &= ~SASOS_EVENT_TIMER; // of an earlier time
    // A driver's home thread sleeps until the time that was set before.
    if (d != home_of_thread()) thr_wake(&d->events, DOM_EVENT_LOOK);
    return 0;
}

CALL(wait) {
    struct dom *d = caller(inst), *home = home_of_thread();
    uint32_t wanted = ldr_arg32(args, 0);
    int64_t timeout = (int64_t)ldr_arg(args, 1);
    if (d->manifest.kind == MANIFEST_DRIVER) return E_DENIED;
    if (wanted & SASOS_EVENT_STOP) d->hears_stop = true;
    uint64_t now = time_now_ns();
    uint64_t deadline = timeout < 0 || (uint64_t)timeout > THR_FOREVER - now - 1
                            ? THR_FOREVER
                            : now + (uint64_t)timeout;
    for (;;) {
        d->pending |= dom_timer_due(d);
        uint32_t got = d->pending & wanted;
        d->pending &= ~got;
        if (got) return (int32_t)(got & INT32_MAX);
        if (ldr_thread_doomed(home->thread))
            return E_INTR; // does not reset the budget: who goes on waiting is killed
        uint32_t bits =
            thr_wait(&d->events, wanted & SASOS_EVENT_TIMER ? MIN(deadline, d->timer) : deadline);
        if (ldr_is_dead(inst)) ldr_trap(inst, SFI_TRAP_KILLED);
        if (!bits && time_now_ns() >= deadline && d->timer > deadline) return 0;
        home->ticks = 0;
        d->pending |= bits & ~DOM_EVENTS_KERNEL;
    }
}

const struct ldr_hostfunc hc_functions[] = {
#define X(result, name, parameters, types, text) {SASOS_NAMESPACE, #name, types, hc_##name, NULL},
#include "sasos/run/hostcall.def"
#undef X
};
const unsigned hc_count = sizeof(hc_functions) / sizeof(hc_functions[0]);
