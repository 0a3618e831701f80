// count.c — a QEMU plugin (interface version 1, QEMU 4.2 to 8.1): counts executed guest instructions, and says so at the end on QEMU's log.
//
//   -plugin build/bench/count.so -d plugin      prints  "count: instructions=N sandboxed=N"
//
// sandboxed are those in the code arena (sasos/layout.h): verified code, crossing stubs included. QEMU adds a whole block's length when it enters
// one, so what a trap cuts off is counted. Debian ships no header of the interface; what is used of it is declared here.
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PUBLIC __attribute__((visibility("default")))
#define ARENA_BASE 0xffffffffe0000000ull
#define ARENA_END 0xfffffffffff00000ull
enum { INLINE_ADD_U64 = 0 };

struct qemu_plugin_tb;
typedef uint64_t plugin_id;
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
                                           void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int operation, void *to,
                                              uint64_t value);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*cb)(plugin_id id, void *user), void *user);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
void qemu_plugin_outs(const char *text);
PUBLIC extern int qemu_plugin_version;
PUBLIC int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

PUBLIC int qemu_plugin_version = 1;
static uint64_t all, sandboxed;

static void translated(plugin_id id, struct qemu_plugin_tb *tb) {
    uint64_t at = qemu_plugin_tb_vaddr(tb), length = qemu_plugin_tb_n_insns(tb);
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &all, length);
    if (at >= ARENA_BASE && at < ARENA_END)
        qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &sandboxed, length);
}

static void ended(plugin_id id, void *user) {
    char text[100];
    (void)id, (void)user;
    snprintf(text, sizeof text, "count: instructions=%" PRIu64 " sandboxed=%" PRIu64 "\n", all,
             sandboxed);
    qemu_plugin_outs(text);
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
