// wasm_case.c — see wasm_case.h.
#include "tests/host/wasm_case.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *host_alloc(void *ctx, size_t bytes) {
    struct wcase *c = ctx;
    if (++c->allocations == c->fail_at) return NULL;
    c->chunks++;
    return calloc(1, bytes);
}

static void host_release(void *ctx, void *chunk, size_t bytes) {
    struct wcase *c = ctx;
    assert(c->chunks > 0);
    c->chunks--;
    (void)bytes;
    free(chunk); // a pointer kept into it is an ASan report
}

static _Noreturn void host_fail(void *ctx) {
    struct wcase *c = ctx;
    longjmp(c->unwind, 1);
}

void wcase_begin(struct wcase *c) {
    memset(c, 0, sizeof *c);
    c->host = (struct jit_host){c, host_alloc, host_release, host_fail};
    jit_arena_init(&c->arena, &c->host, 0);
}

void wcase_end(struct wcase *c) {
    if (c->arena.chunk) jit_release(&c->arena, (struct jit_mark){0});
    assert(c->chunks == 0);
}

enum jit_status wcase_try(struct wcase *c, void (*fn)(struct wcase *c, void *arg), void *arg) {
    if (setjmp(c->unwind)) {
        assert(c->arena.error.status != JIT_OK && c->arena.error.message);
        return c->arena.error.status;
    }
    fn(c, arg);
    return JIT_OK;
}

struct wbytes wbytes_copy(const void *bytes, size_t size) {
    struct wbytes b = {malloc(size), size};
    assert(b.bytes);
    if (size) memcpy(b.bytes, bytes, size);
    return b;
}

struct wbytes wbytes_hex(const char *hex) {
    uint8_t *bytes = malloc(strlen(hex) / 2 + 1);
    size_t digits = 0;
    for (; *hex; hex++) {
        if (*hex == ' ' || *hex == '\t' || *hex == '\n') continue;
        const char *at = strchr("0123456789abcdef", *hex);
        assert(at);
        unsigned value = (unsigned)(at - "0123456789abcdef");
        bytes[digits / 2] = (uint8_t)(digits % 2 ? bytes[digits / 2] | value : value << 4);
        digits++;
    }
    assert(digits % 2 == 0);
    struct wbytes b = wbytes_copy(bytes, digits / 2);
    free(bytes);
    return b;
}

struct wbytes wbytes_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) perror(path);
    assert(f);
    static uint8_t buffer[1 << 20];
    size_t n = fread(buffer, 1, sizeof buffer, f);
    fclose(f);
    return wbytes_copy(buffer, n);
}

struct wbytes wbytes_wat(const char *path) {
    char out[] = "/tmp/sasos-wat-XXXXXX", command[512];
    int fd = mkstemp(out);
    assert(fd >= 0);
    close(fd);
    snprintf(command, sizeof command, "wat2wasm --enable-tail-call --debug-names -o %s %s", out, path);
    int status = system(command);
    assert(status == 0);
    struct wbytes b = wbytes_file(out);
    unlink(out);
    return b;
}

const char *wcase_build_all(struct wcase *c, const struct wbytes *module) {
    const struct wasm_module *m = wasm_parse(&c->arena, module->bytes, module->size);
    for (uint32_t i = m->imported_funcs; i < m->funcs; i++) {
        struct jit_mark mark = jit_mark(&c->arena);
        struct ir_func *f = ir_build(&c->arena, m, i);
        const char *breach = ir_check(f);
        if (breach) return breach;
        ir_split_critical_edges(f);
        breach = ir_check(f);
        if (breach) return breach;
        jit_release(&c->arena, mark);
    }
    return NULL;
}
