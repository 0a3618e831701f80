// test_ir_random.c — random structured programs: their IR is found good by the checker, and computes what the program does.
//
// A program is one function (i32) -> i32 with six locals more: blocks, loops and ifs with branches to all of them, and sums of
// locals. It is run twice, by a small interpreter of WebAssembly and by one of the IR; both write down every sum they make, and the
// two lists must be the same as far as both got (programs may run for ever).
#include "tests/host/wasm_case.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LOCALS 7
#define SUMS 3000
#define STEPS 100000

// ---- Programs -----------------------------------------------------------------------------------------------------------------------
struct program {
    uint8_t body[4096];
    uint32_t size;
    uint64_t seed;
};

static uint32_t draw(struct program *p, uint32_t n) {
    p->seed = p->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(p->seed >> 33) % n;
}

static void byte(struct program *p, uint8_t b) { p->body[p->size++] = b; }

static void get(struct program *p) {
    byte(p, 0x20);
    byte(p, (uint8_t)draw(p, 7));
}

static void statements(struct program *p, uint32_t level) {
    for (uint32_t n = draw(p, 6); n && p->size < 3000; n--) {
        switch (draw(p, level < 8 ? 9 : 5)) {
        case 0: // l := l + l
        case 1:
            get(p);
            get(p);
            byte(p, 0x6a);
            byte(p, 0x21);
            byte(p, (uint8_t)draw(p, 7));
            break;
        case 2: // br_if
            get(p);
            byte(p, 0x0d);
            byte(p, (uint8_t)draw(p, level));
            break;
        case 3: // br_table
            get(p);
            byte(p, 0x0e);
            byte(p, 3);
            for (uint32_t k = 0; k < 4; k++) byte(p, (uint8_t)draw(p, level));
            break;
        case 4: // br, rarely; what follows is unreachable
            if (draw(p, 3)) break;
            byte(p, 0x0c);
            byte(p, (uint8_t)draw(p, level));
            break;
        case 5:
        case 6: // block, loop
            byte(p, draw(p, 2) ? 0x02 : 0x03);
            byte(p, 0x40);
            statements(p, level + 1);
            byte(p, 0x0b);
            break;
        default: // if, perhaps with else
            get(p);
            byte(p, 0x04);
            byte(p, 0x40);
            statements(p, level + 1);
            if (draw(p, 2)) {
                byte(p, 0x05);
                statements(p, level + 1);
            }
            byte(p, 0x0b);
        }
    }
}

// *out_body: where the instructions begin.
static struct wbytes program_module(uint64_t seed, uint32_t *out_body) {
    static const uint8_t head[] = {0, 'a',  's', 'm',  1, 0,    0, 0, 1, 6,
                                   1, 0x60, 1,   0x7f, 1, 0x7f, 3, 2, 1, 0};
    struct program p = {.seed = seed};
    byte(&p, 1); // locals: 6 × i32
    byte(&p, 6);
    byte(&p, 0x7f);
    byte(&p, 0x02);
    byte(&p, 0x40);
    statements(&p, 1); // labels of the outer block and in; the function's own has a result
    byte(&p, 0x0b);
    get(&p);
    byte(&p, 0x0b);
    uint8_t module[sizeof head + 16 + sizeof p.body];
    memcpy(module, head, sizeof head);
    uint32_t n = sizeof head, section = p.size + 3, body = p.size;
    module[n++] = 10;
    for (uint32_t k = 0; k < 2; k++) { // two-byte LEB128
        uint32_t value = k ? body : section;
        module[n++] = (uint8_t)(value | 0x80);
        module[n++] = (uint8_t)(value >> 7);
        if (!k) module[n++] = 1;
    }
    memcpy(module + n, p.body, p.size);
    *out_body = n + 3;
    return wbytes_copy(module, n + p.size);
}

// ---- Running them -------------------------------------------------------------------------------------------------------------------
struct run {
    uint32_t sum[SUMS], sums, steps;
    uint32_t result;
    bool finished;
};

static bool note(struct run *r, uint32_t sum) {
    if (r->sums == SUMS) return false;
    r->sum[r->sums++] = sum;
    return true;
}

struct machine {
    struct run *run;
    const uint8_t *p;
    uint32_t local[LOCALS], stack[4], height;
};

enum { FALL = -1, ELSE = -2, STOP = -3 }; // else: how many labels further out a branch goes

// From behind a block's head to behind its end, or behind its else if there is one and it is wanted.
static const uint8_t *skip_to_end(const uint8_t *p, bool to_else) {
    for (uint32_t depth = 1;;) {
        switch (*p++) {
        case 0x02:
        case 0x03:
        case 0x04:
            p++;
            depth++;
            break;
        case 0x0b:
            if (--depth == 0) return p;
            break;
        case 0x05:
            if (depth == 1 && to_else) return p;
            break;
        case 0x0e: p += 5; break;
        case 0x6a: break;
        default: p++; // 0c, 0d, 20, 21: one byte of immediate
        }
    }
}

static int execute(struct machine *m);

