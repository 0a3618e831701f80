// calls — sequences of kernel calls with hostile arguments (G8), from a real module in its sandbox: by itself, or through the library that it
// imports, while requests of the kernel are refused and either of the two is ended in the middle; then the next life. Every 257th item loads,
// links, runs and restarts a module with its n-th request for memory refused, n ≤ 2,000. Built with ASan and UBSan.
//
// What judges is in calls/calls.h (O7, O8), and here: O8, after each life everything is as it was before; O9, no secret and no address of the
// kernel's is in a module's memory or in a result; the bystander's memory never changes.
#include "loader/loader.h"
#include "sfi-jit/host/host.h"
#include "tests/fuzz/calls/calls.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/wgen.h"
#include "tests/host/wat.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOAD_EVERY = 257 /* no multiple of the shards */, FAIL_MOST = 2000, MEMORY = 1 << 16 };
#define SECRET 0x5ec2e75ec2e75ec2ull

static const struct row {
    const char *name, *type;
} rows[] = {
#define X(result, name, parameters, types, text) {#name, types},
#include "sasos/run/hostcall.def"
#undef X
};
enum { ROWS = sizeof rows / sizeof *rows, RECENT = 8 };
static struct ldr_thread *thread;
static struct calls_state before;
static uint64_t recent[RECENT]; // results that may be good for something

// ---- The two modules: each imports every call and exports it; A also B's ----
static bool resolve(void *ctx, const struct wasm_import *import, struct ldr_extern *out) {
    (void)ctx;
    if (import->module.length == 1) {
        *out = ldr_export(calls_dom[CALLS_B].inst, import->name.text, import->name.length);
        return true;
    }
    for (unsigned i = 0; i < hc_count; i++)
        if (strlen(hc_functions[i].name) == import->name.length &&
            !memcmp(hc_functions[i].name, import->name.text, import->name.length))
            *out = (struct ldr_extern){.kind = LDR_EXT_HOST, .host = &hc_functions[i]};
    return true;
}
static void signature(FILE *f, const char *type) {
    for (; *type; type++) {
        if (*type == ':' && type[1] != 'v')
            fprintf(f, " (result %s)", type[1] == 'I' ? "i64" : "i32");
        if (*type == ':') return;
        fprintf(f, " (param %s)", *type == 'I' ? "i64" : "i32");
    }
}
static uint8_t *make_module(bool through, size_t *out_size) {
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    fprintf(f, "(module\n");
    for (unsigned from = 0; from < (through ? 2u : 1u); from++)
        for (unsigned i = 0; i < ROWS; i++) {
            fprintf(f, "(import \"%s\" \"%s\" (func $%u%s", from ? "b" : SASOS_NAMESPACE,
                    rows[i].name, from, rows[i].name);
            signature(f, rows[i].type);
            fprintf(f, "))\n");
        }
    for (unsigned from = 0; from < (through ? 2u : 1u); from++)
        for (unsigned i = 0; i < ROWS; i++) {
            fprintf(f, "(func (export \"%s%s\")", from ? "b_" : "", rows[i].name);
            signature(f, rows[i].type);
            fprintf(f, "(call $%u%s", from, rows[i].name);
            for (unsigned k = 0; rows[i].type[k] != ':'; k++) fprintf(f, " (local.get %u)", k);
            fprintf(f, "))\n");
        }
    fprintf(f, "(memory %d %d))", MEMORY >> 16, MEMORY >> 16);
    fclose(f);
    uint8_t *bytes = wat(text, out_size);
    free(text);
    return bytes;
}

static void life_over(struct dom *d) { // as life.c ends one
    ldr_kill(d->inst, SFI_TRAP_KILLED);
    dom_device_stop(d);
    chan_close_all(d);
    chan_tell_all(d);
    ldr_hold(d->inst, thread);
    dom_device_close(d);
    if (!ldr_reset(d->inst, thread))
        fuzz_violation("O8", NULL, 0, NULL, "a domain cannot be reset");
    ldr_release(d->inst, thread);
}

