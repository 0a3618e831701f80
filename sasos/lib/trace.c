// trace.c — see trace.h. An event's number is written last, and cleared first: who finds the same one before and after its copy has all of
// that event.
#include "sasos/lib/trace.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/time.h"
#include "sasos/lib/printf.h"

#define PRINTED 40u // by a panic: what a screen holds

static struct sasos_trace ring[TRACE_EVENTS]; // number n at n mod TRACE_EVENTS
static uint64_t newest;
bool trace_on;

void trace_put(enum sasos_trace_kind kind, uint16_t module, uint64_t value, uint32_t more) {
    uint64_t flags = cpu_irq_save(); // else a writer might sleep while the ring goes round
    uint64_t number = __atomic_add_fetch(&newest, 1, __ATOMIC_RELAXED);
    struct sasos_trace *t = &ring[number % TRACE_EVENTS];
    __atomic_store_n(&t->number, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    t->time_ns = time_now_ns();
    t->value = value;
    t->more = more;
    t->module = module;
    t->kind = (uint8_t)kind;
    t->cpu = (uint8_t)cpu_this()->index;
    __atomic_store_n(&t->number, number, __ATOMIC_RELEASE);
    cpu_irq_restore(flags);
}

bool trace_read(uint64_t number, struct sasos_trace *out) {
    for (;; number++) { // those that are just being written are passed over
        uint64_t last = __atomic_load_n(&newest, __ATOMIC_ACQUIRE);
        if (last >= TRACE_EVENTS && number <= last - TRACE_EVENTS) number = last - TRACE_EVENTS + 1;
        if (!number) number = 1;
        if (number > last) return false;
        const struct sasos_trace *t = &ring[number % TRACE_EVENTS];
        if (__atomic_load_n(&t->number, __ATOMIC_ACQUIRE) != number) continue;
        *out = *t;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&t->number, __ATOMIC_RELAXED) == number) return true;
    }
}

void trace_print(void) {
    static const char *const names[] = {
#define X(name, text, value, more) text,
        SASOS_TRACES(X)
#undef X
    };
    struct sasos_trace t = {.number = newest > PRINTED ? newest - PRINTED : 0};
    while (trace_read(t.number + 1, &t))
        kprintf("  trace %llu us, CPU %u, module %d: %s %llx %x\n",
                (unsigned long long)(t.time_ns / 1000), t.cpu, (int16_t)t.module, names[t.kind],
                (unsigned long long)t.value, t.more);
}
