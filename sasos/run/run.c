// run.c — see run.h. One step after the other, each against its expectation; the machine's exit status says whether all came true.
#include "sasos/run/run.h"
#include "efi/bootinfo.h"
#include "loader/pack/pack.h"
#include "sasos/arch/power.h"
#include "sasos/arch/time.h"
#include "sasos/dev/iommu.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/lib/printf.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/pt.h"
#include "sasos/run/config.h"
#include "sasos/run/domain.h"
#include "sasos/run/fault.h"
#include "sasos/run/random.h"

#define SCRIPT_STACK (1u << 20)              // the compiler runs on it
#define END_WAIT_NS (30ull * 1000 * TIME_MS) // a driver that is expected to end has this long

static struct config config;
static struct channel channels[CONFIG_MODULES_MAX][CONFIG_CONNECTS_MAX];
static struct pack pack;

struct channel *run_channel(uint32_t module, uint32_t connect) {
    return &channels[module][connect];
}

const struct config_module *run_module(uint32_t index) {
    return index < config.modules ? &config.module[index] : NULL;
}

bool run_file(const char *name, struct pack_module *out) {
    uint32_t i = pack_find(&pack, name);
    if (i == pack.count) return false;
    *out = pack_get(&pack, i);
    return true;
}

static const char *const step_words[] = {"start", "stop", "run"};

static bool as_expected(const struct config_step *s, const struct dom *d) {
    switch (s->expect) {
    case EXPECT_OK:
        if (s->kind == STEP_START) return d->state == DOM_RUNNING;
        return s->kind == STEP_STOP ? d->end == DOM_END_STOPPED
                                    : d->end == DOM_END_EXIT && d->status == 0;
    case EXPECT_EXIT: return d->end == DOM_END_EXIT && d->status == s->value;
    case EXPECT_TRAP: return d->end == DOM_END_TRAP && (int32_t)d->info.kind == s->value;
    case EXPECT_BUDGET: return d->end == DOM_END_BUDGET;
    case EXPECT_DMA: return d->end == DOM_END_DMA;
    default: return false;
    }
}

static void report_unexpected(const struct config_step *s) {
    log_error("run", "line %u: %s %s: this was not expected", s->line, step_words[s->kind],
              config.module[s->module].name);
}

static void announce(struct dom *d, enum log_level level, const char *comment) {
    char text[320];
    dom_end_text(d, text, sizeof(text));
    klog(level, "run", "%s%s", text, comment);
    d->announced = true;
}

// Tells of ends that no step waited for, and frees what the steps are done with. What has clients waits for their end.
static void reap(void) {
    for (uint32_t i = config.modules; i-- > 0;) { // clients are described below their servers: they go first
        struct dom *d = dom_find(config.module[i].name);
        if (!d || d->state != DOM_ENDED) continue;
        if (!d->announced) announce(d, d->end == DOM_END_STOPPED ? LOG_INFO : LOG_ERROR, "");
        if (d->over) dom_free(d);
    }
}

static bool end_step(const struct config_step *s, struct dom *d) {
    bool good = as_expected(s, d);
    if (d->state == DOM_ENDED) {
        if (!d->announced)
            announce(d, good ? LOG_INFO : LOG_ERROR,
                     good && s->expect != EXPECT_OK ? " (as expected; contained)" : "");
        d->over = true;
    }
    if (!good) report_unexpected(s);
    reap();
    return good;
}

static bool start_or_run(const struct config_step *s) {
    char error[DOM_ERROR_MAX];
    const struct config_module *m = &config.module[s->module];
    char file[PACK_NAME];
    ksnprintf(file, sizeof(file), "%s.wasm", m->file);
    struct pack_module module;
    struct dom *d = dom_find(m->name);
    if (d && d->state == DOM_ENDED) { // it ended by itself: this is its next life
        d->over = true;
        reap();
    }
    d = NULL;
    if (dom_find(m->name)) {
        ksnprintf(error, sizeof(error), "%s is running already", m->name);
    } else if (!run_file(file, &module)) {
        ksnprintf(error, sizeof(error), "there is no module %s in this image", file);
    } else {
        d = dom_create(&config, m, module.bytes, module.size, error);
    }
    if (!d) {
        bool good = s->expect == EXPECT_REFUSED;
        klog(good ? LOG_INFO : LOG_ERROR, "run", "refused: %s%s", error, good ? " (as expected)" : "");
        if (!good) report_unexpected(s);
        return good;
    }
    static bool first = true; // the boot's last time mark
    if (first) log_info("main", "entry to first module %u ms", (uint32_t)(time_now_ns() / TIME_MS));
    first = false;
    dom_start(d);
    while (s->kind == STEP_RUN && d->state == DOM_RUNNING) thr_wait(&d->done, THR_FOREVER);
    uint64_t deadline = time_now_ns() + END_WAIT_NS;
    while (s->kind == STEP_START && s->expect != EXPECT_OK && d->state == DOM_RUNNING &&
           time_now_ns() < deadline)
        thr_wait(&d->done, deadline);
    if (s->expect != EXPECT_OK && d->state == DOM_RUNNING) {
        log_error("run", "%s has not ended within %u s", m->name,
                  (uint32_t)(END_WAIT_NS / (1000 * TIME_MS)));
        dom_stop(d);
    }
    return end_step(s, d);
}

static bool stop(const struct config_step *s) {
    struct dom *d = dom_find(config.module[s->module].name);
    if (!d) {
        log_error("run", "%s is not running", config.module[s->module].name);
        report_unexpected(s);
        return false;
    }
    dom_stop(d);
    return end_step(s, d);
}

static void script(void *arg) {
    (void)arg;
    uint32_t good = 0;
    for (uint32_t i = 0; i < config.steps; i++) {
        const struct config_step *s = &config.step[i];
        log_info("run", "%s %s", step_words[s->kind], config.module[s->module].name);
        good += s->kind == STEP_STOP ? stop(s) : start_or_run(s);
    }
    for (uint32_t i = config.modules; i-- > 0;) {
        struct dom *d = dom_find(config.module[i].name);
        if (d) dom_stop(d);
        reap();
    }
    iommu_report();
    bool all = good == config.steps;
    klog(all ? LOG_INFO : LOG_ERROR, "run", "%u of %u steps as expected; power off", good,
         config.steps);
    power_off(all);
}

void run_start(const struct bootinfo *info) {
    char error[160];
    enum pack_status p = pack_open(pt_direct(info->modules.base), info->modules.size, &pack);
    if (p != PACK_OK)
        panic_refuse("the modules in the boot image cannot be used: %s", pack_status_text(p));
    if (!config_parse(pt_direct(info->config.base), info->config.size, &config, error, sizeof(error)))
        panic_refuse("the configuration in the boot image cannot be used: %s", error);
    fault_init();
    random_init();
    if (!thr_create("script", THR_APPLICATION, SCRIPT_STACK, script, NULL))
        panic_refuse("there is not enough memory to start");
}
