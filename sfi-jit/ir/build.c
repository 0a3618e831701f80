// build.c — ir_build(): a validated body becomes SSA.
//
// WebAssembly's control is structured, so no dominance frontiers are needed: a local can differ at a block's end only if it is written
// in the block. Pass 1 (scan.c) finds these locals for every block, loop and if. Pass 2, here, walks the code with the
// current value of every local and of the operand stack. An edge to a label leaves a *row*: the label's stack values, then the
// locals written in its block. At a forward label the columns whose rows differ become PHIs; at a loop's head, whose edges
// are not known yet, all columns do. PHIs get their operands at the end, from the rows, and only if something uses them:
// most would be dead, because locals are reused for one thing after another.
// A local never written holds 0 here, "the zero of its type", which becomes a CONST when it is used.
// Cost: rows are as wide as the writes in the block that they leave, so a hostile body can make them large; the ration
// from scan.c bounds the whole by the body's size. Code that cannot be reached is skipped, not translated.
#include "sfi-jit/ir/scan.h"
#include "sfi-jit/lib.h"

#define NONE UINT32_MAX

struct row {
    struct row *next;
    ir_ref value[];
};
struct join { // the edges into one label, in the order of its block's predecessors
    struct row *first, *last;
    uint32_t count;
};
struct frame {
    uint8_t op;      // WASM_OP_BLOCK, LOOP, IF, ELSE
    uint32_t height; // of the stack below the block's parameters
    uint32_t ins, outs;
    struct ir_scan_block written;
    uint32_t target;       // the label's block, NONE until there is an edge
    uint32_t join;         // index, with target
    uint32_t else_block;   // IF
    struct row *else_row;  // IF: parameters and locals as the else part finds them
    uint32_t mid, mid_for; // block between br_table number mid_for and the label
};
struct builder {
    struct ir_func *f;
    const struct wasm_module *m;
    struct wasm_reader r;
    struct ir_scan scan;
    uint32_t next_block; // in scan.block
    uint32_t at;         // offset of the instruction
    uint32_t block;      // where instructions go; NONE: not reachable
    uint32_t skipped;    // open blocks in unreachable code
    uint32_t br_tables;
    ir_ref *local, *stack;
    uint32_t height, stack_cap;
    struct frame *frame;
    uint32_t frames, frame_cap;
    struct join *join;
    uint32_t joins, join_cap;
    uint32_t *differs; // scratch, as wide as the widest row
    uint32_t differs_cap;
    ir_ref *phi; // all of them
    uint32_t phis, phi_cap;
    ir_ref zero[IR_V128 + 1];
};

// ---- Instructions ---------------------------------------------------------------------------------------------------------------
static ir_ref emit(struct builder *b, enum ir_op op, enum ir_type type, ir_ref a, ir_ref b_,
                   ir_ref c, uint64_t imm) {
    ir_ref r = ir_append(b->f, b->block, op, type, a, b_, c, imm);
    b->f->ins[r].wasm = b->at;
    return r;
}

static ir_ref constant(struct builder *b, enum ir_type type, uint64_t bits) {
    return emit(b, IR_CONST, type, 0, 0, 0, bits);
}

// The zero of a type, made once, at the head of the entry block.
static ir_ref zero(struct builder *b, enum ir_type type) {
    if (b->zero[type]) return b->zero[type];
    struct ir_func *f = b->f;
    ir_ref at = f->block[0].first;
    while (at && f->ins[at].op == IR_PARAM) at = f->ins[at].next;
    ir_ref r = at ? ir_insert_before(f, at, IR_CONST, type, 0, 0, 0, 0)
                  : ir_append(f, 0, IR_CONST, type, 0, 0, 0, 0);
    return b->zero[type] = r;
}

static void push(struct builder *b, ir_ref r) {
    if (b->height == b->stack_cap)
        b->stack = jit_grow(b->f->arena, b->stack, &b->stack_cap, b->height + 1, sizeof *b->stack);
    b->stack[b->height++] = r;
}

static ir_ref pop(struct builder *b) { return b->stack[--b->height]; }

// ---- Joins ------------------------------------------------------------------------------------------------------------------------
static struct frame *innermost(struct builder *b) { return &b->frame[b->frames - 1]; }

