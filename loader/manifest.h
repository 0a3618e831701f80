// manifest.h — what a module says it needs: text in the custom section "sasos.manifest". A request, never an authority.
//
//   sasos 1                 first line
//   name NAME               must be the module's name in the image
//   kind driver | app | library
//   memory SIZE             wasm memory it may grow to (default: what its memory section says at least)
//   pci VENDOR:DEVICE       one function of these ids; several lines: any of them fits
//   pci class BASE:REST     likewise by its class code: base class, then sub-class and programming interface
//   irq N                   messages 0 … N−1 of the function (MSI-X)
//   dma SIZE                DMA pages
//   budget MS               longest computation without giving the CPU back that it considers normal
//   import NAMESPACE.NAME   an export of another domain that it calls
//   optional NAMESPACE.NAME likewise, and where the configuration connects it to no NAMESPACE, calls give E_DENIED
//   export NAME             a function that other domains may call
//   channels N              at most this many clients (what has exports)
//   channel SIZE            smallest channel that it works with (who calls)
//   counter NAME            a number that it publishes with counter(), in the order of these lines
#ifndef LDR_MANIFEST_H
#define LDR_MANIFEST_H
#include "loader/words.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_SECTION "sasos.manifest"
#define MANIFEST_NAME 40u
#define MANIFEST_PCI_MAX 4u
#define MANIFEST_EXPORTS_MAX 64u
#define MANIFEST_IMPORTS_MAX 64u
#define MANIFEST_COUNTERS_MAX 16u
#define MANIFEST_COUNTER 24u // bytes of a counter's name

struct ldr_manifest {
    char name[MANIFEST_NAME];
    // PROGRAM has no manifest: the configuration makes a module one (docs/configuration.md).
    enum ldr_kind { MANIFEST_DRIVER, MANIFEST_APP, MANIFEST_LIBRARY, MANIFEST_PROGRAM } kind;
    uint32_t memory, dma;                        // bytes
    uint32_t irqs, budget_ms, channels, channel; // channel: bytes
    uint32_t pcis, exports, imports, counters;
    struct words_pci pci[MANIFEST_PCI_MAX];
    char export[MANIFEST_EXPORTS_MAX][MANIFEST_NAME];
    struct {
        char name_space[MANIFEST_NAME], name[MANIFEST_NAME];
        bool optional;
    } import[MANIFEST_IMPORTS_MAX];
    char counter[MANIFEST_COUNTERS_MAX][MANIFEST_COUNTER];
};

// False with "line N: what is wrong" in out_error (always terminated).
bool ldr_manifest_parse(const char *text, size_t size, struct ldr_manifest *out, char *out_error,
                        size_t error_size);
bool ldr_manifest_exports(const struct ldr_manifest *m, const char *name, size_t length);
#endif
