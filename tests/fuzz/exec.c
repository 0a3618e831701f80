// exec.c — see exec.h.
#include "tests/fuzz/exec.h"
#include "tests/fuzz/fuzz.h"
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

enum {
    RSP = 4,
    R15 = 15,
    ARITHMETIC = 0x8d5,
    ARENA = 8 << 20,
    STACK = 64 << 10,
    CANARY = 256,
    ROWS_PAGE = 4096
};

struct exec_state {
    uint64_t gpr[16], rip, flags;
    uint32_t mxcsr, unused[3];
    uint8_t xmm[16][16];
} exec_state;
_Static_assert(offsetof(struct exec_state, xmm) == 160, "as in exec_enter.S");
uint64_t exec_host_rsp;
uint32_t exec_host_mxcsr = 0x1f80, exec_returned;
void exec_enter(void);
extern const uint8_t exec_return[], exec_abort[];

static uint64_t window, stack_low, stack_high;
static uint8_t *arena_rw, *arena_rx, *block; // block: of the loaded code, executable
static uint32_t arena_next, block_size;
static uint8_t *rows_rw; // signatures of table 0, then its entries: first rows, a page each
static volatile bool inside;
static volatile unsigned ticks;
static volatile int signal_number;
static volatile uint64_t signal_address;

static void *map(void *at, size_t size, int prot, int flags, int fd, size_t offset) {
    void *p =
        mmap(at, size, prot, flags | (fd < 0 ? MAP_ANONYMOUS : 0) | MAP_NORESERVE, fd, (off_t)offset);
    if (p == MAP_FAILED) perror("mmap"), exit(2);
    return p;
}

// ---- Signals ----

static void handler(int number, siginfo_t *info, void *context) {
    ucontext_t *u = context;
    greg_t *g = u->uc_mcontext.gregs;
    uint64_t rip = (uint64_t)g[REG_RIP];
    bool ours = inside && rip - (uint64_t)block < block_size;
    if (number == SIGALRM) {
        if (!ours || ++ticks < 2) return;
    } else if (!inside || (rip >= (uint64_t)exec_abort && rip < (uint64_t)exec_abort + 64)) {
        signal(number, SIG_DFL); // our own fault
        return;
    }
    exec_state.gpr[RSP] = (uint64_t)g[REG_RSP];
    exec_state.gpr[R15] = (uint64_t)g[REG_R15];
    exec_state.rip = rip;
    exec_state.flags = (uint64_t)g[REG_EFL];
    exec_state.mxcsr = u->uc_mcontext.fpregs->mxcsr;
    signal_address =
        number == SIGSEGV && info->si_code == SI_KERNEL ? UINT64_MAX : (uint64_t)info->si_addr;
    signal_number = number;
    g[REG_RIP] = (greg_t)(uint64_t)exec_abort;
}

