// raise.c — proc_raise: signals that do nothing, those that do not exist, and one that ends the program.
// exit: 143
#include "check.h"

__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_raise")))
int32_t proc_raise(int32_t);

int main(void) {
    SAME(proc_raise(0), 0);
    SAME(proc_raise(16), 0); // $signal: chld
    SAME(proc_raise(31), __WASI_ERRNO_INVAL);
    SAME(proc_raise(-1), __WASI_ERRNO_INVAL);
    if (check_failed) return 1;
    proc_raise(15);
    puts("still alive");
    return 1;
}
