// run.c — see run.h. One step after the other, each against its expectation; the machine's exit status says whether all came true.
#include "sasos/run/run.h"
#include "efi/bootinfo.h"
#include "loader/pack/pack.h"
#include "sasos/arch/lock.h"
#include "sasos/arch/power.h"
#include "sasos/arch/time.h"
#include "sasos/dev/button.h"
#include "sasos/dev/iommu.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/lib/printf.h"
#include "sasos/mem/pt.h"
#include "sasos/run/chaos.h"
#include "sasos/run/config.h"
#include "sasos/run/domain.h"
#include "sasos/run/fault.h"
#include "sasos/run/random.h"

#define SCRIPT_STACK (1u << 20)              // the compiler runs on it
#define CONTROL_STACK (1u << 20)             // likewise
#define END_WAIT_NS (30ull * 1000 * TIME_MS) // a driver that is expected to end has this long
#define ORDERS 16u

static struct config config;
static struct channel channels[CONFIG_MODULES_MAX][CONFIG_CONNECTS_MAX];
static struct pack pack;
static struct mutex load_lock; // dom_load(), dom_want_start()
static volatile bool closing;  // the machine is going off: no step is begun any more

struct channel *run_channel(uint32_t module, uint32_t connect) {
    return &channels[module][connect];
}

bool run_file(const char *name, struct pack_module *out) {
    uint32_t i = pack_find(&pack, name);
    if (i == pack.count) return false;
    *out = pack_get(&pack, i);
    return true;
}

// ---- starting ----

static bool load(struct dom *d, char error[DOM_ERROR_MAX]) {
    char file[PACK_NAME];
    struct pack_module module;
    ksnprintf(file, sizeof(file), "%s.wasm", d->config->file);
    if (run_file(file, &module)) return dom_load(d, module.bytes, module.size, error);
    ksnprintf(error, DOM_ERROR_MAX, "there is no module %s in this image", file);
    return false;
}

// Loads it, if that is not done, and orders it to start.
static bool start(struct dom *d, char error[DOM_ERROR_MAX]) {
    thr_lock(&load_lock);
    bool good = (d->state != DOM_NONE || load(d, error)) && dom_want_start(d, error);
    thr_unlock(&load_lock);
    static bool first = true; // the boot's last time mark
    if (good && first)
        log_info("main", "entry to first module %u ms", (uint32_t)(time_now_ns() / TIME_MS));
    if (good) first = false;
    return good;
}

static _Noreturn void close_down(bool good) {
    closing = true;
    for (unsigned i = dom_count(); i-- > 0;) { // clients are described below their servers: they go first
        dom_close(dom_at(i));
    }
    iommu_report();
    klog(good ? LOG_INFO : LOG_ERROR, "run", "power off");
    power_off(good);
}

// ---- the steps of the configuration ----

static const char *const step_words[] = {"start", "stop", "run"};

static bool as_expected(const struct config_step *s, const struct dom *d) {
    switch (s->expect) {
    case EXPECT_OK:
        if (s->kind == STEP_START) return d->state == DOM_RUNNING;
        if (s->kind == STEP_STOP && d->end == DOM_END_STOPPED) return true;
        return (s->kind == STEP_RUN || d->hears_stop) && d->end == DOM_END_EXIT && d->status == 0;
    case EXPECT_EXIT: return d->end == DOM_END_EXIT && d->status == s->value;
    case EXPECT_TRAP: return d->end == DOM_END_TRAP && (int32_t)d->info.kind == s->value;
    case EXPECT_BUDGET: return d->end == DOM_END_BUDGET;
    case EXPECT_DMA: return d->end == DOM_END_DMA;
    case EXPECT_REFUSED: return d->end == DOM_END_REFUSED;
    default: return false;
    }
}

static bool judge(const struct config_step *s, bool good) {
    if (closing) thr_exit(); // whoever gave that order does the rest
    const char *name = config.module[s->module].name;
    if (!good)
        log_error("run", "line %u: %s %s: this was not expected", s->line, step_words[s->kind], name);
    else if (s->expect != EXPECT_OK)
        log_info("run", "%s %s: as expected", step_words[s->kind], name);
    return good;
}

