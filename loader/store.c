// store.c — stores and their function references, and the list of all instances that fault handlers walk.
//
// A reference as a module holds it is a small number: 1 + index of a function in the store, or 0 for null. Modules can make up
// any number, so each one that comes back is looked up here; a made-up one can at most name a function of the same store.
#include "loader/private.h"

static struct ldr_instance *instances; // handlers read it while others change it: links are set before they are seen, and what has left
    // it is freed after ldr_plat_sync()

struct ldr_store *ldr_store_new(enum ldr_policy policy) {
    struct ldr_store *s = ldr_plat_alloc(sizeof *s);
    if (s) s->policy = policy;
    return s;
}
bool ldr_store_free(struct ldr_store *store) {
    // Links inside the store do not keep it; those of others do.
    uint32_t inside = 0, links = 0;
    for (struct ldr_instance *i = store->instances; i; i = i->store_next) {
        if (i->priv->owner) return false;
        links += i->links;
        for (uint32_t k = 0; k < i->m->imports; k++)
            if (i->from[k].instance && i->from[k].instance->store == store) inside++;
    }
    if (links != inside) return false;
    for (struct ldr_instance *i = store->instances; i; i = i->store_next)
        ldr_instance_list_remove(i);
    if (store->instances) ldr_plat_sync();
    for (struct ldr_instance *i = store->instances, *next; i; i = next) {
        next = i->store_next; // newest first: importers go before what they import
        ldr_instance_destroy(i);
    }
    if (store->room) ldr_plat_free(store->func, store->room * sizeof *store->func);
    ldr_plat_free(store, sizeof *store);
    return true;
}

uint32_t ldr_ref(struct ldr_instance *inst, uint32_t func) {
    if (inst->ref[func]) return inst->ref[func];
    struct ldr_store *s = inst->store;
    const struct wasm_module *m = inst->m;
    if (func < m->imported_funcs && !inst->link[func]) {
        // Another instance's function: the same reference as there, where that is of the same store.
        const struct ldr_extern *from = &inst->from[inst->import_of[func]];
        if (from->instance->store == s)
            return inst->ref[func] = ldr_ref(from->instance, from->index);
    }
    if (s->funcs == s->room) {
        uint32_t more = s->room ? s->room * 2 : 16;
        struct ldr_func *p = ldr_plat_alloc(more * sizeof *p);
        if (!p) return 0;
        if (s->funcs) memcpy(p, s->func, s->funcs * sizeof *p);
        if (s->room) ldr_plat_free(s->func, s->room * sizeof *p);
        s->func = p;
        s->room = more;
    }
    struct ldr_func *f = &s->func[s->funcs];
    *f = (struct ldr_func){.inst = inst, .index = func, .sig = inst->code->type_sig[m->func[func].type]};
    if (func >= m->imported_funcs) {
        f->entry = inst->block.rx + inst->code->jit.sfi.func[func - m->imported_funcs].start;
        f->stub = inst->stub[func];
    } else if (inst->link[func]) {
        f->entry = f->stub = inst->block.rx + (SFI_BUILTINS + func) * SFI_THUNK_SIZE;
    } else {
        f->entry = f->stub = inst->stub[func];
    }
    return inst->ref[func] = ++s->funcs;
}
const struct ldr_func *ldr_ref_get(const struct ldr_store *store, uint64_t handle) {
    return handle && handle <= store->funcs ? &store->func[handle - 1] : NULL;
}

void ldr_instance_list_add(struct ldr_instance *inst) {
    inst->next = instances;
    __atomic_store_n(&instances, inst, __ATOMIC_RELEASE);
}
void ldr_instance_list_remove(struct ldr_instance *inst) {
    struct ldr_instance **at = &instances;
    while (*at != inst) at = &(*at)->next;
    __atomic_store_n(at, inst->next, __ATOMIC_RELEASE);
}
struct ldr_instance *ldr_instance_of_window(uint64_t window) {
    for (struct ldr_instance *i = __atomic_load_n(&instances, __ATOMIC_ACQUIRE); i; i = i->next)
        if (i->window == window) return i;
    return NULL;
}
struct ldr_instance *ldr_instance_at(uint64_t rip) {
    for (struct ldr_instance *i = __atomic_load_n(&instances, __ATOMIC_ACQUIRE); i; i = i->next)
        if (rip - i->block.rx < i->code->jit.sfi.size) return i;
    return NULL;
}
