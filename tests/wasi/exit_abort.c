// exit_abort.c — abort() is a trap: it ends the program, and only it.
// trap: unreachable
#include <stdlib.h>
int main(void) { abort(); }
