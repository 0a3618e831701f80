// manifest.c — see manifest.h. One function a key; unknown keys are errors, so that a manifest never asks for what nobody looks at.
#include "loader/manifest.h"
#include "loader/words.h"
#include "sfi-jit/lib.h"
#include "sfi-jit/sfi.h"

static bool key_name(struct ldr_manifest *m, const struct words *w) {
    return w->count == 2 && words_name(w, 1, m->name, sizeof(m->name));
}

static bool key_kind(struct ldr_manifest *m, const struct words *w) {
    m->kind = words_is(w, 1, "app")       ? MANIFEST_APP
              : words_is(w, 1, "library") ? MANIFEST_LIBRARY
                                          : MANIFEST_DRIVER;
    return w->count == 2 && (m->kind != MANIFEST_DRIVER || words_is(w, 1, "driver"));
}

static bool key_memory(struct ldr_manifest *m, const struct words *w) {
    return w->count == 2 && words_size(w, 1, SFI_DMA_BASE - 1, &m->memory);
}

static bool key_dma(struct ldr_manifest *m, const struct words *w) {
    return w->count == 2 && words_size(w, 1, SFI_DMA_SIZE, &m->dma);
}

static bool key_irq(struct ldr_manifest *m, const struct words *w) {
    return w->count == 2 && words_number(w, 1, 2048, &m->irqs);
}

static bool key_budget(struct ldr_manifest *m, const struct words *w) {
    return w->count == 2 && words_number(w, 1, 3600000, &m->budget_ms);
}

static bool key_channels(struct ldr_manifest *m, const struct words *w) {
    return w->count == 2 && words_number(w, 1, 256, &m->channels);
}

static bool key_channel(struct ldr_manifest *m, const struct words *w) {
    return w->count == 2 && words_size(w, 1, SFI_DMA_SIZE, &m->channel);
}

static bool key_pci(struct ldr_manifest *m, const struct words *w) {
    if (m->pcis == MANIFEST_PCI_MAX || !words_pci(w, &m->pci[m->pcis])) return false;
    m->pcis++;
    return true;
}

static bool key_export(struct ldr_manifest *m, const struct words *w) {
    return w->count == 2 && m->exports < MANIFEST_EXPORTS_MAX &&
           words_name(w, 1, m->export[m->exports++], MANIFEST_NAME);
}

static bool key_counter(struct ldr_manifest *m, const struct words *w) {
    return w->count == 2 && m->counters < MANIFEST_COUNTERS_MAX &&
           words_name(w, 1, m->counter[m->counters++], MANIFEST_COUNTER);
}

static bool key_import(struct ldr_manifest *m, const struct words *w) {
    char text[2 * MANIFEST_NAME];
    if (w->count != 2 || m->imports == MANIFEST_IMPORTS_MAX || !words_name(w, 1, text, sizeof(text)))
        return false;
    uint32_t dot = 0, length = w->length[1];
    while (dot < length && text[dot] != '.') dot++;
    if (dot == 0 || dot + 1 >= length || dot >= MANIFEST_NAME || length - dot - 1 >= MANIFEST_NAME)
        return false;
    memcpy(m->import[m->imports].name_space, text, dot); // zeroed behind
    memcpy(m->import[m->imports].name, text + dot + 1, length - dot - 1);
    m->imports++;
    return true;
}

static bool key_optional(struct ldr_manifest *m, const struct words *w) {
    if (!key_import(m, w)) return false;
    m->import[m->imports - 1].optional = true;
    return true;
}

static const struct {
    const char *word, *expected;
    bool (*read)(struct ldr_manifest *, const struct words *);
} keys[] = {
    {"name", "expected: name NAME", key_name},
    {"kind", "expected: kind driver, kind app, or kind library", key_kind},
    {"memory", "expected: memory SIZE, below 2048M", key_memory},
    {"pci", "expected: pci VENDOR:DEVICE or pci class BASE:REST in hexadecimal, at most 4 lines",
     key_pci},
    {"irq", "expected: irq N, at most 2048", key_irq},
    {"dma", "expected: dma SIZE, at most 1024M", key_dma},
    {"budget", "expected: budget MILLISECONDS", key_budget},
    {"import", "expected: import NAMESPACE.NAME, at most 64 lines", key_import},
    {"optional", "expected: optional NAMESPACE.NAME, at most 64 lines with the imports", key_optional},
    {"export", "expected: export NAME, at most 64 lines", key_export},
    {"channels", "expected: channels N, at most 256", key_channels},
    {"channel", "expected: channel SIZE", key_channel},
    {"counter", "expected: counter NAME, shorter than 24, at most 16 lines", key_counter},
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static bool complain(uint32_t line, const char *what, char *out, size_t size) {
    char digits[10];
    uint32_t n = 0, at = 0;
    do {
        digits[n++] = (char)('0' + line % 10);
        line /= 10;
    } while (line);
    const char *parts[] = {"line ", "", ": ", what};
    for (uint32_t part = 0; part < 4; part++) {
        for (const char *s = parts[part]; *s && at + 1 < size; s++) out[at++] = *s;
        while (part == 1 && n && at + 1 < size) out[at++] = digits[--n];
    }
    if (size) out[at] = 0;
    return false;
}

bool ldr_manifest_parse(const char *text, size_t size, struct ldr_manifest *out, char *out_error,
                        size_t error_size) {
    struct words w;
    struct words_reader r = words_open(text, size);
    bool first = true;
    memset(out, 0, sizeof(*out));
    for (;;) {
        enum words_result got = words_next(&r, &w);
        if (got == WORDS_END) break;
        if (got == WORDS_BAD)
            return complain(r.line,
                            "more than 16 words, an open quote, or bytes that are not plain text",
                            out_error, error_size);
        if (first) {
            if (!(w.count == 2 && words_is(&w, 0, "sasos") && words_is(&w, 1, "1")))
                return complain(r.line, "the first line must be: sasos 1", out_error, error_size);
            first = false;
            continue;
        }
        uint32_t k = 0;
        while (k < KEYS && !words_is(&w, 0, keys[k].word)) k++;
        if (k == KEYS) return complain(r.line, "unknown key", out_error, error_size);
        if (!keys[k].read(out, &w))
            return complain(r.line, keys[k].expected, out_error, error_size);
    }
    if (first || !out->name[0])
        return complain(r.line, first ? "the manifest is empty" : "the name is missing", out_error,
                        error_size);
    return true;
}

bool ldr_manifest_exports(const struct ldr_manifest *m, const char *name, size_t length) {
    for (uint32_t i = 0; i < m->exports; i++) {
        size_t n = 0;
        while (n < length && m->export[i][n] == name[n]) n++;
        if (n == length && !m->export[i][n]) return true;
    }
    return false;
}
