// domain.h — a domain: one module instance with its grants, its home thread and its end.
//
// Life: dom_create() checks everything that the manifest asks against what the configuration grants, then commits: slot, code, device
// fence, interrupts, channels. dom_start() gives it its home thread. A driver's home thread calls driver_start() once and then
// driver_event() with whatever is pending; an application's calls app_main(). At the end, by return, exit(), trap, quota, blocked DMA
// or dom_stop(), the home thread quiesces the device (DESIGN order: bus mastering off, pending transactions, function reset, interrupts
// off, translation off and confirmed), tells the peers of its channels, and signals `done`. dom_free() gives the rest back: only
// then are pages reused.
//
// Who may touch what: fields under "script" by the thread that runs the configuration; "home" by the home thread; "any" are words
// that interrupt handlers set and others read.
#ifndef SASOS_RUN_DOMAIN_H
#define SASOS_RUN_DOMAIN_H
#include "loader/loader.h"
#include "loader/manifest.h"
#include "loader/pack/pack.h"
#include "sasos/dev/iommu.h"
#include "sasos/dev/msix.h"
#include "sasos/run/abi.h"
#include "sasos/run/config.h"
#include "sasos/run/thread.h"

#define DOM_MAX 64u
#define DOM_ERROR_MAX 240u

enum dom_state { DOM_NEW, DOM_STARTING, DOM_RUNNING, DOM_ENDED };
enum dom_end { // why it ended
    DOM_END_NONE,
    DOM_END_EXIT,    // app_main() returned, or exit(): status says
    DOM_END_STOPPED, // by dom_stop()
    DOM_END_FAILED,  // driver_start() returned an error
    DOM_END_TRAP,    // info says
    DOM_END_BUDGET,  // computed for longer than its budget
    DOM_END_DMA,     // its device attempted DMA outside its area
};

struct dom;

// Pages shared by the two ends of a connection. Owned by the run, not by a domain: it outlives both.
struct channel {
    uint64_t pa;
    uint32_t size;      // bytes, whole pages; 0 = not made yet
    struct dom *end[2]; // 0 the client, 1 the server; NULL when that end is not there
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
    // script
    bool announced, over; // its end was told; the steps are done with it
    const struct config_module *config;
    struct ldr_manifest manifest;
    struct ldr_store *store;
    struct ldr_code *code;
    struct ldr_instance *inst;
    struct ldr_thread *thread;
    struct thread *home;                       // NULL before and after its life
    struct thread *spawned;                    // the same, until dom_free() has joined it
    uint32_t stack;                            // bytes, for modules on it
    struct pack_module blob[CONFIG_BLOBS_MAX]; // granted files
    const struct pci_fn *fn;                   // granted function, NULL if none
    struct iommu_domain *fence;
    struct msix *msix;
    struct dom_irq irq[SASOS_IRQS_MAX];
    uint32_t channels;
    struct dom_channel channel[SASOS_CHANNELS_MAX];
    // home
    uint32_t dma_next, dma_used; // next free offset in the DMA area; bytes counted against the grant
    uint32_t device_next;        // next free offset in the device area
    uint32_t pending;            // events taken but not asked for (not drivers)
    uint64_t timer;              // timer(): ns, THR_FOREVER: none
    int64_t counter[MANIFEST_COUNTERS_MAX];
    uint32_t irqs_bound; // bit n: message n is bound
    int32_t status;
    uint32_t allocations; // of the kernel while an application ran
    struct ldr_trap_info info;
    uint64_t started_ns;
    uint64_t interrupts;      // since then
    const struct dom *ticked; // by the tick: whose code this home thread was in, only compared
    uint32_t ticks;           // and for how many ticks without a pause
    // any
    struct event events;  // SASOS_EVENT_*, and DOM_EVENTS_KERNEL
    struct event life;    // for the home thread of a library, whose events are taken by others
    struct event done;    // DOM_DONE_*
    struct event monitor; // somebody left the domain
    // Atomic: who sees a state sees what was written before it was set.
    _Atomic enum dom_state state;
    _Atomic enum dom_end end;
    struct iommu_fault fault; // DOM_END_DMA
};
#define DOM_EVENT_KILL (1u << 30) // it is dead: look
#define DOM_EVENT_LOOK (1u << 29) // its timer has changed
#define DOM_EVENTS_KERNEL (DOM_EVENT_KILL | DOM_EVENT_LOOK | THR_INTERRUPTED)
enum { DOM_DONE_STARTED = 1, DOM_DONE_ENDED = 2 };

// NULL and a sentence on failure; nothing is left then.
struct dom *dom_create(const struct config *config, const struct config_module *module,
                       const uint8_t *bytes, uint64_t size, char error[DOM_ERROR_MAX]);
// Runs it. Returns when a driver or library is ready or has failed, or when an application has begun.
void dom_start(struct dom *d);
// Asks it to stop (drivers: at once; the device is quiesced) and waits for its end.
void dom_stop(struct dom *d);
// Ends it: nothing enters it any more when this returns, kernel calls that are under way do not return to it, and a CPU that is in its code
// is stopped there by an interrupt, within the next instructions. `end` counts if it has not ended already. Any context.
void dom_kill(struct dom *d, enum dom_end end);
void dom_died(struct dom *d); // tells its home thread that the loader has found it dead. Any context
// The domain has ended. False while another domain is still linked to it.
bool dom_free(struct dom *d);
// How it ended, as one line: "virtio-rogue: …".
void dom_end_text(const struct dom *d, char *out, size_t size);
const char *dom_name(const struct dom *d);
struct dom *dom_find(const char *name); // running or ended, not yet freed

// ---- between the files of run/ ----
// Whether the configuration grants what the manifest asks, and the machine has it; fills in what follows from both.
bool dom_check(struct dom *d, const struct config *config, char error[DOM_ERROR_MAX]);
uint64_t dom_cpu_ns(const struct dom *d); // of its home thread, 0 if there is none
uint32_t dom_timer_due(struct dom *d);    // SASOS_EVENT_TIMER, once, when its time has come
uint32_t dom_dma_alloc(struct dom *d, uint32_t bytes);
uint32_t dom_bar_map(struct dom *d, uint32_t bar, uint32_t offset, uint32_t bytes);
int32_t dom_irq_enable(struct dom *d, uint32_t message);
enum status dom_device_open(struct dom *d); // fence and MSI-X of d->fn
void dom_device_close(struct dom *d);       // the quiesce order; idempotent
void screen_release(const struct dom *d);   // if it has the screen
enum status chan_attach(struct dom *d, struct channel *c, unsigned side);
void chan_detach_all(struct dom *d); // tells the peers
int32_t chan_signal(struct dom *d, uint32_t index);
int32_t chan_generation(const struct dom *d, uint32_t index);
// Maps physical pages at the next free place of the DMA area, and for the device too. Returns the address, 0 on failure. Owned pages
// are taken over in either case: freed with the slot, or at once on failure.
uint32_t dom_map_dma(struct dom *d, uint64_t pa, uint32_t bytes, bool owned);

extern const struct ldr_hostfunc hc_functions[]; // hostcall.c
extern const unsigned hc_count;
#endif
