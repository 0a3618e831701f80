// test_ir.c — IR: dumps of small modules against what their files say, the checker's refusals by name, changes of the graph.
//
// tests/ir/*.wat hold a module and, behind ";;| ", the dump of its functions.
#include "tests/host/golden.h"

// ---- Dumps -----------------------------------------------------------------------------------------------------------------------
static void dump_all(struct wcase *c, void *arg) {
    struct golden *g = arg;
    const struct wasm_module *m = wasm_parse(&c->arena, g->module.bytes, g->module.size);
    for (uint32_t i = m->imported_funcs; i < m->funcs; i++) {
        struct ir_func *f = ir_build(&c->arena, m, i);
        ir_dump(f, text_put, &g->out);
        assert_null(ir_check(f));
    }
}

static void dumped(struct golden *g) {
    struct wcase c;
    wcase_begin(&c);
    assert_int_equal(wcase_try(&c, dump_all, g), JIT_OK);
    wcase_end(&c);
}

static void test_dumps(void **state) {
    (void)state;
    golden_folder("tests/ir", 4, dumped);
}

// ---- Functions by hand ------------------------------------------------------------------------------------------------------------
// b0: v1 = param, v2 = const 7, branch v1 b1 b2; b1: jump b3; b2: jump b3; b3: v6 = phi v1 v2, return v6
static struct ir_func *diamond(struct wcase *c) {
    static const uint8_t types[] = {WASM_I32, WASM_I32};
    static struct wasm_functype type = {1, 1, types};
    static struct wasm_func func;
    static const struct wasm_module module = {.types = 1, .type = &type, .funcs = 1, .func = &func};
    struct ir_func *f = ir_new_func(&c->arena, &module, 0);
    for (uint32_t b = 0; b < 4; b++) assert_int_equal(ir_new_block(f), b);
    ir_append(f, 0, IR_PARAM, IR_I32, 0, 0, 0, 0);
    ir_append(f, 0, IR_CONST, IR_I32, 0, 0, 0, 7);
    ir_append(f, 0, IR_BRANCH, IR_VOID, 1, 0, 0, 0);
    ir_append(f, 1, IR_JUMP, IR_VOID, 0, 0, 0, 0);
    ir_append(f, 2, IR_JUMP, IR_VOID, 0, 0, 0, 0);
    ir_append(f, 3, IR_PHI, IR_I32, ir_pool_add(f, (ir_ref[]){1, 2}, 2), 2, 0, 0);
    ir_append(f, 3, IR_RETURN, IR_VOID, ir_pool_add(f, (ir_ref[]){6}, 1), 1, 0, 0);
    ir_add_edge(f, 0, 1);
    ir_add_edge(f, 0, 2);
    ir_add_edge(f, 1, 3);
    ir_add_edge(f, 2, 3);
    ir_analyse(f);
    assert_null(ir_check(f));
    return f;
}

static void break_phi(struct ir_func *f) { f->ins[6].b = 1; }
static void break_phi_type(struct ir_func *f) { f->ins[6].type = IR_I64; }
static void break_use(struct ir_func *f) { f->pool[f->ins[7].a] = 99; }
static void break_void_use(struct ir_func *f) { f->pool[f->ins[7].a] = 4; }
static void break_dominance(struct ir_func *f) {
    ir_ref v = ir_insert_before(f, 4, IR_CONST, IR_I32, 0, 0, 0, 1);
    f->pool[f->ins[7].a] = v;
}
static void break_order_in_block(struct ir_func *f) {
    ir_ref v = ir_insert_before(f, 3, IR_CONST, IR_I32, 0, 0, 0, 1);
    ir_insert_before(f, v, IR_CLZ, IR_I32, v, 0, 0, 0);
}
static void break_succ(struct ir_func *f) { f->block[1].succ[0] = 2; }
static void break_succs(struct ir_func *f) { f->ins[3].op = IR_JUMP; }
static void break_idom(struct ir_func *f) { f->block[3].idom = 1; }
static void break_depth(struct ir_func *f) { f->block[3].loop_depth = 1; }
static void break_terminator(struct ir_func *f) { ir_append(f, 3, IR_CONST, IR_I32, 0, 0, 0, 0); }
static void break_const(struct ir_func *f) { f->ins[2].imm = 1ull << 32; }
static void break_binary(struct ir_func *f) {
    ir_ref v = ir_insert_before(f, 3, IR_CONST, IR_I64, 0, 0, 0, 1);
    ir_insert_before(f, 3, IR_ADD, IR_I32, 1, v, 0, 0);
}
static void break_link(struct ir_func *f) { f->ins[2].prev = 0; }
static void break_param(struct ir_func *f) { ir_insert_before(f, 3, IR_PARAM, IR_I32, 0, 0, 0, 0); }
static void break_return(struct ir_func *f) { f->ins[7].b = 0; }

