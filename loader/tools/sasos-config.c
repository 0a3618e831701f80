// sasos-config — prints an appliance's configuration, and checks it with the kernel's own parsers.
//
//   sasos-config FILE.conf [MODULE.wasm ...]
//
// A mistake is reported as FILE:LINE: what is wrong. For each module whose file is given the manifest's requests stand beside the grants;
// a request that is not granted is a mistake too. Exit status 0 if the kernel would take all of it as far as can be seen without the machine.
#include "loader/manifest.h"
#include "loader/tools/lib/file.h"
#include "sasos/run/config.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// What config.c takes from the kernel's library.
int ksnprintf(char *buf, size_t size, const char *fmt, ...);
int ksnprintf(char *buf, size_t size, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(buf, size, fmt, ap);
    va_end(ap);
    return n;
}
size_t str_len(const char *s);
size_t str_len(const char *s) { return strlen(s); }
bool str_eq(const char *a, const char *b);
bool str_eq(const char *a, const char *b) { return !strcmp(a, b); }
void str_copy(char *dst, size_t size, const char *src);
void str_copy(char *dst, size_t size, const char *src) { snprintf(dst, size, "%s", src); }

static struct config config;
static const char *config_path;
static unsigned mistakes;

// A section's or name's length (WebAssembly core 2.0, 5.2.2); false at the end of the file.
static bool leb(const uint8_t *b, size_t size, size_t *at, uint32_t *out) {
    *out = 0;
    for (unsigned shift = 0; shift < 35 && *at < size; shift += 7) {
        uint8_t byte = b[(*at)++];
        *out |= (uint32_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return true;
    }
    return false;
}

static const char *manifest_of(const uint8_t *b, size_t size, size_t *out_length) {
    size_t wanted = strlen(MANIFEST_SECTION), at = 8;
    while (at < size) {
        uint8_t id = b[at++];
        uint32_t length, n;
        if (!leb(b, size, &at, &length) || length > size - at) return NULL;
        size_t end = at + length, name = at;
        if (id == 0 && leb(b, end, &name, &n) && n == wanted && n <= end - name &&
            !memcmp(b + name, MANIFEST_SECTION, n)) {
            *out_length = end - name - n;
            return (const char *)b + name + n;
        }
        at = end;
    }
    return NULL;
}

static void mistake(uint32_t line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void mistake(uint32_t line, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "%s:%u: ", config_path, line);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    mistakes++;
}

static void amount(const struct config_module *c, const char *what, uint32_t asked, uint32_t granted) {
    if (asked || granted) printf("  %-12s asks %u, granted %u\n", what, asked, granted);
    if (asked > granted)
        mistake(c->line, "%s asks for %s %u, but is granted %u", c->name, what, asked, granted);
}

static void compare(const struct config_module *c, const struct ldr_manifest *m) {
    static const char *const kinds[] = {"driver", "app", "library", "program"};
    printf("  %-12s %s\n", "kind", kinds[m->kind]);
    if (strcmp(m->name, c->file)) mistake(c->line, "the file %s calls itself %s", c->file, m->name);
    amount(c, "memory", m->memory, c->memory ? c->memory : CONFIG_MEMORY);
    amount(c, "dma", m->dma, c->dma);
    amount(c, "interrupts", m->irqs, m->pcis ? c->irqs : c->isa_irqs);
    if (c->budget_ms) amount(c, "budget", m->budget_ms, c->budget_ms);
    bool pci = !m->pcis;
    for (uint32_t i = 0; i < m->pcis; i++)
        for (uint32_t k = 0; k < c->pcis; k++)
            pci |= m->pci[i].class != c->pci[k].class || // only the machine can tell
                   (m->pci[i].vendor == c->pci[k].vendor && m->pci[i].device == c->pci[k].device);
    if (!pci) mistake(c->line, "%s is granted no PCI function that it asks for", c->name);
    for (uint32_t i = 0; i < m->imports; i++) {
        bool there = m->import[i].optional;
        for (uint32_t k = 0; k < c->connects; k++)
            there |= !strcmp(m->import[i].name_space, c->connect[k].name_space);
        printf("  %-12s %s.%s%s\n", "imports", m->import[i].name_space, m->import[i].name,
               there ? "" : " (nobody)");
        if (!there)
            mistake(c->line, "%s imports %s.%s, and nothing is connected there", c->name,
                    m->import[i].name_space, m->import[i].name);
    }
}

static void print_grants(const struct config_module *c) {
    const struct {
        bool on;
        const char *word;
    } flags[] = {{c->program, "program"},
                 {c->clock, "clock"},
                 {c->console, "console"},
                 {c->entropy, "entropy"},
                 {c->observe, "observe"},
                 {c->control, "control"},
                 {c->entropy_source, "entropy-source"},
                 {c->framebuffer, "framebuffer"}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (flags[i].on) printf("  %s\n", flags[i].word);
    if (c->program) printf("  %-12s granted %u\n", "memory", c->memory ? c->memory : CONFIG_MEMORY);
    for (uint32_t i = 0; i < c->pcis; i++) {
        const struct words_pci *f = &c->pci[i];
        if (f->class)
            printf("  %-12s class %02x:%04x\n", "pci", f->vendor, f->device);
        else
            printf("  %-12s %04x:%04x\n", "pci", f->vendor, f->device);
    }
    for (uint32_t i = 0; i < c->ports; i++)
        printf("  %-12s %x-%x\n", "port", c->port[i].first, c->port[i].last);
    for (uint32_t i = 0; i < c->isa_irqs; i++) printf("  %-12s %u\n", "isa-irq", c->isa_irq[i]);
    for (uint32_t i = 0; i < c->blobs; i++) printf("  %-12s %s\n", "blob", c->blob[i]);
    for (uint32_t i = 0; i < c->connects; i++)
        printf("  %-12s %s to %s, %u KiB\n", "connect", c->connect[i].name_space,
               c->connect[i].module, c->connect[i].size >> 10);
    if (c->handles != CONFIG_HANDLES) printf("  %-12s %u\n", "handles", c->handles);
    if (c->share) printf("  %-12s %u%% of a CPU\n", "share", c->share);
    if (c->restart)
        printf("  %-12s on faults, %u times a minute, from %u ms\n", "restart", c->restart_max,
               c->backoff_ms);
}

int main(int argc, char **argv) {
    tool_name = "sasos-config";
    if (argc < 2) die("usage: sasos-config FILE.conf [MODULE.wasm ...]");
    char error[256];
    size_t size;
    config_path = argv[1];
    const char *text = (const char *)file_read(argv[1], 1, &size);
    if (!config_parse(text, size, &config, error, sizeof error)) {
        const char *colon = strchr(error, ':');
        if (!strncmp(error, "line ", 5) && colon)
            fprintf(stderr, "%s:%.*s:%s\n", config_path, (int)(colon - error - 5), error + 5,
                    colon + 1);
        else
            fprintf(stderr, "%s: %s\n", config_path, error);
        return 1;
    }
    for (uint32_t i = 0; i < config.modules; i++) {
        const struct config_module *c = &config.module[i];
        printf("%s (%s.wasm, line %u)\n", c->name, c->file, c->line);
        for (int a = 2; a < argc && !c->program; a++) {
            const char *base = strrchr(argv[a], '/') ? strrchr(argv[a], '/') + 1 : argv[a];
            if (strncmp(base, c->file, strlen(c->file)) || strcmp(base + strlen(c->file), ".wasm"))
                continue;
            size_t length, bytes;
            const uint8_t *module = file_read(argv[a], 0, &bytes);
            const char *manifest = manifest_of(module, bytes, &length);
            struct ldr_manifest m;
            if (!manifest)
                mistake(c->line, "%s has no manifest", argv[a]);
            else if (!ldr_manifest_parse(manifest, length, &m, error, sizeof error))
                mistake(c->line, "the manifest of %s: %s", argv[a], error);
            else
                compare(c, &m);
        }
        print_grants(c);
    }
    printf("%u steps\n", config.steps);
    return mistakes != 0;
}
