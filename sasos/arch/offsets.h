// offsets.h — numbers that assembly uses; arch/offsets.c asserts each against the C structures.
#ifndef SASOS_ARCH_OFFSETS_H
#define SASOS_ARCH_OFFSETS_H

#define CPU_CURRENT 8
#define CPU_IRQ_STACK_TOP 16
#define CPU_FAULT_STACK_TOP 24
#define CPU_FAULT_DEPTH 32

#define FRAME_R15 0
#define FRAME_R14 8
#define FRAME_R13 16
#define FRAME_R12 24
#define FRAME_R11 32
#define FRAME_R10 40
#define FRAME_R9 48
#define FRAME_R8 56
#define FRAME_RDI 64
#define FRAME_RSI 72
#define FRAME_RBP 80
#define FRAME_RBX 88
#define FRAME_RDX 96
#define FRAME_RCX 104
#define FRAME_RAX 112
#define FRAME_VECTOR 120
#define FRAME_ERROR 128
#define FRAME_RIP 136
#define FRAME_CS 144
#define FRAME_RFLAGS 152
#define FRAME_RSP 160
#define FRAME_SS 168
#define FRAME_BYTES 176

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS 0x18
#endif
