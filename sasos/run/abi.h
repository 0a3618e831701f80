// abi.h — constants of the module ABI that the kernel and the SDK share: errors, events. Never changed, only added to.
#ifndef SASOS_ABI_H
#define SASOS_ABI_H

#include <stdint.h>

#define SASOS_NAMESPACE "sasos1"

#define SASOS_ERRORS(X)                                                          \
    X(E_FAULT, -1, "a pointer or length outside the caller's memory")            \
    X(E_INVAL, -2, "an argument out of its range")                               \
    X(E_DENIED, -3, "no grant for it")                                           \
    X(E_NOENT, -4, "no such thing")                                              \
    X(E_NOMEM, -5, "out of memory, or the grant is used up")                     \
    X(E_AGAIN, -6, "not now")                                                    \
    X(E_IO, -7, "the device failed")                                             \
    X(E_PEER, -8, "the other domain is dead")                                    \
    X(E_READONLY, -9, "the medium cannot be written")                            \
    X(E_RANGE, -10, "beyond the end of the medium")                              \
    X(E_NODEV, -11, "no such device, or one that this driver refuses")           \
    X(E_INTR, -12, "the domain that called is being ended: clean up and return") \
    X(E_DEAD, -111, "the callee died during the call (made by the kernel)")
enum sasos_error {
    E_OK = 0,
#define X(name, value, text) name = value,
    SASOS_ERRORS(X)
#undef X
};

// A module's window (the contract's numbers, repeated because modules do not see the contract; asserted equal in domain.c).
#define SASOS_WINDOW_MEMORY_MAX 0x80000000u // wasm memory lies below, then the DMA and channel area
#define SASOS_WINDOW_DEVICE 0xc0000000u     // device registers

// Events of a domain: one bit each, sticky until taken.
#define SASOS_EVENT_IRQ(n) (1u << (n)) // 0–7: message n of the driver's function
#define SASOS_EVENT_CHANNEL(n) \
    (1u << (8 + (n)))                // 8–15: the other end of channel n signalled, or died
#define SASOS_EVENT_TIMER (1u << 16) // the time of timer() has come
#define SASOS_EVENT_STOP \
    (1u << 17) // the system is about to end this domain: finish what must be finished
#define SASOS_IRQS_MAX 8u
#define SASOS_CHANNELS_MAX 8u
#define SASOS_RINGS_MAX 8u // shadow rings of a device

// What keeps a device that does DMA to its driver's area: dma_mode().
enum sasos_dma_mode {
    SASOS_DMA_BY_IOMMU, // the IOMMU: bus addresses are the driver's own
    SASOS_DMA_SHADOW, // the kernel, which checks and translates the rings of a virtio device: virtio_start() and so on
    SASOS_DMA_TRUSTED, // nothing; the configuration says that it may be so. Bus addresses are those of dma_address()
};

