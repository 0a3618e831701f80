// ktest.c — the kernel core tested from inside: linked in the place of sasos/run, so that run_start() is this program.
//
// The boot image's configuration names one test. Each prints "ok NAME" or "BAD NAME" lines, then "done"; the tests of panics
// end in the panic. tests/boot/test_kernel.py says what is expected.
#include "efi/bootinfo.h"
#include "sasos/arch/apic.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/irq.h"
#include "sasos/arch/power.h"
#include "sasos/arch/time.h"
#include "sasos/arch/trap.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/lib/printf.h"
#include "sasos/lib/trace.h"
#include "sasos/mem/arena.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/pt.h"
#include "sasos/mem/slot.h"
#include "sasos/mem/stack.h"
#include "sasos/run/run.h"
#include "sasos/run/thread.h"
#include "tests/boot/ktest/cpus.h"
#include "tests/boot/ktest/devices.h"

static unsigned bad;

static void check(bool good, const char *name) {
    kprintf("%s %s\n", good ? "ok" : "BAD", name);
    bad += !good;
}

static bool mapped(uint64_t va) {
    uint64_t pa;
    unsigned flags;
    return pt_lookup(va, &pa, &flags);
}

// ---- Memory ----------------------------------------------------------------------------------------------------------

static unsigned long long executable, writable_executable, writable_text;

static void count_mapping(void *arg, uint64_t va, uint64_t pa, uint64_t size, unsigned flags) {
    const struct bootinfo *info = arg;
    (void)va;
    if (flags & PT_X) executable += size;
    if ((flags & (PT_X | PT_W)) == (PT_X | PT_W)) writable_executable += size;
    uint64_t end = info->kernel_phys + info->kernel_pages * 4096;
    // Of the kernel image only its own data segment is writable, at its own address.
    if (flags & PT_W && va < KERNEL_BASE && pa < end && pa + size > info->kernel_phys)
        writable_text += size;
}

static void test_tables(const struct bootinfo *info) {
    extern const char kernel_text_start[], kernel_text_end[];
    pt_walk(DIRECT_MAP_BASE, 0 - DIRECT_MAP_BASE - 1, count_mapping, (void *)info);
    check(executable == (uint64_t)(kernel_text_end - kernel_text_start),
          "only the kernel's text is executable");
    check(!writable_executable, "nothing is writable and executable");
    check(!writable_text, "the kernel image has no writable second mapping");
    check(!mapped(0) && !mapped(0x1000) && !mapped(info->kernel_phys),
          "no identity map, no null page");

    uint64_t frame = frame_alloc(FRAME_ZERO);
    check(pt_map(MMIO_BASE + MMIO_SIZE - 4096, frame, 4096, PT_W | PT_X) == ST_DENIED,
          "writable and executable is refused");
    check(pt_map(MMIO_BASE + MMIO_SIZE - 4096, frame, 4096, PT_X) == ST_DENIED,
          "executable outside text and arena is refused");
    check(pt_map(SLOTS_BASE, frame, 4096, PT_X) == ST_DENIED, "executable in a slot is refused");
    check(pt_map(0, frame, 4096, PT_W) == ST_DENIED, "the null page is refused");
    check(pt_map(0x800000000000, frame, 4096, PT_W) == ST_DENIED,
          "a non-canonical address is refused");
    check(pt_map((uint64_t)pt_direct(frame), frame, 4096, PT_W) == ST_EXISTS,
          "a mapped page is refused");
    check(!pt_map_mmio(frame, 4096, PT_W | PT_UC), "RAM is no device memory");
    frame_free(frame, 1);
}

static void test_frames(void) {
    uint64_t before = frame_count_free();
    uint64_t a = frame_alloc(0), b = frame_alloc_2m(FRAME_ZERO), c = frame_alloc_run(3, 4, FRAME_LOW);
    check(a && b && c && b % FRAME_2M == 0 && c % (4 * FRAME_SIZE) == 0 && c < 1ull << 32,
          "frames, large and in runs");
    const uint64_t *p = pt_direct(b);
    uint64_t sum = 0;
    for (unsigned i = 0; i < FRAME_2M / 8; i++) sum |= p[i];
    check(!sum, "a cleared run is clear");
    check(!frame_alloc_run(1ull << 40, 1, 0), "more than there is");
    frame_free(a, 1), frame_free(b, 512), frame_free(c, 3);
    check(frame_count_free() == before, "all frames came back");
}

