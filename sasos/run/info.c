// info.c — what an operator may see: dom_info(), sys_info(), trace_read(), log_read(), for domains with the grant `observe`.
//
// Fields are read while others change them: each is a number that was true, not all of them at one time. What has pointers behind it is
// read under the lock that keeps it there.
#include "sasos/arch/cpu.h"
#include "sasos/arch/irq.h"
#include "sasos/arch/smp.h"
#include "sasos/arch/time.h"
#include "sasos/dev/dev.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/heap.h"
#include "sasos/run/hostcall.h"

#define LOG_CHUNK 512u

_Static_assert(SASOS_NAME == CONFIG_NAME && SASOS_COUNTERS_MAX == MANIFEST_COUNTERS_MAX &&
                   SASOS_COUNTER_NAME == MANIFEST_COUNTER,
               "abi.h repeats these");
_Static_assert((int)SASOS_DRIVER == MANIFEST_DRIVER && (int)SASOS_PROGRAM == MANIFEST_PROGRAM,
               "in the same order");

static uint32_t state_of(const struct dom *d) {
    switch ((enum dom_state)d->state) {
    case DOM_NONE: return SASOS_NOT_LOADED;
    case DOM_STARTING: return SASOS_STARTING;
    case DOM_RUNNING: return SASOS_RUNNING;
    case DOM_PAUSED: return SASOS_RESTARTING;
    default: return SASOS_ENDED;
    }
}

static void describe(const struct dom *d, struct sasos_dom_info *out) {
    out->kind = d->manifest.kind;
    out->state = state_of(d);
    out->lives = d->lives;
    out->faults = d->faults;
    out->status = d->status;
    out->channels = d->channels;
    const struct pci_fn *fn = d->fn;
    if (fn) {
        out->segment = fn->segment;
        out->rid = fn->rid;
        out->vendor = fn->vendor;
        out->device = fn->device;
    }
    out->memory = (uint64_t)ldr_memory_pages(d->inst) << 16;
    out->memory_max = d->manifest.memory;
    out->dma = d->dma_used;
    out->dma_max = d->manifest.dma;
    out->cpu_ns = dom_cpu_ns(d);
    out->started_ns = d->started_ns;
    out->interrupts = __atomic_load_n(&d->interrupts, __ATOMIC_RELAXED);
    out->log_dropped = d->log_dropped;
    out->counters = d->manifest.counters;
    for (uint32_t i = 0; i < out->counters; i++) {
        memcpy(out->counter[i].name, d->manifest.counter[i], SASOS_COUNTER_NAME);
        out->counter[i].value = __atomic_load_n(&d->counter[i], __ATOMIC_RELAXED);
    }
    out->cpu = thr_cpu(d->home);
    out->handles = dom_handles(d);
    out->handles_max = d->config->handles;
    for (uint32_t i = 0; i < d->channels; i++) {
        const struct channel *c = d->channel[i].channel;
        unsigned side = d->channel[i].side;
        const struct dom *peer = c->dom[!side];
        out->channel[i] = (struct sasos_channel_info){
            .pages = c->size / FRAME_SIZE,
            .peer = peer ? peer->number : SASOS_TRACE_KERNEL,
            .server = side == CHAN_SERVER,
            .life = c->lives[side],
            .peer_life = c->lives[!side],
        };
    }
    memcpy(out->ring, d->ring, sizeof(out->ring));
    if (d->end != DOM_END_NONE) dom_end_text(d, out->end, sizeof(out->end));
}

// The first `size` bytes of what is told, into the caller's memory.
static int64_t give(struct ldr_instance *inst, uint32_t at, uint32_t size, const void *from,
                    uint32_t have) {
    uint32_t n = MIN(size, have);
    void *to = ldr_memory_at(inst, at, n);
    if (!to) return E_FAULT;
    memcpy(to, from, n);
    return n;
}

CALL(dom_info) {
    if (!caller(inst)->config->observe) return E_DENIED;
    uint32_t index = ldr_arg32(args, 0);
    if (index >= dom_count()) return E_NOENT;
    const struct dom *d = dom_at(index);
    struct sasos_dom_info out = {.state = SASOS_NOT_LOADED};
    str_copy(out.name, sizeof(out.name), d->config->name);
    str_copy(out.file, sizeof(out.file), d->config->file);
    if (d->state != DOM_NONE) describe(d, &out);
    return give(inst, ldr_arg32(args, 1), ldr_arg32(args, 2), &out, sizeof(out));
}

CALL(sys_info) {
    if (!caller(inst)->config->observe) return E_DENIED;
    const struct cpu_features *cpu = cpu_features();
    struct sasos_sys_info out = {
        .time_ns = time_now_ns(),
        .wall_ns = wall_now_ns(),
        .memory = frame_total() * FRAME_SIZE,
        .memory_free = frame_count_free() * FRAME_SIZE,
        .kernel_objects = heap_stats().objects,
        .dma_faults = iommu_counters().faults,
        .dma_commands = iommu_counters().invalidations,
        .interrupts_unexpected = irq_unexpected(),
        .flags = (iommu_present() ? SASOS_DMA_FENCED : 0u) |
                 (dev_fence_proved() ? SASOS_FENCE_PROVED : 0u) |
                 (cpu->hypervisor ? SASOS_HYPERVISOR : 0u) |
                 (dev_forging() == DEV_FORGING_REFUSED ? SASOS_FORGING_REFUSED : 0u) |
                 (trace_on ? SASOS_TRACING : 0u),
        .domains = dom_count(),
        .cpus = smp_count(),
    };
    log_range(&out.log_first, &out.log_next);
    str_copy(out.cpu, sizeof(out.cpu), cpu->brand);
    str_copy(out.iommu, sizeof(out.iommu), iommu_kind());
    return give(inst, ldr_arg32(args, 0), ldr_arg32(args, 1), &out, sizeof(out));
}

CALL(trace_read) {
    uint64_t number = ldr_arg(args, 0);
    uint32_t count = MIN(ldr_arg32(args, 2), TRACE_EVENTS), n = 0;
    if (!caller(inst)->config->observe) return E_DENIED;
    uint8_t *to = ldr_memory_at(inst, ldr_arg32(args, 1), count * sizeof(struct sasos_trace));
    if (!to) return E_FAULT;
    for (struct sasos_trace t; n < count && trace_read(number, &t); number = t.number + 1)
        memcpy(to + n++ * sizeof(t), &t, sizeof(t));
    return n;
}

CALL(log_read) {
    uint64_t from = ldr_arg(args, 0);
    uint32_t size = ldr_arg32(args, 2), at = 0;
    if (!caller(inst)->config->observe) return E_DENIED;
    char *to = ldr_memory_at(inst, ldr_arg32(args, 1), size);
    if (!to) return E_FAULT;
    if (!size) return E_INVAL;
    uint32_t n;
    do { // in pieces, with interrupts off for each; the 0 behind one is where the next begins
        char chunk[LOG_CHUNK];
        from = log_read(from, chunk, MIN(size - at, LOG_CHUNK));
        n = (uint32_t)str_len(chunk);
        memcpy(to + at, chunk, n + 1);
        at += n;
    } while (n && at + 1 < size);
    return (int64_t)from;
}
