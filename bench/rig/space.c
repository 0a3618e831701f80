// space.c — see rig.h: mappings of shared memory into windows and into the low 4 GiB, and trapped device registers.
#include "bench/rig/rig.h"
#include "sfi-jit/sfi.h"
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define FLAG_TRAP 0x100 // EFLAGS.TF
#define ERROR_WRITE 2   // of a page fault
#define DEVICES_MAX 16u

static struct rig_device *devices[DEVICES_MAX];
static unsigned device_count;
static struct sigaction before_segv;
static struct { // the access that is being stepped
    struct rig_device *device;
    uint32_t offset;
    bool write;
} step;

struct rig_pages rig_pages_new(uint32_t size) {
    struct rig_pages p = {.fd = memfd_create("rig", MFD_CLOEXEC), .size = size};
    if (p.fd < 0 || ftruncate(p.fd, size)) rig_fail("no memory");
    p.at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, p.fd, 0);
    if (p.at == MAP_FAILED) rig_fail("no memory");
    return p;
}

// In a window the address space is the slot's own; in the low 4 GiB it must be free.
static bool map(const struct rig_space *s, uint32_t address, uint32_t size, int fd, uint32_t offset,
                int protection) {
    void *at = (void *)(s->base + address);
    int fixed = s->base ? MAP_FIXED : MAP_FIXED_NOREPLACE;
    return mmap(at, size, protection, MAP_SHARED | MAP_POPULATE | fixed, fd, offset) == at;
}

uint32_t rig_map_dma(struct rig_space *s, const struct rig_pages *p) {
    uint32_t address = *s->dma_next;
    if (p->size > SFI_DMA_BASE + SFI_DMA_SIZE - address) return 0;
    if (!map(s, address, p->size, p->fd, 0, PROT_READ | PROT_WRITE)) return 0;
    if (s->inst && !ldr_memory_extend(s->inst, address, p->size)) return 0;
    if (!s->dma_end) s->dma_first = address;
    *s->dma_next = s->dma_end = address + p->size;
    return address;
}

uint32_t rig_map_registers(struct rig_space *s, struct rig_device *d, uint32_t first, uint32_t pages) {
    uint32_t address = *s->device_next;
    if (first + pages > RIG_PAGES_MAX || (first + pages) * RIG_PAGE > d->pages.size) return 0;
    if (!map(s, address, pages * RIG_PAGE, d->pages.fd, first * RIG_PAGE, PROT_NONE)) return 0;
    *s->device_next += pages * RIG_PAGE;
    for (uint32_t i = 0; i < pages; i++) d->view[first + i].at = s->base + address + i * RIG_PAGE;
    unsigned known = 0;
    while (known < device_count && devices[known] != d) known++;
    if (known == DEVICES_MAX) rig_fail("too many devices");
    if (known == device_count) devices[device_count++] = d;
    return address;
}

void rig_registers_release(struct rig_device *d) {
    for (unsigned i = 0; i < RIG_PAGES_MAX; i++)
        if (d->view[i].at && d->doorbells & 1u << i) {
            d->view[i].plain = true;
            mprotect((void *)d->view[i].at, RIG_PAGE, PROT_READ | PROT_WRITE);
        }
}

static struct rig_device *device_at(uintptr_t address, uint32_t *out_page) {
    for (unsigned k = 0; k < device_count; k++)
        for (unsigned i = 0; i < RIG_PAGES_MAX; i++)
            if (devices[k]->view[i].at == (address & ~(uintptr_t)(RIG_PAGE - 1))) {
                *out_page = i;
                return devices[k];
            }
    return NULL;
}

static void on_access(int signal, siginfo_t *info, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    uintptr_t address = (uintptr_t)info->si_addr;
    uint32_t page = 0;
    struct rig_device *d = device_at(address, &page);
    if (!d || d->view[page].plain) {
        before_segv.sa_sigaction(signal, info, context); // a trap of a module's, or our own bug
        return;
    }
    step.device = d;
    step.offset = page * RIG_PAGE + (uint32_t)(address & (RIG_PAGE - 1));
    step.write = r[REG_ERR] & ERROR_WRITE;
    d->before(d, step.offset, step.write);
    mprotect((void *)d->view[page].at, RIG_PAGE, PROT_READ | PROT_WRITE);
    r[REG_EFL] |= FLAG_TRAP;
}

static void on_step(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~FLAG_TRAP;
    mprotect((void *)step.device->view[step.offset / RIG_PAGE].at, RIG_PAGE, PROT_NONE);
    step.device->after(step.device, step.offset, step.write);
}

void rig_space_init(void) {
    struct sigaction a = {.sa_sigaction = on_access, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&a.sa_mask);
    if (sigaction(SIGSEGV, &a, &before_segv)) rig_fail("no signals");
    a.sa_sigaction = on_step;
    if (sigaction(SIGTRAP, &a, NULL)) rig_fail("no signals");
}
