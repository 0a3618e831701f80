// virtio.c — see virtio.h. Offsets are those of struct virtio_pci_common_cfg (VIRTIO 1.2 §4.1.4.3),
// values are the device's: input.
#include "sasos/dev/virtio.h"

#include "sasos/arch/io.h"
#include "sasos/arch/time.h"
#include "sasos/mem/pt.h"

enum { CAP_COMMON_CFG = 1, CAP_NOTIFY_CFG = 2, CAP_ISR_CFG = 3, CAP_DEVICE_CFG = 4 }; // §4.1.4
enum {
    DEVICE_FEATURE_SELECT = 0x00,
    DEVICE_FEATURE = 0x04,
    DRIVER_FEATURE_SELECT = 0x08,
    DRIVER_FEATURE = 0x0c,
    CONFIG_MSIX_VECTOR = 0x10,
    DEVICE_STATUS = 0x14,
    QUEUE_SELECT = 0x16,
    QUEUE_SIZE = 0x18,
    QUEUE_MSIX_VECTOR = 0x1a,
    QUEUE_ENABLE = 0x1c,
    QUEUE_NOTIFY_OFF = 0x1e,
    QUEUE_DESC = 0x20,
    QUEUE_DRIVER = 0x28,
    QUEUE_DEVICE = 0x30,
    COMMON_CFG_SIZE = 0x38,
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 }; // §2.1
#define VERSION_1 (1ull << 32)                                        // §6
#define ACCESS_PLATFORM (1ull << 33)
#define NO_MESSAGE 0xffffu
#define RESET_MS 1000u

bool virtio_is(const struct pci_fn *fn) {
    return fn->vendor == 0x1af4 && fn->device >= 0x1000 && fn->device <= 0x107f;
}

// Maps a virtio structure; `need` bytes must be there. NULL if it is not.
static volatile uint8_t *map(const struct pci_fn *fn, uint8_t type, uint32_t need,
                             struct pci_virtio_cap *out_cap) {
    if (!virtio_is(fn) || !pci_virtio_cap(fn, type, 0, out_cap) || out_cap->length < need)
        return NULL;
    pci_decode(fn);
    return pt_map_mmio(fn->bars[out_cap->bar].base + out_cap->offset, out_cap->length, PT_W | PT_UC);
}

static void unmap(volatile uint8_t *va, const struct pci_virtio_cap *cap) {
    pt_unmap_mmio((void *)(uintptr_t)va, cap->length);
}

static bool reset(volatile uint8_t *common) {
    mmio_write8(common + DEVICE_STATUS, 0);
    for (unsigned ms = 0; ms < RESET_MS && mmio_read8(common + DEVICE_STATUS) != 0; ms++)
        time_delay_ns(TIME_MS);
    return mmio_read8(common + DEVICE_STATUS) == 0;
}

bool virtio_reset(const struct pci_fn *fn) {
    struct pci_virtio_cap cap;
    volatile uint8_t *common = map(fn, CAP_COMMON_CFG, COMMON_CFG_SIZE, &cap);
    if (!common) return false;
    bool done = reset(common);
    unmap(common, &cap);
    return done;
}

static uint64_t offered(volatile uint8_t *common) {
    mmio_write32(common + DEVICE_FEATURE_SELECT, 0);
    uint64_t low = mmio_read32(common + DEVICE_FEATURE);
    mmio_write32(common + DEVICE_FEATURE_SELECT, 1);
    return low | (uint64_t)mmio_read32(common + DEVICE_FEATURE) << 32;
}

bool virtio_obeys_iommu(const struct pci_fn *fn) {
    struct pci_virtio_cap cap;
    volatile uint8_t *common = map(fn, CAP_COMMON_CFG, COMMON_CFG_SIZE, &cap);
    if (!common) return false;
    const uint64_t both = VERSION_1 | ACCESS_PLATFORM;
    bool obeys = (offered(common) & both) == both;
    unmap(common, &cap);
    return obeys;
}

// ---- transport ----

bool virtio_open(const struct pci_fn *fn, struct virtio_transport *out) {
    *out = (struct virtio_transport){0};
    out->common = map(fn, CAP_COMMON_CFG, COMMON_CFG_SIZE, &out->common_cap);
    if (out->common) out->notify = map(fn, CAP_NOTIFY_CFG, 2, &out->notify_cap);
    if (out->notify) return true;
    virtio_close(out);
    return false;
}

void virtio_close(struct virtio_transport *t) {
    if (t->notify) unmap(t->notify, &t->notify_cap);
    if (t->common) unmap(t->common, &t->common_cap);
    *t = (struct virtio_transport){0};
}

bool virtio_restart(const struct virtio_transport *t) { return reset(t->common); }

uint8_t virtio_status(const struct virtio_transport *t, uint8_t add) {
    uint8_t status = mmio_read8(t->common + DEVICE_STATUS);
    if (add & ~status) mmio_write8(t->common + DEVICE_STATUS, status | add);
    return mmio_read8(t->common + DEVICE_STATUS);
}