static uint32_t label_arity(const struct frame *fr) {
    return fr->op == WASM_OP_LOOP ? fr->ins : fr->outs;
}

// The `arity` values on top of the stack, and the locals written in the frame's block.
static struct row *take_row(struct builder *b, const struct frame *fr, uint32_t arity) {
    uint32_t width = arity + fr->written.count;
    ir_scan_spend(&b->scan, width);
    struct row *row = jit_alloc(b->f->arena, sizeof *row + width * sizeof *row->value);
    if (arity) memcpy(row->value, b->stack + b->height - arity, arity * sizeof *row->value);
    const uint32_t *written = b->scan.written + fr->written.first;
    for (uint32_t k = 0; k < fr->written.count; k++) row->value[arity + k] = b->local[written[k]];
    return row;
}

static void give_row(struct builder *b, const struct frame *fr, uint32_t arity, const struct row *row) {
    for (uint32_t k = 0; k < arity; k++) push(b, row->value[k]);
    const uint32_t *written = b->scan.written + fr->written.first;
    for (uint32_t k = 0; k < fr->written.count; k++) b->local[written[k]] = row->value[arity + k];
}

static void make_target(struct builder *b, struct frame *fr) {
    fr->target = ir_new_block(b->f);
    b->join = jit_grow(b->f->arena, b->join, &b->join_cap, b->joins + 1, sizeof *b->join);
    fr->join = b->joins++;
    b->join[fr->join] = (struct join){0};
}

// An edge from `from` to the frame's label, with the current values.
static void edge_to_label(struct builder *b, uint32_t from, struct frame *fr) {
    if (fr->target == NONE) make_target(b, fr);
    struct row *row = take_row(b, fr, label_arity(fr));
    struct join *j = &b->join[fr->join];
    *(j->last ? &j->last->next : &j->first) = row;
    j->last = row;
    j->count++;
    ir_add_edge(b->f, from, fr->target);
}

static void jump_to_label(struct builder *b, struct frame *fr) {
    emit(b, IR_JUMP, IR_VOID, 0, 0, 0, 0);
    edge_to_label(b, b->block, fr);
    b->block = NONE;
}

// A PHI in the label's block. Until finish_phis(): a = join, b = column.
static ir_ref make_phi(struct builder *b, const struct frame *fr, uint32_t column, ir_ref sample) {
    uint32_t arity = label_arity(fr);
    enum ir_type type = b->f->ins[sample].type;
    if (column >= arity) {
        uint32_t local = b->scan.written[fr->written.first + column - arity];
        type = ir_type_of(b->scan.local_type[local]);
    }
    b->phi = jit_grow(b->f->arena, b->phi, &b->phi_cap, b->phis + 1, sizeof *b->phi);
    return b->phi[b->phis++] = emit(b, IR_PHI, type, fr->join, column, 0, 0);
}

// Goes on behind a forward label, with what its edges bring.
static void enter_target(struct builder *b, struct frame *fr) {
    const struct join *j = &b->join[fr->join];
    uint32_t width = fr->outs + fr->written.count;
    struct row *merged = j->first; // of one edge: as it is
    b->block = fr->target;
    if (j->count > 1) {
        merged = jit_alloc(b->f->arena, sizeof *merged + width * sizeof *merged->value);
        b->differs = jit_grow(b->f->arena, b->differs, &b->differs_cap, width, sizeof *b->differs);
        if (width) memset(b->differs, 0, width * sizeof *b->differs);
        for (const struct row *row = j->first->next; row; row = row->next)
            for (uint32_t k = 0; k < width; k++)
                b->differs[k] |= row->value[k] ^ j->first->value[k];
        for (uint32_t k = 0; k < width; k++) {
            ir_ref v = j->first->value[k];
            merged->value[k] = b->differs[k] ? make_phi(b, fr, k, v) : v;
        }
    }
    b->height = fr->height;
    give_row(b, fr, fr->outs, merged);
}