static void take_signals(void) {
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGALRM};
    static uint8_t signal_stack[64 << 10];
    stack_t stack = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
    struct itimerval timer = {{0, 1000}, {0, 1000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

// ---- The slot ----

void exec_setup(void) {
    int fd = memfd_create("exec", 0);
    if (fd < 0 || ftruncate(fd, ARENA + 2 * ROWS_PAGE)) perror("memfd"), exit(2);
    uint8_t *reserved = map(NULL, 4 * SFI_SLOT_SIZE, PROT_NONE, MAP_PRIVATE, -1, 0);
    uint64_t slot = ((uint64_t)reserved + 2 * SFI_SLOT_SIZE - 1) & ~(SFI_SLOT_SIZE - 1);
    window = slot + SFI_WINDOW_OFFSET;
    uint8_t *w = (uint8_t *)window;
    enum { FIXED = MAP_PRIVATE | MAP_FIXED, RW = PROT_READ | PROT_WRITE };
    map(w, 64 << 10, RW, FIXED, -1, 0);
    map(w + SFI_DMA_BASE - (64 << 10), 128 << 10, RW, FIXED, -1, 0);
    map(w + SFI_WINDOW_SIZE - (64 << 10), 64 << 10, RW, FIXED, -1, 0);
    map(w - SFI_CTX_RESULTS, SFI_CTX_RESULTS, RW, FIXED, -1, 0);
    map(w - SFI_CTX_WORDS, SFI_CTX_WORDS - SFI_CTX_RESULTS, RW, FIXED, -1, 0);
    for (uint32_t i = 0; i < SFI_CTX_WORDS - SFI_CTX_RESULTS; i += 4)
        memcpy(w - SFI_CTX_WORDS + i, &(uint32_t){1}, 4);
    mprotect(w - SFI_CTX_WORDS, SFI_CTX_WORDS - SFI_CTX_RESULTS, PROT_READ);
    for (uint32_t t = 0; t < SFI_TABLES_MAX; t++) {
        map(w - SFI_TABLE_ENTRIES(t), SFI_TABLE_ROWS * 8, PROT_READ, FIXED, -1, 0);
        map(w - SFI_TABLE_SIGS(t), SFI_TABLE_ROWS * 4, PROT_READ, FIXED, -1, 0);
    }
    map(w - SFI_TABLE_SIGS(0), ROWS_PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, ARENA);
    map(w - SFI_TABLE_ENTRIES(0), ROWS_PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, ARENA + ROWS_PAGE);
    rows_rw = map(NULL, 2 * ROWS_PAGE, RW, MAP_SHARED, fd, ARENA);
    arena_rw = map(NULL, ARENA, RW, MAP_SHARED, fd, 0);
    // The code between 4 MiB of nothing.
    arena_rx = (uint8_t *)map(NULL, ARENA + (8 << 20), PROT_NONE, MAP_PRIVATE, -1, 0) + (4 << 20);
    map(arena_rx, ARENA, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0);
    memset(arena_rw, 0xcc, ARENA);
    stack_low = (uint64_t)map(NULL, STACK + 2 * SFI_STACK_GUARD, PROT_NONE, MAP_PRIVATE, -1, 0) +
                SFI_STACK_GUARD;
    stack_high = stack_low + STACK;
    map((void *)stack_low, STACK, RW, FIXED, -1, 0);
    take_signals();
}

// Returns garbage in rax and rdx, and leaves it in r11.
static void put_thunk(uint8_t *p) {
    static const uint8_t code[] = {0x48, 0xb8, 1,    0,    0,    0,    0xef, 0xbe,
                                   0xad, 0xde, 0x48, 0xba, 0xff, 0xff, 0xff, 0xff,
                                   1,    2,    3,    4,    0x49, 0x89, 0xc3, 0xc3};
    memcpy(p, code, sizeof code);
}

void exec_load(const struct sfi_code *code) {
    uint32_t room = (code->size + 4095) & ~4095u;
    if (room > ARENA) abort();
    if (arena_next + room > ARENA) { // before old lines are used again
        unsigned a, b, c, d;
        __cpuid(0, a, b, c, d);
        arena_next = 0;
    }
    uint8_t *rw = arena_rw + arena_next;
    block = arena_rx + arena_next;
    block_size = code->size;
    arena_next += room;
    memcpy(rw, code->bytes, code->size);
    memset(rw + code->size, 0xcc, room - code->size);
    for (uint32_t i = 0; i < code->thunks; i++) put_thunk(rw + i * SFI_THUNK_SIZE);
    uint32_t *sigs = (uint32_t *)(void *)rows_rw;
    uint64_t *entries = (uint64_t *)(void *)(rows_rw + ROWS_PAGE);
    for (uint32_t k = 0; k < 8; k++) {
        const struct sfi_func *f = code->funcs ? &code->func[k % code->funcs] : NULL;
        sigs[k] = f ? f->sig : 0;
        entries[k] = f ? (uint64_t)block + f->start : 0;
    }
}

// ---- Running ----

static uint64_t odd_value(void) {
    uint64_t x = fuzz_noise();
    switch (fuzz_below(10)) {
    case 0: return x & 7;
    case 1: return x & 0xffff;
    case 2: return (x & 0xff) - 0x80;
    case 3: return 0xffffffffu - (x & 0xff);
    case 4: return 0x80000000u + (x & 0xff) - 0x80;
    case 5: return (x & 0xffffffff00000000u) | (x >> 8 & 0xff);
    case 6: return 0xffffffff00000000u | (uint32_t)x;
    case 7: return 1ull << 32 | (x & 0xfff);
    default: return x;
    }
}

static const char *judge_fault(const struct sfi_code *code) {
    uint64_t at = exec_state.rip - (uint64_t)block, address = signal_address;
    static char text[128];
    if (at >= code->size) {
        snprintf(text, sizeof text, "rip left the block (signal %d at %#llx)", signal_number,
                 (unsigned long long)exec_state.rip);
        return text;
    }
    if (at < code->thunks * SFI_THUNK_SIZE && at % SFI_THUNK_SIZE > 23) return "rip inside a thunk";
    switch (signal_number) {
    case SIGILL:
        return block[at] == 0x0f && block[at + 1] == 0x0b ? NULL : "an illegal instruction";
    case SIGTRAP: return "filler was executed";
    case SIGBUS:
    case SIGSEGV:
        if (address - window < SFI_SLOT_SIZE - SFI_WINDOW_OFFSET) return NULL;
        if (address < stack_low && address >= stack_low - SFI_STACK_GUARD) return NULL;
        snprintf(text, sizeof text, "a fault at window %+lld, code +%#llx",
                 (long long)(address - window), (unsigned long long)at);
        return text;
    default: return NULL; // #DE, time
    }
}

const char *exec_run(const struct sfi_code *code, uint32_t index, enum exec_end *out_end) {
    struct exec_state *s = &exec_state;
    uint32_t words = SFI_SIG_STACK_WORDS(code->func[index].sig);
    uint64_t above[CANARY / 8 + 4096], rsp = stack_high - CANARY - 8 * words - 8;
    for (unsigned r = 0; r < 16; r++) s->gpr[r] = odd_value();
    for (unsigned x = 0; x < 32; x++) memcpy(s->xmm[0] + 8 * x, &(uint64_t){fuzz_noise()}, 8);
    uint64_t flags = s->flags = 0x202 | (fuzz_noise() & ARITHMETIC);
    s->gpr[R15] = window;
    s->gpr[RSP] = rsp;
    s->rip = (uint64_t)block + code->func[index].start;
    above[0] = (uint64_t)exec_return;
    for (unsigned i = 1; i <= words + CANARY / 8; i++) above[i] = fuzz_noise();
    memcpy((void *)rsp, above, stack_high - rsp);
    exec_returned = 0;
    signal_number = 0;
    ticks = 0;
    inside = true;
    exec_enter();
    inside = false;
    fuzz_counts.executed++;
    *out_end = exec_returned              ? EXEC_RETURNED
               : signal_number == SIGALRM ? EXEC_TIMED_OUT
                                          : EXEC_FAULTED;
    if (s->gpr[R15] != window) return "r15 has changed";
    if ((s->flags ^ flags) & ~(uint64_t)(ARITHMETIC | 0x10000))
        return "a control flag has changed"; // RF: by the fault
    if (memcmp((void *)(rsp + 8), above + 1, stack_high - rsp - 8) != 0)
        return "the caller's stack has changed";
    if (exec_returned) {
        if ((s->mxcsr ^ exec_host_mxcsr) & ~0x3fu) return "MXCSR has changed";
        return s->gpr[RSP] == rsp + 8 ? NULL : "rsp has changed";
    }
    fuzz_counts.faults++;
    if (*(uint64_t *)rsp != above[0] && s->gpr[RSP] <= rsp) return "the return address has changed";
    if (s->gpr[RSP] < stack_low - SFI_STACK_GUARD || s->gpr[RSP] > rsp + 8)
        return "rsp is elsewhere";
    return judge_fault(code);
}
