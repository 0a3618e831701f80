// sys.c — the state of the system as files: whole in whatever pieces it is read, and only to be read.
// observe: yes
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char text[200000];
static size_t whole(const char *path, size_t piece) {
    size_t n = 0;
    ssize_t k;
    int fd = open(path, O_RDONLY);
    TRUE(fd > 3);
    while ((k = read(fd, text + n, piece)) > 0) n += k;
    SAME(k, 0);
    text[n] = 0;
    close(fd);
    return n;
}

int main(void) {
    struct stat s;
    int names = 0;
    DIR *d = opendir("/sys");
    for (struct dirent *e; d && (e = readdir(d));) names++;
    TRUE(names >= 5);
    SAME(stat("/sys/domains.json", &s), 0);
    TRUE(S_ISREG(s.st_mode));
    SAME(open("/sys/domains.json", O_RDWR), -1);
    SAME(errno, EROFS);
    SAME(open("/sys/control", O_WRONLY), -1); // not granted
    SAME(errno, ENOENT);
    SAME(open("/sys/absent", O_RDONLY), -1);
    SAME(errno, ENOENT);

    for (size_t piece = 7; piece <= sizeof text - 1; piece *= 30) {
        size_t n = whole("/sys/domains.json", piece);
        TRUE(n > 500);
        TRUE(!memcmp(text, "{\"system\":{", 11));
        TRUE(!strcmp(text + n - 4, "}]}\n"));
        TRUE(strstr(text, "\"name\":\"sys\"")); // this very program
        TRUE(strstr(text, "\"kind\":\"program\""));
    }
    TRUE(whole("/sys/metrics", 4096) > 500);
    TRUE(strstr(text, "\nsasos_domain_up{domain=\"sys\"} 1\n"));
    TRUE(strstr(text, "\n# TYPE sasos_domain_cpu_seconds_total counter\n"));
    TRUE(whole("/sys/log", 1000) > 500);
    TRUE(strstr(text, "run: run sys\n"));
    CHECK_END();
}