// ---- Control ----------------------------------------------------------------------------------------------------------------------
static struct frame *push_frame(struct builder *b, uint8_t op) {
    b->frame = jit_grow(b->f->arena, b->frame, &b->frame_cap, b->frames + 1, sizeof *b->frame);
    struct frame *fr = &b->frame[b->frames++];
    *fr = (struct frame){.op = op, .target = NONE};
    return fr;
}

static void open_block(struct builder *b, uint8_t op) {
    int64_t t = wasm_block_type(&b->r);
    ir_ref condition = op == WASM_OP_IF ? pop(b) : 0;
    struct frame *fr = push_frame(b, op);
    if (t >= 0) {
        fr->ins = b->m->type[t].params;
        fr->outs = b->m->type[t].results;
    } else {
        fr->outs = t != -1 - WASM_NO_RESULT;
    }
    fr->height = b->height - fr->ins;
    fr->written = b->scan.block[b->next_block++];
    if (op == WASM_OP_LOOP && fr->written.is_target) {
        emit(b, IR_JUMP, IR_VOID, 0, 0, 0, 0);
        edge_to_label(b, b->block, fr);
        b->block = fr->target;
        struct row *heads = jit_alloc(b->f->arena, sizeof *heads + (fr->ins + fr->written.count) *
                                                                       sizeof *heads->value);
        for (uint32_t k = 0; k < fr->ins + fr->written.count; k++)
            heads->value[k] = make_phi(b, fr, k, b->join[fr->join].first->value[k]);
        b->height = fr->height;
        give_row(b, fr, fr->ins, heads);
    } else if (op == WASM_OP_IF) {
        uint32_t then_block = ir_new_block(b->f);
        fr->else_block = ir_new_block(b->f);
        fr->else_row = take_row(b, fr, fr->ins);
        ir_ref branch = emit(b, IR_BRANCH, IR_VOID, condition, 0, 0, 0);
        b->f->ins[branch].aux = 1; // the then part comes next
        ir_add_edge(b->f, b->block, then_block);
        ir_add_edge(b->f, b->block, fr->else_block);
        b->block = then_block;
    }
}

static void else_part(struct builder *b) {
    struct frame *fr = innermost(b);
    if (b->block != NONE) jump_to_label(b, fr);
    fr->op = WASM_OP_ELSE;
    b->block = fr->else_block;
    b->height = fr->height;
    give_row(b, fr, fr->ins, fr->else_row);
}

static void end_block(struct builder *b) {
    if (innermost(b)->op == WASM_OP_IF) else_part(b); // an empty one
    struct frame *fr = innermost(b);
    b->frames--;
    if (fr->op == WASM_OP_LOOP || fr->target == NONE) return; // no edge to the end: just go on
    if (b->block != NONE) jump_to_label(b, fr);
    enter_target(b, fr);
}

static void finish_body(struct builder *b) {
    struct frame *fr = innermost(b);
    b->frames--;
    if (fr->target != NONE) {
        if (b->block != NONE) jump_to_label(b, fr);
        enter_target(b, fr);
    }
    if (b->block == NONE) return;
    uint32_t start = ir_pool_add(b->f, b->stack + b->height - fr->outs, fr->outs);
    emit(b, IR_RETURN, IR_VOID, start, fr->outs, 0, 0);
}

static struct frame *label(struct builder *b) { return &b->frame[b->frames - 1 - wasm_u32(&b->r)]; }

static void br_if(struct builder *b) {
    struct frame *fr = label(b);
    ir_ref condition = pop(b);
    emit(b, IR_BRANCH, IR_VOID, condition, 0, 0, 0);
    edge_to_label(b, b->block, fr);
    uint32_t next = ir_new_block(b->f);
    ir_add_edge(b->f, b->block, next);
    b->block = next;
}

// All entries for one label share a block in between, so that the label gets one row from the table, not one an entry.
static void br_table(struct builder *b) {
    uint32_t n = wasm_u32(&b->r), table = b->block;
    ir_ref index = pop(b);
    if (n == 0) {
        jump_to_label(b, label(b));
        return;
    }
    emit(b, IR_SWITCH, IR_VOID, index, 0, 0, 0);
    b->br_tables++;
    for (uint32_t k = 0; k <= n; k++) {
        struct frame *fr = label(b);
        if (fr->mid_for != b->br_tables) {
            fr->mid_for = b->br_tables;
            b->block = fr->mid = ir_new_block(b->f);
            jump_to_label(b, fr);
        }
        ir_add_edge(b->f, table, fr->mid);
    }
    b->block = NONE;
}