static void test_heap(void) {
    static uint8_t *p[600];
    uint64_t before = heap_stats().objects;
    bool good = true;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < ARRAY_LEN(p); i++) {
            size_t size = (i * 37 + round * 11) % (i % 50 ? 3000 : 70000);
            p[i] = kalloc(size);
            good &= p[i] != NULL;
            memset(p[i], (int)i, size);
        }
        for (unsigned i = 0; i < ARRAY_LEN(p); i += 2) kfree(p[i]), p[i] = NULL;
        for (unsigned i = 1; i < ARRAY_LEN(p); i += 2) {
            size_t size = (i * 37 + round * 11) % (i % 50 ? 3000 : 70000);
            for (size_t k = 0; k < size; k++) good &= p[i][k] == (uint8_t)i;
        }
        for (unsigned i = 0; i < ARRAY_LEN(p); i++) kfree(p[i]), p[i] = NULL;
    }
    check(good, "objects keep their contents");
    check(heap_stats().objects == before, "all objects came back");
    check(!kalloc(1ull << 34) && !kalloc(1ull << 60), "a heap that is out says so");
}

static void test_slots(void) {
    uint64_t before = 0;
    bool good = true, clean = true;
    for (int round = 0; round < 3; round++) {
        int s = slot_alloc(), t = slot_alloc();
        good &= s != SLOT_NONE && t != SLOT_NONE && s != t && slot_of(slot_window(s)) == s &&
                slot_of(slot_window(t) - 1) == t;
        good &= slot_map_new(s, 0, 5 << 20, PT_W) == ST_OK &&
                slot_map_new(s, -4096, 4096, PT_W) == ST_OK;
        good &= slot_map_new(s, -(int64_t)SFI_TABLE_ENTRIES(0), 8192, PT_W) == ST_OK;
        good &= slot_map_new(s, (int64_t)SFI_WINDOW_SIZE - 4096, 4096, PT_W) == ST_OK;
        good &= slot_map_new(s, (int64_t)SFI_WINDOW_SIZE - 4096, 8192, PT_W) == ST_INVALID;
        good &= slot_map_new(s, -(int64_t)SFI_TABLE_ENTRIES(0) - 4096, 4096, PT_W) == ST_INVALID;
        good &= slot_map_new(s, -4096, 8192, PT_W) == ST_INVALID;
        good &= slot_map_new(s, 8 << 20, 4096, PT_X) == ST_DENIED;
        good &= slot_frames(s) == (5 << 20) / 4096 + 4;
        slot_check(s);
        const uint64_t *p = (const uint64_t *)slot_window(s);
        for (unsigned i = 0; i < (5 << 20) / 8; i += 64) clean &= !p[i];
        memset((void *)slot_window(s), 0xaa, 5 << 20);
        slot_unmap(s, 4 << 20, 4096);
        good &= !mapped(slot_window(s) + (4 << 20)) && mapped(slot_window(s) + (4 << 20) + 4096);
        slot_free(s), slot_free(t);
        good &= !mapped(slot_window(s)) && !mapped(slot_window(s) - 4096);
        if (!round)
            before = frame_count_free(); // the page directory pointer tables of the area stay
    }
    check(good, "slots are mapped and checked");
    check(clean, "slot memory comes cleared");
    check(frame_count_free() == before, "all frames and tables came back");
}

// ---- Traps -----------------------------------------------------------------------------------------------------------

static struct {
    uint64_t resume_rip, resume_rsp; // where the hook sends a claimed trap
    uint64_t vector, address, rip, count;
} seen;

static bool hook(struct trap_frame *f, uint64_t address) {
    seen.vector = f->vector, seen.address = address, seen.rip = f->rip, seen.count++;
    if (!seen.resume_rip) return false;
    f->rip = seen.resume_rip;
    f->rsp = seen.resume_rsp;
    return true;
}

// Calls `code` on `stack` (0: this one) and comes back when it returns or when the hook unwinds to here.
static void call_unwindable(const void *code, uint64_t arg, uint64_t stack) {
    __asm__ volatile(
        "leaq 1f(%%rip), %%rax\n"
        "movq %%rax, %[rip]\n"
        "pushq %%rbp; pushq %%rbx; pushq %%r12; pushq %%r13; pushq %%r14; pushq %%r15\n"
        "movq %%rsp, %[rsp]\n"
        "testq %%rdx, %%rdx\n"
        "cmovneq %%rdx, %%rsp\n"
        "callq *%%rsi\n"
        "1: movq %[rsp], %%rsp\n"
        "popq %%r15; popq %%r14; popq %%r13; popq %%r12; popq %%rbx; popq %%rbp\n"
        : [rip] "=m"(seen.resume_rip), [rsp] "=m"(seen.resume_rsp), "+S"(code), "+D"(arg), "+d"(stack)
        :
        : "rax", "rcx", "r8", "r9", "r10", "r11", "cc", "memory");
    seen.resume_rip = 0;
}

