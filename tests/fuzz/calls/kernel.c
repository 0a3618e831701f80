// kernel.c — see calls.h: the kernel's sources, and beneath them what they call.
#include "tests/fuzz/calls/calls.h"
#include "tests/fuzz/fuzz.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SASOS_ARCH_IO_H // there are no ports
#include "sasos/arch/time.h"
#include "sasos/dev/acpi.h"
#include "sasos/dev/dev.h"
#include "sasos/dev/ioapic.h"
#include "sasos/dev/space.h"
#include "sasos/dev/virtio.h"
#include "sasos/lib/console.h"
#include "sasos/lib/fb.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/pt.h"
#include "sasos/mem/slot.h"
#include "sasos/run/hostcall.h"
#include "sasos/run/random.h"
#include "sasos/run/run.h"

#define PAGES 4096u // of memory; behind them the device's
#define MEMORY_PA 0x1000000ull
#define DEVICE_PA 0xe0000000ull
#define DEVICE_PAGES 64u
#define ALIAS_EACH (8ull << 30)
#define MAPPINGS 256u
#define ENTRIES 3u // of the MSI-X table

struct dom calls_dom[CALLS_DOMAINS];
struct config_module calls_config[CALLS_DOMAINS];
unsigned calls_fail_at;

static uint8_t *memory; // all of it
static int memory_fd;
static bool taken[PAGES];
static uint8_t *aliases;
static uint64_t clock_ns;
static struct mapping {
    unsigned slot;
    uint64_t at, pa, size;
    unsigned flags;
} mapping[MAPPINGS];
static unsigned mappings, lines, vectors, tables;
static struct iommu_domain {
    unsigned live, attached, maps;
    struct mapping map[MAPPINGS];
} fence;
static struct pci_fn *function;
static uint8_t config_before[PCI_CONFIG_SIZE];

static void wrong(const char *oracle, const char *what, uint64_t a, uint64_t b) {
    fuzz_violation(oracle, NULL, 0, NULL, "%s (%llx, %llx)", what, (unsigned long long)a,
                   (unsigned long long)b);
}
static bool refused(void) { return calls_fail_at && --calls_fail_at == 0; }

// ---- O7: module memory under another name ----
static struct {
    const uint8_t *at;
    size_t size;
} seen[16];
static unsigned seens;
void calls_begin(void) { seens = 0; }

static void *alias_at(struct ldr_instance *inst, uint32_t at, uint64_t size) {
    const uint8_t *real = ldr_memory_at(inst, at, size);
    struct dom *d = ldr_user(inst);
    if (!real) return NULL;
    bool inside = at + size <= (uint64_t)ldr_memory_pages(inst) << 16;
    uint64_t have = at; // up to which its mappings reach without a gap
    for (bool more = true; more;) {
        more = false;
        for (unsigned i = 0; i < mappings; i++) {
            const struct mapping *m = &mapping[i];
            if (m->slot != (unsigned)(d - calls_dom) || m->at > have || m->at + m->size <= have ||
                m->flags & PT_UC)
                continue;
            have = m->at + m->size;
            more = true;
        }
    }
    if (!inside && have < at + size) wrong("O7", "memory that is not there", at, size);
    if ((uint64_t)real != ldr_window(inst) + at) wrong("O7", "another's memory", at, size);
    return aliases + (uint64_t)(d - calls_dom) * ALIAS_EACH + at;
}
static bool is_alias(const void *p) {
    return (uintptr_t)p - (uintptr_t)aliases < CALLS_DOMAINS * ALIAS_EACH;
}
static void *real_of(const void *p) {
    uint64_t away = (uint64_t)((const uint8_t *)p - aliases);
    if (!is_alias(p)) return (void *)(uintptr_t)p;
    return (void *)(ldr_window(calls_dom[away / ALIAS_EACH].inst) + away % ALIAS_EACH);
}
static const void *read_once(const void *p, size_t n) {
    const uint8_t *at = p;
    if (!is_alias(p) || !n) return real_of(p);
    for (unsigned i = 0; i < seens; i++)
        if (at < seen[i].at + seen[i].size && seen[i].at < at + n)
            wrong("O7", "memory of a module is read twice", (uint64_t)(at - aliases), n);
    if (seens < sizeof seen / sizeof *seen) seen[seens].at = at, seen[seens++].size = n;
    return real_of(p);
}
static void *alias_move(void *to, const void *from, size_t n) {
    memmove(real_of(to), read_once(from, n), n);
    return to;
}
static int alias_compare(const void *a, const void *b, size_t n) {
    return memcmp(read_once(a, n), read_once(b, n), n);
}

