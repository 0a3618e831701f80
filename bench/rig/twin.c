// twin.c — what makes a native twin of a module: compiled once for each, and linked with the module's own objects into one unit whose only
// name to the outside is `twin_NAME` (the Makefile's bench.mk). TWIN is that name; TWIN_NAME a string; TWIN_EXPORTS and
// TWIN_IMPORTS lists of X(function) that come from the manifest.
//
// The twin's kernel calls are plain C calls of the rig's, with the domain burned in. Arguments and results of all of them, and of calls
// between domains, are integers or pointers, at most four, so one form fits all in the x86-64 convention.
#include "bench/rig/rig.h"

static struct rig_domain *domain;

#define X(result, name, parameters, types, text)                           \
    int64_t sasos_##name(uint64_t a, uint64_t b, uint64_t c, uint64_t e);  \
    int64_t sasos_##name(uint64_t a, uint64_t b, uint64_t c, uint64_t e) { \
        return rig_##name ? rig_##name(domain, a, b, c, e) : E_NOENT;      \
    }
#include "sasos/run/hostcall.def"
#undef X

#define X(name)                                                            \
    static int64_t (*peer_##name)(uint64_t, uint64_t, uint64_t, uint64_t); \
    int64_t name(uint64_t a, uint64_t b, uint64_t c, uint64_t e);          \
    int64_t name(uint64_t a, uint64_t b, uint64_t c, uint64_t e) { return peer_##name(a, b, c, e); }
TWIN_IMPORTS
#undef X
static const struct rig_export imports[] = {
#define X(name) {#name, &peer_##name},
    TWIN_IMPORTS
#undef X
    {0}};

#define X(name) extern int64_t name(uint64_t, uint64_t, uint64_t, uint64_t);
TWIN_EXPORTS
#undef X
static const struct rig_export exports[] = {
#define X(name) {#name, (void *)name},
    TWIN_EXPORTS
#undef X
    {0}};

const struct rig_twin TWIN = {TWIN_NAME, &domain, exports, imports};
