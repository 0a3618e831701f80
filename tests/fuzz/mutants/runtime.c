// runtime.c — which mutant of the verifier this process is (mutants.py), and what some mutants need.
//
// The verifier's sources are compiled once with all their mutants inside; SFI_MUTANT=n in the environment makes this
// process the n-th. No part of the system.
#include <Zydis/Zydis.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int sfi_mutant;
extern void sfi_mutate_rows(void);

// "Unknown opcodes are harmless": of the length that they have here, or had in 32-bit code, or else of their opcode's.
unsigned sfi_mutant_length(const uint8_t *p) {
    static const ZydisMachineMode modes[] = {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_MACHINE_MODE_LEGACY_32};
    for (unsigned i = 0; i < 2; i++) {
        ZydisDecoder decoder;
        ZydisDecodedInstruction insn;
        ZydisDecoderInit(&decoder, modes[i], i ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_64);
        if (ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, p, 15, &insn)))
            return insn.length;
    }
    return p[0] == 0x0f ? 2 : 1;
}

__attribute__((constructor)) static void choose(void) {
    const char *text = getenv("SFI_MUTANT");
    setvbuf(stdout, NULL, _IOLBF, 0); // so that the first failure is heard at once
    if (!text) return;
    sfi_mutant = atoi(text);
    sfi_mutate_rows();
}
