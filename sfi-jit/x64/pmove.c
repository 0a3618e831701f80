// pmove.c — turns one set of parallel moves into a sequence; see ra_sequence() in regalloc.h.
//
// A move may run when nobody still has to read its target. Each location is the target of at most one move, so the moves form
// trees that hang on simple cycles: the leaves run first, each one frees its source's location, and what is left over are
// cycles in which each location is read once. A cycle is opened by holding one value elsewhere: in the class's scratch register, or,
// where that register is needed inside the cycle for another slot-to-slot move, in the spare slot.
//
// Precondition: locations overlap only where they are equal (regalloc.h, Slots); scratch registers and the spare slot are
// neither source nor target; no target is a scratch register of either class.
#include "sfi-jit/x64/regalloc.h"

#define DONE UINT32_MAX

struct moves {             // the moves by target, and where the sequence goes
    struct ra_move *by_to; // `at` counts the unfinished readers of `to`, or is DONE
    uint32_t n;
    const struct ra_vreg *vreg;
    uint32_t scratch_int, scratch_fp;
    struct ra_move *out;
    uint32_t written, at;
};

static void sift_down(struct ra_move *m, uint32_t root, uint32_t n) {
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= n) return;
        if (child + 1 < n && m[child].to < m[child + 1].to) child++;
        if (m[root].to >= m[child].to) return;
        struct ra_move t = m[root];
        m[root] = m[child];
        m[child] = t;
        root = child;
    }
}

static void sort_by_target(struct ra_move *m, uint32_t n) {
    if (n <= 16) {
        for (uint32_t i = 1; i < n; i++) {
            struct ra_move t = m[i];
            uint32_t j = i;
            for (; j > 0 && m[j - 1].to > t.to; j--) m[j] = m[j - 1];
            m[j] = t;
        }
        return;
    }
    for (uint32_t i = n / 2; i-- > 0;) sift_down(m, i, n);
    for (uint32_t end = n; end-- > 1;) {
        struct ra_move t = m[0];
        m[0] = m[end];
        m[end] = t;
        sift_down(m, 0, end);
    }
}

// The move whose target is loc, or UINT32_MAX.
static uint32_t writer(const struct moves *m, ra_loc loc) {
    uint32_t lo = 0, hi = m->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (m->by_to[mid].to < loc)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < m->n && m->by_to[lo].to == loc ? lo : UINT32_MAX;
}

static uint32_t scratch(const struct moves *m, uint32_t vreg) {
    return m->vreg[vreg].cls == RA_INT ? m->scratch_int : m->scratch_fp;
}

static bool through_scratch(ra_loc from, ra_loc to) { return !RA_IS_REG(from) && RA_IS_SLOT(to); }

static void emit(struct moves *m, ra_loc from, ra_loc to, uint32_t vreg) {
    if (through_scratch(from, to)) {
        ra_loc s = scratch(m, vreg);
        m->out[m->written++] = (struct ra_move){m->at, from, s, vreg};
        from = s;
    }
    m->out[m->written++] = (struct ra_move){m->at, from, to, vreg};
}

// Runs move i and then all those that it makes possible one after the other.
static void run_chain(struct moves *m, uint32_t i) {
    while (i != UINT32_MAX && m->by_to[i].at == 0) {
        struct ra_move *mv = &m->by_to[i];
        emit(m, mv->from, mv->to, mv->vreg);
        mv->at = DONE;
        i = writer(m, mv->from);
        if (i != UINT32_MAX) m->by_to[i].at--;
    }
}

static void run_cycle(struct moves *m, uint32_t first, ra_loc spare) {
    // A move that needs the scratch register anyway is the best one to open the cycle at.
    uint32_t open = first, slot_moves = 0;
    for (uint32_t i = first;;) {
        const struct ra_move *mv = &m->by_to[i];
        if (through_scratch(mv->from, mv->to)) {
            slot_moves++;
            open = i;
        }
        i = writer(m, mv->from);
        if (i == first) break;
    }
    struct ra_move *held = &m->by_to[open];
    ra_loc hold = slot_moves > 1 ? spare : scratch(m, held->vreg);
    emit(m, held->from, hold, held->vreg);
    for (uint32_t i = writer(m, held->from); i != open; i = writer(m, m->by_to[i].from)) {
        emit(m, m->by_to[i].from, m->by_to[i].to, m->by_to[i].vreg);
        m->by_to[i].at = DONE;
    }
    emit(m, hold, held->to, held->vreg);
    held->at = DONE;
}

uint32_t ra_sequence(const struct ra_move *moves, uint32_t n, const struct ra_vreg *vreg,
                     uint32_t scratch_int, uint32_t scratch_fp, ra_loc spare, struct ra_move *out) {
    // A move writes at most two entries, a cycle of k at most 2k + 2 ≤ 3k, so the work space behind 3n is never reached.
    struct moves m = {out + 3 * (size_t)n, 0,   vreg, scratch_int,
                      scratch_fp,          out, 0,    n ? moves[0].at : 0};
    for (uint32_t i = 0; i < n; i++) {
        if (moves[i].from == moves[i].to) continue;
        m.by_to[m.n] = moves[i];
        m.by_to[m.n++].at = 0;
    }
    sort_by_target(m.by_to, m.n);
    for (uint32_t i = 0; i < m.n; i++) {
        uint32_t w = writer(&m, m.by_to[i].from);
        if (w != UINT32_MAX) m.by_to[w].at++;
    }
    for (uint32_t i = 0; i < m.n; i++) run_chain(&m, i);
    for (uint32_t i = 0; i < m.n; i++) {
        if (m.by_to[i].at != DONE) run_cycle(&m, i, spare);
    }
    return m.written;
}
