// virtio.c — see virtio.h. Offsets are those of struct virtio_pci_common_cfg (VIRTIO 1.2 §4.1.4.3),
// values are the device's: input.
#include "sasos/dev/virtio.h"

#include "sasos/arch/io.h"
#include "sasos/arch/time.h"
#include "sasos/mem/pt.h"

enum { CAP_COMMON_CFG = 1, CAP_NOTIFY_CFG = 2 }; // §4.1.4
enum {
    DEVICE_FEATURE_SELECT = 0x00,
    DEVICE_FEATURE = 0x04,
    DRIVER_FEATURE_SELECT = 0x08,
    DRIVER_FEATURE = 0x0c,
    CONFIG_MSIX_VECTOR = 0x10,
    DEVICE_STATUS = 0x14,
    QUEUE_SELECT = 0x16,
    QUEUE_SIZE = 0x18,
    QUEUE_ENABLE = 0x1c,
    QUEUE_NOTIFY_OFF = 0x1e,
    QUEUE_DESC = 0x20,
    QUEUE_DRIVER = 0x28,
    QUEUE_DEVICE = 0x30,
    COMMON_CFG_SIZE = 0x38,
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 }; // §2.1
enum {
    VERSION_1 = 1 << 0,
    ACCESS_PLATFORM = 1 << 1
}; // §6, bits 32 and 33: bits of the second word
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

static uint32_t offered(volatile uint8_t *common) { // feature bits 63:32
    mmio_write32(common + DEVICE_FEATURE_SELECT, 1);
    return mmio_read32(common + DEVICE_FEATURE);
}

bool virtio_obeys_iommu(const struct pci_fn *fn) {
    struct pci_virtio_cap cap;
    volatile uint8_t *common = map(fn, CAP_COMMON_CFG, COMMON_CFG_SIZE, &cap);
    if (!common) return false;
    const uint32_t both = VERSION_1 | ACCESS_PLATFORM;
    bool obeys = (offered(common) & both) == both;
    unmap(common, &cap);
    return obeys;
}

// §3.1.1, the steps of initialisation that a device insists on before it touches a queue.
static bool start(volatile uint8_t *common, uint64_t iova, int message) {
    if (!reset(common)) return false;
    mmio_write8(common + DEVICE_STATUS, ACKNOWLEDGE);
    mmio_write8(common + DEVICE_STATUS, ACKNOWLEDGE | DRIVER);
    uint32_t features = offered(common) & (VERSION_1 | ACCESS_PLATFORM);
    mmio_write32(common + DRIVER_FEATURE_SELECT, 0);
    mmio_write32(common + DRIVER_FEATURE, 0);
    mmio_write32(common + DRIVER_FEATURE_SELECT, 1);
    mmio_write32(common + DRIVER_FEATURE, features);
    mmio_write8(common + DEVICE_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    if (!(mmio_read8(common + DEVICE_STATUS) & FEATURES_OK)) return false;
    mmio_write16(common + CONFIG_MSIX_VECTOR, (uint16_t)message); // §4.1.5.1.2: ffff is none
    mmio_write16(common + QUEUE_SELECT, 0);
    if (mmio_read16(common + QUEUE_SIZE) == 0) return false;
    mmio_write16(common + QUEUE_SIZE, 1);
    for (unsigned i = 0; i < 3;
         i++) { // three rings, one page each; 64-bit fields are written as two words (§4.1.3.1)
        unsigned o = i == 0 ? QUEUE_DESC : i == 1 ? QUEUE_DRIVER : QUEUE_DEVICE;
        mmio_write32(common + o, (uint32_t)(iova + 4096 * i));
        mmio_write32(common + o + 4, (uint32_t)((iova + 4096 * i) >> 32));
    }
    mmio_write16(common + QUEUE_ENABLE, 1);
    mmio_write8(common + DEVICE_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    return true;
}

bool virtio_provoke(const struct pci_fn *fn, uint64_t iova, int message) {
    struct pci_virtio_cap cap, notify_cap;
    volatile uint8_t *common = map(fn, CAP_COMMON_CFG, COMMON_CFG_SIZE, &cap);
    if (!common) return false;
    volatile uint8_t *notify = map(fn, CAP_NOTIFY_CFG, 2, &notify_cap);
    bool done = notify && start(common, iova, message);
    if (done) {
        // §4.1.4.4: where queue 0 is notified; the multiplication may exceed what the device
        // declared.
        uint64_t o =
            (uint64_t)mmio_read16(common + QUEUE_NOTIFY_OFF) * notify_cap.notify_off_multiplier;
        done = o % 2 == 0 && o + 2 <= notify_cap.length;
        if (done) mmio_write16(notify + o, 0);
    }
    if (notify) unmap(notify, &notify_cap);
    unmap(common, &cap);
    return done;
}