static const struct {
    void (*change)(struct ir_func *f);
    const char *breach;
} breaches[] = {
    {break_phi, "phi operands do not match the predecessors"},
    {break_phi_type, "phi operand has another type"},
    {break_use, "operand is not in the function"},
    {break_void_use, "operand has no value"},
    {break_dominance, "definition does not dominate its use"},
    {break_order_in_block, "use before its definition"},
    {break_succ, "edge in succ but not in pred"},
    {break_succs, "number of successors"},
    {break_idom, "immediate dominator is wrong"},
    {break_depth, "loop depth is wrong"},
    {break_terminator, "terminator not at the block's end"},
    {break_const, "constant is not zero-extended"},
    {break_binary, "type of an instruction"},
    {break_link, "instruction list is broken"},
    {break_param, "param not at the head of the entry"},
    {break_return, "number of results"},
};

static void test_checker(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof breaches / sizeof *breaches; k++) {
        struct wcase c;
        wcase_begin(&c);
        struct ir_func *f = diamond(&c);
        breaches[k].change(f);
        const char *breach = ir_check(f);
        assert_non_null(breach);
        assert_string_equal(breach, breaches[k].breach);
        wcase_end(&c);
    }
}

// A pass turns a branch into a jump: the other side goes, with its PHI operand.
static void test_dropped_edge(void **state) {
    (void)state;
    struct wcase c;
    wcase_begin(&c);
    struct ir_func *f = diamond(&c);
    f->ins[3] = (struct ir_ins){.op = IR_JUMP, .prev = 2};
    f->block[0].succ[0] = 2;
    f->block[0].succs = 1;
    ir_analyse(f);
    assert_null(ir_check(f));
    assert_int_equal(f->block[1].order, UINT32_MAX);
    assert_int_equal(f->block[3].preds, 1);
    assert_int_equal(f->ins[6].b, 1);
    assert_int_equal(f->pool[f->ins[6].a], 2);
    assert_int_equal(f->ins[4].op, IR_NOP);
    ir_ref *to = JIT_ARRAY(&c.arena, ir_ref, f->inss);
    to[6] = 2;
    ir_remove(f, 6);
    ir_forward(f, to);
    assert_null(ir_check(f));
    wcase_end(&c);
}

// Both sides of a branch to the same block, and a switch twice to another: which edges are split, and which PHI operand follows.
static void test_critical_edges(void **state) {
    (void)state;
    struct wcase c;
    wcase_begin(&c);
    struct ir_func *f = diamond(&c);
    ir_ref zero = ir_insert_before(f, 5, IR_CONST, IR_I32, 0, 0, 0, 9);
    f->ins[5].op = IR_SWITCH; // b2: switch v1 b3 b3 b4
    f->ins[5].a = 1;
    uint32_t b4 = ir_new_block(f);
    ir_append(f, b4, IR_JUMP, IR_VOID, 0, 0, 0, 0);
    ir_add_edge(f, 2, 3);
    ir_add_edge(f, 2, b4);
    ir_add_edge(f, b4, 3);
    f->ins[6].a = ir_pool_add(f, (ir_ref[]){1, zero, zero, 2}, 4);
    f->ins[6].b = 4;
    ir_analyse(f);
    assert_null(ir_check(f));
    uint32_t before = f->blocks;
    ir_split_critical_edges(f);
    assert_null(ir_check(f));
    assert_int_equal(f->blocks, before + 2);
    for (uint32_t b = 0; b < f->blocks; b++)
        for (uint32_t k = 0; k < f->block[b].succs && f->block[b].succs > 1; k++)
            assert_int_equal(f->block[f->block[b].succ[k]].preds, 1);
    const ir_ref *operand = f->pool + f->ins[6].a;
    for (uint32_t k = 0; k < 4; k++) {
        uint32_t p = f->block[3].pred[k], from = f->block[p].preds ? f->block[p].pred[0] : p;
        assert_int_equal(operand[k], p == 1 ? 1 : p == b4 ? 2 : zero);
        assert_int_equal(from, p == 1 ? 0 : 2);
    }
    wcase_end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dumps),
        cmocka_unit_test(test_checker),
        cmocka_unit_test(test_dropped_edge),
        cmocka_unit_test(test_critical_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
