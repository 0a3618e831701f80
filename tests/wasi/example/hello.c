// hello.c — the worked example of docs/write-an-application.md: an ordinary C program that says hello and counts its runs in a file.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    const char *who = getenv("WHO");
    printf("hello, %s\n", who ? who : "world");
    for (int i = 1; i < argc; i++) printf("argument %d: %s\n", i, argv[i]);

    FILE *file = fopen("/data/runs", "r");
    int runs = 0;
    if (file && fscanf(file, "%d", &runs) != 1) runs = 0;
    if (file) fclose(file);
    file = fopen("/data/runs", "w");
    if (!file) {
        printf("no disk, so nothing is kept\n");
        return 0;
    }
    fprintf(file, "%d\n", ++runs);
    if (fflush(file) || fsync(fileno(file)) || fclose(file)) {
        perror("/data/runs");
        return 1;
    }
    printf("run %d\n", runs);
    return 0;
}