static void setup(void) {
    host_init("calls");
    thread = host_thread(256u << 10);
    calls_setup();
    for (unsigned i = CALLS_DOMAINS; i--;) { // B before A
        struct ldr_imports imports = {NULL, resolve};
        struct ldr_code *code;
        struct ldr_error error;
        size_t size;
        uint8_t *bytes = make_module(i == CALLS_A, &size);
        struct dom *d = &calls_dom[i];
        if (ldr_compile(bytes, size, NULL, &code, &error) != LDR_OK) die("%s", error.text);
        free(bytes);
        d->thread = thread;
        d->store = ldr_store_new(LDR_DOMAIN);
        if (ldr_instantiate(d->store, code, "m", &imports, NULL, d, &d->inst, &error) != LDR_OK)
            die("%s", error.text);
        ldr_code_release(code);
    }
    for (unsigned i = 0; i < CALLS_C; i++) ldr_kill(calls_dom[i].inst, SFI_TRAP_KILLED);
    calls_connect();
    uint64_t *c = ldr_memory_at(calls_dom[CALLS_C].inst, 0, MEMORY);
    for (unsigned i = 0; i < MEMORY / 8; i++) c[i] = SECRET;
    before = calls_state();
}

// ---- Arguments ----
static uint64_t word(bool wide) {
    static const uint64_t odd[] = {0,
                                   1,
                                   2,
                                   3,
                                   4,
                                   8,
                                   15,
                                   16,
                                   17,
                                   40,
                                   255,
                                   256,
                                   511,
                                   512,
                                   513,
                                   0x3f8,
                                   0x3ff,
                                   0xffff,
                                   4095,
                                   4096,
                                   4097,
                                   MEMORY - 1,
                                   MEMORY,
                                   MEMORY + 1,
                                   0x7fffffff,
                                   0x80000000,
                                   0x80000001,
                                   0x80001fff,
                                   0x80002000,
                                   0xbfffffff,
                                   0xc0000000,
                                   0xfffffff0,
                                   0xffffffff,
                                   0x100000000,
                                   INT64_MAX,
                                   1ull << 63,
                                   1ull << 63 | 1,
                                   UINT64_MAX - 1,
                                   UINT64_MAX};
    uint64_t v;
    switch (fuzz_below(8)) {
    case 0: v = fuzz_noise(); break;
    case 1: v = recent[fuzz_below(RECENT)] + fuzz_below(3) - 1; break;
    case 2: v = odd[fuzz_below(sizeof odd / sizeof *odd)] - fuzz_below(5); break;
    case 3: v = fuzz_below(MEMORY); break;
    case 4: v = fuzz_below(32); break;
    case 5: v = fuzz_below(8) * 64; break; // a name
    default: v = odd[fuzz_below(sizeof odd / sizeof *odd)];
    }
    return wide ? v : v & UINT32_MAX;
}
static void names(struct dom *d) {
    static const char *const name[8] = {"file.txt",     "b", "alpha",    "beta", "bystander",
                                        "a\nb\x7f%s%n", "",  "file.txtx"};
    uint8_t *to = ldr_memory_at(d->inst, 0, MEMORY);
    for (unsigned i = 0; i < 8; i++) memcpy(to + 64 * i, name[i], strlen(name[i]));
}
// A length that is right for the name before it is found by chance too rarely.
static uint64_t matching(uint64_t v) {
    static const uint8_t length[8] = {8, 1, 5, 4, 9, 8, 0, 9};
    return v % 64 == 0 && v < 512 ? length[v / 64] : v;
}

