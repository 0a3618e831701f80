// count.c — a QEMU plugin (interface version 1, QEMU 4.2 to 8.1): counts executed guest instructions, and says so at the end on QEMU's log.
//
//   -plugin build/bench/count.so[,mark=ADDRESS][,from=ADDRESS,to=ADDRESS[,via=ADDRESS]] -d plugin
//
// prints  "count: instructions=N sandboxed=N"; with mark= both counts, "mark: N N", at each execution of that address (the last MARKS_MAX);
// with from= and to= also "path: times=N least=N mean=N": the instructions
// from each execution of the one at `from` (the last, if there are several) to the next of that at `to`, with via= only if that at `via` was
// executed in between.
// sandboxed are those in the code arena (sasos/layout.h): verified code, crossing stubs included. QEMU adds a whole block's length when it enters
// one, so what a trap cuts off is counted. Debian ships no header of the interface; what is used of it is declared here.
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLIC __attribute__((visibility("default")))
#define ARENA_BASE 0xffffffffe0000000ull
#define ARENA_END 0xfffffffffff00000ull
#define MARKS_MAX 256u
enum { INLINE_ADD_U64 = 0, NO_REGISTERS = 0 };

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t plugin_id;
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
                                           void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int operation, void *to,
                                              uint64_t value);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
                                            void (*cb)(unsigned cpu, void *user), int flags,
                                            void *user);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*cb)(plugin_id id, void *user), void *user);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_outs(const char *text);
PUBLIC extern int qemu_plugin_version;
PUBLIC int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

PUBLIC int qemu_plugin_version = 1;
static uint64_t all, sandboxed;
static struct {
    uint64_t from, to, via;
    uint64_t started; // value of `all` then, 0: not
    bool passed;      // via
    uint64_t times, sum, least;
} path = {.least = UINT64_MAX};

static struct {
    uint64_t address;
    unsigned count;
    uint64_t at[MARKS_MAX][2];
} marks;

static void at_mark(unsigned cpu, void *user) {
    (void)cpu, (void)user;
    uint64_t *at = marks.at[marks.count++ % MARKS_MAX];
    at[0] = all, at[1] = sandboxed;
}
static void at_start(unsigned cpu, void *user) {
    (void)cpu, (void)user;
    path.started = all;
    path.passed = !path.via;
}
static void at_via(unsigned cpu, void *user) {
    (void)cpu, (void)user;
    path.passed = true;
}
static void at_end(unsigned cpu, void *user) {
    (void)cpu, (void)user;
    if (!path.started) return;
    if (!path.passed) {
        path.started = 0;
        return;
    }
    uint64_t length = all - path.started;
    path.started = 0;
    path.times++;
    path.sum += length;
    if (length < path.least) path.least = length;
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb) {
    uint64_t at = qemu_plugin_tb_vaddr(tb), length = qemu_plugin_tb_n_insns(tb);
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &all, length);
    if (at >= ARENA_BASE && at < ARENA_END)
        qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &sandboxed, length);
    for (size_t i = 0; (path.from || marks.address) && i < length; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t address = qemu_plugin_insn_vaddr(insn);
        if (address == marks.address)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, at_mark, NO_REGISTERS, NULL);
        if (address == path.from)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, at_start, NO_REGISTERS, NULL);
        if (path.via && address == path.via)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, at_via, NO_REGISTERS, NULL);
        if (address == path.to)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, at_end, NO_REGISTERS, NULL);
    }
}

static void ended(plugin_id id, void *user) {
    char text[120];
    (void)id, (void)user;
    snprintf(text, sizeof text, "count: instructions=%" PRIu64 " sandboxed=%" PRIu64 "\n", all,
             sandboxed);
    qemu_plugin_outs(text);
    for (unsigned i = marks.count > MARKS_MAX ? marks.count - MARKS_MAX : 0; i < marks.count; i++) {
        const uint64_t *at = marks.at[i % MARKS_MAX];
        snprintf(text, sizeof text, "mark: %" PRIu64 " %" PRIu64 "\n", at[0], at[1]);
        qemu_plugin_outs(text);
    }
    if (!path.times) return;
    snprintf(text, sizeof text, "path: times=%" PRIu64 " least=%" PRIu64 " mean=%" PRIu64 "\n",
             path.times, path.least, path.sum / path.times);
    qemu_plugin_outs(text);
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "mark=", 5)) marks.address = strtoull(argv[i] + 5, NULL, 0);
        if (!strncmp(argv[i], "from=", 5)) path.from = strtoull(argv[i] + 5, NULL, 0);
        if (!strncmp(argv[i], "via=", 4)) path.via = strtoull(argv[i] + 4, NULL, 0);
        if (!strncmp(argv[i], "to=", 3)) path.to = strtoull(argv[i] + 3, NULL, 0);
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
