// config.c — see config.h. One function a key; every complaint names the line, what is wrong and what is expected.
#include "sasos/run/config.h"
#include "loader/words.h"
#include "sasos/arch/cpu.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/printf.h"
#include "sasos/run/abi.h"

struct parser {
    struct config *config;
    struct config_module *module; // whose grants are being read, NULL at a step
    const struct words *w;
    uint32_t line;
    char *error;
    size_t error_size;
};

static bool complain(struct parser *p, const char *what) {
    ksnprintf(p->error, p->error_size, "line %u: %s", p->line, what);
    return false;
}

static uint32_t find_module(const struct config *c, const char *name) {
    uint32_t i = 0;
    while (i < c->modules && !str_eq(c->module[i].name, name)) i++;
    return i;
}

static bool key_module(struct parser *p) {
    struct config *c = p->config;
    char name[CONFIG_NAME], file[CONFIG_NAME];
    uint32_t words = p->w->count;
    if ((words != 2 && words != 3) || !words_name(p->w, 1, name, sizeof(name)) ||
        !words_name(p->w, words - 1, file, sizeof(file)) || !name[0] || !file[0])
        return complain(
            p,
            "expected: module NAME, or module NAME FILE (letters, digits, _ - ., shorter than 40)");
    if (find_module(c, name) != c->modules) return complain(p, "this module is described already");
    if (c->modules == CONFIG_MODULES_MAX) return complain(p, "more than 32 modules");
    p->module = &c->module[c->modules++];
    p->module->line = p->line;
    p->module->log_lines = CONFIG_LOG_LINES;
    p->module->handles = CONFIG_HANDLES;
    str_copy(p->module->name, sizeof(p->module->name), name);
    str_copy(p->module->file, sizeof(p->module->file), file);
    return true;
}

static bool key_memory(struct parser *p) {
    return (p->w->count == 2 && words_size(p->w, 1, SFI_DMA_BASE - 1, &p->module->memory)) ||
           complain(p, "expected: memory SIZE, for example 2M, below 2048M");
}

static bool key_dma(struct parser *p) {
    return (p->w->count == 2 && words_size(p->w, 1, SFI_DMA_SIZE, &p->module->dma)) ||
           complain(p, "expected: dma SIZE, for example 64K, at most 1024M");
}

static bool key_irq(struct parser *p) {
    return (p->w->count == 2 && words_number(p->w, 1, SASOS_IRQS_MAX, &p->module->irqs)) ||
           complain(p, "expected: irq N, at most 8");
}

static bool key_cpu(struct parser *p) {
    p->module->pinned = p->w->count == 2 && words_number(p->w, 1, CPUS_MAX - 1, &p->module->cpu);
    return p->module->pinned || complain(p, "expected: cpu N, the number of a CPU, at most 63");
}

static bool key_budget(struct parser *p) {
    return (p->w->count == 2 && words_number(p->w, 1, 3600000, &p->module->budget_ms)) ||
           complain(p, "expected: budget MILLISECONDS, at most 3600000");
}

static bool key_share(struct parser *p) {
    return (p->w->count == 2 && words_number(p->w, 1, 100, &p->module->share) && p->module->share) ||
           complain(p, "expected: share PERCENT of a CPU, from 1 to 100");
}

static bool key_stack(struct parser *p) {
    return (p->w->count == 2 && words_size(p->w, 1, CONFIG_STACK_MAX, &p->module->stack) &&
            p->module->stack >= 65536) ||
           complain(p, "expected: stack SIZE, from 64K to 1M");
}

static bool key_restart(struct parser *p) {
    struct config_module *m = p->module;
    const struct words *w = p->w;
    m->restart = words_is(w, 1, "on-fault");
    m->restart_max = CONFIG_RESTARTS;
    m->backoff_ms = CONFIG_BACKOFF_MS;
    if (w->count == 2 && (m->restart || words_is(w, 1, "never"))) return true;
    if (m->restart && (w->count == 3 || w->count == 4) && words_number(w, 2, 1000000, &m->restart_max) &&
        (w->count == 3 || words_number(w, 3, 10000, &m->backoff_ms)))
        return true;
    return complain(p, "expected: restart never, or restart on-fault [TIMES-A-MINUTE "
                       "[FIRST-PAUSE-MS]], at most 1000000 and 10000");
}

