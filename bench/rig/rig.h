// rig.h — drivers on the real CPU, in a Linux process: the same module (or its native twin), kernel calls, and a device that is a C model.
//
// A *stack* is one application and one or two ports, each a driver and a device model. Its domains are either all sandboxed (their modules, through
// loader/ and the verifier, the application linked to each driver by a true crossing) or all native (the same sources as x86-64 code in this
// program: twin.c). Everything runs on one thread, in an order that depends on nothing but the requests: the application runs until it
// waits; then each model looks at what its driver has put into its rings, serves all of it, and raises interrupts; then the drivers are
// called with them. So time can be divided exactly into the model's and the rest.
//
// Addresses. A domain sees 32-bit addresses: a sandboxed one in its window, a native one in the low 4 GiB of this process, where the
// areas of *all* native domains lie side by side. The model reaches memory through the driver's space, and only what that driver was
// given for DMA.
//
// Registers. While a driver starts, each access to a device page faults; the model is told before and after the instruction, which is
// stepped. Afterwards the pages that a model says are doorbells are plain memory, so that a driver at work runs at full speed.
// (A real register write costs the same on both sides, and is missing on both.)
#ifndef BENCH_RIG_H
#define BENCH_RIG_H
#include "loader/loader.h"
#include "sasos/run/abi.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RIG_PAGE 4096u
#define RIG_ARGS_MAX 8u
#define RIG_PAGES_MAX 8u // of a device's registers
#define RIG_MARKS 2u
#define RIG_PORTS 2u

struct rig_domain;
struct rig_device;

// ---- Memory: space.c ----
struct rig_space {
    uintptr_t base;                          // of address 0; 0 for native domains
    struct ldr_instance *inst;               // NULL for native domains
    uint32_t *dma_next, *device_next;        // next free addresses, shared by native domains
    uint32_t dma_first, dma_end, dma_pieces; // what the device may reach: [dma_first, dma_end)
};
struct rig_pages { // memory that may be mapped into several spaces
    int fd;
    uint32_t size;
    uint8_t *at; // our own view
};
struct rig_pages rig_pages_new(uint32_t size);
uint32_t rig_map_dma(struct rig_space *s, const struct rig_pages *p); // the address, 0: no room
// [address, address + size) of the space for the device; NULL when the driver has no such DMA memory.
static inline void *rig_dma(const struct rig_space *s, uint64_t address, uint64_t size) {
    if (address < s->dma_first || address >= s->dma_end || size > s->dma_end - address) return NULL;
    return (void *)(s->base + address);
}
// Registers of `d` from page `first` on; accesses are trapped until rig_registers_release().
uint32_t rig_map_registers(struct rig_space *s, struct rig_device *d, uint32_t first, uint32_t pages);
void rig_registers_release(struct rig_device *d);
void rig_space_init(void); // after host_init()

// ---- Devices ----
// What a network model sees sent vanishes after a look at it, and frames come from nowhere, `burst` of them at each turn, 0: none. Frames are numbered
// from byte 16 on; a sent frame with another number than the next, or of another size than `size`, ends the program: a driver that loses, doubles or cuts
// frames is found out. (What comes is checked by the application.)
struct rig_load {
    uint32_t size, burst;
    uint32_t sent, received;
};
struct rig_device {
    const char *name;
    struct rig_space *space; // the driver's
    struct rig_pages pages;  // registers, as one BAR
    uint32_t doorbells;      // bit n: page n may be plain memory once the driver has started
    struct {                 // views of the driver; 0: not mapped
        uintptr_t at;
        bool plain;
    } view[RIG_PAGES_MAX];
    uint8_t config[256]; // PCI configuration space
    uint64_t latency;    // time-stamp counts from the model's look to its answer; 0: at once
    uint32_t irqs;       // messages raised and not yet delivered, bit n
    uint32_t irqs_enabled;
    struct rig_load load;
    void (*before)(struct rig_device *d, uint32_t offset, bool write);
    void (*after)(struct rig_device *d, uint32_t offset, bool write);
    bool (*pump)(struct rig_device *d); // false: there was nothing to do
    void (*look)(struct rig_device *d); // when the driver asks for the time; NULL: nothing
};
struct rig_disk { // shared by the block models
    uint8_t *data;
    uint64_t sectors;
};
struct rig_device *rig_virtio_blk(struct rig_disk *disk);
struct rig_device *rig_nvme(struct rig_disk *disk);
struct rig_device *rig_virtio_net(struct rig_disk *disk); // has none
struct rig_device *rig_e1000e(struct rig_disk *disk);     // likewise
// load.c. What comes from now on, and what size is sent; numbers begin again.
void rig_net_load(struct rig_device *d, uint32_t size, uint32_t burst);
void rig_frame_comes(struct rig_device *d, uint8_t *to); // load.size bytes
void rig_frame_sent(struct rig_device *d, const uint8_t *start, uint32_t total);

