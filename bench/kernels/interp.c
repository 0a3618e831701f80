// interp.c — the loop of a bytecode interpreter: a stack machine with sixteen operations in one switch runs a program that
// counts primes, then one that computes Collatz lengths.
//
// Group: interpreters
// Size: n = 12000
#include "bench/kernels/kernel.h"

enum op {
    PUSH,
    LOAD,
    STORE,
    ADD,
    SUB,
    MUL,
    DIV,
    MOD,
    LESS,
    EQUAL,
    JUMP,
    JUMP_ZERO,
    INC,
    AND,
    SHR,
    HALT
};

static int64_t run(const int16_t *code, int64_t argument) {
    int64_t stack[32], local[8] = {argument}, *sp = stack;
    for (const int16_t *pc = code;;) {
        int16_t op = *pc++;
        switch (op) {
        case PUSH: *sp++ = *pc++; break;
        case LOAD: *sp++ = local[*pc++]; break;
        case STORE: local[*pc++] = *--sp; break;
        case ADD: sp--, sp[-1] += sp[0]; break;
        case SUB: sp--, sp[-1] -= sp[0]; break;
        case MUL: sp--, sp[-1] *= sp[0]; break;
        case DIV: sp--, sp[-1] /= sp[0]; break;
        case MOD: sp--, sp[-1] %= sp[0]; break;
        case LESS: sp--, sp[-1] = sp[-1] < sp[0]; break;
        case EQUAL: sp--, sp[-1] = sp[-1] == sp[0]; break;
        case JUMP: pc = code + *pc; break;
        case JUMP_ZERO: pc = *--sp ? pc + 1 : code + *pc; break;
        case INC: local[*pc++]++; break;
        case AND: sp--, sp[-1] &= sp[0]; break;
        case SHR: sp--, sp[-1] >>= sp[0]; break;
        default: return local[7];
        }
    }
}

// clang-format off
static const int16_t primes[] = { // local 7 := number of primes below local 0; 1 is the candidate, 2 the divisor
    /*  0 */ PUSH, 2, STORE, 1,
    /*  4 */ LOAD, 1, LOAD, 0, LESS, JUMP_ZERO, 46,
    /* 11 */ PUSH, 2, STORE, 2,
    /* 15 */ LOAD, 1, LOAD, 2, LOAD, 2, MUL, LESS, JUMP_ZERO, 31,
    /* 25 */ INC, 7, INC, 1, JUMP, 4,
    /* 31 */ LOAD, 1, LOAD, 2, MOD, JUMP_ZERO, 42,
    /* 38 */ INC, 2, JUMP, 15,
    /* 42 */ INC, 1, JUMP, 4,
    /* 46 */ HALT,
};
static const int16_t collatz[] = { // local 7 := steps of all starts below local 0; 1 is the start, 2 the number
    /*  0 */ PUSH, 1, STORE, 1,
    /*  4 */ LOAD, 1, LOAD, 0, LESS, JUMP_ZERO, 56,
    /* 11 */ LOAD, 1, STORE, 2,
    /* 15 */ LOAD, 2, PUSH, 1, EQUAL, JUMP_ZERO, 26,
    /* 22 */ INC, 1, JUMP, 4,
    /* 26 */ INC, 7, LOAD, 2, PUSH, 1, AND, JUMP_ZERO, 47,
    /* 35 */ LOAD, 2, PUSH, 3, MUL, PUSH, 1, ADD, STORE, 2, JUMP, 15,
    /* 47 */ LOAD, 2, PUSH, 1, SHR, STORE, 2, JUMP, 15,
    /* 56 */ HALT,
};
// clang-format on

uint64_t kernel(uint32_t n) {
    return mix(mix(0, (uint64_t)run(primes, n)), (uint64_t)run(collatz, n));
}