static void test_traps(void) {
    static const uint8_t code[] = {
        0x0f, 0x0b,                               //  0: ud2
        0x31, 0xc9, 0x31, 0xc0, 0x99, 0xf7, 0xf9, // 2: xor ecx,ecx; xor eax,eax; cdq; idiv ecx
        0x8b, 0x07, 0xc3,                         //  9: mov eax,[rdi]; ret
        0x48, 0x81, 0xec, 0,    0,    8,    0,    // 12: sub rsp,512K
        0x48, 0x89, 0x04, 0x24, 0xeb, 0xf3,       // 19: mov [rsp],rax; jmp 12
        0x48, 0xb8, 0,    0,    0,    0,    0,
        0,    0,    0x80, 0x8b, 0x00, // 25: movabs rax,8000…; mov eax,[rax]
    };
    struct arena_code a;
    check(arena_alloc(sizeof code, &a) == ST_OK && a.rw[0] == 0xcc && a.rw[4095] == 0xcc,
          "arena memory comes filled with CC");
    memcpy(a.rw, code, sizeof code);
    uint64_t alias = (uint64_t)a.rw;
    check(!mapped(arena_address(&a)), "not executable while it is written");
    check(arena_seal(&a) == ST_OK && !mapped(alias), "the alias is gone when it is sealed");
    const uint8_t *rx = (const uint8_t *)arena_address(&a);
    trap_set_sandbox_hook(hook);

    int slot = slot_alloc();
    check(slot_map_new(slot, 0, 4096, PT_W) == ST_OK, "a slot");
    *(volatile uint32_t *)slot_window(slot) = 7;
    call_unwindable(rx + 9, slot_window(slot), 0);
    check(!seen.count, "sealed code runs");
    call_unwindable(rx, 0, 0);
    check(seen.count == 1 && seen.vector == TRAP_UD && seen.rip == (uint64_t)rx, "ud2 is claimed");
    call_unwindable(rx + 2, 0, 0);
    check(seen.count == 2 && seen.vector == TRAP_DE && seen.rip == (uint64_t)rx + 7,
          "divide error is claimed");
    call_unwindable(rx + 9, slot_window(slot) + 4096, 0);
    check(seen.count == 3 && seen.vector == TRAP_PF && seen.address == slot_window(slot) + 4096,
          "a fault in the slot is claimed");
    call_unwindable(rx + 25, 0, 0);
    check(seen.count == 4 && seen.vector == TRAP_GP && !seen.address,
          "a non-canonical address is claimed");
    uint64_t stack = stack_alloc(1 << 20);
    for (int i = 0; i < 3; i++) {
        call_unwindable(rx + 12, 0, stack);
        check(seen.vector == TRAP_PF && trap_in_stack_guard(seen.address) &&
                  !trap_in_slots(seen.address),
              "a stack overflow is claimed");
    }
    stack_free(stack);
    slot_free(slot);
    arena_free(&a);
    check(!mapped((uint64_t)rx), "a freed piece is unmapped");
    struct arena_code b;
    check(arena_alloc(64, &b) == ST_OK && b.rw[0] == 0xcc && b.rw[1] == 0xcc,
          "its memory is CC again");
    arena_free(&b);
    check(arena_alloc(1 << 30, &b) == ST_NO_SPACE && arena_alloc(0, &b) == ST_INVALID,
          "arena limits");
    trap_set_sandbox_hook(NULL);
}

static void test_forged(void) {
    // What a device can do: raise vectors that are exceptions', with and without an error code, and ones nobody owns.
    uint64_t unexpected = irq_unexpected();
    static const uint8_t vectors[] = {17, 18, 21, 19, 31, 30, 0x21, 0x90};
    for (unsigned i = 0; i < ARRAY_LEN(vectors); i++) apic_self_ipi(vectors[i]);
    check(trap_forged_count() == 6, "forged exceptions are counted");
    check(irq_unexpected() == unexpected + 2, "unexpected vectors are counted");
    for (int v = 0; v < 256; v++)
        if (apic_in_service((uint8_t)v)) bad++, kprintf("BAD vector %d stays in service\n", v);
}

