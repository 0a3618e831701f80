// call_system.c — kernel calls about the machine: its console, its clock, the files of the boot image.
#include "sasos/arch/time.h"
#include "sasos/lib/console.h"
#include "sasos/lib/mem.h"
#include "sasos/run/hostcall.h"
#include "sasos/run/run.h"

#define CONSOLE_CHUNK 256u // bytes that are written with interrupts off

CALL(console_write) {
    uint32_t n = ldr_arg32(args, 1);
    if (!caller(inst)->config->console) return E_DENIED;
    const char *text = ldr_memory_at(inst, ldr_arg32(args, 0), n);
    if (!text || n > INT32_MAX) return E_FAULT;
    for (uint32_t at = 0; at < n; at += CONSOLE_CHUNK) {
        char chunk[CONSOLE_CHUNK];
        uint32_t length = MIN(n - at, CONSOLE_CHUNK);
        memcpy(chunk, text + at, length);
        con_write(chunk, length);
    }
    return n;
}

// ---- The clock on the wall: what the firmware said at boot, or somebody with the grant said since ----

static int64_t wall_minus_time; // ns
static bool wall_set;

int64_t wall_now_ns(void) {
    if (!__atomic_load_n(&wall_set, __ATOMIC_ACQUIRE)) return (int64_t)time_unix_ns();
    return (int64_t)(time_now_ns() + (uint64_t)__atomic_load_n(&wall_minus_time, __ATOMIC_RELAXED));
}

CALL(wall_ns) {
    (void)inst, (void)args;
    return wall_now_ns();
}

CALL(wall_set) {
    int64_t ns = (int64_t)ldr_arg(args, 0);
    if (!caller(inst)->config->clock) return E_DENIED;
    if (ns < 0) return E_INVAL;
    __atomic_store_n(&wall_minus_time, ns - (int64_t)time_now_ns(), __ATOMIC_RELAXED);
    __atomic_store_n(&wall_set, true, __ATOMIC_RELEASE);
    return 0;
}

CALL(dom_control) {
    uint32_t n = ldr_arg32(args, 1), op = ldr_arg32(args, 2);
    if (!caller(inst)->config->control) return E_DENIED;
    const char *text = ldr_memory_at(inst, ldr_arg32(args, 0), n);
    char name[CONFIG_NAME] = "";
    if (!text) return E_FAULT;
    if (n >= sizeof(name)) return E_NOENT;
    memcpy(name, text, n);
    bool machine = op >= SASOS_POWER_OFF;
    struct dom *d = machine ? NULL : dom_find(name);
    if (op > SASOS_TRACE_OFF || (machine && n)) return E_INVAL;
    return !d && !machine ? E_NOENT : run_control(d, op);
}

// ---- Files ----

CALL(blob_find) {
    struct dom *d = caller(inst);
    uint32_t n = ldr_arg32(args, 1);
    const char *text = ldr_memory_at(inst, ldr_arg32(args, 0), n);
    char name[CONFIG_BLOB];
    if (!text) return E_FAULT;
    if (n >= sizeof(name)) return E_NOENT;
    memcpy(name, text, n);
    for (uint32_t i = 0; i < d->config->blobs; i++)
        if (str_len(d->config->blob[i]) == n && !memcmp(d->config->blob[i], name, n)) return i;
    return E_NOENT;
}

CALL(blob_size) {
    struct dom *d = caller(inst);
    uint32_t i = ldr_arg32(args, 0);
    return i < d->config->blobs ? (int64_t)d->blob[i].size : E_NOENT;
}

CALL(blob_read) {
    struct dom *d = caller(inst);
    uint32_t i = ldr_arg32(args, 0), n = ldr_arg32(args, 3);
    uint64_t at = ldr_arg(args, 1);
    if (i >= d->config->blobs) return E_NOENT;
    if (n > INT32_MAX) return E_INVAL;
    void *to = ldr_memory_at(inst, ldr_arg32(args, 2), n);
    if (!to) return E_FAULT;
    if (at >= d->blob[i].size) return 0;
    n = (uint32_t)MIN((uint64_t)n, d->blob[i].size - at);
    memcpy(to, d->blob[i].bytes + at, n);
    return n;
}
