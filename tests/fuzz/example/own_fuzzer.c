// own_fuzzer.c — a fuzzer of the verifier in a page: link it with libsfiverify.a, which needs nothing but a C library.
//
//   clang -O2 -I. tests/fuzz/example/own_fuzzer.c build/host/libsfiverify.a -o own_fuzzer && ./own_fuzzer 1000000
//
// Random instructions at the end of a function that begins with all registers clean. To make an oracle of it, look at each
// accepted string with whatever you trust more than this project: a disassembler, an emulator, a CPU. Here the oracle is a
// single fact: no accepted string has an operand-size prefix before a near branch, or any of the bytes F4, FA, FB first.
#include "sfi-jit/verify/verify.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000000, accepted = 0;
    _Alignas(32) uint8_t bytes[64];
    struct sfi_place place[SFI_PLACES(sizeof bytes)]; // the verifier's working memory
    uint64_t noise = 0x9e3779b97f4a7c15u;
    memset(bytes, 0xcc, sizeof bytes);
    memcpy(bytes, "\x0f\x0b", 2); // ud2, and behind it a label: where the state is what the label says
    struct sfi_func func = {.start = 0, .size = sizeof bytes, .frame = 0, .sig = SFI_SIG_MAKE(1, 0)};
    struct sfi_label label = {.offset = 32, .clean = 0x7fef}; // all but rsp and r15
    struct sfi_code code = {.bytes = bytes,
                            .size = sizeof bytes,
                            .funcs = 1,
                            .labels = 1,
                            .func = &func,
                            .label = &label,
                            .data = sizeof bytes};
    for (unsigned long i = 0; i < rounds; i++) {
        noise ^= noise << 13, noise ^= noise >> 7, noise ^= noise << 17;
        unsigned n = 1 + noise % 6;
        memset(bytes + 32, 0xcc, 32);
        memcpy(bytes + 32, &noise, n);
        memcpy(bytes + 32 + n, "\x0f\x0b", 2);
        struct sfi_rejection why;
        if (sfi_verify(&code, place, &why) != SFI_ACCEPTED)
            continue; // why.rule, why.offset, sfi_rule_name(why.rule)
        accepted++;
        uint8_t first = bytes[32], second = bytes[33];
        bool branch = (second & 0xfe) == 0xe8 || second == 0xeb || (second & 0xf0) == 0x70;
        if (first == 0xf4 || first == 0xfa || first == 0xfb || (first == 0x66 && branch)) {
            printf("accepted: %02x %02x\n", first, second);
            return 1;
        }
    }
    printf("%lu tried, %lu accepted\n", rounds, accepted);
    return accepted == 0;
}
