// plat_linux.c — loader/platform.h in a Linux process, and the signal handlers that turn faults into traps.
//
// Code     512 MiB of address space within rel32 reach of the program, backed by one memfd. A block is written through a second
//          mapping somewhere else; sealing unmaps that one and then maps the block executable. So no byte is writable and
//          executable at once, through whatever address. Freed blocks are unmapped and their pages given back.
// Slots    16 GiB of PROT_NONE each, 16 GiB aligned. Pages that may be shared are those of a second memfd, each at the file
//          offset that equals the address where its owner has it: so sharing needs no bookkeeping.
// Stacks   with 1 MiB of PROT_NONE on both sides. Handlers run on a signal stack of their own.
#include "loader/loader.h"
#include "loader/platform.h"
#include "sfi-jit/host/host.h"
#include "sfi-jit/lib.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096u
#define ARENA_SIZE (512ull << 20)
#define ARENA_PAGES (ARENA_SIZE / PAGE)
#define STEP (16ull << 20)
#define SIGNAL_STACK (64u << 10)

static struct {
    uint64_t base;
    int fd;
    uint8_t used[ARENA_PAGES];
    pthread_mutex_t lock;
} arena = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
static int shared_fd = -1;

static unsigned requests, fail_at;
unsigned host_fail_at(unsigned n) {
    unsigned count = requests;
    requests = 0;
    fail_at = n;
    return count;
}
static bool refused(void) { return ++requests == fail_at; }

// ---- Code ----
bool plat_linux_arena(void) { // before the first block
    uint64_t here = (uint64_t)&plat_linux_arena & ~(STEP - 1);
    arena.fd = memfd_create("sasos-code", MFD_CLOEXEC);
    shared_fd = memfd_create("sasos-shared", MFD_CLOEXEC);
    if (arena.fd < 0 || ftruncate(arena.fd, (off_t)ARENA_SIZE)) return false;
    if (shared_fd < 0 || ftruncate(shared_fd, 1l << 47)) return false;
    // All of the arena must lie within 2 GiB of all of the program; the program is far smaller than a step of 64 MiB.
    for (uint64_t away = 4 * STEP; away + ARENA_SIZE + 8 * STEP < 1ull << 31; away += STEP)
        for (int side = 0; side < 2; side++) {
            uint64_t at = side ? here + away : here - away - ARENA_SIZE;
            if (!side && here < away + ARENA_SIZE + STEP) continue;
            void *p = mmap((void *)at, ARENA_SIZE, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
            if (p == (void *)at) {
                arena.base = at;
                return true;
            }
            if (p != MAP_FAILED) munmap(p, ARENA_SIZE);
        }
    return false;
}

enum ldr_status ldr_plat_code_alloc(uint32_t size, struct ldr_block *out_block) {
    size_t pages = ((size_t)size + PAGE - 1) / PAGE, run = 0, i = 0;
    if (!pages) pages = 1;
    if (refused()) return LDR_NO_SPACE;
    pthread_mutex_lock(&arena.lock);
    for (; i < ARENA_PAGES && run < pages; i++) run = arena.used[i] ? 0 : run + 1;
    if (run == pages) memset(arena.used + i - pages, 1, pages);
    pthread_mutex_unlock(&arena.lock);
    if (run < pages) return LDR_NO_SPACE;
    size_t first = i - pages;
    void *rw =
        mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, arena.fd, (off_t)(first * PAGE));
    *out_block = (struct ldr_block){rw == MAP_FAILED ? NULL : rw, arena.base + first * PAGE,
                                    (uint32_t)(pages * PAGE), first};
    if (rw == MAP_FAILED) {
        ldr_plat_code_free(out_block);
        return LDR_NO_MEMORY;
    }
    memset(rw, 0xcc, pages * PAGE);
    return LDR_OK;
}
enum ldr_status ldr_plat_code_seal(struct ldr_block *b) {
    munmap(b->rw, b->size);
    void *rx = mmap((void *)b->rx, b->size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, arena.fd,
                    (off_t)(b->host * PAGE));
    b->rw = NULL;
    return rx == MAP_FAILED ? LDR_NO_MEMORY : LDR_OK;
}
void ldr_plat_code_free(struct ldr_block *b) {
    if (b->rw) munmap(b->rw, b->size);
    mmap((void *)b->rx, b->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
         -1, 0);
    fallocate(arena.fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, (off_t)(b->host * PAGE), b->size);
    pthread_mutex_lock(&arena.lock);
    memset(arena.used + b->host, 0, b->size / PAGE);
    pthread_mutex_unlock(&arena.lock);
    b->size = 0;
}

