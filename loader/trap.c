// trap.c — a module did what it must not, or must stop: who, where, and where its thread goes on.
//
// Runs in the host's fault handlers: allocates nothing, takes no lock, touches only memory that cannot fault. What is
// trusted is the instance found from rip; r15 must agree with it, or the fault is the system's own. Trap sites come from
// the compiler: they name things in messages and decide nothing.
#include "loader/private.h"

const struct ldr_trap_info *ldr_last_trap(const struct ldr_instance *inst) { return &inst->trap; }
bool ldr_is_dead(const struct ldr_instance *inst) { return ldr_stop_of(inst) != SFI_TRAP_NONE; }
void ldr_kill(struct ldr_instance *inst, enum sfi_trap kind) {
    uint32_t none = SFI_TRAP_NONE;
    LDR_ASSERT(kind != SFI_TRAP_NONE);
    __atomic_compare_exchange_n(&inst->priv->stop, &none, kind, false, __ATOMIC_ACQ_REL,
                                __ATOMIC_RELAXED);
}

// ---- Where ----
static uint32_t func_at(const struct sfi_code *c, uint32_t offset) { // the last that starts at or before
    uint32_t low = 0, high = c->funcs;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (c->func[mid].start <= offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low ? low - 1 : UINT32_MAX;
}
static uint32_t site_at(const struct jit_code *j, uint32_t offset) { // likewise
    uint32_t low = 0, high = j->sites;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (j->site[mid].code <= offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low ? low - 1 : UINT32_MAX;
}
// The defined function in whose body that offset of the module lies; bodies follow one another. It is not always the one whose code
// trapped: the compiler moves small callees into their callers.
static uint32_t func_of_offset(const struct wasm_module *m, uint32_t offset, uint32_t fallback) {
    uint32_t low = m->imported_funcs, high = m->funcs;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (offset < m->func[mid].body)
            high = mid;
        else if (offset >= m->func[mid].body + m->func[mid].body_size)
            low = mid + 1;
        else
            return mid;
    }
    return fallback;
}
static void name_func(const struct ldr_instance *inst, uint32_t func, char *out) {
    const struct wasm_module *m = inst->m;
    struct ldr_text t;
    if (m->func[func].debug_name.length) {
        ldr_name_copy(out, m->func[func].debug_name.text, m->func[func].debug_name.length);
        return;
    }
    for (uint32_t i = 0; i < m->exports; i++)
        if (m->export[i].kind == WASM_FUNC && m->export[i].index == func) {
            ldr_name_copy(out, m->export[i].name.text, m->export[i].name.length);
            return;
        }
    ldr_text_init(&t, out, LDR_NAME_MAX);
    ldr_text_str(&t, "func[");
    ldr_text_dec(&t, func);
    ldr_text_str(&t, "]");
}
static void describe(struct ldr_instance *inst, uint64_t offset64, enum sfi_trap kind,
                     struct ldr_trap_info *info) {
    const struct jit_code *j = &inst->code->jit;
    *info = (struct ldr_trap_info){.kind = kind, .func_index = UINT32_MAX};
    memcpy(info->module, inst->name, LDR_NAME_MAX);
    uint32_t offset = (uint32_t)offset64;
    uint32_t f = offset64 < j->sfi.size ? func_at(&j->sfi, offset) : UINT32_MAX;
    if (f == UINT32_MAX)
        return; // in a thunk, or C called a host function of the instance's directly
    uint32_t s = site_at(j, offset);
    if (s != UINT32_MAX && j->site[s].code >= j->sfi.func[f].start)
        info->wasm_offset = j->site[s].wasm;
    f += inst->m->imported_funcs;
    info->func_index = info->wasm_offset ? func_of_offset(inst->m, info->wasm_offset, f) : f;
    name_func(inst, info->func_index, info->function);
}

// ---- Giving up ----
// The record through which the thread leaves: the innermost border. What the instance was is in `info`.
static struct ldr_record *give_up(struct ldr_thread *t, struct ldr_instance *inst,
                                  const struct ldr_trap_info *info) {
    struct ldr_record *r = t->top;
    t->trap = *info;
    if (inst->trap.kind == SFI_TRAP_NONE || inst->store->policy == LDR_STORE) inst->trap = *info;
    if (inst->store->policy == LDR_DOMAIN) {
        ldr_kill(inst, info->kind);
        ldr_plat_died(inst);
    }
    do {
        LDR_ASSERT(r > t->record);
        r--;
    } while (r->kind == LDR_KIND_STORE);
    if (ldr_has_monitor(r)) ldr_monitor_leave(r->inst, t);
    return r;
}

_Noreturn void ldr_trap(struct ldr_instance *inst, enum sfi_trap kind) {
    struct ldr_thread *t = inst->priv->thread;
    struct ldr_trap_info info;
    uint64_t ret = *(const uint64_t *)t->msp; // of the module's call
    LDR_ASSERT(t->top > t->record && t->top[-1].inst == inst);
    describe(inst, ret - 1 - inst->block.rx, kind, &info);
    ldr_unwind(t, give_up(t, inst, &info));
}

// From cross.S, on the C stack.
_Noreturn void ldr_stack_full(struct ldr_instance *inst);
_Noreturn void ldr_stopped(struct ldr_instance *inst);
_Noreturn void ldr_arrived_dead(struct ldr_instance *inst, struct ldr_thread *t);
void ldr_stack_full(struct ldr_instance *inst) { ldr_trap(inst, SFI_TRAP_STACK); }
void ldr_stopped(struct ldr_instance *inst) { ldr_trap(inst, inst->priv->stop); }
void ldr_arrived_dead(struct ldr_instance *inst, struct ldr_thread *t) {
    struct ldr_record *r = t->top - 1;
    if (ldr_has_monitor(r)) ldr_monitor_leave(inst, t);
    ldr_unwind(t, r);
}

// ---- Faults ----
static void redirect(struct ldr_machine *m, struct ldr_thread *t, struct ldr_record *r) {
    m->rip = (uint64_t)&ldr_unwind;
    m->rdi = (uint64_t)t;
    m->rsi = (uint64_t)r;
    m->rsp = t->csp;
}

// call_indirect found another signature: was it because the row is null? The site's table and rax are the module's claims.
static enum sfi_trap refine(const struct ldr_instance *inst, const struct sfi_trap_site *site,
                            uint64_t rax) {
    if (site->kind != SFI_TRAP_SIGNATURE || site->aux >= inst->m->tables) return site->kind;
    const struct ldr_table *t = inst->table[site->aux];
    uint32_t row = (uint32_t)rax;
    if (row >= t->length) return site->kind;
    return ldr_table_get(t, row) ? SFI_TRAP_SIGNATURE : SFI_TRAP_NULL_ELEMENT;
}

// Whose activity it is, if it is anybody's: the instance of the code and of r15, and its thread agrees. The thunk of a host
// function may also be run by another instance of the store, which found it in a table.
static struct ldr_instance *culprit(const struct ldr_machine *m) {
    struct ldr_instance *code = ldr_instance_at(m->rip), *inst = code;
    if (!code) return NULL;
    if (code->window != m->r15) {
        if (m->rip - code->block.rx >= code->code->jit.sfi.thunks * SFI_THUNK_SIZE) return NULL;
        inst = ldr_instance_of_window(m->r15);
        if (!inst || inst->store != code->store) return NULL;
    }
    const struct ldr_thread *t = inst->priv->thread;
    return t && t->top > t->record && t->top[-1].inst == inst ? inst : NULL;
}

bool ldr_fault(struct ldr_machine *m, enum ldr_fault fault, uint64_t address) {
    struct ldr_instance *inst = culprit(m);
    if (!inst) return false;
    struct ldr_thread *t = inst->priv->thread;
    const struct jit_code *j = &inst->code->jit;
    uint32_t offset = (uint32_t)(m->rip - inst->block.rx), s = site_at(j, offset);
    const struct sfi_trap_site *site =
        s != UINT32_MAX && j->site[s].code == offset ? &j->site[s] : NULL;
    enum sfi_trap kind;
    bool memory = false;
    switch (fault) {
    case LDR_FAULT_PAGE:
        if (address >> SFI_SLOT_SHIFT == inst->window >> SFI_SLOT_SHIFT) {
            kind = SFI_TRAP_MEMORY;
            memory = address >= inst->window;
        } else if (address < t->stack_bottom && address >= t->stack_bottom - SFI_STACK_GUARD) {
            kind = SFI_TRAP_STACK;
        } else {
            return false; // verified code reached outside of its fence
        }
        break;
    case LDR_FAULT_DIVIDE: kind = site ? site->kind : SFI_TRAP_DIV_ZERO; break;
    default:
        kind = site                                                ? refine(inst, site, m->rax)
               : offset < j->sfi.thunks * (uint32_t)SFI_THUNK_SIZE ? SFI_TRAP_HOST
                                                                   : SFI_TRAP_UNREACHABLE;
    }
    if (kind == SFI_TRAP_NONE || kind >= SFI_TRAP_COUNT) kind = SFI_TRAP_HOST;
    struct ldr_trap_info info;
    describe(inst, offset, kind, &info);
    info.has_address = memory;
    info.address = address - inst->window;
    redirect(m, t, give_up(t, inst, &info));
    return true;
}

bool ldr_interrupt(struct ldr_machine *m, enum sfi_trap kind) {
    struct ldr_instance *inst = culprit(m);
    if (!inst) return false;
    struct ldr_thread *t = inst->priv->thread;
    uint32_t offset = (uint32_t)(m->rip - inst->block.rx);
    if (kind == SFI_TRAP_NONE) kind = inst->priv->stop;
    if (kind == SFI_TRAP_NONE || offset < inst->code->jit.sfi.thunks * SFI_THUNK_SIZE) return false;
    struct ldr_trap_info info;
    describe(inst, offset, kind, &info);
    redirect(m, t, give_up(t, inst, &info));
    return true;
}
