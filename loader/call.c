// call.c — threads, calls from C into modules and back, and the monitor.
//
// A thread has two stacks: modules run on the protected one that is its own, C runs where the host's thread runs. ldr_call()
// switches to the first, a host call back to the second, below the frame of the ldr_call that is underneath; so they interleave like coroutines.
//
// Monitor. owner = 0: free. A thread takes it by 0 → itself. Whoever waits sets bit 0, and who has waited takes it with
// bit 0 set, since others may wait too; leaving writes 0 and wakes if the bit was set.
#include "loader/private.h"

struct ldr_thread *ldr_thread_new(uint32_t stack_size) {
    struct ldr_thread *t = ldr_plat_alloc(sizeof *t);
    if (!t) return NULL;
    stack_size = (uint32_t)ldr_page_up(stack_size);
    if (ldr_plat_stack_alloc(stack_size, &t->stack_top) != LDR_OK) {
        ldr_plat_free(t, sizeof *t);
        return NULL;
    }
    t->stack_size = stack_size;
    t->stack_bottom = t->stack_top - stack_size;
    t->msp = t->stack_top;
    t->top = t->record;
    t->end = t->record + LDR_RECORDS;
    return t;
}
void ldr_thread_free(struct ldr_thread *t) {
    LDR_ASSERT(t->top == t->record);
    ldr_plat_stack_free(t->stack_top, t->stack_size);
    ldr_plat_free(t, sizeof *t);
}
void ldr_thread_set_c_limit(struct ldr_thread *t, uint64_t lowest) { t->c_limit = lowest; }
void ldr_thread_set_host(struct ldr_thread *t, void *host) { t->host = host; }
void *ldr_thread_host(const struct ldr_thread *t) { return t->host; }
struct ldr_thread *ldr_current(const struct ldr_instance *inst) {
    return inst->priv->thread;
}
struct ldr_instance *ldr_thread_instance(const struct ldr_thread *t) {
    return t->top == t->record ? NULL : t->top[-1].inst;
}

struct ldr_instance *ldr_caller(const struct ldr_instance *inst) {
    const struct ldr_thread *t = inst->priv->thread;
    const struct ldr_record *r = t->top - 1;
    LDR_ASSERT(t->top > t->record && r->inst == inst);
    return r->kind == LDR_KIND_ENTER ? NULL : r[-1].inst; // whoever crosses is inside something
}
bool ldr_thread_doomed(const struct ldr_thread *t) {
    for (const struct ldr_record *r = t->record; r < t->top; r++)
        if (ldr_is_dead(r->inst)) return true;
    return false;
}
bool ldr_thread_entered(struct ldr_thread *t) {
    struct ldr_record *r = t->top - 1;
    if (t->top == t->record || r->kind != LDR_KIND_DOMAIN) return false;
    r->kind = LDR_KIND_SEEN;
    return true;
}