// ---- Ports: whether the configuration grants them, computed once more ----
static uint32_t port(uint32_t first, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        bool granted = false;
        for (unsigned d = 0; d < CALLS_DOMAINS; d++)
            for (uint32_t k = 0; k < calls_config[d].ports; k++)
                granted |= first + i >= calls_config[d].port[k].first &&
                           first + i <= calls_config[d].port[k].last;
        if (!granted) wrong("O8", "a port that nobody has", first, bytes);
    }
    return 0x5a5a5a5a;
}
static uint8_t io_in8(uint16_t p) { return (uint8_t)port(p, 1); }
static uint16_t io_in16(uint16_t p) { return (uint16_t)port(p, 2); }
static uint32_t io_in32(uint16_t p) { return port(p, 4); }
static void io_out8(uint16_t p, uint8_t v) { (void)v, port(p, 1); }
static void io_out16(uint16_t p, uint16_t v) { (void)v, port(p, 2); }
static void io_out32(uint16_t p, uint32_t v) { (void)v, port(p, 4); }
static uint8_t mmio_read8(const volatile void *p) { return *(const volatile uint8_t *)p; }
static uint16_t mmio_read16(const volatile void *p) { return *(const volatile uint16_t *)p; }
static uint32_t mmio_read32(const volatile void *p) { return *(const volatile uint32_t *)p; }
static void mmio_write8(volatile void *p, uint8_t v) { *(volatile uint8_t *)p = v; }
static void mmio_write16(volatile void *p, uint16_t v) { *(volatile uint16_t *)p = v; }
static void mmio_write32(volatile void *p, uint32_t v) { *(volatile uint32_t *)p = v; }
static uint64_t only_lock(struct spinlock *l) {
    if (l->held++) wrong("O8", "a lock taken twice", 0, 0);
    return 0;
}
static void only_unlock(struct spinlock *l, uint64_t flags) { (void)flags, l->held--; }

// ---- The kernel's own sources ----
#define ldr_memory_at alias_at
#define memcpy alias_move
#define memmove alias_move
#define memcmp alias_compare
#define spin_lock only_lock // one thread, and no interrupts
#define spin_unlock only_unlock
#define silence pci_silence // both files have a static function of that name
#include "sasos/dev/pci.c"
#undef silence
#include "sasos/dev/pci_caps.c"
#include "sasos/run/call_device.c"
#include "sasos/run/call_peer.c"
#include "sasos/run/call_system.c"
#include "sasos/run/channel.c"
#include "sasos/run/device.c"
#include "sasos/run/hostcall.c"
#include "sasos/run/info.c"
#include "sasos/run/screen.c"
#undef ldr_memory_at
#undef memcpy
#undef memmove
#undef memcmp

// ---- Texts, clock, log ----
size_t str_len(const char *s) { return strlen(s); }
bool str_eq(const char *a, const char *b) { return !strcmp(a, b); }
void str_copy(char *dst, size_t size, const char *src) { snprintf(dst, size, "%s", src); }
uint64_t time_now_ns(void) { return clock_ns += 1000; }
uint64_t time_unix_ns(void) { return 1u << 30; }
void time_delay_ns(uint64_t ns) { clock_ns += ns; }
void klog(enum log_level level, const char *area, const char *fmt, ...) {
    static char line[1024];
    va_list ap;
    (void)level, (void)area;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    for (const char *p = line; *p; p++)
        if ((uint8_t)*p < 32) wrong("O7", "a control character in the log", (uint8_t)*p, 0);
}
void con_write(const char *s, size_t n) {
    static volatile char sink;
    for (size_t i = 0; i < n; i++) sink = s[i]; // all of it is there, says ASan
    (void)sink;
}
uint64_t log_read(uint64_t from, char *to, size_t size) {
    size_t n = from < 5000 ? MIN(size - 1, 5000 - from) : 0;
    memset(to, 'l', n);
    to[n] = 0;
    return from < 5000 ? from + n : 5000;
}
void log_range(uint64_t *out_first, uint64_t *out_next) { *out_first = 0, *out_next = 5000; }
void random_bytes(uint8_t *out, size_t n) { memset(real_of(out), 0xa5, n); }
void random_add(const uint8_t *bytes, size_t n) { con_write(read_once(bytes, n), n); }
_Noreturn void panic_at(const char *file, int line, const char *fmt, ...) {
    fprintf(stderr, "panic at %s:%d: %s\n", file, line, fmt);
    abort();
}