// §3.1.1, steps 1 to 6.
bool virtio_negotiate(const struct virtio_transport *t, uint64_t wanted, uint64_t *out_features) {
    volatile uint8_t *common = t->common;
    if (!reset(common)) return false;
    virtio_status(t, ACKNOWLEDGE);
    virtio_status(t, DRIVER);
    uint64_t features = offered(common) & wanted;
    mmio_write32(common + DRIVER_FEATURE_SELECT, 0);
    mmio_write32(common + DRIVER_FEATURE, (uint32_t)features);
    mmio_write32(common + DRIVER_FEATURE_SELECT, 1);
    mmio_write32(common + DRIVER_FEATURE, (uint32_t)(features >> 32));
    *out_features = features;
    return virtio_status(t, FEATURES_OK) & FEATURES_OK;
}

bool virtio_config_message(const struct virtio_transport *t, uint16_t message) {
    mmio_write16(t->common + CONFIG_MSIX_VECTOR, message); // §4.1.5.1.2: ffff is none
    return mmio_read16(t->common + CONFIG_MSIX_VECTOR) == message;
}

uint32_t virtio_queue_size(const struct virtio_transport *t, uint16_t queue) {
    mmio_write16(t->common + QUEUE_SELECT, queue);
    uint32_t size = mmio_read16(t->common + QUEUE_SIZE);
    return size & (size - 1) ? 0 : size; // §2.7: a power of two
}

static void write_address(volatile uint8_t *at, uint64_t value) { // as two words (§4.1.3.1)
    mmio_write32(at, (uint32_t)value);
    mmio_write32(at + 4, (uint32_t)(value >> 32));
}

volatile uint8_t *virtio_queue_start(const struct virtio_transport *t, uint16_t queue,
                                     uint16_t size, const uint64_t rings[3], uint16_t message) {
    volatile uint8_t *common = t->common;
    mmio_write16(common + QUEUE_SELECT, queue);
    // §4.1.4.4; the multiplication may exceed what the device declared.
    uint64_t o = (uint64_t)mmio_read16(common + QUEUE_NOTIFY_OFF) * t->notify_cap.notify_off_multiplier;
    if (o % 2 || o + 2 > t->notify_cap.length) return NULL;
    mmio_write16(common + QUEUE_MSIX_VECTOR, message);
    if (mmio_read16(common + QUEUE_MSIX_VECTOR) != message) return NULL;
    mmio_write16(common + QUEUE_SIZE, size);
    write_address(common + QUEUE_DESC, rings[0]);
    write_address(common + QUEUE_DRIVER, rings[1]);
    write_address(common + QUEUE_DEVICE, rings[2]);
    mmio_write16(common + QUEUE_ENABLE, 1);
    return t->notify + o;
}

void virtio_notify(volatile uint8_t *doorbell, uint16_t queue) { mmio_write16(doorbell, queue); }

bool virtio_page_harmless(const struct pci_fn *fn, unsigned bar, uint64_t offset) {
    struct pci_virtio_cap cap;
    bool wanted = false;
    for (uint8_t type = CAP_COMMON_CFG; type <= CAP_DEVICE_CFG; type++)
        for (unsigned nth = 0; pci_virtio_cap(fn, type, nth, &cap); nth++) {
            if (cap.bar != bar || cap.offset >= offset + 4096 ||
                cap.offset + (uint64_t)cap.length <= offset)
                continue;
            if (type == CAP_COMMON_CFG || type == CAP_NOTIFY_CFG) return false;
            wanted = true;
        }
    return wanted;
}

bool virtio_can_be_shadowed(const struct pci_fn *fn) {
    // Transitional ids, then 0x1040 + type (§4.1.2, §5): network, block, console, entropy.
    static const uint16_t known[] = {0x1000, 0x1001, 0x1003, 0x1005,
                                     0x1041, 0x1042, 0x1043, 0x1044};
    for (unsigned i = 0; virtio_is(fn) && i < sizeof(known) / sizeof(known[0]); i++)
        if (fn->device == known[i]) return true;
    return false;
}

// ---- self-test ----

bool virtio_provoke(const struct pci_fn *fn, uint64_t iova, int message) {
    struct virtio_transport t;
    if (!virtio_open(fn, &t)) return false;
    uint64_t features;
    const uint64_t rings[3] = {iova, iova + 4096, iova + 8192};
    volatile uint8_t *doorbell = NULL;
    if (virtio_negotiate(&t, VERSION_1 | ACCESS_PLATFORM, &features) && virtio_queue_size(&t, 0)) {
        virtio_config_message(&t, (uint16_t)message);
        doorbell = virtio_queue_start(&t, 0, 1, rings, NO_MESSAGE);
    }
    if (doorbell) {
        virtio_status(&t, DRIVER_OK);
        virtio_notify(doorbell, 0);
    }
    virtio_close(&t);
    return doorbell;
}
