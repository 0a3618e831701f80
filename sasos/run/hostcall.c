// hostcall.c — the kernel calls of hostcall.def. Every argument is input: checked here, once, from private copies.
//
// Each function runs on its thread's C stack with interrupts on, on behalf of the domain that calls. Nothing here allocates but
// dma_alloc, pci_bar_map and irq_enable, which are set-up calls.
#include "sasos/arch/time.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/run/domain.h"

#define CALL(name) static int64_t hc_##name(struct ldr_instance *inst, const struct ldr_args *args)
#define LOG_LINE 512u

static struct dom *caller(struct ldr_instance *inst) { return ldr_user(inst); }

CALL(log) {
    uint32_t length = ldr_arg32(args, 1);
    if (length > LOG_LINE) length = LOG_LINE;
    const char *text = ldr_memory_at(inst, ldr_arg32(args, 0), length);
    if (!text) return E_FAULT;
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

CALL(arg) {
    struct dom *d = caller(inst);
    uint32_t index = ldr_arg32(args, 0), size = ldr_arg32(args, 2);
    if (index >= d->config->args) return E_NOENT;
    const char *text = d->config->arg[index];
    uint32_t length = 0;
    while (text[length]) length++;
    uint32_t copied = length < size ? length : size;
    char *to = ldr_memory_at(inst, ldr_arg32(args, 1), copied);
    if (!to) return E_FAULT;
    memcpy(to, text, copied);
    return length;
}

CALL(wait) {
    struct dom *d = caller(inst);
    uint32_t wanted = ldr_arg32(args, 0);
    int64_t timeout = (int64_t)ldr_arg(args, 1);
    if (d->manifest.kind != MANIFEST_APP) return E_DENIED;
    uint64_t now = time_now_ns();
    uint64_t deadline = timeout < 0 || (uint64_t)timeout > THR_FOREVER - now - 1
                            ? THR_FOREVER
                            : now + (uint64_t)timeout;
    for (;;) {
        uint32_t got = d->pending & wanted;
        d->pending &= ~got;
        if (got) return (int32_t)(got & INT32_MAX);
        uint32_t bits = thr_wait(&d->events, deadline);
        d->ticks = 0;
        if (ldr_is_dead(inst)) ldr_trap(inst, SFI_TRAP_KILLED);
        if (!bits) return 0;
        d->pending |= bits;
    }
}

CALL(chan_count) {
    (void)args;
    return caller(inst)->channels;
}

CALL(chan_map) {
    struct dom *d = caller(inst);
    uint32_t i = ldr_arg32(args, 0);
    return i < d->channels ? d->channel[i].address : 0;
}

CALL(chan_size) {
    struct dom *d = caller(inst);
    uint32_t i = ldr_arg32(args, 0);
    return i < d->channels ? d->channel[i].channel->size : 0;
}

CALL(chan_signal) { return chan_signal(caller(inst), ldr_arg32(args, 0)); }

CALL(pci_config_read) {
    struct dom *d = caller(inst);
    return d->fn ? (int32_t)pci_config_read(d->fn, ldr_arg32(args, 0), ldr_arg32(args, 1)) : E_DENIED;
}

CALL(pci_bar_map) {
    return dom_bar_map(caller(inst), ldr_arg32(args, 0), ldr_arg32(args, 1), ldr_arg32(args, 2));
}

CALL(pci_enable) {
    (void)args;
    struct dom *d = caller(inst);
    if (!d->fn || !d->fence) return E_DENIED;
    return pci_enable(d->fn) == ST_OK ? 0 : E_DENIED;
}

CALL(dma_alloc) { return dom_dma_alloc(caller(inst), ldr_arg32(args, 0)); }

CALL(irq_enable) { return dom_irq_enable(caller(inst), ldr_arg32(args, 0)); }

const struct ldr_hostfunc hc_functions[] = {
#define X(result, name, parameters, types, text) {SASOS_NAMESPACE, #name, types, hc_##name, NULL},
#include "sasos/run/hostcall.def"
#undef X
};
const unsigned hc_count = sizeof(hc_functions) / sizeof(hc_functions[0]);