// ---- Calls, globals ---------------------------------------------------------------------------------------------------------------
// A call whose operands are the top `n` of the stack.
static ir_ref call_with(struct builder *b, enum ir_op op, enum ir_type type, uint32_t n, uint64_t imm) {
    uint32_t start = ir_pool_add(b->f, b->stack + b->height - n, n);
    b->height -= n;
    b->f->calls = true;
    return emit(b, op, type, start, n, 0, imm);
}

// `extra`: operands beyond the arguments
static ir_ref call_function(struct builder *b, enum ir_op op, const struct wasm_functype *t,
                            uint32_t extra, uint64_t imm) {
    const uint8_t *result = t->type + t->params;
    ir_scan_spend(&b->scan, t->params + t->results);
    enum ir_type type = t->results ? ir_type_of(result[0]) : IR_VOID;
    ir_ref r = call_with(b, op, type, t->params + extra, imm);
    if (t->results) push(b, r);
    for (uint32_t k = 1; k < t->results; k++)
        push(b, emit(b, IR_RESULT, ir_type_of(result[k]), r, 0, 0, k));
    return r;
}

static void call_indirect(struct builder *b) {
    uint32_t type = wasm_u32(&b->r), table = wasm_u32(&b->r);
    ir_ref r = call_function(b, IR_CALL_INDIRECT, &b->m->type[type], 1, type);
    b->f->ins[r].aux = (uint16_t)table;
}

// An import's function lies behind a thunk, which is called only: its results are returned behind the call.
static void tail_call(struct builder *b) {
    uint32_t callee = wasm_u32(&b->r);
    const struct wasm_functype *t = &b->m->type[b->m->func[callee].type];
    if (callee < b->m->imported_funcs) {
        call_function(b, IR_CALL, t, 0, callee);
        jump_to_label(b, &b->frame[0]);
        return;
    }
    ir_scan_spend(&b->scan, t->params);
    call_with(b, IR_RETURN_CALL, IR_VOID, t->params, callee);
    b->block = NONE;
}

static void tail_call_indirect(struct builder *b) {
    uint32_t type = wasm_u32(&b->r), table = wasm_u32(&b->r), n = b->m->type[type].params;
    ir_scan_spend(&b->scan, n);
    ir_ref r = call_with(b, IR_RETURN_CALL_INDIRECT, IR_VOID, n + 1, type);
    b->f->ins[r].aux = (uint16_t)table;
    b->block = NONE;
}

// Imported mutable globals live elsewhere and travel as 64 bits, vectors as two halves.
static bool is_elsewhere(const struct builder *b, uint32_t global) {
    return global < b->m->imported_globals && b->m->global[global].is_mutable;
}

static ir_ref vector(struct builder *b, enum ir_op op, enum ir_type type, uint32_t wasm_op,
                     ir_ref x, ir_ref y, uint64_t imm) {
    ir_ref r = emit(b, op, type, x, y, 0, imm);
    b->f->ins[r].aux = (uint16_t)(wasm_op - WASM_OP_SIMD);
    return r;
}

static void global_get(struct builder *b) {
    uint32_t g = wasm_u32(&b->r);
    enum ir_type type = ir_type_of(b->m->global[g].type);
    if (!is_elsewhere(b, g)) {
        push(b, emit(b, IR_GLOBAL_GET, type, 0, 0, 0, g));
        return;
    }
    push(b, constant(b, IR_I32, g));
    ir_ref v = call_with(b, IR_CALL_BUILTIN, IR_I64, 1, SFI_BI_GLOBAL_GET);
    if (type == IR_V128) {
        push(b, constant(b, IR_I32, g));
        ir_ref high = call_with(b, IR_CALL_BUILTIN, IR_I64, 1, SFI_BI_GLOBAL_GET_HIGH);
        v = vector(b, IR_VSPLAT, IR_V128, WASM_OP_I64X2_SPLAT, v, 0, 0);
        v = vector(b, IR_VREPLACE, IR_V128, WASM_OP_I64X2_REPLACE_LANE, v, high, 1);
    }
    if (type == IR_I32 || type == IR_F32) v = emit(b, IR_WRAP, IR_I32, v, 0, 0, 0);
    if (type == IR_F32 || type == IR_F64) v = emit(b, IR_BITCAST, type, v, 0, 0, 0);
    push(b, v);
}