// ---- Monitor ----
void ldr_monitor_enter(struct ldr_instance *inst, struct ldr_thread *t) {
    uint64_t *owner = &inst->priv->owner, seen = 0, mine = (uint64_t)t;
    while (!__atomic_compare_exchange_n(owner, &seen, mine, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        if (seen & 1 || __atomic_compare_exchange_n(owner, &seen, seen | 1, false, __ATOMIC_RELAXED,
                                                    __ATOMIC_RELAXED)) {
            ldr_plat_wait(inst);
            mine |= 1;
        }
        seen = 0;
    }
}
void ldr_monitor_leave(struct ldr_instance *inst, struct ldr_thread *t) {
    uint64_t was = __atomic_exchange_n(&inst->priv->owner, 0, __ATOMIC_ACQ_REL);
    LDR_ASSERT((was & ~1ull) == (uint64_t)t);
    if (was & 1) ldr_plat_wake(inst);
}

// ---- Arguments of host functions ----
static const uint64_t *arg(const struct ldr_args *a, unsigned i) {
    const struct ldr_link *l = a->link;
    LDR_ASSERT(i < l->params);
    unsigned place = l->place ? l->place[i] : i;
    if (place < SFI_INT_ARGS) return &a->reg[place];
    return place >= 32 ? a->others[place - 32] : a->fp[place - 16];
}
uint64_t ldr_arg_at_place(const struct ldr_args *a, unsigned i) { return *arg(a, i); }
void ldr_arg_v128(const struct ldr_args *a, unsigned i, uint64_t out[2]) {
    memcpy(out, arg(a, i), 16);
}
void *ldr_arg_ctx(const struct ldr_args *a) { return a->link->func->ctx; }
void ldr_set_result(struct ldr_instance *inst, const struct ldr_args *a, unsigned i, uint64_t bits) {
    int place = jit_result_place(a->link->type, i);
    LDR_ASSERT(i < a->link->type->results && place >= 0);
    *(uint64_t *)ldr_context(inst->window, SFI_CTX_RESULT((uint32_t)place)) = bits;
}

// ---- Calls ----
const struct wasm_functype *ldr_func_type(const struct ldr_instance *inst, uint32_t index) {
    return &inst->m->type[inst->m->func[index].type];
}

// Where a function really is: an import of another instance's function is that one's.
static void resolve(struct ldr_instance **inst, uint32_t *index) {
    const struct ldr_instance *i = *inst;
    while (*index < i->m->imported_funcs && !i->link[*index]) {
        const struct ldr_extern *from = &i->from[i->import_of[*index]];
        *inst = from->instance;
        *index = from->index;
        i = *inst;
    }
}
static uint64_t code_of(const struct ldr_instance *inst, uint32_t index) {
    uint32_t imported = inst->m->imported_funcs;
    return inst->block.rx + (index < imported ? (SFI_BUILTINS + index) * SFI_THUNK_SIZE
                                              : inst->code->jit.sfi.func[index - imported].start);
}

// References too.
static bool is_integer(uint8_t type) { return type > WASM_F32 || type < WASM_V128; }

static void load_args(struct ldr_entry *e, uint64_t window, const struct wasm_functype *type,
                      const uint64_t *args) {
    uint32_t i = 0;
    // The first few, mostly all, need no look-up.
    for (; i < type->params && i < SFI_INT_ARGS && is_integer(type->type[i]); i++)
        e->reg[i] = *args++;
    for (; i < type->params; i++) {
        uint32_t place = jit_arg_place(type, i), words = type->type[i] == WASM_V128 ? 2 : 1;
        if (place >= SFI_INT_ARGS && place < 32 && !e->vectors) {
            memset(e->fp, 0, sizeof e->fp);
            e->vectors = true;
        }
        uint64_t *to = place < SFI_INT_ARGS ? &e->reg[place]
                       : place >= 32        ? ldr_context(window, SFI_CTX_RESULT(place - 32))
                                            : e->fp[place - 16];
        for (uint32_t k = 0; k < words; k++) to[k] = *args++;
    }
}
static void store_results(const struct ldr_entry *e, uint64_t window,
                          const struct wasm_functype *type, uint64_t *results) {
    if (type->results == 1 && is_integer(type->type[type->params])) {
        *results = e->rax;
        return;
    }
    for (uint32_t i = 0; i < type->results; i++) {
        int place = jit_result_place(type, i);
        uint32_t words = type->type[type->params + i] == WASM_V128 ? 2 : 1;
        const uint64_t *from = place == -1   ? &e->rax
                               : place == -2 ? e->xmm0
                                             : ldr_context(window, SFI_CTX_RESULT((uint32_t)place));
        for (uint32_t k = 0; k < words; k++) *results++ = from[k];
    }
}

static enum ldr_status exhausted(struct ldr_thread *t, const struct ldr_instance *inst,
                                 struct ldr_trap_info *out_info) {
    struct ldr_trap_info info = {.kind = SFI_TRAP_STACK, .func_index = UINT32_MAX};
    memcpy(info.module, inst->name, LDR_NAME_MAX);
    t->trap = info;
    if (out_info) *out_info = info;
    return LDR_TRAPPED;
}

enum ldr_status ldr_call(struct ldr_thread *t, struct ldr_instance *inst, uint32_t index,
                         const uint64_t *args, uint64_t *results, struct ldr_trap_info *out_info) {
    LDR_ASSERT(index < inst->m->funcs);
    resolve(&inst, &index);
    const struct wasm_functype *type = ldr_func_type(inst, index);
    struct ldr_entry e; // not initialised as a whole: most of it is for vectors
    memset(e.reg, 0, sizeof e.reg);
    e.vectors = false;
    uint64_t rsp = t->msp & ~15ull;
    if (t->top == t->end || (uint64_t)&e < t->c_limit || rsp < t->stack_bottom + LDR_STACK_SLACK)
        return exhausted(t, inst, out_info);
    bool domain = inst->store->policy == LDR_DOMAIN, nested = false;
    if (domain) {
        uint64_t owner = __atomic_load_n(&inst->priv->owner, __ATOMIC_RELAXED);
        nested = (owner & ~1ull) == (uint64_t)t;
        if (!nested) ldr_monitor_enter(inst, t);
    }
    enum ldr_status status = LDR_DEAD;
    if (!ldr_stop_of(inst)) {
        load_args(&e, inst->window, type, args); // those in the context: it is ours now
        if (!ldr_enter(t, &e, code_of(inst, index), inst->window, rsp, inst)) {
            store_results(&e, inst->window, type, results);
            status = LDR_OK;
        } else {
            if (out_info) *out_info = t->trap;
            status = LDR_TRAPPED;
        }
    }
    if (domain && !nested) ldr_monitor_leave(inst, t);
    return status;
}

enum ldr_status ldr_start(struct ldr_thread *t, struct ldr_instance *inst,
                          struct ldr_trap_info *out_info) {
    if (inst->m->start == UINT32_MAX) return LDR_OK;
    return ldr_call(t, inst, inst->m->start, NULL, NULL, out_info);
}
