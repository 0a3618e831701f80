// sfi.h — the SFI contract: what the verifier accepts, and what the emitter therefore emits.
//
// The only file that emitter, verifier and runtime share. Prose first, constants below. A constant changed here changes
// the safety argument: read docs/sfi.md before.
//
// CPU      x86-64-v3 without FMA/AVX2 use being required: AVX, BMI1, BMI2, LZCNT, POPCNT, SSE4.1. Checked by the runtime.
// Code     One contiguous block a module, 32-byte aligned, position independent:
//            [thunks: SFI_THUNK_SIZE × n | functions, in index order | data: constant pool and jump tables]
//          At verification the thunk area is all CC; the kernel fills it afterwards. `call rel32` may target thunk starts
//          and function starts of the same block, nothing else. Filler is CC, never reachable.
// Encoding Canonical only: [66|F2|F3 mandatory] [REX with effect] opcode ModRM [SIB] shortest disp, shortest imm; or VEX.128.
//          Floating point and vector operations are VEX only (no legacy SSE); register-to-register integer forms
//          use the "r/m, r" opcode (89, 01, 39 …), "r, r/m" is for loads; vector ones use the load's (28, 6F, 10).
//          eax, imm short forms occur in the template only. rel8 and rel32 branches are both canonical.
//          Aligned vector moves (vmovaps, vmovdqa) are register to register: a misaligned access would raise #GP.
//          NOPs: the nine forms of SFI_NOPS. No instruction and no template crosses a 32-byte bundle; function entries
//          and jump-table targets are bundle aligned.
// Registers rsp  protected stack; only `sub rsp, F` (first instruction of a function whose frame F > 0) and
//                `add rsp, F` (directly before ret or a tail jump).
//          r15  window base; never written.       All others and xmm0–15 are free; r11 is dead across calls and thunks.
// Clean    Z, one bit a GPR: "upper half is zero". Set by writing a 32-bit destination in a row so marked; cleared by any
//          other write. Z = ∅ at function entry and after a call. At a label Z := the label's declared set; every edge into it
//          (fall-through included) needs Z ⊇ declared.
// Memory   M1 [r15 + rX + disp], X ∈ Z, scale 1, 0 ≤ disp ≤ 2³¹−1; or [r15 + disp], disp ≥ 0. Width ≤ 16.
//          M2 [rsp + disp]: wholly inside the own frame [0, F) once it is made; or a load wholly inside the incoming stack
//             arguments [F + 8, F + 8 + 8·stack words of the function's signature].
//          M3 [r15 − disp]: the context forms below, exactly.
//          M4 [rip + disp]: load wholly inside the data part's declared pool; 16-byte operands of instructions are 16-aligned.
//          M5 table rows and jump tables: inside the templates only.
// Control  Direct jumps and Jcc to declared labels of the same function; `call rel32`; `ret` at D = 0, followed by CC;
//          tail `jmp rel32` to a function start at D = 0 when the callee has no more stack words than the caller.
//          A call needs F ≥ 8 · stack words of its callee (known from its signature id, see SFI_SIG_STACK_WORDS).
//          After ret, jmp, ud2 and jmp-table templates only CC follows up to the next label or the function's end.
//          A function never falls off its end.
// Template SFI_T_CALL_INDIRECT, table t, signature id s (≠ 0), any label L of the function (edge rules apply):
//            25 <imm32 = SFI_TABLE_ROWS−1>                 and  eax, mask
//            41 81 BC 87 <disp32 = −SFI_TABLE_SIGS(t)> <s>  cmp  dword [r15 + rax*4 − sigs], s
//            0F 85 <rel32 → L>                             jne  L              (Z there: as before, plus rax)
//            41 FF 94 C7 <disp32 = −SFI_TABLE_ENTRIES(t)>   call [r15 + rax*8 − entries]        31 bytes, one bundle
// Template SFI_T_TAIL_INDIRECT: the same and, cmp, jne (23 bytes, one bundle), directly followed by
//            48 83 C4 <F>  or  48 81 C4 <imm32 = F>         add  rsp, F              (F > 0; the shorter form)
//            41 FF A4 C7 <disp32 = −SFI_TABLE_ENTRIES(t)> CC jmp [r15 + rax*8 − entries]; int3   9 bytes, one bundle
//          without a label in between; s has no more stack words than the function's own signature.
// Template SFI_T_JUMP_TABLE, a declared table of n + 1 entries, the last one being the default:
//            41 BB <imm32 = n>             mov    r11d, n
//            44 39 D8                      cmp    eax, r11d
//            41 0F 47 C3                   cmova  eax, r11d        (clamps architecturally and speculatively)
//            4C 8D 1D <rel32 → table>      lea    r11, [rip + table]
//            49 63 04 83                   movsxd rax, dword [r11 + rax*4]
//            4C 01 D8                      add    rax, r11
//            FF E0 CC                      jmp    rax; int3                             30 bytes, one bundle
//          Entry k is int32: label − table; each entry is a bundle-aligned label of the same function whose declared set is
//          a subset of Z at the template minus {rax, r11}. Tables lie in the data part, 4-aligned, each used by one template,
//          in the order of the templates.
// Callers  Side tables (struct sfi_code) are untrusted: a wrong one can only cause a rejection.
#ifndef SFI_H
#define SFI_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- Bundles, thunks, limits -------------------------------------------------------------------------------------------
#define SFI_BUNDLE 32u
#define SFI_THUNK_SIZE 32u
#define SFI_CODE_MAX (64u << 20)   // bytes of one module's block
#define SFI_FRAME_MAX (512u << 10) // bytes of one frame; stack guards are twice that and more
#define SFI_STACK_GUARD (1u << 20)

