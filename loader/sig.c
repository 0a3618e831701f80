// sig.c — canonical signature ids: one number a structurally distinct function type, for the whole machine.
//
// Ids are never taken back or given anew, so that equal ids mean equal types between any two modules at any time. A module
// brings at most as many new ones as it has types; all together are bounded, then compiling fails.
#include "loader/private.h"

#define BUCKETS 1024u
#define TYPES_MAX 65536u // of 2²⁰ − 1 that SFI_SIG_MAKE has room for

struct sig {
    struct sig *next;
    uint32_t id;
    struct wasm_functype type;
    uint8_t bytes[];
};
static struct sig *bucket[BUCKETS];
static uint32_t count;

uint32_t ldr_sig_id(const struct wasm_functype *type) {
    uint32_t n = type->params + type->results;
    uint32_t hash = type->params * 31 + type->results;
    for (uint32_t i = 0; i < n; i++) hash = hash * 31 + type->type[i];
    struct sig **head = &bucket[hash % BUCKETS];
    for (struct sig *s = *head; s; s = s->next)
        if (s->type.params == type->params && s->type.results == type->results &&
            !memcmp(s->bytes, type->type, n))
            return s->id;
    if (count == TYPES_MAX) return 0;
    struct sig *s = ldr_plat_alloc(sizeof *s + n);
    if (!s) return 0;
    if (n) memcpy(s->bytes, type->type, n);
    s->type = (struct wasm_functype){type->params, type->results, s->bytes};
    s->id = SFI_SIG_MAKE(++count, 0);
    s->next = *head;
    *head = s;
    return s->id;
}
