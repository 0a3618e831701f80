// spec.c — the specification's tests inside the booted kernel: linked in the place of sasos/run, so that run_start() is this program.
//
// What stands in the place of the module pack is a stream of commands (sfi-jit/host/spec.h). Its modules run in this kernel's slots,
// arena and page tables, with its trap handlers and its tick: sasos/run/plat.c and fault.c are the kernel's own. One thread runs all;
// to those handlers it is the home thread of one domain, in whose name every instance lives. A failed check is a
// line "BAD …"; the last line is "N passed, N failed", and the machine's exit status says whether all passed.
// tests/boot/test_spec_guest.py makes the streams.
#include "sfi-jit/host/spec.h"
#include "efi/bootinfo.h"
#include "sasos/arch/power.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/lib/printf.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/pt.h"
#include "sasos/mem/slot.h"
#include "sasos/run/chaos.h"
#include "sasos/run/domain.h"
#include "sasos/run/fault.h"
#include "sasos/run/run.h"

#define THREAD_STACK (1u << 20) // the compiler runs on it
#define C_RESERVE (64u << 10)   // of it, for what a module calls in C
#define MODULE_STACK (1u << 20)

static struct dom dom;

// ---- In the place of what belongs to domains ----
struct dom *dom_of_function(const struct pci_fn *fn) {
    (void)fn; // nobody holds a device here
    return NULL;
}
uint64_t chaos_next = UINT64_MAX;
void chaos_tick(void) {}
void dom_died(struct dom *d) { (void)d; } // a trap ends a call here, not an instance
void dom_kill(struct dom *d, enum dom_end end) {
    (void)d, (void)end;
    panic("a store without budgets and devices is killed");
}

// The same frames once more, page by page, since the owner may have them in large entries. They stay the owner's: an importer
// has none to give back. An importer never outlives the owner's pages: both go with the store, in which nothing runs any more.
enum ldr_status ldr_plat_share(uint64_t window, int64_t offset, uint64_t from_window,
                               int64_t from_offset, uint64_t size) {
    int slot = slot_of(window);
    for (uint64_t done = 0; done < size; done += FRAME_SIZE) {
        uint64_t pa;
        unsigned flags;
        bool there = pt_lookup(from_window + (uint64_t)from_offset + done, &pa, &flags);
        KASSERT(there && flags & PT_OWNED);
        enum status s = slot_map(slot, offset + (int64_t)done, ALIGN_DOWN(pa, FRAME_SIZE),
                                 FRAME_SIZE, PT_W | PT_4K);
        if (s == ST_OK) continue;
        KASSERT(s == ST_NO_MEMORY);
        if (done) slot_unmap(slot, offset, done);
        return LDR_NO_MEMORY;
    }
    return LDR_OK;
}

// ---- The run ----
static void to_console(void *arg, const char *text, size_t size) {
    (void)arg;
    kprintf("%.*s", (int)size, text);
}
static void report(void *ctx, const struct spec_check *check, const char *format, va_list args) {
    (void)ctx;
    if (!format) return;
    kprintf("BAD %.*s:%u: %s: ", (int)check->path_length, check->path, check->line, check->kind);
    kvformat(to_console, NULL, format, args);
    kprintf("\n");
}

static void silence(void *ctx, const struct spec_check *check, const char *format, va_list args) {
    (void)ctx, (void)check, (void)format, (void)args;
}

static void spec_thread(void *arg) {
    const struct bootinfo *info = arg;
    const char *error;
    struct thread *self = thr_current();
    struct spec spec = {.user = &dom, .report = report};
    spec.thread = dom.thread = ldr_thread_new(MODULE_STACK);
    if (!spec.thread) panic("no memory");
    thr_set_data(self, &dom, 0);
    ldr_thread_set_c_limit(spec.thread, thr_stack_bottom(self) + C_RESERVE);
    // Twice: what stays for ever, the ids of signatures, is there after the first time. Failures are told once.
    bool good = spec_run(&spec, pt_direct(info->modules.base), info->modules.size, &error);
    if (!good) kprintf("BAD %s\n", error);
    kprintf("%u passed, %u failed\n", spec.passed, spec.failed);
    struct spec again = {.user = &dom, .thread = spec.thread, .report = silence};
    uint64_t objects = heap_stats().objects, frames = frame_count_free();
    good &= spec_run(&again, pt_direct(info->modules.base), info->modules.size, &error);
    if (again.passed != spec.passed) kprintf("BAD %u passed the second time\n", again.passed);
    // A table of pages for each 512 GiB of the slot area stays too, and slots are taken in turn.
    int64_t more_objects = (int64_t)(heap_stats().objects - objects);
    int64_t more_frames = (int64_t)(frames - frame_count_free());
    bool clean = !more_objects && more_frames <= (int64_t)(SLOTS_MAX * SFI_SLOT_SIZE >> 39);
    kprintf("%sleft behind: %lld objects, %lld frames\n", clean ? "" : "BAD ",
            (long long)more_objects, (long long)more_frames);
    power_off(good && clean && spec.passed == again.passed && spec.passed && !spec.failed);
}

void run_start(const struct bootinfo *info) {
    fault_init();
    if (!thr_create("spec", THR_APPLICATION, THREAD_STACK, spec_thread, (void *)info))
        panic("no memory");
}