// ---- Threads ---------------------------------------------------------------------------------------------------------

static struct event ping, pong, finished;
static volatile uint64_t counter;

static void ponger(void *arg) {
    for (uint64_t i = 0; i < (uint64_t)arg; i++) {
        thr_wait(&ping, THR_FOREVER);
        thr_wake(&pong, 1);
    }
    thr_wake(&finished, 1);
}

// Keeps a pattern in vector registers and counts, for ever switched away from by force.
static void spinner(void *arg) {
    uint64_t pattern = (uint64_t)arg, end = time_now_ns() + 60 * TIME_MS, loops = 0, low, high;
    bool good = true;
    __asm__ volatile("vmovq %0, %%xmm3; vpunpcklqdq %%xmm3, %%xmm3, %%xmm3; vmovdqa %%xmm3, %%xmm15"
                     :
                     : "r"(pattern));
    while (time_now_ns() < end) {
        __asm__ volatile("vmovq %%xmm15, %0; vpextrq $1, %%xmm3, %1" : "=r"(low), "=r"(high));
        good &= low == pattern && high == pattern;
        loops++;
    }
    check(good && loops > 100, "vector registers survive preemption");
    thr_wake(&finished, 1u << (pattern & 15));
}

static void endless(void *arg) {
    for (;;) (*(volatile uint64_t *)arg)++;
}

static struct mutex mutex;
static uint64_t guarded;

static void adder(void *arg) {
    for (int i = 0; i < 200; i++) {
        thr_lock(&mutex);
        uint64_t v = guarded;
        if (i % 16 == 0) thr_yield();
        for (volatile int k = 0; k < 50; k++) {
        }
        guarded = v + 1;
        thr_unlock(&mutex);
    }
    thr_wake(&finished, (uint32_t)(uint64_t)arg);
}

static void dirty(void *arg) {
    (void)arg;
    __asm__ volatile("vpcmpeqd %xmm7, %xmm7, %xmm7");
    thr_wake(&finished, 1);
    for (;;) thr_yield();
}

static void wait_all(uint32_t bits) {
    for (uint32_t got = 0; (got & bits) != bits;) got |= thr_wait(&finished, THR_FOREVER);
}

static bool tick_redirects;
static uint64_t tick_from, tick_to;

static void tick_hook(struct trap_frame *f) {
    if (tick_redirects && f->rip == tick_from) f->rip = tick_to, tick_redirects = false;
}

// Interrupts and faults have stacks of their own: below a thread's rsp, where its next frame would find it, nothing is written.
static uint64_t quiet_rsp, quiet_ticks;

static void quiet_hook(struct trap_frame *f) { quiet_ticks += f->rsp == quiet_rsp; }

static void quiet(void *arg) {
    uint8_t changed = 0;
    (void)arg;
    trap_set_tick_hook(quiet_hook);
    for (int i = 0; i < 1000 && quiet_ticks < 8 && !changed; i++) {
        uint64_t count = 512, to = 0;
        __asm__ volatile("lea -4096(%%rsp), %%rdi\n rep stosq\n mov %%rsp, %2\n"
                         "mov $1000000, %%ecx\n 1: dec %%ecx\n jnz 1b\n movq $0, %2\n"
                         "lea -4096(%%rsp), %%rdi\n mov $512, %%ecx\n repe scasq\n setne %3"
                         : "+c"(count), "+D"(to), "=m"(quiet_rsp), "=&r"(changed)
                         : "a"(0x5ec2e75ec2e75ec2)
                         : "memory", "cc");
    }
    trap_set_tick_hook(NULL);
    check(quiet_ticks >= 8 && !changed, "interrupts leave nothing below rsp");
    thr_wake(&finished, 1);
}

static void test_gates(void) {
    struct __attribute__((packed)) {
        uint16_t limit;
        uint8_t (*gate)[16];
    } idt;
    unsigned own = 0;
    __asm__ volatile("sidt %0" : "=m"(idt));
    for (unsigned v = 0; v < 256 && (v + 1) * 16u <= idt.limit + 1u; v++)
        own += (idt.gate[v][4] & 7) != 0;
    check(own == 256, "every vector has a stack of its own");
}