static void global_set(struct builder *b) {
    uint32_t g = wasm_u32(&b->r);
    enum ir_type type = ir_type_of(b->m->global[g].type);
    ir_ref v = pop(b);
    if (!is_elsewhere(b, g)) {
        emit(b, IR_GLOBAL_SET, IR_VOID, v, 0, 0, g);
        return;
    }
    if (type == IR_V128) {
        ir_ref high = vector(b, IR_VEXTRACT, IR_I64, WASM_OP_I64X2_EXTRACT_LANE, v, 0, 1);
        v = vector(b, IR_VEXTRACT, IR_I64, WASM_OP_I64X2_EXTRACT_LANE, v, 0, 0);
        push(b, constant(b, IR_I32, g));
        push(b, high);
        call_with(b, IR_CALL_BUILTIN, IR_VOID, 2, SFI_BI_GLOBAL_SET_HIGH);
    }
    if (type == IR_F32) v = emit(b, IR_BITCAST, IR_I32, v, 0, 0, 0);
    if (type == IR_F64) v = emit(b, IR_BITCAST, IR_I64, v, 0, 0, 0);
    if (type == IR_I32 || type == IR_F32) v = emit(b, IR_EXTU, IR_I64, v, 0, 0, 0);
    push(b, constant(b, IR_I32, g));
    push(b, v);
    call_with(b, IR_CALL_BUILTIN, IR_VOID, 2, SFI_BI_GLOBAL_SET);
}

// ---- Rows of ops.def ----------------------------------------------------------------------------------------------------------------
// Operands are on the stack already; the immediates follow them as constants. Returns the type of the table that is named.
static uint32_t push_immediates(struct builder *b, uint32_t imm, uint8_t *out_table_type) {
    uint32_t n = imm == WASM_IMM_MEMORY || imm == WASM_IMM_MEMORY_MEMORY     ? 0
                 : imm == WASM_IMM_ELEM_TABLE || imm == WASM_IMM_TABLE_TABLE ? 2
                                                                             : 1;
    if (imm == WASM_IMM_ATOMIC4 || imm == WASM_IMM_ATOMIC8) wasm_u32(&b->r); // the offset follows
    if (n == 0 || imm == WASM_IMM_DATA_MEMORY) { // memory indices are all 0 and not passed on
        if (n) push(b, constant(b, IR_I32, wasm_u32(&b->r)));
        if (n == 0) wasm_skip_immediate(&b->r, imm);
        if (n) wasm_byte(&b->r);
        return n;
    }
    for (uint32_t k = 0; k < n; k++) {
        uint32_t index = wasm_u32(&b->r);
        if (imm == WASM_IMM_TABLE) *out_table_type = b->m->table[index].elem_type;
        push(b, constant(b, IR_I32, index));
    }
    return n;
}

static void builtin(struct builder *b, const struct wasm_op_info *info) {
    uint8_t result = info->result, table_type = 0;
    uint32_t n = info->operands + push_immediates(b, info->imm, &table_type);
    if (result == WASM_TYPE_OF_TABLE) result = table_type;
    ir_ref r = call_with(b, IR_CALL_BUILTIN, result ? ir_type_of(result) : IR_VOID, n, info->aux);
    if (result) push(b, r);
}

static ir_ref atomic(struct builder *b, enum ir_op op, enum ir_type type, const ir_ref operand[3],
                     const struct wasm_op_info *info, uint64_t offset) {
    ir_ref r = emit(b, op, type, operand[0], operand[1], operand[2], offset);
    b->f->ins[r].aux = info->aux & 15;
    return r;
}

