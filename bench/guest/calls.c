// calls.c — the kernel calls of a native twin: what its SDK declarations are bound to; linked into each twin, for the instance NATIVE.
// Those of the data path are direct; the others go through the functions that modules call, with their arguments in a made-up frame,
// and may have mapped something.
#include "bench/guest/native.h"
#include "loader/private.h"
#include "sasos/arch/time.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/run/hostcall.h"

#define LINE 256u
#define OURS native[NATIVE]

static int64_t ask(ldr_host_fn *fn, uint64_t a, uint64_t b, uint64_t c, uint64_t e) {
    const struct ldr_link link = {.params = 4};
    const struct ldr_args args = {.reg = {a, b, c, e}, .link = &link};
    int64_t result = fn(OURS.domain->inst, &args);
    native_map();
    return result;
}

// Each is `sasos_NAME` of drivers/sdk/sasos.h; integers and pointers only, so one form fits all.
#define sasos_log other_log // the four below are defined otherwise
#define sasos_time_ns other_time_ns
#define sasos_chan_signal other_chan_signal
#define sasos_caller_channel other_caller_channel
#define X(result, name, parameters, types, text)                           \
    int64_t sasos_##name(uint64_t a, uint64_t b, uint64_t c, uint64_t e);  \
    int64_t sasos_##name(uint64_t a, uint64_t b, uint64_t c, uint64_t e) { \
        return ask(hc_##name, a, b, c, e);                                 \
    }
#include "sasos/run/hostcall.def"
#undef X
#undef sasos_log
#undef sasos_time_ns
#undef sasos_chan_signal
#undef sasos_caller_channel

int32_t sasos_log(const char *text, uint32_t length);
int32_t sasos_log(const char *text, uint32_t length) {
    char line[LINE + 1];
    if (length > LINE) length = LINE;
    memcpy(line, text, length); // the twin's own memory: nothing to check
    line[length] = 0;
    log_info(dom_name(OURS.domain), "%s", line);
    return 0;
}
int64_t sasos_time_ns(void);
int64_t sasos_time_ns(void) { return (int64_t)time_now_ns(); }
int32_t sasos_chan_signal(uint32_t channel);
int32_t sasos_chan_signal(uint32_t channel) { return chan_signal(OURS.domain, channel); }
int32_t sasos_caller_channel(void);
int32_t sasos_caller_channel(void) { // the loader has seen no crossing
    for (uint32_t i = 0; i < OURS.domain->channels; i++) {
        const struct dom_channel *c = &OURS.domain->channel[i];
        if (c->channel->end[!c->side] == OURS.caller) return (int32_t)i;
    }
    return E_NOENT;
}