// ---- Frames and mappings ----
static uint64_t frames_taken(void) {
    uint64_t n = 0;
    for (unsigned i = 0; i < PAGES; i++) n += taken[i];
    return n;
}
uint64_t frame_alloc_run(uint64_t frames, uint64_t align, unsigned flags) {
    (void)align;
    if (!(flags & FRAME_ZERO)) wrong("O8", "frames for a module as they are", frames, 0);
    if (refused()) return 0;
    for (unsigned i = 0, n = 0; i < PAGES; i++) {
        n = taken[i] ? 0 : n + 1;
        if (n < frames) continue;
        unsigned first = i + 1 - (unsigned)frames;
        memset(taken + first, 1, frames);
        memset(memory + first * FRAME_SIZE, 0, frames * FRAME_SIZE);
        return MEMORY_PA + first * FRAME_SIZE;
    }
    return 0;
}
void frame_free(uint64_t pa, uint64_t frames) {
    for (uint64_t i = (pa - MEMORY_PA) / FRAME_SIZE; frames--; i++) {
        if (i >= PAGES || !taken[i]) {
            wrong("O8", "a frame freed that is free", pa, frames);
            return;
        }
        for (unsigned m = 0; m < mappings; m++)
            if (mapping[m].pa <= MEMORY_PA + i * FRAME_SIZE &&
                MEMORY_PA + i * FRAME_SIZE < mapping[m].pa + mapping[m].size)
                wrong("O8", "a frame freed that is mapped", pa, mapping[m].at);
        taken[i] = false;
    }
}
uint64_t frame_total(void) { return PAGES; }
uint64_t frame_count_free(void) { return PAGES - frames_taken(); }
struct heap_stats heap_stats(void) {
    return (struct heap_stats){1, 2, 3};
}