// and, or, xor. The CPU gives no old value for these: if the next instruction does not drop it, a loop of load and compare-exchange does it.
static ir_ref atomic_bitwise(struct builder *b, const struct wasm_op_info *info, ir_ref address,
                             ir_ref value, uint64_t offset) {
    static const uint8_t plain[] = {IR_AND, IR_OR, IR_XOR};
    enum ir_type type = ir_type_of(info->result);
    struct ir_func *f = b->f;
    if (b->r.p < b->r.end && *b->r.p == WASM_OP_DROP) {
        atomic(b, (enum ir_op)info->ir, IR_VOID, (ir_ref[]){address, value, 0}, info, offset);
        return constant(b, type, 0);
    }
    uint32_t before = b->block, loop = ir_new_block(f), after = ir_new_block(f);
    emit(b, IR_JUMP, IR_VOID, 0, 0, 0, 0);
    ir_add_edge(f, before, loop);
    b->block = loop;
    ir_ref old = atomic(b, IR_ATOMIC_LOAD, type, (ir_ref[]){address, 0, 0}, info, offset);
    ir_ref new = emit(b, plain[info->ir - IR_ATOMIC_AND], type, old, value, 0, 0);
    ir_ref seen = atomic(b, IR_ATOMIC_CMPXCHG, type, (ir_ref[]){address, old, new}, info, offset);
    ir_ref other = emit(b, IR_NE, IR_I32, seen, old, 0, 0);
    emit(b, IR_BRANCH, IR_VOID, other, 0, 0, 0);
    ir_add_edge(f, loop, loop);
    ir_add_edge(f, loop, after);
    b->block = after;
    return old;
}

// The 16 bytes that follow, as a constant.
static ir_ref v128_const(struct builder *b) {
    uint64_t low = wasm_fixed(&b->r, 8), high = wasm_fixed(&b->r, 8);
    return emit(b, IR_CONST, IR_V128, IR_V128_HIGH(high), low);
}

static void by_row(struct builder *b, uint32_t op) {
    const struct wasm_op_info *info = &wasm_op_info[op];
    if (info->ir == IR_CALL_BUILTIN) {
        builtin(b, info);
        return;
    }
    uint64_t imm = 0;
    ir_ref operand[3] = {0};
    switch (info->imm) {
    case WASM_IMM_NONE: break;
    case WASM_IMM_MEMARG:
    case WASM_IMM_ATOMIC:
        wasm_u32(&b->r);
        imm = wasm_u32(&b->r);
        break;
    case WASM_IMM_MEMARG_LANE:
        wasm_u32(&b->r);
        imm = wasm_u32(&b->r);
        imm |= (uint64_t)wasm_byte(&b->r) << 32;
        break;
    case WASM_IMM_LANE: imm = wasm_byte(&b->r); break;
    case WASM_IMM_SHUFFLE: operand[2] = v128_const(b); break;
    case WASM_IMM_V128: push(b, v128_const(b)); return;
    case WASM_IMM_I32: imm = (uint32_t)wasm_s32(&b->r); break;
    case WASM_IMM_I64: imm = (uint64_t)wasm_s64(&b->r); break;
    case WASM_IMM_F32: imm = wasm_fixed(&b->r, 4); break;
    case WASM_IMM_F64: imm = wasm_fixed(&b->r, 8); break;
    case WASM_IMM_TABLE: imm = wasm_u32(&b->r); break;
    default: wasm_skip_immediate(&b->r, info->imm); break;
    }
    for (uint32_t k = info->operands; k-- > 0;) operand[k] = pop(b);
    enum ir_type type = info->result ? ir_type_of(info->result) : IR_VOID;
    if (info->ir >= IR_ATOMIC_AND && info->ir <= IR_ATOMIC_XOR) {
        push(b, atomic_bitwise(b, info, operand[0], operand[1], imm));
        return;
    }
    ir_ref r = emit(b, info->ir, type, operand[0], operand[1], operand[2], imm);
    if (info->imm == WASM_IMM_MEMARG || info->imm == WASM_IMM_ATOMIC)
        b->f->ins[r].aux = info->aux & 15;
    if (info->ir >= IR_VUN && info->ir <= IR_VSTORE_LANE)
        b->f->ins[r].aux = (uint16_t)(op - WASM_OP_SIMD);
    if (info->result) push(b, r);
}

