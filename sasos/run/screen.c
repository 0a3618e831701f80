// screen.c — the grant `framebuffer`: the firmware's screen in the window of one domain at a time, instead of the kernel's own text.
//
// The pixels are the device's memory: nothing of the kernel's can be reached through them. The kernel takes the screen back when the domain
// ends, and in a panic.
#include "sasos/lib/fb.h"
#include "sasos/lib/mem.h"
#include "sasos/mem/pt.h"
#include "sasos/mem/slot.h"
#include "sasos/run/hostcall.h"

static struct dom *owner;
static uint32_t address; // in its window, 0: not mapped

static uint32_t map(struct dom *d, const struct fb_screen *s) {
    uint64_t first = s->base & ~4095ull, bytes = (uint64_t)s->pitch * s->height;
    uint64_t length = ALIGN_UP(s->base - first + bytes, 4096);
    if (length > SFI_DEVICE_SIZE - d->device_next || !dom_handle_left(d)) return 0;
    uint32_t at = SFI_DEVICE_BASE + d->device_next;
    if (slot_map(slot_of(ldr_window(d->inst)), at, first, length, PT_W | PT_WC) != ST_OK) return 0;
    d->device_next += (uint32_t)length;
    d->mappings++;
    return at + (uint32_t)(s->base - first);
}

CALL(screen_map) {
    struct dom *d = caller(inst), *nobody = NULL;
    const struct fb_screen *s = fb_screen();
    if (!d->config->framebuffer || !s) return 0;
    struct sasos_screen out = {s->width, s->height, s->pitch, s->format};
    uint32_t size = MIN(ldr_arg32(args, 1), (uint32_t)sizeof(out));
    void *to = ldr_memory_at(inst, ldr_arg32(args, 0), size);
    if (!to) return 0;
    if (__atomic_compare_exchange_n(&owner, &nobody, d, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        address = map(d, s);
        if (address) fb_give(true);
    }
    if (__atomic_load_n(&owner, __ATOMIC_ACQUIRE) != d) return 0;
    memcpy(to, &out, size);
    return address;
}

void screen_release(const struct dom *d) {
    if (__atomic_load_n(&owner, __ATOMIC_ACQUIRE) != d) return;
    address = 0;
    fb_give(false);
    __atomic_store_n(&owner, NULL, __ATOMIC_RELEASE);
}