int slot_of(uint64_t address) {
    for (int i = 0; i < CALLS_DOMAINS; i++)
        if (ldr_window(calls_dom[i].inst) == address) return i;
    return SLOT_NONE;
}
static bool grantable(uint64_t pa, uint64_t len, unsigned flags) {
    static const struct fb_screen *screen;
    screen = fb_screen();
    if (flags & PT_WC)
        return pa == (screen->base & ~4095ull) &&
               len <= ALIGN_UP((uint64_t)screen->pitch * screen->height + 4096, 4096);
    if (flags & PT_UC) // bars 0 and 2; the MSI-X table has pages of its own
        return (pa >= DEVICE_PA && pa + len <= DEVICE_PA + 0x4000) ||
               (pa >= DEVICE_PA + 0x6000 && pa + len <= DEVICE_PA + 0x8000);
    for (uint64_t p = pa; p < pa + len; p += FRAME_SIZE)
        if (p < MEMORY_PA || (p - MEMORY_PA) / FRAME_SIZE >= PAGES ||
            !taken[(p - MEMORY_PA) / FRAME_SIZE])
            return false;
    return true;
}
enum status slot_map(int slot, int64_t offset, uint64_t pa, uint64_t len, unsigned flags) {
    uint64_t area = flags & (PT_UC | PT_WC) ? SFI_DEVICE_BASE : SFI_DMA_BASE;
    if (refused() || mappings == MAPPINGS) return ST_NO_MEMORY;
    if (slot < 0 || (uint64_t)offset < area || (uint64_t)offset + len > area + (1u << 30) || !len ||
        (offset | (int64_t)pa | (int64_t)len) & 4095)
        wrong("O8", "mapped where nothing may be", (uint64_t)offset, len);
    if (!grantable(pa, len, flags)) wrong("O8", "mapped what is not granted", pa, len);
    for (unsigned i = 0; i < mappings; i++)
        if (mapping[i].slot == (unsigned)slot && (uint64_t)offset < mapping[i].at + mapping[i].size &&
            mapping[i].at < (uint64_t)offset + len)
            wrong("O8", "mapped over another", (uint64_t)offset, len);
    uint64_t in_file = pa >= DEVICE_PA ? pa - DEVICE_PA + PAGES * FRAME_SIZE : pa - MEMORY_PA;
    void *at = (void *)(ldr_window(calls_dom[slot].inst) + (uint64_t)offset);
    if (mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory_fd, (off_t)in_file) != at)
        abort();
    mapping[mappings++] = (struct mapping){(unsigned)slot, (uint64_t)offset, pa, len, flags};
    return ST_OK;
}
void slot_unmap(int slot, int64_t offset, uint64_t len) {
    for (unsigned i = mappings; i--;) {
        struct mapping m = mapping[i];
        if (m.slot != (unsigned)slot || m.at < (uint64_t)offset || m.at >= (uint64_t)offset + len)
            continue;
        for (unsigned k = 0; k < fence.maps; k++)
            if (slot == CALLS_A && fence.map[k].at == m.at)
                wrong("O8", "unmapped while the device has it", m.at, m.size);
        mapping[i] = mapping[--mappings];
        if (m.flags & PT_OWNED) frame_free(m.pa, m.size / FRAME_SIZE);
    }
    mmap((void *)(ldr_window(calls_dom[slot].inst) + (uint64_t)offset), len, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

// ---- Devices ----
bool iommu_present(void) { return true; }
const char *iommu_kind(void) { return "none"; }
void iommu_poll_faults(void) {}
struct iommu_counters iommu_counters(void) {
    return (struct iommu_counters){0};
}
enum status iommu_domain_create(struct iommu_domain **out) {
    if (refused()) return ST_NO_MEMORY;
    if (fence.live++) wrong("O8", "two fences", 0, 0);
    *out = &fence;
    return ST_OK;
}
void iommu_domain_destroy(struct iommu_domain *d) {
    if (d->attached) wrong("O8", "a fence goes with its device in it", 0, 0);
    d->live--;
    d->maps = 0;
}
enum status iommu_attach(struct iommu_domain *d, const struct pci_fn *fn) {
    (void)fn;
    if (refused()) return ST_NO_MEMORY;
    d->attached++;
    return ST_OK;
}
void iommu_detach(struct iommu_domain *d, const struct pci_fn *fn) {
    if (fn->cfg[PCI_COMMAND] & PCI_COMMAND_BUS_MASTER_ENABLE)
        wrong("O8", "a device without fence that masters the bus", 0, 0);
    d->attached--;
}
enum status iommu_map(struct iommu_domain *d, uint64_t iova, uint64_t phys, uint64_t len,
                      unsigned rights) {
    if (refused() || d->maps == MAPPINGS) return ST_NO_MEMORY;
    d->map[d->maps++] = (struct mapping){CALLS_A, iova, phys, len, rights};
    return ST_OK;
}
static struct msix { bool bound[ENTRIES]; } msix_table;
enum status msix_open(const struct pci_fn *fn, struct msix **out) {
    (void)fn;
    if (refused()) return ST_NO_MEMORY;
    tables++;
    *out = &msix_table;
    return ST_OK;
}
unsigned msix_count(const struct msix *m) { return m ? ENTRIES : 0; }
enum status msix_bind(struct msix *m, unsigned index, irq_handler_fn *handler, void *arg) {
    if (index >= ENTRIES || m->bound[index]) wrong("O8", "an entry that is not free", index, 0);
    if (refused()) return ST_NO_SPACE;
    m->bound[index] = true;
    vectors++;
    handler(arg);
    return ST_OK;
}
void msix_unmask(struct msix *m, unsigned index) {
    if (index >= ENTRIES || !m->bound[index]) wrong("O8", "unmasked without a handler", index, 0);
}
void msix_close(struct msix *m) {
    for (unsigned i = 0; i < ENTRIES; i++) vectors -= m->bound[i];
    memset(m, 0, sizeof *m);
    tables--;
}
static bool line_bound[IOAPIC_LINES];
enum status ioapic_bind(unsigned line, irq_handler_fn *handler, void *arg) {
    if (line >= IOAPIC_LINES || line_bound[line] || (line != 4 && line != 7))
        wrong("O8", "a line that is not granted", line, 0);
    if (refused()) return ST_NO_SPACE;
    line_bound[line] = true;
    lines++;
    handler(arg);
    return ST_OK;
}
void ioapic_unmask(unsigned line) {
    if (!line_bound[line]) wrong("O8", "a line unmasked without a handler", line, 0);
}
void ioapic_free(unsigned line) { lines -= line_bound[line], line_bound[line] = false; }
bool virtio_reset(const struct pci_fn *fn) { return (void)fn, true; }
bool virtio_page_harmless(const struct pci_fn *fn, unsigned bar, uint64_t offset) {
    return (void)fn, (void)bar, (void)offset, false;
}
// The function has a fence: no domain gets shadow rings.
enum status shadow_open(struct dom *d) { return (void)d, ST_UNSUPPORTED; }
bool shadow_close(struct dom *d) { return (void)d, false; }
uint64_t slot_frames(int slot) { return (void)slot, 0; }
CALL(virtio_start) { return (void)inst, (void)args, E_DENIED; }
CALL(virtio_queue) { return (void)inst, (void)args, E_DENIED; }
CALL(virtio_vector) { return (void)inst, (void)args, E_DENIED; }
CALL(virtio_state) { return (void)inst, (void)args, E_DENIED; }
CALL(virtq_publish) { return (void)inst, (void)args, E_NOENT; }
CALL(virtq_collect) { return (void)inst, (void)args, E_NOENT; }
const struct acpi_info *acpi(void) { return NULL; }
void pci_assign(struct pci_fn *fn, const struct pci_fn *all, unsigned count) {
    (void)fn, (void)all, (void)count;
}
void *pt_map_mmio(uint64_t pa, uint64_t len, unsigned flags) {
    return (void)pa, (void)len, (void)flags, NULL;
}
bool space_is_device(const struct acpi_info *a, uint64_t base, uint64_t size) {
    return (void)a, (void)base, (void)size, true;
}
const struct fb_screen *fb_screen(void) {
    static const struct fb_screen screen = {DEVICE_PA + 0x10100, 64, 48, 256, 1};
    return &screen;
}
void fb_give(bool to_domain) { (void)to_domain; }
bool dev_fence_proved(void) { return true; }
enum dev_forging dev_forging(void) { return DEV_FORGING_OPEN; }
uint64_t irq_unexpected(void) { return 0; }
unsigned smp_count(void) { return 1; }
const struct cpu_features *cpu_features(void) {
    static const struct cpu_features features = {.brand = "none"};
    return &features;
}

// ---- The trace: on, it has something of everything ----
bool trace_on = true;
void trace_put(enum sasos_trace_kind kind, uint16_t module, uint64_t value, uint32_t more) {
    (void)value, (void)more;
    if (module >= CALLS_DOMAINS) wrong("O8", "an event of nobody", module, kind);
}
bool trace_read(uint64_t number, struct sasos_trace *out) {
    *out = (struct sasos_trace){.number = number, .kind = SASOS_TRACE_WAKE};
    return number < 100;
}

// ---- Threads and domains ----
struct thread *thr_current(void) {
    return NULL;
}
void *thr_data(const struct thread *t) { return (void)t, &calls_dom[CALLS_A]; }
void thr_wake(struct event *e, uint32_t bits) {
    bool known = bits && bits != THR_INTERRUPTED;
    for (unsigned i = 0; i < CALLS_DOMAINS; i++)
        if (e == &calls_dom[i].events)
            e->bits |= bits, known = known && (calls_dom[i].inst != NULL);
    if (!known) wrong("O8", "nobody's event", bits, 0);
}
// Sometimes the time is over, sometimes one of the two is ended meanwhile.
uint32_t thr_wait(struct event *e, uint64_t deadline) {
    uint32_t bits = e->bits | (fuzz_one_in(3) ? (uint32_t)fuzz_noise() & INT32_MAX : 0);
    e->bits = 0;
    bool never = deadline >> 60; // in 36 years
    if (!never && !bits) clock_ns = MAX(clock_ns, deadline);
    if (never || fuzz_one_in(16)) dom_kill(&calls_dom[fuzz_below(CALLS_C)], DOM_END_STOPPED);
    return bits;
}
uint32_t thr_cpu(const struct thread *t) { return (void)t, 0; }
unsigned dom_count(void) { return CALLS_DOMAINS; }
struct dom *dom_at(unsigned index) {
    if (index >= CALLS_DOMAINS) wrong("O8", "a domain that there is not", index, 0);
    return &calls_dom[index % CALLS_DOMAINS];
}
const char *dom_name(const struct dom *d) { return d->config->name; }
struct dom *dom_find(const char *name) {
    for (unsigned i = 0; i < CALLS_DOMAINS; i++)
        if (!strcmp(name, calls_config[i].name)) return &calls_dom[i];
    return NULL;
}
uint64_t dom_cpu_ns(const struct dom *d) { return (void)d, 17; }
void dom_end_text(const struct dom *d, char *out, size_t size) {
    snprintf(out, size, "%s: ended", dom_name(d));
}
void dom_kill(struct dom *d, enum dom_end end) {
    if (d == &calls_dom[CALLS_C]) wrong("O8", "the bystander is ended", end, 0);
    if (d->end == DOM_END_NONE) d->end = end;
    ldr_kill(d->inst, SFI_TRAP_KILLED);
}
uint32_t dom_timer_due(struct dom *d) {
    if (d->timer > clock_ns) return 0;
    d->timer = THR_FOREVER;
    return SASOS_EVENT_TIMER;
}
int32_t run_control(struct dom *d, uint32_t op) {
    if (!d != (op >= SASOS_POWER_OFF)) wrong("O8", "an order that makes no sense", op, 0);
    return 0;
}

// ---- The machine and its configuration ----
static void set32(unsigned at, uint32_t v) {
    for (unsigned i = 0; i < 4; i++) function->cfg[at + i] = (uint8_t)(v >> 8 * i);
}
static void make_function(void) {
    function = &functions[function_count++];
    *function = (struct pci_fn){
        .cfg = calloc(1, PCI_CONFIG_SIZE), .vendor = 0x1234, .device = 0x11e8, .rid = 8};
    function->bars[0] = (struct pci_bar){.base = DEVICE_PA, .size = 0x4000, .usable = true};
    function->bars[1] = (struct pci_bar){.base = 0xc000, .size = 64, .io = true, .usable = true};
    function->bars[2] = (struct pci_bar){.base = DEVICE_PA + 0x6000, .size = 0x1000, .usable = true};
    function->bars[3] = (struct pci_bar){.base = DEVICE_PA + 0x7000, .size = 0x800, .usable = true};
    function->bars[4] = (struct pci_bar){.base = DEVICE_PA + 0x4000, .size = 0x2000, .usable = true};
    function->msix = (struct pci_msix){ENTRIES, 4, 4, 0, 0x1000};
    set32(PCI_VENDOR_ID, 0x11e81234);
    function->cfg[PCI_STATUS] = 0x10;
    function->cfg[PCI_CAPABILITIES_POINTER] = 0x50;
    set32(0x50, 0x00106009); // vendor-specific, 16 bytes; next: MSI-X at 60h
    set32(0x60, 0x00020011);
    set32(0x64, 4), set32(0x68, 0x1004);
    pci_caps_parse(function->cfg, &function->caps);
    if (function->caps.malformed || !function->caps.msix) abort();
}
static void text(struct config_module *c, uint16_t *at, const char *s) {
    *at = c->text_used;
    snprintf(c->text + c->text_used, CONFIG_TEXT - c->text_used, "%s", s);
    c->text_used = (uint16_t)(c->text_used + strlen(s) + 1);
}
void calls_setup(void) {
    static const char *const names[] = {"alpha", "beta", "bystander"};
    size_t all = (PAGES + DEVICE_PAGES) * FRAME_SIZE;
    memory_fd = memfd_create("calls", MFD_CLOEXEC);
    if (memory_fd < 0 || ftruncate(memory_fd, (off_t)all)) abort();
    memory = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
    aliases = mmap(NULL, CALLS_DOMAINS * ALIAS_EACH, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || aliases == MAP_FAILED) abort();
    make_function();
    for (unsigned i = 0; i < CALLS_DOMAINS; i++) {
        struct config_module *c = &calls_config[i];
        struct dom *d = &calls_dom[i];
        snprintf(c->name, sizeof c->name, "%s", names[i]);
        snprintf(c->file, sizeof c->file, "file");
        text(c, &c->arg[c->args++], "one");
        text(c, &c->arg[c->args++], "");
        text(c, &c->env[c->envs++], "NAME=value");
        d->number = (uint16_t)i;
        d->config = c;
        d->timer = THR_FOREVER;
        d->manifest.kind = i == CALLS_A ? MANIFEST_DRIVER : MANIFEST_LIBRARY;
        d->manifest.counters = 3;
        d->manifest.dma = i == CALLS_A ? CALLS_DMA : 0;
        d->manifest.irqs = i == CALLS_A ? ENTRIES + 1 : 2;
        d->state = DOM_RUNNING;
    }
    struct config_module *b = &calls_config[CALLS_B];
    b->isa_irqs = 2, b->isa_irq[0] = 4, b->isa_irq[1] = 7;
    b->ports = 2;
    b->port[0] = (struct config_ports){0x3f8, 0x3ff};
    b->port[1] = (struct config_ports){0xfffc, 0xffff};
    for (b->blobs = 0; b->blobs < 2; b->blobs++) {
        snprintf(b->blob[b->blobs], CONFIG_BLOB, "%s", b->blobs ? "b" : "file.txt");
        size_t size = b->blobs ? 0 : 1000;
        uint8_t *bytes = malloc(size); // exactly
        memset(bytes, 'B', size);
        calls_dom[CALLS_B].blob[b->blobs] = (struct pack_module){.bytes = bytes, .size = size};
    }
}
void calls_connect(void) {
    static struct channel channels[2];
    for (unsigned i = 0; i < 2; i++) {
        channels[i].size = CALLS_CHANNEL;
        if (chan_attach(&calls_dom[i ? CALLS_C : CALLS_A], &channels[i], CHAN_CLIENT) != ST_OK ||
            chan_attach(&calls_dom[CALLS_B], &channels[i], CHAN_SERVER) != ST_OK)
            abort();
    }
    for (unsigned i = 0; i < CALLS_DOMAINS; i++) calls_dom[i].dma_base = calls_dom[i].dma_next;
    chan_open_all(&calls_dom[CALLS_C]);
}
void calls_grants(void) {
    for (unsigned i = 0; i < CALLS_C; i++) {
        struct config_module *c = &calls_config[i];
        bool *grant[] = {&c->clock,   &c->console, &c->entropy,    &c->entropy_source,
                         &c->observe, &c->control, &c->framebuffer};
        for (unsigned k = 0; k < sizeof grant / sizeof *grant; k++) *grant[k] = !fuzz_one_in(4);
        c->log_lines = fuzz_one_in(4) ? 1 : 1000000;
        c->handles = fuzz_one_in(4) ? 3 : 256;
    }
    calls_dom[CALLS_A].fn = fuzz_one_in(8) ? NULL : function;
    clock_ns = 1000000;
    memcpy(config_before, (uint8_t *)(uintptr_t)function->cfg, PCI_CONFIG_SIZE);
}
struct calls_state calls_state(void) {
    return (struct calls_state){frames_taken(), mappings, fence.live + fence.maps,
                                tables,         lines,    vectors};
}
void calls_check(void) {
    enum { PIECE = 64 }; // most of it is as it was
    for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
        const volatile uint8_t *now = function->cfg + i;
        if (i % PIECE == 0 && memcmp((const void *)now, config_before + i, PIECE) == 0) {
            i += PIECE - 1;
            continue;
        }
        uint8_t own = i == PCI_COMMAND ? PCI_COMMAND_MEMORY_SPACE_ENABLE | PCI_COMMAND_BUS_MASTER_ENABLE
                      : (i >= 0x40 && i < 0x50) || (i >= 0x53 && i < 0x60) ? 0xff
                                                                           : 0;
        if ((function->cfg[i] ^ config_before[i]) & ~own)
            wrong("O8", "configuration space that is the bus's", i, function->cfg[i]);
    }
    if (function->cfg[PCI_COMMAND] & PCI_COMMAND_BUS_MASTER_ENABLE && !fence.attached)
        wrong("O8", "bus mastering without a fence", 0, 0);
    for (unsigned k = 0; k < fence.maps; k++) {
        bool mine = false;
        for (unsigned i = 0; i < mappings; i++)
            mine |= mapping[i].slot == CALLS_A && mapping[i].at == fence.map[k].at &&
                    mapping[i].pa == fence.map[k].pa && mapping[i].size == fence.map[k].size;
        if (!mine)
            wrong("O8", "the device has what its driver has not", fence.map[k].at, fence.map[k].size);
    }
}
