// regex.c — regular expressions over bytes, two ways: compiled to a small program that a set of threads runs in step (Thompson,
// Pike), and the backtracking matcher of Kernighan and Pike's kind, recursive. Both must count the same matches.
//
// Group: text
// Size: n = 5
#include "bench/kernels/kernel.h"

// Syntax of a pattern: literals, '.', and after each an optional '*', '+' or '?'.
enum op { CHAR, ANY, SPLIT, JUMP, MATCH };
struct insn {
    uint8_t op, c;
    uint16_t x, y; // SPLIT: x is tried first
};
#define PROGRAM 64
#define TEXT 16384
static struct insn program[PROGRAM];
static uint32_t size;
static char text[TEXT + 1];

static void emit(enum op op, uint8_t c, uint32_t x, uint32_t y) {
    program[size++] = (struct insn){(uint8_t)op, c, (uint16_t)x, (uint16_t)y};
}
static void compile(const char *p) {
    size = 0;
    while (*p) {
        uint8_t c = (uint8_t)*p++;
        enum op op = c == '.' ? ANY : CHAR;
        uint32_t here = size;
        if (*p == '*') {
            emit(SPLIT, 0, here + 1, here + 3);
            emit(op, c, 0, 0);
            emit(JUMP, 0, here, 0);
            p++;
        } else if (*p == '+') {
            emit(op, c, 0, 0);
            emit(SPLIT, 0, here, here + 2);
            p++;
        } else if (*p == '?') {
            emit(SPLIT, 0, here + 1, here + 2);
            emit(op, c, 0, 0);
            p++;
        } else {
            emit(op, c, 0, 0);
        }
    }
    emit(MATCH, 0, 0, 0);
}

struct threads {
    uint32_t n, pc[PROGRAM], mark[PROGRAM];
};
static uint32_t generation;
static void add(struct threads *l, uint32_t pc) {
    if (l->mark[pc] == generation) return;
    l->mark[pc] = generation;
    switch (program[pc].op) {
    case JUMP: add(l, program[pc].x); break;
    case SPLIT:
        add(l, program[pc].x);
        add(l, program[pc].y);
        break;
    default: l->pc[l->n++] = pc;
    }
}
static int in_step(const char *s) { // does a match begin at s?
    static struct threads list[2];
    struct threads *now = &list[0], *next = &list[1];
    generation++;
    now->n = 0;
    add(now, 0);
    for (;; s++) {
        generation++;
        next->n = 0;
        for (uint32_t i = 0; i < now->n; i++) {
            const struct insn *p = &program[now->pc[i]];
            if (p->op == MATCH) return 1;
            if (*s && (p->op == ANY || p->c == (uint8_t)*s)) add(next, now->pc[i] + 1);
        }
        if (!next->n) return 0;
        struct threads *t = now;
        now = next;
        next = t;
    }
}

static int here(const char *p, const char *s) {
    if (!*p) return 1;
    if (p[1] == '?') return here(p + 2, s) || (*s && (*p == '.' || *p == *s) && here(p + 2, s + 1));
    if (p[1] == '*' || p[1] == '+') {
        const char *most = s;
        while (*most && (*p == '.' || *p == *most)) most++;
        const char *least = s + (p[1] == '+');
        for (; most >= least; most--)
            if (here(p + 2, most)) return 1;
        return 0;
    }
    return *s && (*p == '.' || *p == *s) && here(p + 1, s + 1);
}

uint64_t kernel(uint32_t n) {
    static const char *const pattern[] = {"ab*c",   "a.c",   "ba+b?c", "a?a?a?aaa",
                                          "b.*cab", "c+d?e", "dead",   "a+b+c+"};
    uint32_t seed = 131;
    uint64_t sum = 0;
    generation = 0;
    for (uint32_t i = 0; i < TEXT; i++) {
        uint32_t r = next_random(&seed) >> 7;
        text[i] = r % 40 == 0 ? '\0' : (char)('a' + (r >> 8) % 5); // lines, each ended by a zero byte
    }
    text[TEXT] = 0;
    for (uint32_t t = 0; t < n; t++)
        for (uint32_t p = 0; p < 8; p++) {
            uint32_t steps = 0, back = 0;
            compile(pattern[p]);
            for (uint32_t i = 0; i < TEXT; i++) {
                steps += (uint32_t)in_step(text + i);
                back += (uint32_t)here(pattern[p], text + i);
            }
            if (steps != back) return 0;
            sum = mix(sum, steps);
        }
    return sum;
}