static bool key_log(struct parser *p) {
    struct config_module *m = p->module;
    return (p->w->count == 2 && words_number(p->w, 1, 1000000, &m->log_lines) && m->log_lines) ||
           complain(p, "expected: log LINES-PER-SECOND, from 1 to 1000000");
}

static bool key_handles(struct parser *p) {
    struct config_module *m = p->module;
    return (p->w->count == 2 && words_number(p->w, 1, 65536, &m->handles) && m->handles) ||
           complain(p, "expected: handles N, from 1 to 65536");
}

static bool key_chaos(struct parser *p) {
    struct config_module *m = p->module;
    return (p->w->count == 3 && words_number(p->w, 1, 3600000000, &m->chaos_us) && m->chaos_us &&
            words_number(p->w, 2, 1000000000, &m->chaos_count)) ||
           complain(p, "expected: chaos MEAN-MICROSECONDS TIMES");
}

static bool flag(struct parser *p, bool *out) {
    *out = true;
    return p->w->count == 1 || complain(p, "expected nothing behind this word");
}
static bool key_program(struct parser *p) { return flag(p, &p->module->program); }
static bool key_clock(struct parser *p) { return flag(p, &p->module->clock); }
static bool key_framebuffer(struct parser *p) { return flag(p, &p->module->framebuffer); }
static bool key_console(struct parser *p) { return flag(p, &p->module->console); }
static bool key_entropy(struct parser *p) { return flag(p, &p->module->entropy); }
static bool key_entropy_source(struct parser *p) { return flag(p, &p->module->entropy_source); }
static bool key_observe(struct parser *p) { return flag(p, &p->module->observe); }
static bool key_control(struct parser *p) { return flag(p, &p->module->control); }

static bool key_pci(struct parser *p) {
    struct config_module *m = p->module;
    if (m->pcis == CONFIG_PCI_MAX) return complain(p, "more than 4 pci lines for one module");
    struct words w = *p->w;
    m->trusted[m->pcis] = words_is(&w, w.count - 1, "trusted");
    w.count -= m->trusted[m->pcis];
    if (!words_pci(&w, &m->pci[m->pcis]))
        return complain(
            p, "expected: pci VENDOR:DEVICE in hexadecimal, for example pci 1af4:1042, "
               "or pci class BASE:REST, for example pci class 01:0802; and perhaps trusted");
    m->pcis++;
    return true;
}

static bool key_connect(struct parser *p) {
    struct config_module *m = p->module;
    if (m->connects == CONFIG_CONNECTS_MAX)
        return complain(p, "more than 8 connect lines for one module");
    struct config_connect *c = &m->connect[m->connects];
    if (p->w->count != 4 || !words_name(p->w, 1, c->name_space, CONFIG_NAME) ||
        !words_name(p->w, 2, c->module, CONFIG_NAME) ||
        !words_size(p->w, 3, SFI_DMA_SIZE / 2, &c->size) || c->size == 0)
        return complain(
            p, "expected: connect NAMESPACE MODULE SIZE, for example connect blk virtio-blk 4M");
    if (find_module(p->config, c->module) == p->config->modules)
        return complain(p, "connect names a module that is not described above");
    c->size = (c->size + 4095) & ~4095u;
    m->connects++;
    return true;
}

// One more word of the module's text; NULL and a complaint if there is no room.
static const char *keep_text(struct parser *p, uint16_t *out_at) {
    struct config_module *m = p->module;
    char *to = m->text + m->text_used;
    *out_at = m->text_used;
    if (m->args + m->envs == CONFIG_WORDS_MAX || !words_text(p->w, 1, to, CONFIG_TEXT - m->text_used)) {
        complain(p, "more than 32 arg and env lines, or 4 KiB of them, for one module");
        return NULL;
    }
    m->text_used += (uint16_t)(p->w->length[1] + 1);
    return to;
}

static bool key_arg(struct parser *p) {
    if (p->w->count != 2) return complain(p, "expected: arg WORD, or arg \"SOME WORDS\"");
    struct config_module *m = p->module;
    if (!keep_text(p, &m->arg[m->args])) return false;
    m->args++;
    return true;
}