static int enter(struct machine *m, uint8_t op) {
    const uint8_t *start = ++m->p;
    int out;
    if (op == 0x04 && !m->stack[--m->height]) {
        m->p = skip_to_end(start, true);
        if (m->p[-1] == 0x0b) return FALL; // no else
    }
    while ((out = execute(m)) == 0 && op == 0x03) m->p = start;
    if (out == 0 || out == ELSE) m->p = skip_to_end(start, false);
    return out > 0 ? out - 1 : out == STOP ? STOP : FALL;
}

static int execute(struct machine *m) {
    for (;;) {
        if (++m->run->steps > STEPS) return STOP;
        uint8_t op = *m->p++;
        uint32_t index;
        int out;
        switch (op) {
        case 0x02:
        case 0x03:
        case 0x04:
            out = enter(m, op);
            if (out != FALL) return out;
            break;
        case 0x05: return ELSE;
        case 0x0b: return FALL;
        case 0x0c: return *m->p;
        case 0x0d:
            if (m->stack[--m->height]) return *m->p;
            m->p++;
            break;
        case 0x0e: index = m->stack[--m->height]; return m->p[1 + (index < 3 ? index : 3)];
        case 0x20: m->stack[m->height++] = m->local[*m->p++]; break;
        case 0x21: m->local[*m->p++] = m->stack[--m->height]; break;
        case 0x6a:
            m->height--;
            m->stack[m->height - 1] += m->stack[m->height];
            if (!note(m->run, m->stack[m->height - 1])) return STOP;
            break;
        default: fail_msg("opcode %02x", op);
        }
    }
}

static void run_wasm(struct run *r, const uint8_t *body, uint32_t argument) {
    struct machine m = {.run = r, .p = body, .local = {argument}};
    r->finished = execute(&m) == FALL;
    r->result = m.stack[0];
}

static void run_ir(struct run *r, struct ir_func *f, uint32_t argument) {
    uint32_t *value = JIT_ARRAY(f->arena, uint32_t, f->inss),
             *next = JIT_ARRAY(f->arena, uint32_t, f->inss);
    uint32_t block = 0, from = 0;
    for (;;) {
        if (++r->steps > STEPS) return;
        const struct ir_block *b = &f->block[block];
        uint32_t edge = 0, way = 0;
        while (b->preds && b->pred[edge] != from) edge++;
        ir_ref i = b->first;
        for (; f->ins[i].op == IR_PHI; i = f->ins[i].next)
            next[i] = value[f->pool[f->ins[i].a + edge]];
        for (i = b->first; f->ins[i].op == IR_PHI; i = f->ins[i].next) value[i] = next[i];
        for (; i; i = f->ins[i].next) {
            const struct ir_ins *ins = &f->ins[i];
            switch (ins->op) {
            case IR_PARAM: value[i] = argument; break;
            case IR_CONST: value[i] = (uint32_t)ins->imm; break;
            case IR_ADD:
                value[i] = value[ins->a] + value[ins->b];
                if (!note(r, value[i])) return;
                break;
            case IR_JUMP: break;
            case IR_BRANCH: way = !value[ins->a]; break;
            case IR_SWITCH:
                way = value[ins->a] < b->succs - 1 ? value[ins->a] : b->succs - 1;
                break;
            case IR_RETURN:
                r->result = value[f->pool[ins->a]];
                r->finished = true;
                return;
            default: fail_msg("operator %s", ir_op_info[ins->op].text);
            }
        }
        from = block;
        block = b->succ[way];
    }
}

struct job {
    struct wbytes module;
    uint32_t body, argument;
    bool split;
    uint32_t finished; // counts
};

static void compare(struct wcase *c, void *arg) {
    struct job *j = arg;
    static struct run wasm, ir;
    memset(&wasm, 0, sizeof wasm);
    memset(&ir, 0, sizeof ir);
    const struct wasm_module *m = wasm_parse(&c->arena, j->module.bytes, j->module.size);
    struct ir_func *f = ir_build(&c->arena, m, 0);
    assert_null(ir_check(f));
    if (j->split) ir_split_critical_edges(f);
    assert_null(ir_check(f));
    run_wasm(&wasm, j->module.bytes + j->body, j->argument);
    run_ir(&ir, f, j->argument);
    uint32_t sums = wasm.sums < ir.sums ? wasm.sums : ir.sums;
    assert_memory_equal(wasm.sum, ir.sum, sums * sizeof *ir.sum);
    if (wasm.finished && ir.finished) {
        assert_int_equal(wasm.sums, ir.sums);
        assert_int_equal(wasm.result, ir.result);
        j->finished++;
    }
}

static void test_random_programs(void **state) {
    (void)state;
    struct job j = {.finished = 0};
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        j.module = program_module(seed, &j.body);
        for (j.argument = 0; j.argument < 3; j.argument++) {
            j.split = seed & 1;
            struct wcase c;
            wcase_begin(&c);
            enum jit_status status = wcase_try(&c, compare, &j);
            if (status) fail_msg("seed %u: %s", (unsigned)seed, c.arena.error.message);
            wcase_end(&c);
        }
        free(j.module.bytes);
    }
    assert_true(j.finished > 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_programs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
