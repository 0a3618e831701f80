// graph.c — what follows from the edges: reverse post order, dominators, loops; and splitting critical edges.
//
// ir_analyse() may be called after any change of the graph. In order: find what is reachable; drop the rest, and the entries of pred
// that no edge stands behind any more; dominators in one pass over a topological order, by nearest common ancestors in
// the tree made so far (enough for reducible graphs: an edge back into a loop's head says nothing about the head's
// dominators); loops, innermost first, each absorbing its body; an order in which loop bodies are contiguous.
// All of it is O(edges · log blocks) with explicit stacks: graphs come from hostile modules.
#include "sfi-jit/ir/ir.h"
#include "sfi-jit/lib.h"

#define NONE UINT32_MAX

struct graph {
    struct ir_func *f;
    uint32_t *rpo, n;     // reachable blocks, any reverse post order
    uint32_t *depth, *up; // dominator tree: depth, and a far ancestor (skew-binary jump pointers)
    uint32_t *into;       // union-find: the head of the outermost loop known to hold a block
};

// Which successor to walk k-th. The last one walked comes first in a reverse post order: of a branch the one not taken, unless
// its aux prefers the other; of a switch the cases in their order.
static uint32_t successor(const struct ir_func *f, uint32_t b, uint32_t k) {
    const struct ir_block *block = &f->block[b];
    const struct ir_ins *end = &f->ins[block->last];
    bool backwards = end->op == IR_SWITCH || (end->op == IR_BRANCH && end->aux);
    return block->succ[backwards ? block->succs - 1 - k : k];
}

static void find_reachable(struct graph *g) {
    struct ir_func *f = g->f;
    uint32_t n = f->blocks, top = 0, out = n;
    uint32_t *stack = JIT_ARRAY(f->arena, uint32_t, n), *next = JIT_ARRAY(f->arena, uint32_t, n);
    for (uint32_t b = 0; b < n; b++) f->block[b].order = NONE;
    stack[top++] = 0;
    f->block[0].order = 0;
    while (top) {
        uint32_t b = stack[top - 1];
        if (next[b] < f->block[b].succs) {
            uint32_t s = successor(f, b, next[b]++);
            if (f->block[s].order == NONE) {
                f->block[s].order = 0;
                stack[top++] = s;
            }
        } else {
            g->rpo[--out] = b;
            top--;
        }
    }
    g->n = n - out;
    memmove(g->rpo, g->rpo + out, g->n * sizeof *g->rpo);
    for (uint32_t i = 0; i < g->n; i++) f->block[g->rpo[i]].order = i;
}

static void empty_block(struct ir_func *f, uint32_t b) {
    for (ir_ref r = f->block[b].first, next; r; r = next) {
        next = f->ins[r].next;
        f->ins[r] = (struct ir_ins){.op = IR_NOP, .block = b};
    }
    f->block[b] = (struct ir_block){.order = NONE, .loop = NONE, .outer = NONE};
}

// Keeps the entries of b's pred for which keep[] says so, and the PHIs' operands that belong to them.
static void filter_preds(struct ir_func *f, uint32_t b, const bool *keep) {
    struct ir_block *block = &f->block[b];
    for (ir_ref r = block->first; r && f->ins[r].op == IR_PHI; r = f->ins[r].next) {
        ir_ref *operand = f->pool + f->ins[r].a;
        uint32_t kept = 0;
        for (uint32_t k = 0; k < block->preds; k++)
            if (keep[k]) operand[kept++] = operand[k];
        f->ins[r].b = kept;
    }
    uint32_t kept = 0;
    for (uint32_t k = 0; k < block->preds; k++)
        if (keep[k]) block->pred[kept++] = block->pred[k];
    block->preds = kept;
}

static void drop_stale(struct graph *g) {
    struct ir_func *f = g->f;
    uint32_t *edges = JIT_ARRAY(f->arena, uint32_t, f->blocks + 1); // then: where a block's list ends
    uint32_t total = 0, widest = 0;
    bool stale = false;
    for (uint32_t b = 0; b < f->blocks; b++)
        if (f->block[b].order == NONE) empty_block(f, b);
    for (uint32_t i = 0; i < g->n; i++)
        for (uint32_t k = 0; k < f->block[g->rpo[i]].succs; k++)
            edges[f->block[g->rpo[i]].succ[k]]++;
    for (uint32_t b = 0; b < f->blocks; b++) {
        stale |= edges[b] != f->block[b].preds;
        if (f->block[b].preds > widest) widest = f->block[b].preds;
        total += edges[b];
        edges[b] = total;
    }
    if (!stale) return;
    edges[f->blocks] = total;
    uint32_t *from = JIT_ARRAY(f->arena, uint32_t, total); // sources, by target
    for (uint32_t i = 0; i < g->n; i++)
        for (uint32_t k = 0; k < f->block[g->rpo[i]].succs; k++)
            from[--edges[f->block[g->rpo[i]].succ[k]]] = g->rpo[i];
    uint32_t *have = JIT_ARRAY(f->arena, uint32_t, f->blocks);
    bool *keep = JIT_ARRAY(f->arena, bool, widest);
    for (uint32_t i = 0; i < g->n; i++) {
        uint32_t b = g->rpo[i];
        if (edges[b + 1] - edges[b] == f->block[b].preds) continue;
        for (uint32_t k = edges[b]; k < edges[b + 1]; k++) have[from[k]]++;
        for (uint32_t k = 0; k < f->block[b].preds; k++) {
            uint32_t p = f->block[b].pred[k];
            keep[k] = have[p] > 0;
            if (keep[k]) have[p]--;
        }
        filter_preds(f, b, keep);
    }
}

