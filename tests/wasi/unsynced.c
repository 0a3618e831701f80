// unsynced.c — writes a file of its argument's name to the disk and ends as that says, without a word to the disk.
// data: yes
#include "check.h"
#include <poll.h>
#include <unistd.h>

int main(int argc, char **argv) {
    char path[64];
    if (argc < 2) return 0; // part of the set: it has a test of its own
    snprintf(path, sizeof path, "/data/%s", argv[1]);
    if (!strcmp(argv[1], "sleeps")) poll(NULL, 0, 1000000);
    FILE *f = fopen(path, "w");
    TRUE(f && fprintf(f, "%s\n", argv[1]) > 0 && !fclose(f));
    if (!strcmp(argv[1], "traps")) __builtin_trap();
    CHECK_END();
}
