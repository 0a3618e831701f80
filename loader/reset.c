// reset.c — an instance's next life, in place: its code, imports, slot and the stubs that others call stay; its state becomes what
// ldr_instantiate() had made of it.
//
// Code cannot have been damaged, since it is never writable. Everything else that a module can write is written anew: memory, globals, tables,
// dropped segments, the area of arguments and results. Nothing is allocated, so nothing can fail half-way.
#include "loader/private.h"

void ldr_hold(struct ldr_instance *inst, struct ldr_thread *t) {
    LDR_ASSERT(inst->store->policy == LDR_DOMAIN && t->top == t->record);
    ldr_monitor_enter(inst, t);
}
void ldr_release(struct ldr_instance *inst, struct ldr_thread *t) { ldr_monitor_leave(inst, t); }

bool ldr_reset(struct ldr_instance *inst, struct ldr_thread *t) {
    uint64_t owner = __atomic_load_n(&inst->priv->owner, __ATOMIC_ACQUIRE);
    if ((owner & ~1ull) != (uint64_t)t || t->top != t->record || !ldr_is_dead(inst)) return false;
    const struct wasm_module *m = inst->m;
    LDR_ASSERT(!m->imported_tables && !m->imported_memories); // nothing is shared between domains
    for (uint32_t i = 0; i < m->tables; i++)
        ldr_table_reset(inst->table[i], m->table[i].limits.min);
    if (inst->memory) ldr_memory_reset(inst->memory, m->memory[0].min);
    memset(ldr_context(inst->window, SFI_CTX_RESULTS), 0, SFI_CTX_RESULTS - SFI_CTX_GLOBALS);
    memset(inst->elem_dropped, 0, m->elems);
    memset(inst->data_dropped, 0, m->datas);
    inst->trap = (struct ldr_trap_info){0};
    enum sfi_trap trap = ldr_initialise(inst);
    LDR_ASSERT(trap == SFI_TRAP_NONE); // it was so at first, and nothing that counts has changed
    return true;
}

void ldr_revive(struct ldr_instance *inst, struct ldr_thread *t) {
    LDR_ASSERT((inst->priv->owner & ~1ull) == (uint64_t)t);
    // A full barrier: the host looks next whether the life that begins is still wanted. Whoever takes the wish back and then kills either
    // kills this life, or is seen by that look.
    __atomic_store_n(&inst->priv->stop, SFI_TRAP_NONE, __ATOMIC_SEQ_CST);
}