// Nearest common ancestor. Nodes of equal depth jump equally far.
static uint32_t common(const struct graph *g, uint32_t a, uint32_t b) {
    const struct ir_block *block = g->f->block;
    while (g->depth[a] != g->depth[b]) {
        if (g->depth[a] < g->depth[b]) {
            uint32_t t = a;
            a = b;
            b = t;
        }
        a = g->depth[g->up[a]] >= g->depth[b] ? g->up[a] : block[a].idom;
    }
    while (a != b) {
        bool far = g->up[a] != g->up[b];
        a = far ? g->up[a] : block[a].idom;
        b = far ? g->up[b] : block[b].idom;
    }
    return a;
}

static void find_dominators(struct graph *g) {
    struct ir_func *f = g->f;
    f->block[0].idom = 0;
    g->up[0] = 0;
    for (uint32_t i = 1; i < g->n; i++) {
        uint32_t b = g->rpo[i], idom = NONE;
        for (uint32_t k = 0; k < f->block[b].preds; k++) {
            uint32_t p = f->block[b].pred[k];
            if (f->block[p].order < i) idom = idom == NONE ? p : common(g, idom, p);
        }
        f->block[b].idom = idom;
        g->depth[b] = g->depth[idom] + 1;
        uint32_t far = g->up[idom];
        bool even = g->depth[idom] - g->depth[far] == g->depth[far] - g->depth[g->up[far]];
        g->up[b] = even ? g->up[far] : idom;
    }
}

static uint32_t holder(uint32_t *into, uint32_t b) {
    while (into[b] != b) {
        into[b] = into[into[b]];
        b = into[b];
    }
    return b;
}

// Heads in reverse order, so inner loops first. What leads back to a head without passing it belongs to its loop.
static void find_loops(struct graph *g) {
    struct ir_func *f = g->f;
    uint32_t *work = JIT_ARRAY(f->arena, uint32_t, g->n);
    for (uint32_t i = 0; i < g->n; i++) {
        g->into[g->rpo[i]] = g->rpo[i];
        f->block[g->rpo[i]].loop = f->block[g->rpo[i]].outer = NONE;
    }
    for (uint32_t i = g->n; i-- > 0;) {
        uint32_t head = g->rpo[i], works = 0;
        // `at` walks over the head first (its edges from behind only), then over the absorbed blocks.
        for (uint32_t at = head;; at = work[--works]) {
            for (uint32_t k = 0; k < f->block[at].preds; k++) {
                uint32_t p = f->block[at].pred[k];
                if (at == head && f->block[p].order < i) continue;
                if (at == head) f->block[head].loop = head;
                p = holder(g->into, p);
                if (p == head) continue;
                if (f->block[p].loop == NONE)
                    f->block[p].loop = head;
                else
                    f->block[p].outer = head;
                g->into[p] = head;
                work[works++] = p;
            }
            if (!works) break;
        }
    }
    for (uint32_t i = 0; i < g->n; i++) {
        struct ir_block *b = &f->block[g->rpo[i]];
        if (b->loop == NONE)
            b->loop_depth = 0;
        else if (b->loop != g->rpo[i])
            b->loop_depth = f->block[b->loop].loop_depth;
        else
            b->loop_depth = b->outer == NONE ? 1 : f->block[b->outer].loop_depth + 1;
    }
}

