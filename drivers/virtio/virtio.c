// virtio.c — see virtio.h.
#include "drivers/virtio/virtio.h"

enum { // 4.1.4.3 Common configuration structure
    DEVICE_FEATURE_SELECT = 0,
    DEVICE_FEATURE = 4,
    DRIVER_FEATURE_SELECT = 8,
    DRIVER_FEATURE = 12,
    CONFIG_MSIX_VECTOR = 16,
    DEVICE_STATUS = 20,
    QUEUE_SELECT = 22,
    QUEUE_SIZE = 24,
    QUEUE_MSIX_VECTOR = 26,
    QUEUE_ENABLE = 28,
    QUEUE_NOTIFY_OFF = 30,
    QUEUE_DESC = 32,
    QUEUE_DRIVER = 40,
    QUEUE_DEVICE = 48,
    COMMON_SIZE = 56,
};
enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3, CAP_DEVICE = 4 }; // 4.1.4 cfg_type
enum {
    PCI_STATUS = 0x06,
    PCI_CAPABILITIES = 0x34,
    PCI_STATUS_CAP_LIST = 0x10,
    PCI_CAP_VENDOR = 0x09
};
enum { SHADOW_RESET = 256 }; // sasos_virtio_state()
enum { CAPS_MAX = 48, RESET_TRIES = 1000000, NO_VECTOR = 0xffff };

static uint32_t map_capability(uint32_t cap, uint32_t min_length, uint32_t *out_length) {
    uint32_t bar = (uint32_t)sasos_pci_config_read(cap + 4, 1);
    uint32_t offset = (uint32_t)sasos_pci_config_read(cap + 8, 4);
    uint32_t length = (uint32_t)sasos_pci_config_read(cap + 12, 4);
    if (length < min_length) return 0;
    if (out_length) *out_length = length;
    return sasos_pci_bar_map(bar, offset, length);
}

// 4.1.4: the first capability of each type that can be mapped counts.
static int find_structures(struct virtio_device *v) {
    if (!((uint32_t)sasos_pci_config_read(PCI_STATUS, 2) & PCI_STATUS_CAP_LIST)) {
        log_line(
            "virtio: the function has no capabilities: a legacy device, which is not supported");
        return E_NODEV;
    }
    uint32_t cap = (uint32_t)sasos_pci_config_read(PCI_CAPABILITIES, 1) & 0xfc;
    for (int i = 0; cap >= 0x40 && i < CAPS_MAX; i++) { // bounded: the list may be a loop
        uint32_t head = (uint32_t)sasos_pci_config_read(cap, 4);
        if ((head & 0xff) == PCI_CAP_VENDOR) {
            uint32_t type = head >> 24;
            if (v->shadow && (type == CAP_COMMON || type == CAP_NOTIFY))
                ; // the kernel's
            else if (type == CAP_COMMON && !v->common)
                v->common = map_capability(cap, COMMON_SIZE, NULL);
            else if (type == CAP_ISR && !v->isr)
                v->isr = map_capability(cap, 1, NULL);
            else if (type == CAP_DEVICE && !v->device)
                v->device = map_capability(cap, 1, &v->device_length);
            else if (type == CAP_NOTIFY && !v->notify) {
                v->notify = map_capability(cap, 2, NULL);
                v->notify_multiplier = (uint32_t)sasos_pci_config_read(cap + 16, 4);
            }
        }
        cap = head >> 8 & 0xfc;
    }
    if (!v->shadow && (!v->common || !v->notify)) {
        log_line("virtio: no modern interface (common or notify structure missing): is "
                 "disable-modern=on?");
        return E_NODEV;
    }
    return 0;
}

void virtio_reset(struct virtio_device *v) {
    if (v->shadow) {
        sasos_virtio_state(SHADOW_RESET);
        return;
    }
    write8(v->common + DEVICE_STATUS, 0);
    // 4.1.4.3.2: the driver waits until it reads 0 back.
    for (int i = 0; i < RESET_TRIES && read8(v->common + DEVICE_STATUS) != 0; i++)
        ;
}

static void add_status(struct virtio_device *v, uint8_t bits) {
    if (v->shadow) {
        sasos_virtio_state(bits);
        return;
    }
    write8(v->common + DEVICE_STATUS, read8(v->common + DEVICE_STATUS) | bits);
}

