// order.c — x64_order(): the order in which blocks are laid out. Blocks that only jump are left out; loops are rotated.
//
// The order of the IR has a loop's head first, so the edge back is a jump behind the loop's last block, besides the branch that leaves the
// loop somewhere on the way: two branches a turn. If the last block's only way is that jump and no other block leads back, the loop
// is turned round instead until a block that may leave it stands last: the last block falls through into the head, and the branch that
// leaves goes back. No code is made twice; entering the loop costs a jump, which what is entered and left at once pays as well, but
// then it does not pay the branch out.
//   head: test, leave; body; jump head     →     jump head; body; head: test, back to body
// Any order of the blocks is correct, since the emitter asks here what comes next; so what is a loop is told by the numbers alone:
// the blocks between a branch back and its target. Loops of many blocks stay: it keeps the work linear, and they gain little.
#include "sfi-jit/lib.h"
#include "sfi-jit/x64/minsn.h"

#define LOOP_BLOCKS 128u

struct ordering {
    const struct x64_code *code;
    const struct ra_block *block;
    struct x64_order *out;
    uint32_t *latch; // [block]: of a loop's head the last block that leads back to it; 0: no head
    bool *alone;     // [block]: of a head: no other block does
};

// One that jumps backwards to another such block stays, so that every chain ends.
static void find_empty(struct ordering *o, const struct ra_output *ra) {
    struct x64_order *out = o->out;
    for (uint32_t b = 0, move = 0; b < o->code->blocks; b++) {
        const struct ra_block *block = &o->block[b];
        while (move < ra->moves && ra->move[move].at < block->begin) move++;
        bool moves = move < ra->moves && ra->move[move].at < block->end;
        bool jumps = block->end - block->begin == 1 && o->code->insn[block->begin].op == MOP_JMP;
        out->move[b] = move;
        out->empty[b] = jumps && !moves && block->succ[0] != b &&
                        (block->succ[0] > b || !out->empty[block->succ[0]]);
    }
    for (uint32_t b = o->code->blocks; b-- > 0;) {
        uint32_t to = out->empty[b] ? o->block[b].succ[0] : b;
        out->goes_to[b] = to > b ? out->goes_to[to] : to;
    }
}

static void find_loops(struct ordering *o) {
    for (uint32_t b = 0; b < o->code->blocks; b++) {
        for (uint32_t k = 0; !o->out->empty[b] && k < o->block[b].succs; k++) {
            uint32_t head = o->out->goes_to[o->block[b].succ[k]];
            if (head > b) continue;
            o->alone[head] = !o->latch[head];
            o->latch[head] = b;
        }
    }
}

static uint8_t end_of(const struct ordering *o, uint32_t b) {
    return o->code->insn[o->block[b].end - 1].op;
}

static uint32_t behind(const struct ordering *o, uint32_t b) {
    do b++;
    while (b < o->code->blocks && o->out->empty[b]);
    return b;
}

// The block of the loop that had better stand last: one that leaves it, best of all to what is behind it. The head's latch: none.
static uint32_t new_last(const struct ordering *o, uint32_t head) {
    uint32_t latch = o->latch[head], found = latch;
    for (uint32_t b = head; b < latch; b++) {
        if (b > head && o->latch[b] > b) { // an inner loop
            b = o->latch[b];
            continue;
        }
        if (o->out->empty[b] || end_of(o, b) != MOP_JCC) continue;
        uint32_t yes = o->out->goes_to[o->block[b].succ[0]];
        uint32_t no = o->out->goes_to[o->block[b].succ[1]];
        bool stay_yes = yes >= head && yes <= latch, stay_no = no >= head && no <= latch;
        if (stay_yes == stay_no) continue;
        if ((stay_yes ? no : yes) == behind(o, latch)) return b;
        if (found == latch) found = b;
    }
    return found;
}

// at[]: where the head's blocks begin in the order; theirs are consecutive.
static void rotate(struct ordering *o, uint32_t head, const uint32_t *at) {
    uint32_t latch = o->latch[head], turned[LOOP_BLOCKS];
    if (latch - head >= LOOP_BLOCKS || !o->alone[head] || end_of(o, latch) != MOP_JMP) return;
    uint32_t last = new_last(o, head);
    if (last >= latch) return;
    uint32_t *order = o->out->order + at[head];
    uint32_t n = at[latch] + 1 - at[head], front = at[behind(o, last)] - at[head];
    memcpy(turned, order, front * sizeof *order);
    memmove(order, order + front, (n - front) * sizeof *order);
    memcpy(order + (n - front), turned, front * sizeof *order);
}

struct x64_order *x64_order(struct jit_arena *a, const struct x64_code *code,
                            const struct ra_output *ra) {
    uint32_t n = code->blocks;
    struct x64_order *out = JIT_NEW(a, struct x64_order);
    struct ordering o = {.code = code, .block = code->block, .out = out};
    out->order = JIT_ARRAY(a, uint32_t, n + 1);
    out->move = JIT_ARRAY(a, uint32_t, n);
    out->empty = JIT_ARRAY(a, bool, n);
    out->goes_to = JIT_ARRAY(a, uint32_t, n);
    uint32_t *at = JIT_ARRAY(a, uint32_t, n);
    o.latch = JIT_ARRAY(a, uint32_t, n);
    o.alone = JIT_ARRAY(a, bool, n);
    find_empty(&o, ra);
    find_loops(&o);
    for (uint32_t b = 0; b < n; b++) {
        at[b] = out->blocks;
        if (!out->empty[b]) out->order[out->blocks++] = b;
    }
    out->order[out->blocks] = n;
    for (uint32_t b = n; b-- > 0;) // inner loops first
        if (o.latch[b] > b) rotate(&o, b, at);
    return out;
}