static void compare_with_zero(struct builder *b) {
    ir_ref v = pop(b);
    ir_ref null = constant(b, b->f->ins[v].type, 0);
    push(b, emit(b, IR_EQ, IR_I32, v, null, 0, 0));
}

static void local_get(struct builder *b) {
    uint32_t l = wasm_u32(&b->r);
    ir_ref v = b->local[l];
    push(b, v ? v : zero(b, ir_type_of(b->scan.local_type[l])));
}

static void select(struct builder *b) {
    ir_ref condition = pop(b), otherwise = pop(b), value = pop(b);
    enum ir_type type = b->f->ins[value].type;
    push(b, emit(b, IR_SELECT, type, condition, value, otherwise, 0));
}

static void instruction(struct builder *b, uint32_t op) {
    switch (op) {
    case WASM_OP_UNREACHABLE: {
        ir_ref r = emit(b, IR_TRAP, IR_VOID, 0, 0, 0, 0);
        b->f->ins[r].aux = SFI_TRAP_UNREACHABLE;
        b->block = NONE;
        break;
    }
    case WASM_OP_NOP: break;
    case WASM_OP_BLOCK:
    case WASM_OP_LOOP:
    case WASM_OP_IF: open_block(b, (uint8_t)op); break;
    case WASM_OP_ELSE: else_part(b); break;
    case WASM_OP_END: end_block(b); break;
    case WASM_OP_BR: jump_to_label(b, label(b)); break;
    case WASM_OP_BR_IF: br_if(b); break;
    case WASM_OP_BR_TABLE: br_table(b); break;
    case WASM_OP_RETURN: jump_to_label(b, &b->frame[0]); break;
    case WASM_OP_CALL: {
        uint32_t callee = wasm_u32(&b->r);
        call_function(b, IR_CALL, &b->m->type[b->m->func[callee].type], 0, callee);
        break;
    }
    case WASM_OP_CALL_INDIRECT: call_indirect(b); break;
    case WASM_OP_RETURN_CALL: tail_call(b); break;
    case WASM_OP_RETURN_CALL_INDIRECT: tail_call_indirect(b); break;
    case WASM_OP_DROP: pop(b); break;
    case WASM_OP_SELECT_T: wasm_skip_immediate(&b->r, WASM_IMM_TYPES); // fall through
    case WASM_OP_SELECT: select(b); break;
    case WASM_OP_LOCAL_GET: local_get(b); break;
    case WASM_OP_LOCAL_SET: b->local[wasm_u32(&b->r)] = pop(b); break;
    case WASM_OP_LOCAL_TEE: b->local[wasm_u32(&b->r)] = b->stack[b->height - 1]; break;
    case WASM_OP_GLOBAL_GET: global_get(b); break;
    case WASM_OP_GLOBAL_SET: global_set(b); break;
    case WASM_OP_I32_EQZ:
    case WASM_OP_I64_EQZ: compare_with_zero(b); break;
    case WASM_OP_REF_NULL:
        wasm_skip_immediate(&b->r, WASM_IMM_REFTYPE);
        push(b, constant(b, IR_I64, 0));
        break;
    case WASM_OP_REF_IS_NULL: compare_with_zero(b); break;
    default: by_row(b, op); break;
    }
}

// Unreachable code up to the else or end that belongs to the innermost frame.
static void skip(struct builder *b, uint32_t op) {
    wasm_skip_immediate(&b->r, wasm_op_info[op].imm);
    if (op == WASM_OP_BLOCK || op == WASM_OP_LOOP || op == WASM_OP_IF) {
        b->skipped++;
        b->next_block++;
    } else if (op == WASM_OP_END) {
        b->skipped--;
    }
}

// ---- PHIs ---------------------------------------------------------------------------------------------------------------------------
struct worklist {
    ir_ref *phi;
    uint32_t count;
    bool *live;
};

static void use(struct builder *b, struct worklist *w, ir_ref r) {
    if (b->f->ins[r].op != IR_PHI || w->live[r]) return;
    w->live[r] = true;
    w->phi[w->count++] = r;
}