static bool key_env(struct parser *p) {
    struct config_module *m = p->module;
    const char *text = p->w->count == 2 ? keep_text(p, &m->env[m->envs]) : "";
    if (!text) return false;
    uint32_t equals = 0;
    while (text[equals] && text[equals] != '=') equals++;
    if (!equals || !text[equals])
        return complain(p, "expected: env NAME=VALUE, or env \"NAME=SOME WORDS\"");
    m->envs++;
    return true;
}

bool config_port_kept(uint16_t first, uint16_t last) {
    static const struct config_ports kept[] = {
        {0x0000, 0x001f}, // 8237 DMA controller
        {0x0020, 0x0021}, // 8259
        {0x0080, 0x009f}, // DMA pages, fast reset
        {0x00a0, 0x00a1}, // 8259
        {0x00b2, 0x00b3}, // system management interrupt
        {0x00c0, 0x00df}, // second DMA controller
        {0x00f4, 0x00f7}, // QEMU's debug exit
        {0x04d0, 0x04d1}, // edge or level of interrupts
        {0x0cf8, 0x0cff}, // PCI configuration, reset control
    };
    for (uint32_t i = 0; i < ARRAY_LEN(kept); i++)
        if (first <= kept[i].last && kept[i].first <= last) return true;
    return false;
}

static bool key_port(struct parser *p) {
    struct config_module *m = p->module;
    if (m->ports == CONFIG_PORTS_MAX) return complain(p, "more than 8 port lines for one module");
    struct config_ports *r = &m->port[m->ports];
    if (p->w->count != 2 || !words_hex_pair(p->w, 1, '-', &r->first, &r->last) || r->first > r->last)
        return complain(p, "expected: port FIRST-LAST in hexadecimal, for example port 3f8-3ff");
    if (config_port_kept(r->first, r->last))
        return complain(p,
                        "these ports are the kernel's own (interrupts, DMA, configuration, reset)");
    m->ports++;
    return true;
}

static bool key_isa_irq(struct parser *p) {
    struct config_module *m = p->module;
    uint32_t line;
    if (m->isa_irqs == CONFIG_ISA_IRQS_MAX)
        return complain(p, "more than 8 isa-irq lines for one module");
    if (p->w->count != 2 || !words_number(p->w, 1, 15, &line) || line == 0 || line == 2 || line == 8)
        return complain(p, "expected: isa-irq LINE, from 1 to 15, but neither 2 nor 8");
    m->isa_irq[m->isa_irqs++] = (uint8_t)line;
    return true;
}

static bool key_blob(struct parser *p) {
    struct config_module *m = p->module;
    if (m->blobs == CONFIG_BLOBS_MAX) return complain(p, "more than 16 blob lines for one module");
    if (p->w->count != 2 || !words_name(p->w, 1, m->blob[m->blobs], CONFIG_BLOB) || !p->w->length[1])
        return complain(p, "expected: blob FILE, a file of the boot image");
    m->blobs++;
    return true;
}

static const struct {
    const char *word;
    enum sfi_trap kind;
} trap_words[] = {
    {"memory", SFI_TRAP_MEMORY},           {"table", SFI_TRAP_TABLE},
    {"null", SFI_TRAP_NULL_ELEMENT},       {"signature", SFI_TRAP_SIGNATURE},
    {"divide", SFI_TRAP_DIV_ZERO},         {"overflow", SFI_TRAP_OVERFLOW},
    {"unreachable", SFI_TRAP_UNREACHABLE}, {"stack", SFI_TRAP_STACK},
    {"conversion", SFI_TRAP_CONVERSION},   {"table-access", SFI_TRAP_TABLE_ACCESS},
};

static bool read_expectation(struct parser *p, struct config_step *s) {
    const struct words *w = p->w;
    if (w->count == 2) return true;
    if (words_is(w, 2, "expect")) {
        if (w->count == 4 && words_is(w, 3, "ok")) return true;
        s->expect = w->count == 4 && words_is(w, 3, "budget")    ? EXPECT_BUDGET
                    : w->count == 4 && words_is(w, 3, "dma")     ? EXPECT_DMA
                    : w->count == 4 && words_is(w, 3, "refused") ? EXPECT_REFUSED
                                                                 : EXPECT_OK;
        if (s->expect != EXPECT_OK) return true;
        uint32_t status;
        if (w->count == 5 && words_is(w, 3, "exit") && words_number(w, 4, INT32_MAX, &status)) {
            s->expect = EXPECT_EXIT;
            s->value = (int32_t)status;
            return true;
        }
        for (uint32_t i = 0; w->count == 5 && words_is(w, 3, "trap") && i < ARRAY_LEN(trap_words); i++)
            if (words_is(w, 4, trap_words[i].word)) {
                s->expect = EXPECT_TRAP;
                s->value = trap_words[i].kind;
                return true;
            }
    }
    return complain(p, "expected nothing more, or: expect ok | exit N | budget | dma | refused | "
                       "trap memory, stack, divide, overflow, "
                       "unreachable, table, null, signature, conversion, table-access");
}