// ---- O9 ----
__attribute__((noinline)) static void secrets_on_the_stack(void) {
    volatile uint64_t below[1024];
    for (unsigned i = 0; i < 1024; i++) below[i] = SECRET;
}
static bool near(uint64_t v, const void *p, uint64_t away) {
    return v - ((uint64_t)p - away) < 2 * away;
}
static bool of_the_kernel(uint64_t v) {
    for (unsigned i = 0; i < CALLS_DOMAINS; i++)
        if (near(v, (void *)ldr_window(calls_dom[i].inst), SFI_SLOT_SIZE) ||
            near(v, calls_dom[i].inst, 4 << 20))
            return true;
    return v == SECRET || near(v, thread, 4 << 20) ||
           near(v, (void *)(uintptr_t)of_the_kernel, 64 << 20) ||
           near(v, __builtin_frame_address(0), 4 << 20);
}
static void scan(struct dom *d) {
    const uint64_t *p = ldr_memory_at(d->inst, 0, MEMORY);
    for (unsigned i = 0; i < MEMORY / 8; i++)
        if (p[i] >> 32 && of_the_kernel(p[i])) {
            fuzz_violation("O9", NULL, 0, NULL, "%s's memory has %llx at %x", dom_name(d),
                           (unsigned long long)p[i], i * 8);
            return;
        }
}
static void bystander(void) {
    const uint64_t *c = ldr_memory_at(calls_dom[CALLS_C].inst, 0, MEMORY);
    if (c[0] != SECRET || memcmp(c, c + 1, MEMORY - 8))
        fuzz_violation("O8", NULL, 0, NULL, "the bystander's memory has changed");
}

// ---- Sequences ----
static bool life_begins(struct dom *d) {
    ldr_hold(d->inst, thread);
    d->pending = d->events.bits = 0;
    d->timer = THR_FOREVER;
    d->lives++;
    bool good = dom_device_open(d) == ST_OK;
    d->end = DOM_END_NONE;
    if (good) {
        chan_open_all(d);
        ldr_revive(d->inst, thread);
        names(d);
    }
    ldr_release(d->inst, thread);
    return good;
}

static void call(void) {
    struct dom *a = &calls_dom[CALLS_A];
    unsigned r = fuzz_below(ROWS),
             index = ROWS * 2 + r + (fuzz_one_in(2) ? ROWS : 0); // imports come first
    const struct row *row = &rows[r];
    if (!strcmp(row->name, "exit") && !fuzz_one_in(8)) return;
    uint64_t args[8] = {0}, result = 0;
    unsigned n = (unsigned)(strchr(row->type, ':') - row->type);
    for (unsigned i = 0; i < n; i++) {
        args[i] = word(row->type[i] == 'I');
        if (i && fuzz_one_in(3))
            args[i] = matching(args[i - 1]) & (row->type[i] == 'I' ? UINT64_MAX : UINT32_MAX);
    }
    struct ldr_trap_info info = {0};
    calls_begin();
    secrets_on_the_stack();
    enum ldr_status s = ldr_call(thread, a->inst, index, args, &result, &info);
    fuzz_counts.tried++;
    if (s == LDR_OK) {
        fuzz_counts.executed++;
        bool wide = row->type[n + 1] == 'I';
        if (!wide) result = (uint32_t)result;
        if ((int64_t)result >= 0 && (wide || (int32_t)result >= 0 || result < 0xf0000000)) {
            fuzz_counts.accepted++;
            if (result) recent[fuzz_below(RECENT)] = result;
        }
        if (of_the_kernel(result))
            fuzz_violation("O9", NULL, 0, NULL, "%s returns %llx", row->name,
                           (unsigned long long)result);
    } else {
        fuzz_counts.faults++;
        if (s == LDR_TRAPPED && info.kind != SFI_TRAP_KILLED)
            fuzz_violation("O3", NULL, 0, NULL, "%s traps: %s", row->name, ldr_trap_text(info.kind));
    }
    calls_check();
}