static void test_threads(void) {
    test_gates();
    thr_create("quiet", THR_APPLICATION, 0, quiet, NULL);
    wait_all(1);
    thr_create("ponger", THR_DRIVER, 0, ponger, (void *)1000);
    uint64_t start = time_now_ns();
    for (int i = 0; i < 1000; i++) {
        thr_wake(&ping, 1);
        thr_wait(&pong, THR_FOREVER);
    }
    wait_all(1);
    check(true, "1000 round trips");
    kprintf("round-trip-ns %llu\n", (unsigned long long)(time_now_ns() - start) / 1000);

    thr_create("spin1", THR_APPLICATION, 0, spinner, (void *)0x1111111111111111);
    thr_create("spin2", THR_APPLICATION, 0, spinner, (void *)0x2222222222222222);
    thr_create("spin3", THR_DRIVER, 0, spinner, (void *)0x3333333333333333);
    wait_all(1u << 1 | 1u << 2 | 1u << 3);

    start = time_now_ns();
    check(thr_wait(&pong, start + 5 * TIME_MS) == 0 && time_now_ns() - start >= 5 * TIME_MS,
          "a wait ends at its deadline");
    thr_sleep_until(start + 8 * TIME_MS);
    check(time_now_ns() - start >= 8 * TIME_MS, "a sleep lasts");
    thr_wake(&pong, 6);
    check(thr_wait(&pong, THR_FOREVER) == 6 && thr_wait(&pong, 0) == 0,
          "a wake-up before the wait is not lost, nor seen twice");

    thr_create("add1", THR_APPLICATION, 0, adder, (void *)1);
    thr_create("add2", THR_DRIVER, 0, adder, (void *)2);
    thr_create("add3", THR_APPLICATION, 0, adder, (void *)4);
    wait_all(7);
    check(guarded == 600, "a mutex excludes");

    // A thread that waits gets neither its own old vector registers nor another thread's.
    thr_create("dirty", THR_APPLICATION, 0, dirty, NULL);
    wait_all(1);
    thr_yield();
    uint64_t low;
    __asm__ volatile("vmovq %%xmm7, %0" : "=r"(low));
    check(!low, "vector registers come back cleared");

    trap_set_tick_hook(tick_hook);
    __asm__ volatile("leaq 1f(%%rip), %%rax; movq %%rax, %0; leaq 2f(%%rip), %%rax; movq %%rax, "
                     "%1; movb $1, %2\n"
                     "1: jmp 1b\n2:"
                     : "=m"(tick_from), "=m"(tick_to), "=m"(tick_redirects)
                     :
                     : "rax", "memory");
    check(!tick_redirects, "the tick redirects a runaway");
    trap_set_tick_hook(NULL);

    struct thread *t = thr_create("endless", THR_APPLICATION, 0, endless, (void *)&counter);
    uint64_t at = counter;
    thr_sleep_until(time_now_ns() + 30 * TIME_MS);
    check(counter > at, "an endless loop lets others run");
    kprintf("endless-cpu-ms %llu\n", (unsigned long long)thr_cpu_ns(t) / 1000000);
}

static void interrupted(void *arg) {
    uint32_t got = thr_wait(arg, THR_FOREVER);
    thr_wake(&finished, got & THR_INTERRUPTED ? 1 : 2);
}

// Frames that nobody uses, the heap's own left out, once it holds `objects` again: the dead are buried when their CPUs have left them.
static uint64_t free_when_settled(uint64_t objects) {
    uint64_t end = time_now_ns() + 5000 * TIME_MS;
    for (; heap_stats().objects > objects && time_now_ns() < end; thr_bury())
        thr_sleep_until(time_now_ns() + TIME_MS);
    return frame_count_free() + heap_stats().bytes_mapped / FRAME_SIZE;
}

static void test_interrupt(uint64_t objects) {
    static struct event never;
    uint64_t before = 0;
    struct thread *t = thr_create("interrupted", THR_DRIVER, 0, interrupted, &never);
    thr_interrupt(t);
    check(thr_wait(&finished, THR_FOREVER) == 1 && !never.waiters, "a wait is interrupted");
    for (int i = 0; i < 40; i++) {
        t = thr_create("short", THR_DRIVER, 0, interrupted, &never);
        thr_interrupt(t);
        thr_wait(&finished, THR_FOREVER);
        uint64_t now = free_when_settled(objects);
        if (i == 5) before = now; // by now the page tables of the stacks are there
    }
    check(free_when_settled(objects) == before && heap_stats().objects == objects,
          "dead threads leave nothing behind");
}

