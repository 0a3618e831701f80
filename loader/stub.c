// stub.c — the machine code that the loader itself writes: thunks at the head of a block, crossing stubs behind it.
//
// Both are written into the block after sfi_verify() accepted the code and before it is sealed. A thunk is 32 bytes:
//   import bound to a host function, built-in   mov r11, link; call ldr_host_save; call fn; jmp ldr_host_restore
//   memory.copy, memory.fill                    mov r11, link; jmp ldr_bulk_copy, ldr_bulk_fill
//   import bound to another instance            jmp stub, in the exporter's block
//   not used                                    ud2
// A crossing stub is a template of cross.S with its holes filled: constants burned in, direct calls only.
#include "loader/private.h"

struct ldr_hole {
    uint32_t offset, kind;
};
#define TEMPLATE(name)                         \
    extern const uint8_t name[], name##_end[]; \
    extern const struct ldr_hole name##_holes[];
TEMPLATE(ldr_link_store)
TEMPLATE(ldr_link_store_results)
TEMPLATE(ldr_link_store_args)
TEMPLATE(ldr_link_store_args_results)
TEMPLATE(ldr_link_domain)
TEMPLATE(ldr_link_domain_results)
TEMPLATE(ldr_link_domain_args)
TEMPLATE(ldr_link_domain_args_results)

