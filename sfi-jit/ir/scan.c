// scan.c — see scan.h. Writes are logged in code order; when a block ends, its part of the log is made free of repetitions in
// place, copied out if a join will need it, and stays as part of the block around.
//
// The ration: work that grows with (blocks × locals) and not with the body is paid from it, here and in build.c. Compilers'
// output uses about half a unit a byte; a body made to be expensive runs out of it.
#include "sfi-jit/ir/scan.h"
#include "sfi-jit/lib.h"

#define RATION(bytes) (4000000u + 64u * (bytes))

struct open {
    uint32_t block, log; // index in scan.block; where its writes begin
    bool is_if, is_target;
};
struct scanner {
    struct ir_scan *s;
    struct wasm_reader r;
    struct open *open;
    uint32_t *log, *seen; // seen[local] = block + 1 in whose part of the log it was found last
    uint32_t opens, open_cap, logs, log_cap, blocks, block_cap, writtens, written_cap;
};

static const uint8_t *read_locals(struct wasm_reader *r, const struct wasm_functype *type, uint32_t n) {
    uint8_t *local = JIT_ARRAY(r->arena, uint8_t, n);
    uint32_t at = type->params;
    if (at) memcpy(local, type->type, at);
    for (uint32_t groups = wasm_u32(r); groups; groups--) {
        uint32_t count = wasm_u32(r);
        memset(local + at, wasm_value_type(r), count);
        at += count;
    }
    return local;
}

static void open_block(struct scanner *c, uint32_t op) {
    struct ir_scan *s = c->s;
    c->open = jit_grow(c->r.arena, c->open, &c->open_cap, c->opens + 1, sizeof *c->open);
    s->block = jit_grow(c->r.arena, s->block, &c->block_cap, c->blocks + 1, sizeof *s->block);
    c->open[c->opens++] = (struct open){c->blocks, c->logs, op == WASM_OP_IF, false};
    s->block[c->blocks++] = (struct ir_scan_block){0};
}

static void close_block(struct scanner *c) {
    struct ir_scan *s = c->s;
    const struct open *o = &c->open[--c->opens];
    uint32_t kept = o->log;
    ir_scan_spend(s, c->logs - o->log);
    for (uint32_t k = o->log; k < c->logs; k++) {
        uint32_t local = c->log[k];
        if (c->seen[local] == o->block + 1) continue;
        c->seen[local] = o->block + 1;
        c->log[kept++] = local;
    }
    c->logs = kept;
    struct ir_scan_block *b = &s->block[o->block];
    b->is_target = o->is_target;
    if (!o->is_target && !o->is_if) return;
    b->first = c->writtens;
    b->count = kept - o->log;
    if (!b->count) return;
    s->written =
        jit_grow(c->r.arena, s->written, &c->written_cap, c->writtens + b->count, sizeof *s->written);
    memcpy(s->written + b->first, c->log + o->log, b->count * sizeof *s->written);
    c->writtens += b->count;
}

static void branch(struct scanner *c) {
    uint32_t depth = wasm_u32(&c->r);
    if (depth < c->opens)
        c->open[c->opens - 1 - depth].is_target = true; // else: out of the function
}

static void write(struct scanner *c) {
    c->log = jit_grow(c->r.arena, c->log, &c->log_cap, c->logs + 1, sizeof *c->log);
    c->log[c->logs++] = wasm_u32(&c->r);
}

void ir_scan(struct ir_scan *s, struct jit_arena *a, const struct wasm_module *m, uint32_t index) {
    const struct wasm_func *f = &m->func[index];
    const uint8_t *body = m->bytes + f->body;
    *s = (struct ir_scan){.code = {a, m->bytes, body, body + f->body_size, index},
                          .ration = RATION(f->body_size)};
    s->local_type = read_locals(&s->code, &m->type[f->type], f->locals);
    struct scanner c = {.s = s, .r = s->code, .seen = JIT_ARRAY(a, uint32_t, f->locals)};
    s->written = jit_grow(a, NULL, &c.written_cap, 64, sizeof *s->written);
    while (c.r.p < c.r.end) {
        uint32_t op = wasm_opcode(&c.r);
        switch (op) {
        case WASM_OP_BLOCK:
        case WASM_OP_LOOP:
        case WASM_OP_IF:
            wasm_block_type(&c.r);
            open_block(&c, op);
            break;
        case WASM_OP_END:
            if (c.opens) close_block(&c); // else: the body's own
            break;
        case WASM_OP_BR:
        case WASM_OP_BR_IF: branch(&c); break;
        case WASM_OP_BR_TABLE:
            for (uint32_t n = wasm_u32(&c.r) + 1; n; n--) branch(&c);
            break;
        case WASM_OP_LOCAL_SET:
        case WASM_OP_LOCAL_TEE: write(&c); break;
        default: wasm_skip_immediate(&c.r, wasm_op_info[op].imm); break;
        }
    }
}