static void sequence(void) {
    struct dom *a = &calls_dom[CALLS_A], *b = &calls_dom[CALLS_B];
    for (unsigned i = 0; i < RECENT; i++) recent[i] = 0x80000000u + 4096 * i;
    calls_grants();
    calls_fail_at = fuzz_one_in(2) ? 1 + fuzz_below(24) : 0;
    life_begins(b);
    life_begins(a);
    for (unsigned n = 1 + fuzz_below(24); n-- && !ldr_is_dead(a->inst);) {
        call();
        if (fuzz_one_in(64)) dom_kill(fuzz_one_in(2) ? a : b, DOM_END_KILLED);
    }
    calls_fail_at = 0;
    scan(a);
    scan(b);
    life_over(a);
    life_over(b);
    bystander();
    struct calls_state after = calls_state();
    if (memcmp(&before, &after, sizeof before))
        fuzz_violation(
            "O8", NULL, 0,
            NULL, "left by a life: %lld frames, %lld mappings, %lld of the fence, %lld tables, %lld lines, %lld vectors",
            (long long)(after.frames - before.frames), (long long)(after.mappings - before.mappings),
            (long long)(after.fences - before.fences), (long long)(after.tables - before.tables),
            (long long)(after.lines - before.lines), (long long)(after.vectors - before.vectors));
}

// ---- Memory runs out ----
static void load(unsigned n) {
    static uint8_t bytes[WGEN_MAX];
    unsigned exports;
    size_t size = wgen_module(bytes, &exports);
    struct ldr_imports imports = {NULL, resolve};
    struct ldr_code *code = NULL;
    struct ldr_instance *inst = NULL;
    struct ldr_error error;
    uint64_t first, again;
    if (!size) return;
    host_fail_at(n);
    struct ldr_store *store = ldr_store_new(LDR_DOMAIN);
    enum ldr_status s = store ? ldr_compile(bytes, size, NULL, &code, &error) : LDR_NO_MEMORY;
    if (s == LDR_OK) s = ldr_instantiate(store, code, "m", &imports, NULL, NULL, &inst, &error);
    fuzz_counts.tried++;
    if (s == LDR_OK) { // its first function gives the same in the next life, or traps in both
        uint32_t index = 0;
        ldr_find_func(inst, "r0", &index);
        enum ldr_status t = ldr_call(thread, inst, index, NULL, &first, NULL);
        bool refusal = host_fail_at(0) >= n; // memory.grow may have been refused in this life only
        ldr_kill(inst, SFI_TRAP_KILLED);
        ldr_hold(inst, thread);
        bool good = ldr_reset(inst, thread);
        ldr_revive(inst, thread);
        ldr_release(inst, thread);
        if (!good) fuzz_violation("O8", bytes, (unsigned)size, NULL, "cannot be reset");
        if (ldr_call(thread, inst, index, NULL, &again, NULL) != t ||
            (t == LDR_OK && first != again && !refusal))
            fuzz_violation("O6", bytes, (unsigned)size, NULL, "another result in the next life");
        fuzz_counts.executed++;
    } else {
        host_fail_at(0);
        fuzz_counts.faults++;
        if (inst || (s != LDR_NO_MEMORY && s != LDR_NO_SPACE && s != LDR_LIMIT))
            fuzz_violation("O8", bytes, (unsigned)size, NULL, "a refused request for memory: %s",
                           ldr_status_text(s));
    }
    if (code) ldr_code_release(code);
    if (store && !ldr_store_free(store))
        fuzz_violation("O8", bytes, (unsigned)size, NULL, "a store that cannot go");
}

static void item(uint64_t i) {
    if (i % LOAD_EVERY == LOAD_EVERY - 1)
        load(1 + (unsigned)(i / LOAD_EVERY % FAIL_MOST));
    else
        sequence();
}

int main(int argc, char **argv) {
    static const struct fuzz_campaign campaign = {"calls", 0, true, setup, item};
    return fuzz_main(argc, argv, &campaign);
}