// A loop's blocks follow its head; whatever stood between them goes behind. That is a reverse post order still, because
// nothing outside a loop leads into it but to the head.
static void lay_out(struct graph *g) {
    struct ir_func *f = g->f;
    // One list a loop and one for the rest (index f->blocks); a head is in its own list and, as the loop, in the outer one.
    uint32_t *first = JIT_ARRAY(f->arena, uint32_t, f->blocks + 1);
    uint32_t *next = JIT_ARRAY(f->arena, uint32_t, f->blocks);
    uint32_t *next_loop = JIT_ARRAY(f->arena, uint32_t, f->blocks);
    for (uint32_t b = 0; b <= f->blocks; b++) first[b] = NONE;
    for (uint32_t i = g->n; i-- > 0;) {
        uint32_t b = g->rpo[i], loop = f->block[b].loop;
        bool head = loop == b;
        if (head) {
            next[b] = first[b];
            loop = f->block[b].outer;
        }
        uint32_t list = loop == NONE ? f->blocks : loop;
        *(head ? &next_loop[b] : &next[b]) = first[list];
        first[list] = b;
    }
    uint32_t *resume = JIT_ARRAY(f->arena, uint32_t, f->blocks), resumes = 0, out = 0;
    for (uint32_t b = first[f->blocks];;) {
        if (b == NONE) {
            if (!resumes) break;
            b = resume[--resumes];
            continue;
        }
        if (f->block[b].loop == b) resume[resumes++] = next_loop[b];
        f->block[b].order = out;
        f->order[out++] = b;
        b = next[b];
    }
    f->orders = out;
}

void ir_analyse(struct ir_func *f) {
    if (f->order_cap < f->blocks) {
        f->order_cap = f->block_cap;
        f->order = JIT_ARRAY(f->arena, uint32_t, f->order_cap);
    }
    struct jit_mark mark = jit_mark(f->arena);
    struct graph g = {.f = f};
    g.rpo = JIT_ARRAY(f->arena, uint32_t, f->blocks);
    g.depth = JIT_ARRAY(f->arena, uint32_t, f->blocks);
    g.up = JIT_ARRAY(f->arena, uint32_t, f->blocks);
    g.into = JIT_ARRAY(f->arena, uint32_t, f->blocks);
    find_reachable(&g);
    drop_stale(&g);
    find_dominators(&g);
    find_loops(&g);
    lay_out(&g);
    jit_release(f->arena, mark);
}

static bool one_source(const struct ir_block *b) {
    for (uint32_t k = 1; k < b->preds; k++)
        if (b->pred[k] != b->pred[0]) return false;
    return true;
}

void ir_split_critical_edges(struct ir_func *f) {
    // By target, because a PHI's operands follow pred. The slot of succ that an entry of pred stands for is found through lists
    // of slots by target, made for one source at a time.
    uint32_t blocks = f->blocks;
    struct {
        uint32_t target, slot, next;
    } *edge = NULL;
    uint32_t edges = 0, cap = 0;
    uint32_t *by_source = JIT_ARRAY(f->arena, uint32_t, blocks); // entry of `edge`, + 1
    for (uint32_t t = 0; t < blocks; t++) {
        if (f->block[t].preds < 2 || one_source(&f->block[t])) continue;
        for (uint32_t k = 0; k < f->block[t].preds; k++) {
            uint32_t p = f->block[t].pred[k];
            if (f->block[p].succs < 2) continue;
            edge = jit_grow(f->arena, edge, &cap, edges + 1, sizeof *edge);
            edge[edges].target = t;
            edge[edges].slot = k;
            edge[edges].next = by_source[p];
            by_source[p] = ++edges;
        }
    }
    if (!edges) return;
    uint32_t *head = JIT_ARRAY(f->arena, uint32_t, blocks), *next = NULL; // slots of succ, + 1
    uint32_t next_cap = 0;
    for (uint32_t p = 0; p < blocks; p++) {
        if (!by_source[p]) continue;
        uint32_t n = f->block[p].succs;
        next = jit_grow(f->arena, next, &next_cap, n, sizeof *next);
        for (uint32_t i = n; i-- > 0;) {
            next[i] = head[f->block[p].succ[i]];
            head[f->block[p].succ[i]] = i + 1;
        }
        for (uint32_t e = by_source[p]; e; e = edge[e - 1].next) {
            uint32_t t = edge[e - 1].target, i = head[t] - 1;
            head[t] = next[i];
            uint32_t mid = ir_new_block(f);
            ir_ref jump = ir_append(f, mid, IR_JUMP, IR_VOID, 0, 0, 0, 0);
            f->ins[jump].wasm = f->ins[f->block[p].last].wasm;
            struct ir_block *m = &f->block[mid];
            m->succ = JIT_ARRAY(f->arena, uint32_t, 2);
            m->pred = JIT_ARRAY(f->arena, uint32_t, 2);
            m->succs = m->preds = 1;
            m->succ[0] = t;
            m->pred[0] = p;
            f->block[t].pred[edge[e - 1].slot] = mid;
            f->block[p].succ[i] = mid;
        }
        for (uint32_t i = 0; i < n; i++) // what is left belongs to edges that are not critical
            if (f->block[p].succ[i] < blocks) head[f->block[p].succ[i]] = 0;
    }
    ir_analyse(f);
}