// ---- Panics ----------------------------------------------------------------------------------------------------------

static __attribute__((noinline)) void deep_assert(int n) {
    if (n)
        deep_assert(n - 1);
    else
        KASSERT(frame_total() == 0);
    __asm__ volatile("");
}

static __attribute__((noinline)) void deep_read(const volatile uint32_t *p) {
    (void)*p;
    __asm__ volatile("");
}

static __attribute__((noinline)) uint64_t overflow(uint64_t n) {
    volatile uint8_t frame[512];
    frame[n % 512] = (uint8_t)n;
    return n ? overflow(n - 1) + frame[(n * 7) % 512] : 0;
}

static bool hook_faults(struct trap_frame *f, uint64_t address) {
    (void)f, (void)address;
    deep_read((const uint32_t *)8);
    return true;
}

static void handler_faults(void *arg) { deep_read(arg); }

static void test_thread(void *arg) {
    const struct bootinfo *info = arg;
    char name[32] = "";
    memcpy(name, pt_direct(info->config.base), MIN(info->config.size, sizeof name - 1));
    for (char *p = name; *p; p++)
        if (*p == '\n') *p = 0;
    kprintf("test %s\n", name);
    int slot = slot_alloc();
    if (str_eq(name, "core")) {
        test_tables(info);
        test_frames();
        test_heap();
        test_slots();
        test_traps();
        test_forged();
        uint64_t objects = heap_stats().objects;
        test_threads();
        test_interrupt(objects + 2); // two threads run for ever
        kprintf("done\n");
        power_off(!bad);
    }
    if (str_eq(name, "devices")) {
        bad = ktest_devices();
        kprintf("done\n");
        power_off(!bad);
    }
    if (str_eq(name, "attack")) {
        bad = ktest_attack(info->kernel_phys);
        kprintf("done\n");
        power_off(!bad);
    }
    if (str_eq(name, "cpus")) {
        bad = ktest_cpus();
        kprintf("done\n");
        power_off(!bad);
    }
    if (str_eq(name, "panic-one")) ktest_panic_one();
    if (str_eq(name, "panic-all")) ktest_panic_all();
    if (str_eq(name, "assert")) deep_assert(2);
    if (str_eq(name, "trace")) {
        trace_on = true;
        for (unsigned i = 0; i < TRACE_EVENTS + 100; i++) TRACE(GRANT, i & 7, i, 4096);
        deep_assert(2);
    }
    if (str_eq(name, "null")) deep_read((const uint32_t *)8);
    if (str_eq(name, "text")) *(volatile uint8_t *)deep_read = 0xc3;
    if (str_eq(name, "rodata")) *(volatile char *)(uint64_t) "constant" = 'K';
    if (str_eq(name, "execute")) ((void (*)(void))(uint64_t)name)();
    if (str_eq(name, "unclaimed"))
        trap_set_sandbox_hook(hook), deep_read((const uint32_t *)slot_window(slot));
    if (str_eq(name, "nested"))
        trap_set_sandbox_hook(hook_faults), deep_read((const uint32_t *)slot_window(slot));
    if (str_eq(name, "irq-fault")) {
        // Even a fault on sandbox memory is the kernel's own when an interrupt handler makes it.
        trap_set_sandbox_hook(hook_faults);
        apic_self_ipi((uint8_t)irq_alloc(handler_faults, (void *)slot_window(slot)));
    }
    if (str_eq(name, "overflow")) kprintf("%llu\n", (unsigned long long)overflow(1 << 20));
    if (str_eq(name, "double-free")) {
        uint64_t frame = frame_alloc(0);
        frame_free(frame, 1);
        frame_free(frame, 1);
    }
    if (str_eq(name, "bad-free")) kfree((void *)((uint64_t)kalloc(64) + 8));
    if (str_eq(name, "guard")) {
        pt_map_new(slot_window(slot) + SFI_WINDOW_SIZE, 4096, PT_W);
        slot_check(slot);
    }
    if (str_eq(name, "refuse")) panic_refuse("a %s", "sentence");
    if (str_eq(name, "reboot")) power_reboot();
    if (str_eq(name, "off")) power_off(true);
    kprintf("BAD nothing happened\n");
    power_off(false);
}

void run_start(const struct bootinfo *info) {
    if (!thr_create("test", THR_APPLICATION, 0, test_thread, (void *)info)) panic("no memory");
}