// ---- A slot: one per module instance, found from an address by a shift ----------------------------------------------------
//   slot + 0        front guard; its top is the context, below the window
//   slot + 4 GiB    window: wasm memory from 0, then (kernel) DMA area and device area
//   slot + 8 GiB    back guard, 8 GiB: index (< 2³²) + disp (< 2³¹) + width (≤ 16) never leaves the slot
#define SFI_SLOT_SHIFT 34
#define SFI_SLOT_SIZE (1ull << SFI_SLOT_SHIFT)
#define SFI_WINDOW_OFFSET (1ull << 32)
#define SFI_WINDOW_SIZE (1ull << 32)
#define SFI_DMA_BASE 0x80000000u // in the kernel wasm memory ends here at the latest
#define SFI_DMA_SIZE 0x40000000u
#define SFI_DEVICE_BASE 0xc0000000u
#define SFI_DEVICE_SIZE 0x40000000u

// ---- Context: distances below the window base, address = r15 − distance ----------------------------------------------------
// Globals: 16 bytes each, read-write, any access of ≤ 16 bytes wholly inside [r15 − SFI_CTX_GLOBALS, r15).
#define SFI_GLOBALS_MAX 65536u
#define SFI_CTX_GLOBALS 0x100000u
#define SFI_CTX_GLOBAL(i) (16u * ((i) + 1u))
// Results beyond the first integer and the first floating-point one: 16 bytes each, read-write, wholly inside the area.
#define SFI_RESULTS_MAX 1024u
#define SFI_CTX_RESULTS 0x104000u
#define SFI_CTX_RESULT(i) (SFI_CTX_RESULTS - 16u * (i))
// Read-only 32-bit words: current pages of memory 0, current length of table t. For instructions
// that read 4 bytes of memory and write none (mov, cmp).
#define SFI_CTX_WORDS 0x105000u
#define SFI_CTX_MEM_PAGES SFI_CTX_WORDS
#define SFI_TABLES_MAX 64u
#define SFI_CTX_TABLE_LEN(t) (SFI_CTX_WORDS - 0x100u - 4u * (t))
// Kernel-private page: no accepted form reaches it.
#define SFI_CTX_PRIVATE 0x106000u
// Tables: rows are written by the kernel only and read by SFI_T_CALL_INDIRECT only. Signature 0 marks a null row.
#define SFI_TABLE_ROWS (1u << 20)
#define SFI_TABLE_STRIDE \
    (16u << 20) // upwards: entries 8 MiB | signatures 4 MiB | references (kernel's use) 4 MiB