// ---- What dom_info() and sys_info() tell. Fields are only added, at the end: who asks says how many bytes it knows. ----
#define SASOS_NAME 40u
#define SASOS_COUNTERS_MAX 16u
#define SASOS_COUNTER_NAME 24u
enum sasos_dom_kind { SASOS_DRIVER, SASOS_APP, SASOS_LIBRARY, SASOS_PROGRAM };
enum sasos_dom_state {
    SASOS_NOT_LOADED, // nothing but the name is known
    SASOS_STARTING,
    SASOS_RUNNING,
    SASOS_RESTARTING, // dead, and waiting for its next life
    SASOS_ENDED,
};
struct sasos_counter {
    char name[SASOS_COUNTER_NAME];
    int64_t value;
};
struct sasos_dom_info {
    char name[SASOS_NAME], file[SASOS_NAME];
    uint32_t kind, state;                      // enums above
    uint32_t lives;                            // how often it was started
    uint32_t faults;                           // how often it ended by trap, budget or blocked DMA
    int32_t status;                            // of its last exit, or the error of a failed start
    uint32_t channels;                         // that it has
    uint16_t segment, rid, vendor, device;     // of its PCI function; vendor 0: none
    uint64_t memory, memory_max, dma, dma_max; // bytes: in use, granted
    uint64_t cpu_ns;                           // its thread's time; a library's is its clients'
    uint64_t started_ns;                       // when its present life began
    uint64_t interrupts;                       // in its present life
    uint32_t log_dropped;                      // lines that it was not allowed to log
    uint32_t counters;
    struct sasos_counter counter[SASOS_COUNTERS_MAX];
    char end[160];                 // how its last life ended, a sentence; empty at first
    uint32_t cpu;                  // where its thread runs, or ran last
    uint32_t handles, handles_max; // what it asked the kernel to keep for it: in use, granted
    uint32_t unused;
    struct sasos_channel_info {
        uint32_t pages;
        uint16_t peer;            // the other end's module: an index of dom_info()
        uint16_t server;          // 1: this end is the server's
        uint32_t life, peer_life; // of the two ends, as chan_generation() counts them
    } channel[SASOS_CHANNELS_MAX];
    struct sasos_ring_info {      // shadow rings: the others are between a driver and its device
        uint16_t size;            // 0: there is none of that number
        uint16_t published, used; // indices: what the device was given, what was taken back from it
        uint16_t broken;          // 1: the device used what it did not have
    } ring[SASOS_RINGS_MAX];
};
enum sasos_control {
    SASOS_START,
    SASOS_STOP,
    SASOS_KILL, // as if it had failed: its restart line decides what comes then
    SASOS_RESTART,
    SASOS_POWER_OFF, // of the machine: no name, as those below
    SASOS_REBOOT,
    SASOS_TRACE_ON,
    SASOS_TRACE_OFF,
};
enum sasos_sys_flags {
    SASOS_DMA_FENCED = 1,
    SASOS_FENCE_PROVED = 2, // this boot has seen a blocked access
    SASOS_HYPERVISOR = 4,
    SASOS_FORGING_REFUSED = 8, // and a forged interrupt refused
    SASOS_TRACING = 16
};
struct sasos_sys_info {
    uint64_t time_ns;
    int64_t wall_ns;
    uint64_t memory, memory_free;      // bytes
    uint64_t kernel_objects;           // live allocations of the kernel
    uint64_t log_first, log_next;      // positions for log_read()
    uint64_t dma_faults, dma_commands; // blocked accesses; commands to the IOMMU
    uint64_t interrupts_unexpected;
    uint32_t flags;   // enum sasos_sys_flags
    uint32_t domains; // indices of dom_info()
    uint32_t cpus, unused;
    char cpu[48], iommu[16];
};

// ---- The trace: trace_read(). X(kind, its word, what `value` is, what `more` is) ----
#define SASOS_TRACES(X)                                                                \
    X(INTERRUPT, "interrupt", "vector", "")                                            \
    X(TIMER, "timer", "", "")                                                          \
    X(SLEEP, "sleep", "until (ns)", "")                                                \
    X(WAKE, "wake", "", "on CPU")                                                      \
    X(CALL_ERROR, "call error", "row of hostcall.def", "the error")                    \
    X(BEGIN, "begin", "life", "")                                                      \
    X(READY, "ready", "life", "")                                                      \
    X(KILL, "kill", "why: enum dom_end of the kernel", "")                             \
    X(END, "end", "life", "why")                                                       \
    X(GRANT, "grant", "address in its window: DMA pages, channel, registers", "bytes") \
    X(REVOKE, "revoke", "DMA area used, all of which goes", "device area used")        \
    X(DMA_FAULT, "DMA fault", "address", "reason, as the IOMMU gives it")
enum sasos_trace_kind {
#define X(name, text, value, more) SASOS_TRACE_##name,
    SASOS_TRACES(X)
#undef X
};
#define SASOS_TRACE_KERNEL 0xffffu
struct sasos_trace {
    uint64_t number;  // from 1
    uint64_t time_ns; // as time_ns()
    uint64_t value;
    uint32_t more;
    uint16_t module; // whose: an index of dom_info(), or SASOS_TRACE_KERNEL. Of an interrupt: whose thread was interrupted
    uint8_t kind, cpu;
};

// screen_map()
enum sasos_screen_format {
    SASOS_SCREEN_BGRX = 0,
    SASOS_SCREEN_RGBX = 1
}; // bytes of a pixel, in the order of addresses
struct sasos_screen {
    uint32_t width, height, pitch, format; // pixels, pixels, bytes, enum sasos_screen_format
};
#endif