static uint64_t device_features(struct virtio_device *v) {
    write32(v->common + DEVICE_FEATURE_SELECT, 0);
    uint64_t low = read32(v->common + DEVICE_FEATURE);
    write32(v->common + DEVICE_FEATURE_SELECT, 1);
    return low | (uint64_t)read32(v->common + DEVICE_FEATURE) << 32;
}

int virtio_open(struct virtio_device *v, uint64_t required, uint64_t wanted) {
    int mode = sasos_dma_mode();
    *v = (struct virtio_device){.shadow = mode == SASOS_DMA_SHADOW};
    if (mode == SASOS_DMA_TRUSTED) {
        log_line("virtio: neither the IOMMU nor the kernel fences this device: not supported");
        return E_NODEV;
    }
    int error = find_structures(v);
    if (error) return error;
    error = sasos_pci_enable();
    if (error) return error;
    return virtio_restart(v, required, wanted);
}

// The kernel negotiates what the device and shadow rings can do.
static int restart_shadow(struct virtio_device *v, uint64_t required, uint64_t wanted) {
    int64_t features = sasos_virtio_start((int64_t)(required | wanted));
    if (features < 0) {
        log_line("virtio: the device cannot be started (%d)", (int)features);
        return (int)features;
    }
    v->features = (uint64_t)features;
    if ((v->features & required) == required) return 0;
    log_line("virtio: the device and its shadow can do %lx, but %lx is needed", v->features, required);
    add_status(v, VIRTIO_FAILED);
    return E_NODEV;
}

int virtio_restart(struct virtio_device *v, uint64_t required, uint64_t wanted) {
    if (v->shadow) return restart_shadow(v, required, wanted);
    virtio_reset(v); // 3.1.1 Driver requirements: device initialization, steps 1 to 6
    add_status(v, VIRTIO_ACKNOWLEDGE);
    add_status(v, VIRTIO_DRIVER);
    uint64_t offered = device_features(v);
    if (!(offered & VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM))) {
        log_line("virtio: the device does not offer ACCESS_PLATFORM, so its DMA would go round the "
                 "IOMMU: refused "
                 "(QEMU: give it iommu_platform=on)");
        add_status(v, VIRTIO_FAILED);
        return E_NODEV;
    }
    required |= VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM);
    if ((offered & required) != required) {
        log_line("virtio: the device offers %lx, but %lx is needed", offered, required);
        add_status(v, VIRTIO_FAILED);
        return E_NODEV;
    }
    v->features = required | (offered & wanted);
    write32(v->common + DRIVER_FEATURE_SELECT, 0);
    write32(v->common + DRIVER_FEATURE, (uint32_t)v->features);
    write32(v->common + DRIVER_FEATURE_SELECT, 1);
    write32(v->common + DRIVER_FEATURE, (uint32_t)(v->features >> 32));
    add_status(v, VIRTIO_FEATURES_OK);
    if (!(read8(v->common + DEVICE_STATUS) & VIRTIO_FEATURES_OK)) {
        log_line("virtio: the device refused the features %lx", v->features);
        add_status(v, VIRTIO_FAILED);
        return E_NODEV;
    }
    write16(v->common + CONFIG_MSIX_VECTOR, NO_VECTOR);
    return 0;
}

int virtio_config_vector(struct virtio_device *v, uint16_t vector) {
    if (v->shadow) return sasos_virtio_vector(vector);
    write16(v->common + CONFIG_MSIX_VECTOR, vector);
    return read16(v->common + CONFIG_MSIX_VECTOR) == vector ? 0 : E_NODEV; // 4.1.5.1.2.2
}

uint8_t virtio_status(struct virtio_device *v) {
    return v->shadow ? (uint8_t)sasos_virtio_state(0) : read8(v->common + DEVICE_STATUS);
}

// Memory for the three parts of a queue, in one piece; cleared if it has been this queue's before.
static int queue_memory(struct virtio_device *v, struct virtq *q, uint16_t index, uint32_t size) {
    // Descriptors 16·n, available ring 6 + 2·n, used ring 6 + 8·n at a multiple of 4 (2.7).
    uint32_t avail = 16 * size, used = (avail + 6 + 2 * size + 63) & ~63u;
    uint32_t memory = q->desc && q->room == size ? q->desc : sasos_dma_alloc(used + 6 + 8 * size);
    if (!memory) return E_NOMEM;
    if (memory == q->desc) __builtin_memset((void *)(uintptr_t)memory, 0, used + 6 + 8 * size);
    *q = (struct virtq){.desc = memory,
                        .avail = memory + avail,
                        .used = memory + used,
                        .size = size,
                        .room = size,
                        .index = index,
                        .shadow = v->shadow,
                        .event_idx = v->features & VIRTIO_BIT(VIRTIO_F_EVENT_IDX)};
    return 0;
}