// ---- Domains and stacks: domain.c ----
struct rig_export {
    const char *name;
    void *fn;
};
struct rig_twin { // made by twin.c, one for each source that is linked natively
    const char *name;
    struct rig_domain **domain;
    const struct rig_export *exports, *imports; // imports: fn is the address of the pointer to fill
};
struct rig_channel {
    struct rig_pages pages;
    struct rig_domain *end[2]; // 0 the client, 1 the server
    uint8_t index[2];
};
struct rig_port {
    struct rig_domain *driver;
    struct rig_device *device;
    struct rig_channel channel;
};
struct rig_stack {
    struct rig_domain *app;
    struct rig_port port[RIG_PORTS];
    unsigned ports;
    bool timing; // divide the time; costs some
    // Time-stamp counts since the stack was made.
    struct rig_time {
        uint64_t model, models, event, events, submit, submits; // time in, and number of
    } time;
    unsigned marks; // time_ns() calls of the application's present run, the first RIG_MARKS of which are kept:
    struct rig_mark {
        uint64_t tsc;
        struct rig_time time;
    } mark[RIG_MARKS];
};
struct rig_entry { // of a domain: an export
    uint32_t index;
    void *fn;
};
struct rig_domain {
    const char *name;
    struct rig_stack *stack;
    struct rig_device *device; // a driver's
    struct rig_space space;
    const struct rig_twin *twin; // or
    struct ldr_instance *inst;
    struct ldr_thread *thread;
    struct rig_entry event; // driver_event
    bool quiet;
    char line[512]; // the last one logged
    unsigned lines;
    uint32_t pending;
    uint32_t channels;
    struct rig_channel *channel[SASOS_CHANNELS_MAX];
    uint32_t channel_address[SASOS_CHANNELS_MAX];
    uint8_t channel_side[SASOS_CHANNELS_MAX];
    const char *arg[RIG_ARGS_MAX];
    unsigned args;
};
// `bracket`: the application's calls of a driver are timed, and go through C; otherwise they are the crossings that the kernel makes.
// With two ports the application imports from `a` and from `b` (native: a_NAME, b_NAME); each port of a native stack has a twin of its own, since
// a twin is one instance. A port exists where there is a device.
struct rig_stack *rig_stack_native(const struct rig_twin *app,
                                   const struct rig_twin *const driver[RIG_PORTS],
                                   struct rig_device *const device[RIG_PORTS], uint32_t channel_bytes);
struct rig_stack *rig_stack_sandboxed(const char *app, const char *driver,
                                      struct rig_device *const device[RIG_PORTS],
                                      uint32_t channel_bytes, bool bracket);
// Native stacks: whether the call is timed; of several stacks, the one that runs next.
void rig_stack_bracket(struct rig_stack *s, bool on);
// driver_start() of each port; exits with a message when it fails.
void rig_stack_start(struct rig_stack *s);
// Runs app_main() with one argument; its result.
int32_t rig_stack_run(struct rig_stack *s, const char *argument);
// Calls an export of the domain, which must exist. A trap ends the program with a message.
int32_t rig_call(struct rig_domain *d, const char *export, uint32_t argument);
int32_t rig_enter(struct rig_domain *d, const struct rig_entry *entry, uint32_t argument);
// The address of `size` bytes that a domain passed as a pointer, NULL if they are not its own.
void *rig_pointer(struct rig_domain *d, uint64_t pointer, uint64_t size);
void rig_attach(struct rig_domain *d, struct rig_channel *c, unsigned side);
_Noreturn void rig_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t rig_tsc(void);      // serialised against what is before and behind it
uint64_t rig_tsc_cost(void); // of a pair of them

// The kernel calls, calls.c: one function a row of sasos/run/hostcall.def, with the arguments as raw bits. A row that has none is not
// offered: modules that import it are refused.
#define X(result, name, parameters, types, text) \
    __attribute__((weak))                        \
    int64_t rig_##name(struct rig_domain *d, uint64_t a, uint64_t b, uint64_t c, uint64_t e);
#include "sasos/run/hostcall.def"
#undef X
#endif
