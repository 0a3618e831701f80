// domain.h — a domain: one module instance with its grants, its home thread and its end.
//
// A record for each module of the configuration, made at boot and there for ever. dom_load() checks everything that the manifest asks against
// what the configuration grants, compiles, verifies and links; the instance then stays, and so do its slot, its code, the addresses of its
// channels, and what others import from it. What comes and goes is its life:
//
//   begin   device fence, bus mastering, interrupts, ends of its channels; its state is what its module says
//   live    driver: driver_start() once, then driver_event() with whatever is pending; library: library_start(), then its clients' calls, and
//           library_left() when one of them has ended;
//           application, program: app_main(), _start()
//   end     by return, exit(), trap, budget, blocked DMA, or by order. In this order: dead to everybody (calls give E_DEAD); bus mastering
//           off; its peers are told; every thread has left it; pending transactions, function reset, interrupts off, translation off and
//           confirmed; DMA and device pages unmapped, and only then free; memory, globals and tables as at first
//
// Its home thread (life.c) does all of that, and decides by the configuration's restart line whether there is a next life, and when. Orders
// (dom_want_start, dom_want_stop, dom_kill) are given by any thread; `wanted` says what is asked for, `state` what is.
//
// Who may touch what: fields under "load" are written by dom_load() only; "home" by the home thread; "inside" by the thread that is inside
// the domain; "any" are words that many write.
#ifndef SASOS_RUN_DOMAIN_H
#define SASOS_RUN_DOMAIN_H
#include "loader/loader.h"
#include "loader/manifest.h"
#include "loader/pack/pack.h"
#include "sasos/dev/iommu.h"
#include "sasos/dev/msix.h"
#include "sasos/dev/vring.h"
#include "sasos/lib/trace.h"
#include "sasos/run/abi.h"
#include "sasos/run/config.h"
#include "sasos/run/thread.h"

#define DOM_MAX 64u
#define DOM_ERROR_MAX 240u
#define DOM_EXTENTS_MAX 32u

enum dom_state {
    DOM_NONE,     // not loaded
    DOM_STARTING, // from the order to start until it is ready
    DOM_RUNNING,
    DOM_PAUSED, // dead; its next life comes when the back-off is over
    DOM_ENDED,  // loaded, and nothing of it runs
};
enum dom_end { // why its latest life ended
    DOM_END_NONE,
    DOM_END_EXIT,    // app_main() returned, or exit(): status says
    DOM_END_STOPPED, // by order
    DOM_END_FAILED,  // it could not start: status is an error
    DOM_END_TRAP,    // info says
    DOM_END_BUDGET,  // computed for longer than its budget
    DOM_END_DMA,     // its device attempted DMA outside its area, or it was about to let it
    DOM_END_KILLED,  // by order, as if it had failed
    DOM_END_REFUSED, // nothing of it ran: its device could not be set up
};

struct dom;

// Pages shared by the two ends of a connection. Made when the first of the two is loaded, and there for ever.
struct channel {
    uint64_t pa;
    uint32_t size;      // bytes, whole pages; 0 = not made yet
    struct dom *dom[2]; // 0 the client, 1 the server; NULL before it is loaded
    struct dom *end[2]; // the same while it lives, else NULL
    uint8_t index[2];   // the channel's number at that end
    uint32_t lives[2];  // of what was there, from 1
};
enum { CHAN_CLIENT, CHAN_SERVER };

struct dom_channel {
    struct channel *channel;
    uint8_t side;
    uint32_t address; // in this domain's window
};

struct dom_irq {
    struct dom *dom;
    uint32_t bit;
};