#define SFI_TABLE_ENTRIES(t) (0x60000000u - (t)*SFI_TABLE_STRIDE)
#define SFI_TABLE_SIGS(t) (SFI_TABLE_ENTRIES(t) - (8u << 20))
#define SFI_TABLE_REFS(t) (SFI_TABLE_ENTRIES(t) - (12u << 20))

// ---- Signatures: ids are given by the kernel, equal ids mean equal types; the low bits say how many 8-byte words of
// arguments go on the stack, so that caller and callee agree without the verifier knowing types.
#define SFI_SIG_STACK_WORDS(sig) ((sig)&0xfffu)
#define SFI_SIG_MAKE(number, stack_words) (((uint32_t)(number) << 12) | (stack_words)) // number ≥ 1
#define SFI_INT_ARGS 6u // rdi rsi rdx rcx r8 r9
#define SFI_FP_ARGS \
    8u // xmm0–7; all others are in the result area: the compiler here uses no stack words

// ---- Built-ins: the first thunks of every module; imports follow at SFI_BUILTINS + i. Arguments as for any call --------------
#define SFI_BUILTIN_LIST(X)                                                                     \
    X(MEMORY_GROW, "memory.grow") /* (pages) -> old pages or -1 */                              \
    X(MEMORY_FILL, "memory.fill") /* (dst, value, n) */                                         \
    X(MEMORY_COPY, "memory.copy") /* (dst, src, n) */                                           \
    X(MEMORY_INIT, "memory.init") /* (dst, src, n, segment) */                                  \
    X(DATA_DROP, "data.drop")     /* (segment) */                                               \
    X(TABLE_GET, "table.get")     /* (i, table) -> ref */                                       \
    X(TABLE_SET, "table.set")     /* (i, ref, table) */                                         \
    X(TABLE_GROW, "table.grow")   /* (ref, n, table) -> old length or -1 */                     \
    X(TABLE_FILL, "table.fill")   /* (i, ref, n, table) */                                      \
    X(TABLE_COPY, "table.copy")   /* (dst, src, n, dst table, src table) */                     \
    X(TABLE_INIT, "table.init")   /* (dst, src, n, segment, table) */                           \
    X(ELEM_DROP, "elem.drop")     /* (segment) */                                               \
    X(REF_FUNC, "ref.func")       /* (function index) -> ref; refs are opaque i64, null is 0 */ \
    X(GLOBAL_GET, "global.get")   /* (global) -> i64 bits: imported mutable globals only */     \
    X(GLOBAL_SET, "global.set")   /* (global, i64 bits) */                                      \
    X(GLOBAL_GET_HIGH, "global.get.high") /* the same for the upper half of a v128 */           \
    X(GLOBAL_SET_HIGH, "global.set.high")                                                       \
    X(MEMORY_NOTIFY, "memory.atomic.notify") /* (address, count, offset) -> how many woken */   \
    X(MEMORY_WAIT32, "memory.atomic.wait32") /* (address, expected, ns, offset) -> 0, 1, 2 */   \
    X(MEMORY_WAIT64, "memory.atomic.wait64")
enum sfi_builtin {
#define X(name, text) SFI_BI_##name,
    SFI_BUILTIN_LIST(X)
#undef X
        SFI_BUILTINS_USED,
    SFI_BUILTINS = 32, // room to grow without moving the imports
};

// ---- Traps: what stopped a module. Texts are the WebAssembly specification's where it has one -----------------------------------
#define SFI_TRAP_LIST(X)                                                                                \
    X(UNREACHABLE, "unreachable")                                                                       \
    X(MEMORY, "out of bounds memory access")                                                            \
    X(TABLE, "undefined element") /* call_indirect index ≥ length */                                  \
    X(NULL_ELEMENT, "uninitialized element")                                                            \
    X(SIGNATURE, "indirect call type mismatch") /* site's aux = table; null is told apart by the row */ \
    X(DIV_ZERO, "integer divide by zero")                                                               \
    X(OVERFLOW, "integer overflow")                                                                     \
    X(CONVERSION, "invalid conversion to integer")                                                      \
    X(TABLE_ACCESS, "out of bounds table access")                                                       \
    X(STACK, "call stack exhausted")                                                                    \
    X(KILLED, "killed") /* by its quota or by the operator */                                           \
    X(DEAD_CALLEE, "callee has died")                                                                   \
    X(HOST, "host error")                                                                               \
    X(UNALIGNED, "unaligned atomic")                                                                    \
    X(NOT_SHARED, "expected shared memory")
