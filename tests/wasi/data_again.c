// data_again.c — what data.c left is there after the machine was off.
// data: yes
// stdout: kept over switching off
#include "check.h"
#include <dirent.h>

int main(void) {
    char line[64] = "";
    int names = 0;
    FILE *f = fopen("/data/kept", "r");
    TRUE(f && fgets(line, sizeof line, f));
    fputs(line, stdout);
    DIR *d = opendir("/data");
    for (struct dirent *e; d && (e = readdir(d));)
        names += e->d_name[0] != '.' && strcmp(e->d_name, "lost+found");
    SAME(names, 2); // a, kept
    CHECK_END();
}