struct dom {
    uint16_t number; // in the configuration
    // load
    const struct config_module *config;
    struct ldr_manifest manifest;
    struct ldr_store *store;
    struct ldr_code *code;
    struct ldr_instance *inst;
    struct ldr_thread *thread;
    struct thread *home;
    uint32_t stack;                            // bytes, for modules on it
    bool compiled_before;                      // its machine code came with the image
    struct pack_module blob[CONFIG_BLOBS_MAX]; // granted files
    uint32_t channels;
    struct dom_channel channel[SASOS_CHANNELS_MAX];
    uint32_t dma_base; // offset in the DMA area behind the channels
    uint64_t frames;   // that its slot owns between two lives
    // home
    const struct pci_fn *fn; // granted function, NULL if none; chosen with the order to start
    enum sasos_dma_mode dma; // what keeps its device to its area; chosen with fn
    bool device_open;
    struct iommu_domain *fence; // FENCED
    struct shadow *shadow;      // SHADOW: what the kernel has of its device (shadow.c)
    struct msix *msix;
    struct dom_irq irq[SASOS_IRQS_MAX];
    uint32_t lives, faults;
    uint64_t due;    // when the next life may begin
    uint64_t minute; // when counting of faults_lately began
    uint32_t faults_lately;
    bool was_ready;                          // since the order to start
    uint64_t started_ns, ended_ns, reset_ns; // reset_ns: what its device took of the time between
    struct ldr_trap_info info;
    uint32_t allocations;     // of the kernel while an application ran
    uint32_t ticks;           // for how many ticks without a pause its thread was in `ticked`
    const struct dom *ticked; // only compared
    // inside
    uint32_t dma_next, dma_used; // next free offset in the DMA area; bytes counted against the grant
    uint32_t device_next;        // next free offset in the device area
    uint32_t extents; // pieces of the DMA area, channels first; what is beyond the limit is not listed
    struct vring_extent extent[DOM_EXTENTS_MAX];
    uint32_t pending;                             // events taken but not asked for (not drivers)
    uint32_t irqs_bound;                          // bit n: message n is bound
    uint32_t mappings;                            // DMA allocations, device registers, the screen
    struct sasos_ring_info ring[SASOS_RINGS_MAX]; // shadow.c
    uint64_t timer;                               // timer(): ns, THR_FOREVER: none
    int64_t counter[MANIFEST_COUNTERS_MAX];
    uint64_t log_at, log_credit; // ns: when a line was last asked for; what it has saved up since
    uint32_t log_dropped, log_dropped_now; // lines; since the last one that was not
    // any
    int32_t status;
    uint64_t interrupts;  // in this life
    struct event events;  // SASOS_EVENT_*, and DOM_EVENTS_KERNEL
    struct event orders;  // for the home thread between lives, and a library's also during one
    struct event done;    // its state changed
    struct event monitor; // somebody left the domain
    uint64_t chaos_due;   // ns, 0: not
    // Atomic: who sees a state sees what was written before it was set.
    _Atomic bool wanted;     // by order or by policy it shall run
    _Atomic bool again;      // a next life at once, whatever the end
    _Atomic bool closing;    // a library's: it is to finish its work and end
    _Atomic bool hears_stop; // an application's: it waits for SASOS_EVENT_STOP
    _Atomic enum dom_state state;
    _Atomic enum dom_end end;
    struct iommu_fault fault;      // DOM_END_DMA
    struct vring_fault ring_fault; // likewise, in shadow mode
    uint32_t ring_queue;
};
#define DOM_ORDER_LEFT 2u         // of `orders`: the other end of a channel has ended
#define DOM_EVENT_KILL (1u << 30) // it is dead: look
#define DOM_EVENT_LOOK (1u << 29) // its timer has changed
#define DOM_EVENTS_KERNEL (DOM_EVENT_KILL | DOM_EVENT_LOOK | THR_INTERRUPTED)

void dom_init(const struct config *config);
unsigned dom_count(void);
struct dom *dom_at(unsigned index); // by the configuration's order
struct dom *dom_find(const char *name);
const char *dom_name(const struct dom *d);
struct dom *dom_of_function(const struct pci_fn *fn); // who holds it, NULL if nobody
// How it ended, as one line: "virtio-rogue: …".
void dom_end_text(const struct dom *d, char *out, size_t size);