enum sfi_trap {
    SFI_TRAP_NONE,
#define X(name, text) SFI_TRAP_##name,
    SFI_TRAP_LIST(X)
#undef X
        SFI_TRAP_COUNT,
};

// ---- Side tables ---------------------------------------------------------------------------------------------------------
struct sfi_func {         // sorted by start; entry i is the module's i-th defined function
    uint32_t start, size; // bytes from the block's start; start is bundle aligned
    uint32_t frame;       // F: bytes, multiple of 8, ≤ SFI_FRAME_MAX
    uint32_t sig;         // signature id; the loader checks it against the function's type
};
struct sfi_label { // sorted by offset, no two alike; each lies inside one function, after its frame is made (D = F)
    uint32_t offset;
    uint32_t clean; // bits 0–15: registers whose upper half is zero on every edge into it
};
struct sfi_jump_table {
    uint32_t offset, count; // count int32 entries, ≥ 1; sorted by offset, in the order of the templates
};
struct sfi_code {
    const uint8_t *bytes; // SFI_BUNDLE aligned as executed; never written while being verified
    uint32_t size;        // ≤ SFI_CODE_MAX
    uint32_t thunks;      // count; the first function starts at or after thunks * SFI_THUNK_SIZE
    const uint32_t *thunk_sigs; // [thunks], from the linker, not from the compiler
    uint32_t funcs, labels, jump_tables;
    const struct sfi_func *func;
    const struct sfi_label *label;
    const struct sfi_jump_table *jump_table;
    uint32_t pool, pool_size; // constant pool in the data part; ends at or before size
    uint32_t data;            // where the data part starts: functions end at or before it
};

// For messages only, never for safety: which trap stands behind a faulting or ud2 instruction.
struct sfi_trap_site { // sorted by code
    uint32_t code;     // offset of the instruction in the block
    uint32_t wasm;     // offset of the operator in the module
    uint16_t kind;     // enum sfi_trap: of ud2 or #DE; SFI_TRAP_MEMORY for accesses
    uint16_t aux;      // SFI_TRAP_SIGNATURE: the table
};

// clang-format off
#define SFI_NOPS { 0x90 }, { 0x66, 0x90 }, { 0x0f, 0x1f, 0x00 }, { 0x0f, 0x1f, 0x40, 0x00 }, { 0x0f, 0x1f, 0x44, 0x00, 0x00 }, \
    { 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00 }, { 0x0f, 0x1f, 0x80, 0, 0, 0, 0 }, { 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0 }, \
    { 0x66, 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0 }
// clang-format on

_Static_assert(SFI_CTX_GLOBALS == 16 * SFI_GLOBALS_MAX, "globals end where results begin");
_Static_assert(SFI_CTX_RESULTS == SFI_CTX_GLOBALS + 16 * SFI_RESULTS_MAX,
               "results end where the words begin");
_Static_assert(SFI_TABLE_ENTRIES(SFI_TABLES_MAX - 1) - SFI_TABLE_STRIDE > SFI_CTX_PRIVATE,
               "tables lie below the context");
_Static_assert(SFI_TABLE_STRIDE == SFI_TABLE_ROWS * 16, "8 + 4 + 4 bytes a row");
_Static_assert(SFI_TABLE_ENTRIES(0) < 1u << 31, "reached by a disp32");
_Static_assert(SFI_WINDOW_OFFSET + SFI_WINDOW_SIZE + (1ull << 31) + 16 <= SFI_SLOT_SIZE,
               "M1 stays inside the slot");
_Static_assert(SFI_SLOT_SIZE - SFI_WINDOW_OFFSET - SFI_WINDOW_SIZE >= (4ull << 30) + (64u << 10),
               "back guard");
_Static_assert(2 * SFI_FRAME_MAX <= SFI_STACK_GUARD, "no frame steps over a stack guard");
_Static_assert(SFI_DMA_BASE + SFI_DMA_SIZE == SFI_DEVICE_BASE,
               "areas tile the window's upper half");
#endif