static int shadow_queue(struct virtio_device *v, struct virtq *q, uint16_t index, uint32_t max_size,
                        uint16_t vector) {
    int error = queue_memory(v, q, index, max_size);
    int size = error ? error : sasos_virtio_queue(index, max_size, q->desc, q->avail, q->used, vector);
    if (size < 0) {
        log_line("virtio: queue %u cannot be set up (%d)", index, size);
        return size;
    }
    q->size = (uint32_t)size;
    return 0;
}

int virtio_queue(struct virtio_device *v, struct virtq *q, uint16_t index, uint32_t max_size,
                 uint16_t vector) {
    if (v->shadow) return shadow_queue(v, q, index, max_size, vector);
    write16(v->common + QUEUE_SELECT, index);
    uint32_t size = read16(v->common + QUEUE_SIZE); // 0: no such queue; a power of two by 2.7
    while (size > max_size) size /= 2;
    if (size == 0 || (size & (size - 1))) {
        log_line("virtio: queue %u has an impossible size", index);
        return E_NODEV;
    }
    write16(v->common + QUEUE_SIZE, (uint16_t)size); // 4.1.5.1.3: the driver may make it smaller
    int error = queue_memory(v, q, index, size);
    if (error) return error;
    q->doorbell = v->notify + read16(v->common + QUEUE_NOTIFY_OFF) * v->notify_multiplier; // 4.1.4.4
    write16(v->common + QUEUE_MSIX_VECTOR, vector);
    if (read16(v->common + QUEUE_MSIX_VECTOR) != vector) {
        log_line("virtio: the device has no interrupt left for queue %u", index);
        return E_NODEV;
    }
    write64(v->common + QUEUE_DESC, q->desc);
    write64(v->common + QUEUE_DRIVER, q->avail);
    write64(v->common + QUEUE_DEVICE, q->used);
    write16(v->common + QUEUE_ENABLE, 1);
    return 0;
}

void virtio_ready(struct virtio_device *v) { add_status(v, VIRTIO_DRIVER_OK); }

void virtq_kick(struct virtq *q) {
    if (q->kicked == q->avail_index) return;
    barrier_compiler(); // 2.7.13.3: the entries before the index
    write16(q->avail + 2, q->avail_index);
    if (q->shadow) {
        q->kicked = q->avail_index;
        sasos_virtq_publish(q->index); // notifies as the device wishes
        return;
    }
    barrier_full(); // our index must be visible before we read whether the device wants to hear of it
    bool needed;
    if (q->event_idx) { // 2.7.10: avail_event lies behind the used ring
        uint16_t event = read16(q->used + 4 + 8 * q->size);
        needed = (uint16_t)(q->avail_index - event - 1) < (uint16_t)(q->avail_index - q->kicked);
    } else {
        needed = !(read16(q->used) & 1); // VIRTQ_USED_F_NO_NOTIFY
    }
    q->kicked = q->avail_index;
    if (needed) write16(q->doorbell, q->index);
}

// 2.7.10 used_event: an interrupt at the next entry, or at one that is 65535 ahead. Then comes the caller's last look.
static void arm(struct virtq *q, bool wanted) {
    write16(q->avail + 4 + 2 * q->size, (uint16_t)(q->used_index - !wanted));
    q->armed = wanted;
    q->armed_at = q->used_index;
    if (wanted) barrier_full();
}

void virtq_quiet(struct virtq *q, bool quiet) {
    if (q->quiet == quiet) return;
    q->quiet = quiet;
    if (q->event_idx) {
        arm(q, !quiet);
    } else {
        write16(q->avail, quiet); // VIRTQ_AVAIL_F_NO_INTERRUPT
        barrier_full();
    }
}

int virtq_look(struct virtq *q) {
    bool wanted = q->event_idx && !q->quiet, due = q->armed && q->armed_at == q->used_index;
    if (wanted && !due) arm(q, true);
    if (q->shadow) return sasos_virtq_collect(q->index);
    if (!wanted || due) return 0; // who armed has looked since
    uint32_t n = (uint16_t)(read16(q->used + 2) - q->used_index);
    return (int)(n < q->size ? n : q->size);
}