// Makes it ready to start: DOM_ENDED. False and a sentence on failure; nothing is left then. One caller at a time (run.c's lock).
bool dom_load(struct dom *d, const uint8_t *bytes, uint64_t size, char error[DOM_ERROR_MAX]);
// Orders a loaded domain to start. False and a sentence if it runs already, or its device or a peer is not there. Same lock.
bool dom_want_start(struct dom *d, char error[DOM_ERROR_MAX]);
// Orders it to stop. Any thread.
void dom_want_stop(struct dom *d);
// Ends it in order and waits for that: an application that waits for SASOS_EVENT_STOP and a library with library_stop() have five seconds to finish.
void dom_close(struct dom *d);
// Wait for the outcome.
void dom_wait_started(struct dom *d); // no longer DOM_STARTING
void dom_wait_ended(struct dom *d);   // DOM_ENDED, or never loaded
// Ends its life: nothing enters it any more when this returns, kernel calls that are under way do not return to it, and a CPU that is in
// its code is stopped there by an interrupt, within the next instructions. `end` counts if it has not ended already; whether there is a next life is the policy's business. Any context.
void dom_kill(struct dom *d, enum dom_end end);
void dom_died(struct dom *d);     // the loader has found it dead. Any context
_Noreturn void dom_home(void *d); // life.c: its home thread

// ---- between the files of run/ ----
// Whether the configuration grants what the manifest asks, and the machine has it; fills in what follows from both.
bool dom_check(struct dom *d, char error[DOM_ERROR_MAX]);
// What may be otherwise at the next start: chooses its PCI function; its servers run.
bool dom_check_start(struct dom *d, char error[DOM_ERROR_MAX]);
uint64_t dom_cpu_ns(const struct dom *d); // of its home thread
uint32_t dom_timer_due(struct dom *d);    // SASOS_EVENT_TIMER, once, when its time has come
// Handles: what the kernel keeps for a domain because it asked for that while it lived, until that life ends. True: it may have one more.
uint32_t dom_handles(const struct dom *d);
bool dom_handle_left(const struct dom *d);
uint32_t dom_dma_alloc(struct dom *d, uint32_t bytes);
uint32_t dom_bar_map(struct dom *d, uint32_t bar, uint32_t offset, uint32_t bytes);
int32_t dom_irq_enable(struct dom *d, uint32_t message);
// Fence, with its channels in it, or what is in its place, and MSI-X of d->fn, if it has one. On failure nothing is left.
enum status dom_device_open(struct dom *d);
void dom_device_stop(struct dom *d); // the first thing to do when it is dead: no bus mastering any more
// Everything else: the quiesce order; then DMA and device pages are gone. Nobody is inside.
void dom_device_close(struct dom *d);
enum status shadow_open(struct dom *d);
// Resets the device. True: it has confirmed that, and all rings are gone; false: they are kept for ever.
bool shadow_close(struct dom *d);
void screen_release(const struct dom *d); // if it has the screen
// Maps physical pages at the next free place of the DMA area, and for the device too. Returns the address, 0 on failure. Owned pages
// are taken over in either case: freed with the slot or dom_device_close(), or at once on failure.
uint32_t dom_map_dma(struct dom *d, uint64_t pa, uint32_t bytes, bool owned);

// Makes the channel if need be, and gives it its address in this domain.
enum status chan_attach(struct dom *d, struct channel *c, unsigned side);
void chan_open_all(struct dom *d);  // the domain lives: its channels have this end
void chan_close_all(struct dom *d); // and no longer
void chan_tell_all(struct dom *d);  // makes every peer look
int32_t chan_signal(struct dom *d, uint32_t index);
int32_t chan_generation(const struct dom *d, uint32_t index);

extern const struct ldr_hostfunc hc_functions[]; // hostcall.c
extern const unsigned hc_count;
#endif
