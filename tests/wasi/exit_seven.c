// exit_seven.c — exit() hands its status on, after atexit() functions and buffered output.
// stdout: buffered|last words
// exit: 7
#include "check.h"

static void last(void) { printf("last words\n"); }

int main(void) {
    atexit(last);
    printf("buffered|");
    exit(7);
}
