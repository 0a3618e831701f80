// twins.c — x64_twins(): blocks of the same moves and the same target become one.
//
// Where control flow meets, register allocation gives each edge the moves that bring values to where the block behind expects them. An
// interpreter's loop has hundreds of edges back to its head, and most of them need one of a few sets of moves. Of blocks that hold nothing
// but equal moves and a jump to one place, the last one stays. The others lose their moves and lead to it, so x64_order() leaves
// them out. Edges are taken forwards only, which keeps loops what they were.
#include "sfi-jit/lib.h"
#include "sfi-jit/x64/minsn.h"

#define CHAIN_MAX 16u // blocks that one is compared with

struct twins {
    const struct x64_code *code;
    const struct ra_output *ra;
    uint32_t *move; // [block]: the first move in it or behind; one more entry than blocks
    uint32_t *head; // [hash]: 1 + the block that was seen last with it
    uint32_t *next; // [block]
    uint32_t mask;
};

static uint64_t bits_of(const struct twins *t, const struct ra_move *m) {
    return m->from == RA_REMAT ? t->code->vconst[m->vreg] : 0;
}

static bool is_same_move(const struct twins *t, const struct ra_move *a, const struct ra_move *b) {
    const struct ra_vreg *v = &t->code->vreg[a->vreg], *w = &t->code->vreg[b->vreg];
    return a->from == b->from && a->to == b->to && v->cls == w->cls && v->bytes == w->bytes &&
           bits_of(t, a) == bits_of(t, b);
}

static bool is_twin(const struct twins *t, uint32_t a, uint32_t b) {
    uint32_t n = t->move[a + 1] - t->move[a];
    if (t->code->block[a].succ[0] != t->code->block[b].succ[0] || t->move[b + 1] - t->move[b] != n)
        return false;
    const struct ra_move *p = &t->ra->move[t->move[a]], *q = &t->ra->move[t->move[b]];
    while (n && is_same_move(t, p, q)) p++, q++, n--;
    return n == 0;
}

static uint32_t hash(const struct twins *t, uint32_t b) {
    uint32_t h = t->code->block[b].succ[0];
    for (uint32_t i = t->move[b]; i < t->move[b + 1]; i++)
        h = (h * 31 + t->ra->move[i].from) * 31 + t->ra->move[i].to;
    return (h ^ h >> 15) & t->mask;
}

// Does b consist of moves and a jump?
static bool is_edge(const struct twins *t, uint32_t b) {
    const struct ra_block *k = &t->code->block[b];
    return k->end - k->begin == 1 && t->code->insn[k->begin].op == MOP_JMP &&
           t->move[b] < t->move[b + 1];
}

// The block that can stand for b, or b, which others may then be compared with.
static uint32_t find_twin(struct twins *t, uint32_t b) {
    uint32_t h = hash(t, b), a = t->head[h];
    for (uint32_t k = 0; a && k < CHAIN_MAX; k++, a = t->next[a - 1])
        if (is_twin(t, a - 1, b)) return a - 1;
    t->next[b] = t->head[h];
    t->head[h] = b + 1;
    return b;
}

static void find_preds(struct jit_arena *a, const struct x64_code *code) {
    uint32_t edges = 0;
    for (uint32_t b = 0; b < code->blocks; b++) {
        code->block[b].preds = 0;
        edges += code->block[b].succs;
    }
    for (uint32_t b = 0; b < code->blocks; b++)
        for (uint32_t k = 0; k < code->block[b].succs; k++)
            code->block[code->block[b].succ[k]].preds++;
    uint32_t *pred = JIT_ARRAY(a, uint32_t, edges);
    for (uint32_t b = 0; b < code->blocks; b++) {
        code->block[b].pred = pred;
        pred += code->block[b].preds;
        code->block[b].preds = 0;
    }
    for (uint32_t b = 0; b < code->blocks; b++)
        for (uint32_t k = 0; k < code->block[b].succs; k++) {
            struct ra_block *to = &code->block[code->block[b].succ[k]];
            ((uint32_t *)to->pred)[to->preds++] = b;
        }
}

void x64_twins(struct jit_arena *a, const struct x64_code *code, struct ra_output *ra) {
    struct twins t = {.code = code, .ra = ra, .mask = 15};
    uint32_t n = code->blocks, merged = 0, kept = 0;
    while (t.mask < n) t.mask = 2 * t.mask + 1;
    t.move = JIT_ARRAY(a, uint32_t, n + 1);
    t.head = JIT_ARRAY(a, uint32_t, t.mask + 1);
    t.next = JIT_ARRAY(a, uint32_t, n);
    uint32_t *twin = JIT_ARRAY(a, uint32_t, n);
    for (uint32_t b = 0, move = 0; b < n; b++) {
        while (move < ra->moves && ra->move[move].at < code->block[b].begin) move++;
        t.move[b] = move;
    }
    t.move[n] = ra->moves;
    for (uint32_t b = n; b-- > 0;) {
        twin[b] = is_edge(&t, b) ? find_twin(&t, b) : b;
        merged += twin[b] != b;
    }
    if (!merged) return;
    for (uint32_t b = 0; b < n; b++) {
        if (twin[b] != b) {
            code->block[b].succ = &twin[b];
            continue;
        }
        for (uint32_t i = t.move[b]; i < t.move[b + 1]; i++) ra->move[kept++] = ra->move[i];
    }
    ra->moves = kept;
    find_preds(a, code);
}