// Operands for PHIs that are used, by anything but dead PHIs; the others go.
static void fill_phis(struct builder *b) {
    struct ir_func *f = b->f;
    uint32_t inss = f->inss, kept = 0;
    struct worklist w = {JIT_ARRAY(f->arena, ir_ref, b->phis), 0, JIT_ARRAY(f->arena, bool, inss)};
    for (ir_ref r = 1; r < inss; r++) {
        uint32_t n;
        if (f->ins[r].op == IR_PHI) continue;
        const ir_ref *operand = ir_operands(f, r, &n);
        for (uint32_t k = 0; k < n; k++) use(b, &w, operand[k]);
    }
    while (w.count) {
        ir_ref phi = w.phi[--w.count];
        const struct join *j = &b->join[f->ins[phi].a];
        uint32_t column = f->ins[phi].b, start = f->pools;
        f->ins[phi].a = start;
        f->ins[phi].b = j->count;
        for (const struct row *row = j->first; row; row = row->next) {
            ir_ref v = row->value[column];
            if (!v) v = zero(b, f->ins[phi].type);
            ir_pool_add(f, &v, 1);
            if (v < inss) use(b, &w, v); // else it is a zero made just now
        }
    }
    for (uint32_t k = 0; k < b->phis; k++) {
        if (w.live[b->phi[k]])
            b->phi[kept++] = b->phi[k];
        else
            ir_remove(f, b->phi[k]);
    }
    b->phis = kept;
}

// The one value that a PHI's operands are, besides itself; 0 if there are several.
static ir_ref only_operand(const struct ir_func *f, ir_ref phi, const ir_ref *to) {
    ir_ref only = 0;
    for (uint32_t k = 0; k < f->ins[phi].b; k++) {
        ir_ref v = f->pool[f->ins[phi].a + k];
        while (to[v]) v = to[v];
        if (v == phi || v == only) continue;
        if (only) return 0;
        only = v;
    }
    return only;
}

// A round may make more PHIs trivial; what a few rounds leave is harmless.
static void forward_trivial_phis(struct builder *b) {
    struct ir_func *f = b->f;
    ir_ref *to = JIT_ARRAY(f->arena, ir_ref, f->inss);
    bool any = false, again = true;
    for (uint32_t round = 0; round < 4 && again; round++) {
        again = false;
        for (uint32_t k = 0; k < b->phis; k++) {
            ir_ref phi = b->phi[k];
            if (to[phi] || !(to[phi] = only_operand(f, phi, to))) continue;
            ir_remove(f, phi);
            any = again = true;
        }
    }
    if (any) ir_forward(f, to);
}

// ---- Everything ---------------------------------------------------------------------------------------------------------------------
struct ir_func *ir_build(struct jit_arena *a, const struct wasm_module *m, uint32_t index) {
    struct builder b = {.f = ir_new_func(a, m, index), .m = m};
    const struct wasm_functype *type = &m->type[m->func[index].type];
    uint32_t expected = m->func[index].body_size / 3 + 64; // of instructions, as compilers' output goes
    b.f->ins = jit_grow(a, b.f->ins, &b.f->ins_cap, expected, sizeof *b.f->ins);
    ir_scan(&b.scan, a, m, index);
    b.r = b.scan.code;
    b.local = JIT_ARRAY(a, ir_ref, m->func[index].locals);
    b.stack = jit_grow(a, NULL, &b.stack_cap, 64, sizeof *b.stack);
    b.at = wasm_offset(&b.r);
    b.block = ir_new_block(b.f);
    for (uint32_t k = 0; k < type->params; k++)
        b.local[k] = emit(&b, IR_PARAM, ir_type_of(type->type[k]), 0, 0, 0, k);
    push_frame(&b, WASM_OP_BLOCK)->outs = type->results;
    for (;;) {
        b.at = wasm_offset(&b.r);
        uint32_t op = wasm_opcode(&b.r);
        if (op == WASM_OP_END && b.frames == 1 && !b.skipped) break;
        if (b.block == NONE && (b.skipped || (op != WASM_OP_END && op != WASM_OP_ELSE)))
            skip(&b, op);
        else
            instruction(&b, op);
    }
    finish_body(&b);
    if (b.phis) {
        fill_phis(&b);
        forward_trivial_phis(&b);
    }
    ir_analyse(b.f);
    return b.f;
}