static const struct stub {
    const uint8_t *code, *end;
    const struct ldr_hole *holes;
} stubs[2][2][2] = {
// policy, arguments, results in the result area
#define STUB(name) \
    { name, name##_end, name##_holes }
    [LDR_DOMAIN] = {{STUB(ldr_link_domain), STUB(ldr_link_domain_results)},
                    {STUB(ldr_link_domain_args), STUB(ldr_link_domain_args_results)}},
    [LDR_STORE] = {{STUB(ldr_link_store), STUB(ldr_link_store_results)},
                   {STUB(ldr_link_store_args), STUB(ldr_link_store_args_results)}},
};

// Arguments and results that travel in the result area, in 16-byte places.
static uint32_t arg_places(const struct wasm_functype *type) {
    uint32_t args, results;
    jit_context_places(type, &args, &results);
    return args;
}
static uint32_t result_places(const struct wasm_functype *type) {
    uint32_t args, results;
    jit_context_places(type, &args, &results);
    return results;
}
static const struct stub *stub_of(const struct ldr_instance *inst, uint32_t func) {
    const struct wasm_functype *type = &inst->m->type[inst->m->func[func].type];
    return &stubs[inst->store->policy][arg_places(type) != 0][result_places(type) != 0];
}
uint32_t ldr_stub_size(const struct ldr_instance *inst, uint32_t func) {
    const struct stub *s = stub_of(inst, func);
    return (uint32_t)(s->end - s->code);
}

static void put32(uint8_t *at, uint32_t v) { memcpy(at, &v, 4); }
static void put64(uint8_t *at, uint64_t v) { memcpy(at, &v, 8); }

// rel32 of a field at `at` in the block, which ends its instruction.
static uint32_t rel32(const struct ldr_block *b, uint32_t at, uint64_t target) {
    int64_t d = (int64_t)(target - (b->rx + at + 4));
    LDR_ASSERT(d == (int32_t)d);
    return (uint32_t)d;
}
bool ldr_thunk_reaches(const struct ldr_block *block, uint64_t target) {
    int64_t first = (int64_t)(target - block->rx), last = first - block->size;
    return first == (int32_t)first && last == (int32_t)last;
}

static uint64_t cold(uint32_t kind) {
    switch (kind) {
    case LDR_HOLE_FULL: return (uint64_t)&ldr_cross_full;
    case LDR_HOLE_WAIT: return (uint64_t)&ldr_cross_wait;
    case LDR_HOLE_DEAD: return (uint64_t)&ldr_cross_dead;
    case LDR_HOLE_STOP: return (uint64_t)&ldr_cross_stop;
    case LDR_HOLE_LEAVE: return (uint64_t)&ldr_cross_leave;
    default: ldr_plat_panic(__FILE__, __LINE__, "hole");
    }
}

uint32_t ldr_stub_make(struct ldr_instance *inst, uint32_t func, uint32_t at) {
    const struct stub *s = stub_of(inst, func);
    const struct ldr_block *b = &inst->block;
    const struct wasm_module *m = inst->m;
    uint32_t size = (uint32_t)(s->end - s->code);
    LDR_ASSERT(func >= m->imported_funcs && at + size <= b->size);
    memcpy(b->rw + at, s->code, size);
    for (const struct ldr_hole *h = s->holes; h->kind; h++) {
        uint8_t *hole = b->rw + at + h->offset;
        switch (h->kind) {
        case LDR_HOLE_CALLEE:
            put32(hole, rel32(b, at + h->offset,
                              b->rx + inst->code->jit.sfi.func[func - m->imported_funcs].start));
            break;
        case LDR_HOLE_WINDOW: put64(hole, inst->window); break;
        case LDR_HOLE_INST: put64(hole, (uint64_t)inst); break;
        case LDR_HOLE_ARGS: put32(hole, 16 * arg_places(&m->type[m->func[func].type])); break;
        case LDR_HOLE_BYTES: put32(hole, 16 * result_places(&m->type[m->func[func].type])); break;
        default: put32(hole, rel32(b, at + h->offset, cold(h->kind)));
        }
    }
    inst->stub[func] = b->rx + at;
    return size;
}

static void put_link(uint8_t *p, const struct ldr_link *link) {
    p[0] = 0x49, p[1] = 0xbb; // movabs $link, %r11
    put64(p + 2, (uint64_t)link);
}
static void host_thunk(const struct ldr_block *b, uint32_t at, const struct ldr_link *link) {
    uint8_t *p = b->rw + at;
    put_link(p, link);
    p[10] = 0xe8; // call
    put32(p + 11, rel32(b, at + 11, (uint64_t)&ldr_host_save));
    p[15] = 0xe8; // call
    put32(p + 16, rel32(b, at + 16, (uint64_t)link->func->fn));
    p[20] = 0xe9; // jmp
    put32(p + 21, rel32(b, at + 21, (uint64_t)&ldr_host_restore));
}

static void bulk_thunk(const struct ldr_block *b, unsigned builtin, uint64_t target) {
    uint32_t at = builtin * SFI_THUNK_SIZE;
    uint8_t *p = b->rw + at;
    memset(p, 0xcc, SFI_THUNK_SIZE);
    put_link(p, ldr_builtin_link(builtin));
    p[10] = 0xe9; // jmp
    put32(p + 11, rel32(b, at + 11, target));
}

void ldr_thunks_make(struct ldr_instance *inst) {
    const struct ldr_block *b = &inst->block;
    const struct wasm_module *m = inst->m;
    for (uint32_t i = 0; i < SFI_BUILTINS; i++) {
        uint8_t *p = b->rw + i * SFI_THUNK_SIZE;
        if (i < SFI_BUILTINS_USED)
            host_thunk(b, i * SFI_THUNK_SIZE, ldr_builtin_link(i));
        else
            p[0] = 0x0f, p[1] = 0x0b; // ud2
    }
    bulk_thunk(b, SFI_BI_MEMORY_COPY, (uint64_t)&ldr_bulk_copy);
    bulk_thunk(b, SFI_BI_MEMORY_FILL, (uint64_t)&ldr_bulk_fill);
    for (uint32_t i = 0; i < m->imported_funcs; i++) {
        uint32_t at = (SFI_BUILTINS + i) * SFI_THUNK_SIZE;
        if (inst->link[i]) {
            host_thunk(b, at, inst->link[i]);
        } else {
            b->rw[at] = 0xe9; // jmp
            put32(b->rw + at + 1, rel32(b, at + 1, inst->stub[i]));
        }
    }
}