static bool key_step(struct parser *p, int kind) {
    struct config *c = p->config;
    char name[CONFIG_NAME];
    p->module = NULL;
    if (p->w->count < 2 || !words_name(p->w, 1, name, sizeof(name)))
        return complain(p, "expected the name of a module");
    if (c->steps == CONFIG_STEPS_MAX) return complain(p, "more than 128 steps");
    struct config_step *s = &c->step[c->steps];
    *s = (struct config_step){.kind = kind, .module = find_module(c, name), .line = p->line};
    if (s->module == c->modules) return complain(p, "no module of that name is described above");
    if (!read_expectation(p, s)) return false;
    c->steps++;
    return true;
}

static bool read_line(struct parser *p) {
    static const struct {
        const char *word;
        bool (*read)(struct parser *);
    } grants[] = {
        {"memory", key_memory},   {"stack", key_stack},
        {"program", key_program}, {"pci", key_pci},
        {"irq", key_irq},         {"dma", key_dma},
        {"budget", key_budget},   {"connect", key_connect},
        {"arg", key_arg},         {"env", key_env},
        {"blob", key_blob},       {"port", key_port},
        {"clock", key_clock},     {"isa-irq", key_isa_irq},
        {"console", key_console}, {"entropy", key_entropy},
        {"observe", key_observe}, {"entropy-source", key_entropy_source},
        {"control", key_control}, {"framebuffer", key_framebuffer},
        {"cpu", key_cpu},         {"restart", key_restart},
        {"chaos", key_chaos},     {"log", key_log},
        {"share", key_share},     {"handles", key_handles},
    };
    if (words_is(p->w, 0, "module")) return key_module(p);
    if (words_is(p->w, 0, "start")) return key_step(p, STEP_START);
    if (words_is(p->w, 0, "stop")) return key_step(p, STEP_STOP);
    if (words_is(p->w, 0, "run")) return key_step(p, STEP_RUN);
    if (words_is(p->w, 0, "trace")) return flag(p, &p->config->trace);
    for (uint32_t i = 0; i < ARRAY_LEN(grants); i++)
        if (words_is(p->w, 0, grants[i].word))
            return p->module ? grants[i].read(p)
                             : complain(p, "a grant must stand below a module line");
    return complain(
        p, "unknown key; known are: module, memory, stack, program, pci, irq, dma, cpu, budget, "
           "share, "
           "connect, arg, env, blob, port, isa-irq, clock, console, entropy, "
           "entropy-source, observe, control, framebuffer, restart, chaos, log, handles, trace, "
           "start, stop, run");
}

bool config_parse(const char *text, size_t size, struct config *out, char *out_error,
                  size_t error_size) {
    struct words w;
    struct words_reader r = words_open(text, size);
    struct parser p = {.config = out, .w = &w, .error = out_error, .error_size = error_size};
    memset(out, 0, sizeof(*out));
    bool first = true;
    for (;;) {
        enum words_result got = words_next(&r, &w);
        p.line = r.line;
        if (got == WORDS_END) break;
        if (got == WORDS_BAD)
            return complain(&p,
                            "more than 16 words, an open quote, or bytes that are not plain text");
        if (first && !(w.count == 2 && words_is(&w, 0, "sasos") && words_is(&w, 1, "1")))
            return complain(&p, "the first line must be: sasos 1");
        if (!first && !read_line(&p)) return false;
        first = false;
    }
    if (first) return complain(&p, "the configuration is empty; its first line must be: sasos 1");
    if (!out->steps) return complain(&p, "nothing to do: there is no start or run line");
    return true;
}
