// config.c — see config.h. One function a key; every complaint names the line, what is wrong and what is expected.
#include "sasos/run/config.h"
#include "loader/words.h"
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
    char name[CONFIG_NAME];
    if (p->w->count != 2 || !words_name(p->w, 1, name, sizeof(name)))
        return complain(p, "expected: module NAME (letters, digits, _ - ., shorter than 40)");
    if (find_module(c, name) != c->modules) return complain(p, "this module is described already");
    if (c->modules == CONFIG_MODULES_MAX) return complain(p, "more than 32 modules");
    p->module = &c->module[c->modules++];
    p->module->line = p->line;
    str_copy(p->module->name, sizeof(p->module->name), name);
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

static bool key_budget(struct parser *p) {
    return (p->w->count == 2 && words_number(p->w, 1, 3600000, &p->module->budget_ms)) ||
           complain(p, "expected: budget MILLISECONDS, at most 3600000");
}

static bool key_pci(struct parser *p) {
    struct config_module *m = p->module;
    if (m->pcis == CONFIG_PCI_MAX) return complain(p, "more than 4 pci lines for one module");
    struct config_pci *pci = &m->pci[m->pcis];
    if (p->w->count != 2 || !words_hex_pair(p->w, 1, &pci->vendor, &pci->device))
        return complain(p, "expected: pci VENDOR:DEVICE in hexadecimal, for example pci 1af4:1042");
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

static bool key_arg(struct parser *p) {
    struct config_module *m = p->module;
    if (p->w->count != 2 || p->w->length[1] >= CONFIG_NAME)
        return complain(p, "expected: arg WORD, shorter than 40");
    if (m->args == CONFIG_ARGS_MAX) return complain(p, "more than 8 arg lines for one module");
    memcpy(m->arg[m->args++], p->w->word[1], p->w->length[1]); // zeroed behind
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
        {"memory", key_memory}, {"pci", key_pci},         {"irq", key_irq}, {"dma", key_dma},
        {"budget", key_budget}, {"connect", key_connect}, {"arg", key_arg},
    };
    if (words_is(p->w, 0, "module")) return key_module(p);
    if (words_is(p->w, 0, "start")) return key_step(p, STEP_START);
    if (words_is(p->w, 0, "stop")) return key_step(p, STEP_STOP);
    if (words_is(p->w, 0, "run")) return key_step(p, STEP_RUN);
    for (uint32_t i = 0; i < ARRAY_LEN(grants); i++)
        if (words_is(p->w, 0, grants[i].word))
            return p->module ? grants[i].read(p)
                             : complain(p, "a grant must stand below a module line");
    return complain(p, "unknown key; known are: module, memory, pci, irq, dma, budget, connect, "
                       "arg, start, stop, run");
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
            return complain(&p, "more than 16 words, or bytes that are not plain text");
        if (first && !(w.count == 2 && words_is(&w, 0, "sasos") && words_is(&w, 1, "1")))
            return complain(&p, "the first line must be: sasos 1");
        if (!first && !read_line(&p)) return false;
        first = false;
    }
    if (first) return complain(&p, "the configuration is empty; its first line must be: sasos 1");
    if (!out->steps) return complain(&p, "nothing to do: there is no start or run line");
    return true;
}