static bool start_or_run(const struct config_step *s) {
    char error[DOM_ERROR_MAX];
    struct dom *d = dom_at(s->module);
    if (!start(d, error)) {
        bool good = s->expect == EXPECT_REFUSED;
        klog(good ? LOG_INFO : LOG_ERROR, "run", "refused: %s", error);
        return judge(s, good);
    }
    dom_wait_started(d);
    if (s->kind == STEP_RUN) {
        dom_wait_ended(d);
        return judge(s, as_expected(s, d));
    }
    uint64_t deadline = time_now_ns() + END_WAIT_NS;
    while (s->expect != EXPECT_OK && d->state != DOM_ENDED && time_now_ns() < deadline)
        thr_wait(&d->done, deadline);
    if (s->expect != EXPECT_OK && d->state != DOM_ENDED) {
        log_error("run", "%s has not ended within %u s", dom_name(d),
                  (uint32_t)(END_WAIT_NS / (1000 * TIME_MS)));
        dom_close(d);
    }
    return judge(s, as_expected(s, d));
}

static bool stop(const struct config_step *s) {
    struct dom *d = dom_at(s->module);
    if (!d->lives) {
        log_error("run", "%s is not running", dom_name(d));
        return judge(s, false);
    }
    dom_close(d);
    return judge(s, as_expected(s, d));
}

static void script(void *arg) {
    (void)arg;
    uint32_t good = 0;
    for (uint32_t i = 0; i < config.steps; i++) {
        const struct config_step *s = &config.step[i];
        log_info("run", "%s %s", step_words[s->kind], config.module[s->module].name);
        good += s->kind == STEP_STOP ? stop(s) : start_or_run(s);
    }
    bool all = good == config.steps;
    klog(all ? LOG_INFO : LOG_ERROR, "run", "%u of %u steps as expected", good, config.steps);
    close_down(all);
}

// ---- orders of domains with the grant `control` ----

static struct order {
    struct dom *dom; // NULL: the machine
    uint32_t op;
} orders[ORDERS];
static uint32_t orders_given, orders_taken;
static struct spinlock orders_lock;
static struct event orders_wait;

// What takes long, or ends who asks for it, is done by a thread of its own.
static void control(void *arg) {
    (void)arg;
    for (;;) {
        uint64_t flags = spin_lock(&orders_lock);
        bool any = orders_taken != orders_given;
        struct order o = orders[orders_taken % ORDERS];
        orders_taken += any;
        spin_unlock(&orders_lock, flags);
        char error[DOM_ERROR_MAX];
        if (!any)
            thr_wait(&orders_wait, THR_FOREVER);
        else if (o.dom && o.op == SASOS_STOP)
            dom_close(o.dom);
        else if (o.dom && !start(o.dom, error))
            log_warn("run", "refused: %s", error);
        else if (!o.dom && o.op == SASOS_POWER_OFF)
            close_down(true);
        else if (!o.dom)
            power_reboot();
    }
}

static int32_t give_order(struct dom *d, uint32_t op) {
    uint64_t flags = spin_lock(&orders_lock);
    bool room = orders_given - orders_taken < ORDERS;
    if (room) orders[orders_given++ % ORDERS] = (struct order){d, op};
    spin_unlock(&orders_lock, flags);
    if (room) thr_wake(&orders_wait, 1);
    return room ? 0 : E_AGAIN;
}

// From the button's interrupt handler.
static void on_button(void) {
    log_info("run", "the power button was pressed");
    give_order(NULL, SASOS_POWER_OFF);
}

int32_t run_control(struct dom *d, uint32_t op) {
    if (closing) return E_AGAIN;
    switch (op) {
    case SASOS_START:
    case SASOS_STOP: return give_order(d, op);
    case SASOS_KILL: dom_kill(d, DOM_END_KILLED); return 0;
    case SASOS_RESTART:
        if (d->state == DOM_NONE || d->state == DOM_ENDED) return give_order(d, op);
        d->again = true;
        dom_kill(d, DOM_END_STOPPED);
        return 0;
    case SASOS_POWER_OFF:
    case SASOS_REBOOT: return give_order(NULL, op);
    case SASOS_TRACE_ON:
    case SASOS_TRACE_OFF: trace_on = op == SASOS_TRACE_ON; return 0;
    default: return E_INVAL;
    }
}

void run_start(const struct bootinfo *info) {
    char error[160];
    enum pack_status p = pack_open(pt_direct(info->modules.base), info->modules.size, &pack);
    if (p != PACK_OK)
        panic_refuse("the modules in the boot image cannot be used: %s", pack_status_text(p));
    if (!config_parse(pt_direct(info->config.base), info->config.size, &config, error, sizeof(error)))
        panic_refuse("the configuration in the boot image cannot be used: %s", error);
    trace_on = config.trace;
    dom_init(&config);
    fault_init();
    random_init();
    chaos_start();
    button_init(on_button);
    if (!thr_create("script", THR_APPLICATION, SCRIPT_STACK, script, NULL) ||
        !thr_create("control", THR_APPLICATION, CONTROL_STACK, control, NULL))
        panic_refuse("there is not enough memory to start");
}