// ---- Slots ----
enum ldr_status ldr_plat_slot_alloc(uint64_t *out_window) {
    uint64_t size = 2 * SFI_SLOT_SIZE;
    if (refused()) return LDR_NO_SPACE;
    void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return LDR_NO_SPACE;
    uint64_t start = (uint64_t)p, slot = (start + SFI_SLOT_SIZE - 1) & ~(SFI_SLOT_SIZE - 1);
    if (slot > start) munmap(p, slot - start);
    munmap((void *)(slot + SFI_SLOT_SIZE), start + size - slot - SFI_SLOT_SIZE);
    *out_window = slot + SFI_WINDOW_OFFSET;
    return LDR_OK;
}
void ldr_plat_slot_free(uint64_t window) {
    munmap((void *)(window - SFI_WINDOW_OFFSET), SFI_SLOT_SIZE);
    fallocate(shared_fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
              (off_t)(window - SFI_WINDOW_OFFSET), (off_t)SFI_SLOT_SIZE);
}
enum ldr_status ldr_plat_map(uint64_t window, int64_t offset, uint64_t size, unsigned flags) {
    uint64_t at = window + (uint64_t)offset;
    if (refused()) return LDR_NO_MEMORY;
    void *p = flags & LDR_MAP_SHARABLE
                  ? mmap((void *)at, size, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_NORESERVE | MAP_FIXED, shared_fd, (off_t)at)
                  : mmap((void *)at, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    return p == MAP_FAILED ? LDR_NO_MEMORY : LDR_OK;
}
enum ldr_status ldr_plat_share(uint64_t window, int64_t offset, uint64_t from_window,
                               int64_t from_offset, uint64_t size) {
    if (refused()) return LDR_NO_MEMORY;
    void *p = mmap((void *)(window + (uint64_t)offset), size, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_NORESERVE | MAP_FIXED, shared_fd,
                   (off_t)(from_window + (uint64_t)from_offset));
    return p == MAP_FAILED ? LDR_NO_MEMORY : LDR_OK;
}
void ldr_plat_unmap(uint64_t window, int64_t offset, uint64_t size) {
    mmap((void *)(window + (uint64_t)offset), size, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

// ---- Stacks and heap ----
enum ldr_status ldr_plat_stack_alloc(uint32_t size, uint64_t *out_top) {
    if (refused()) return LDR_NO_MEMORY;
    uint8_t *p = mmap(NULL, size + 2ull * SFI_STACK_GUARD, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return LDR_NO_MEMORY;
    if (mprotect(p + SFI_STACK_GUARD, size, PROT_READ | PROT_WRITE)) {
        munmap(p, size + 2ull * SFI_STACK_GUARD);
        return LDR_NO_MEMORY;
    }
    *out_top = (uint64_t)p + SFI_STACK_GUARD + size;
    return LDR_OK;
}
void ldr_plat_stack_free(uint64_t top, uint32_t size) {
    munmap((void *)(top - size - SFI_STACK_GUARD), size + 2ull * SFI_STACK_GUARD);
}
void *ldr_plat_alloc(size_t size) { return refused() ? NULL : calloc(1, size); }
void ldr_plat_free(void *p, size_t size) {
    (void)size;
    free(p);
}

// ---- Waiting ---- one counter for all: wake-ups are rare, and a sleeper may wake early.
static uint32_t wakes;
static _Thread_local uint32_t wakes_seen;
void ldr_plat_wait(struct ldr_instance *inst) {
    struct timespec most = {.tv_nsec = 10000000};
    (void)inst;
    syscall(SYS_futex, &wakes, FUTEX_WAIT_PRIVATE, wakes_seen, &most, NULL, 0);
    wakes_seen = __atomic_load_n(&wakes, __ATOMIC_ACQUIRE);
}
void ldr_plat_died(struct ldr_instance *inst) { (void)inst; } // its threads are the tool's own
void ldr_plat_wake(struct ldr_instance *inst) {
    (void)inst;
    __atomic_fetch_add(&wakes, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &wakes, FUTEX_WAKE_PRIVATE, 1 << 30, NULL, NULL, 0);
}

// Waiters on shared memories: a list, first come first woken, all under one lock.
struct waiter {
    struct waiter *next;
    const struct ldr_memory *memory;
    uint64_t offset;
    pthread_cond_t woken;
    bool done;
};
static pthread_mutex_t waiting = PTHREAD_MUTEX_INITIALIZER;
static struct waiter *waiters;

static struct timespec deadline(int64_t timeout) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += timeout / 1000000000;
    t.tv_nsec += timeout % 1000000000;
    if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
    return t;
}
uint32_t ldr_plat_wait_at(const struct ldr_memory *memory, uint64_t offset, const void *p,
                          unsigned bytes, uint64_t expected, int64_t timeout) {
    struct waiter me = {.memory = memory, .offset = offset, .woken = PTHREAD_COND_INITIALIZER}, **at;
    struct timespec until = deadline(timeout < 0 ? 0 : timeout);
    pthread_mutex_lock(&waiting);
    uint64_t now = bytes == 4 ? __atomic_load_n((const uint32_t *)p, __ATOMIC_SEQ_CST)
                              : __atomic_load_n((const uint64_t *)p, __ATOMIC_SEQ_CST);
    if (now != expected) {
        pthread_mutex_unlock(&waiting);
        return 1;
    }
    for (at = &waiters; *at;) at = &(*at)->next;
    *at = &me;
    for (int error = 0; !me.done && error != ETIMEDOUT;)
        error = timeout < 0 ? pthread_cond_wait(&me.woken, &waiting)
                            : pthread_cond_timedwait(&me.woken, &waiting, &until);
    if (!me.done) {
        for (at = &waiters; *at != &me;) at = &(*at)->next;
        *at = me.next;
    }
    pthread_mutex_unlock(&waiting);
    pthread_cond_destroy(&me.woken);
    return me.done ? 0 : 2;
}
uint32_t ldr_plat_notify(const struct ldr_memory *memory, uint64_t offset, uint32_t count) {
    uint32_t woken = 0;
    pthread_mutex_lock(&waiting);
    for (struct waiter **at = &waiters; *at && woken < count;) {
        struct waiter *w = *at;
        if (w->memory != memory || w->offset != offset) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        w->done = true;
        woken++;
        pthread_cond_signal(&w->woken);
    }
    pthread_mutex_unlock(&waiting);
    return woken;
}

void ldr_plat_panic(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: runtime failed: %s\n", file, line, what);
    abort();
}

// ---- Faults ----
static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
static struct sigaction before[32];

static struct ldr_machine machine_of(const greg_t *r) {
    return (struct ldr_machine){(uint64_t)r[REG_RIP], (uint64_t)r[REG_RSP], (uint64_t)r[REG_RAX],
                                (uint64_t)r[REG_RDI], (uint64_t)r[REG_RSI], (uint64_t)r[REG_R15]};
}
static void machine_to(const struct ldr_machine *m, greg_t *r) {
    r[REG_RIP] = (greg_t)m->rip;
    r[REG_RSP] = (greg_t)m->rsp;
    r[REG_RDI] = (greg_t)m->rdi;
    r[REG_RSI] = (greg_t)m->rsi;
}

static uint32_t handlers; // that run at this moment
void ldr_plat_sync(void) {
    // Full barriers here and in the handler: either it finds what has changed, or it is counted.
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    while (__atomic_load_n(&handlers, __ATOMIC_SEQ_CST)) sched_yield();
}

static void fault_in_handler(int signal, siginfo_t *info, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    struct ldr_machine m = machine_of(r);
    uint64_t address = (uint64_t)info->si_addr;
    enum ldr_fault fault = signal == SIGILL   ? LDR_FAULT_INVALID_OPCODE
                           : signal == SIGFPE ? LDR_FAULT_DIVIDE
                                              : LDR_FAULT_PAGE;
    if (ldr_fault(&m, fault, address)) {
        machine_to(&m, r);
        return;
    }
    char text[200];
    const struct ldr_instance *inst = ldr_instance_at(m.rip);
    int n = snprintf(text, sizeof text,
                     "signal %d at rip 0x%lx, address 0x%lx: a fault of %s, not a module's trap\n",
                     signal, m.rip, address, inst ? "verified code outside its fence" : "the host");
    if (write(2, text, (size_t)n) < 0) { // nothing to be done about it
    }
    sigaction(signal, &before[signal], NULL); // returns into the same fault
}

static void handler(int signal, siginfo_t *info, void *context) {
    __atomic_add_fetch(&handlers, 1, __ATOMIC_SEQ_CST);
    fault_in_handler(signal, info, context);
    __atomic_sub_fetch(&handlers, 1, __ATOMIC_SEQ_CST);
}

// The tick of a budget: stops the instance now, or, if it is in a stub or the host at this moment, when it comes back or at
// the next tick.
static struct ldr_instance *budgeted;
static void tick(int signal, siginfo_t *info, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    struct ldr_machine m = machine_of(r);
    (void)signal, (void)info;
    __atomic_add_fetch(&handlers, 1, __ATOMIC_SEQ_CST);
    ldr_kill(budgeted, SFI_TRAP_KILLED);
    if (ldr_interrupt(&m, SFI_TRAP_NONE)) machine_to(&m, r);
    __atomic_sub_fetch(&handlers, 1, __ATOMIC_SEQ_CST);
}
void host_budget(struct ldr_instance *inst, double seconds) {
    struct sigaction a = {.sa_sigaction = tick, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    struct itimerval t = {.it_interval = {.tv_usec = 10000}};
    t.it_value.tv_sec = (time_t)seconds;
    t.it_value.tv_usec = (suseconds_t)((seconds - (double)t.it_value.tv_sec) * 1e6);
    budgeted = inst;
    sigemptyset(&a.sa_mask);
    sigaction(SIGALRM, &a, NULL);
    setitimer(ITIMER_REAL, &t, NULL);
}

void host_thread_init(void) {
    static _Thread_local void *stack;
    if (stack) return;
    stack = mmap(NULL, SIGNAL_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t ss = {.ss_sp = stack, .ss_size = SIGNAL_STACK};
    if (stack == MAP_FAILED || sigaltstack(&ss, NULL)) die("no signal stack");
}
void host_signals(void) {
    struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&a.sa_mask);
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction old;
        sigaction(signals[i], &a, &old);
        if (old.sa_sigaction != handler) before[signals[i]] = old;
    }
}
