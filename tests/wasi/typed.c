// typed.c — standard input from a terminal: says what each read() gives; "poll", "nonblock", "sleep" and "kill" do that, "quit" ends it.
// terminal: yes
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static void say(const char *s) { write(1, s, strlen(s)); }

static void check_nonblock(void) {
    char c;
    SAME(fcntl(0, F_SETFL, O_NONBLOCK), 0);
    SAME(read(0, &c, 1), -1);
    SAME(errno, EAGAIN);
    SAME(fcntl(0, F_SETFL, 0), 0);
    say("nothing yet\n");
}

static void check_poll(void) {
    struct pollfd p = {.fd = 0, .events = POLLIN};
    SAME(poll(&p, 1, 20), 0);
    say("waiting\n");
    SAME(poll(&p, 1, -1), 1);
}

static void kill_driver(void) {
    int fd = open("/sys/control", O_WRONLY);
    SAME(write(fd, "kill uart", 9), 9);
    close(fd);
}

int main(void) {
    char text[64], out[200];
    TRUE(isatty(0) && isatty(1));
    say("ready\n");
    for (;;) {
        ssize_t n = read(0, text, sizeof text - 1);
        if (n < 0) return 99;
        int at = snprintf(out, sizeof out, "got %zd:", n);
        for (ssize_t i = 0; i < n; i++)
            at += snprintf(out + at, sizeof out - (size_t)at, "%02x", (uint8_t)text[i]);
        say(strcat(out, "\n"));
        text[n] = 0;
        if (!strcmp(text, "nonblock\n")) check_nonblock();
        if (!strcmp(text, "poll\n")) check_poll();
        if (!strcmp(text, "kill\n")) kill_driver();
        if (!strcmp(text, "sleep\n") || getenv("SLEEP")) poll(NULL, 0, 1000000);
        if (!strncmp(text, "quit", 4)) CHECK_END();
    }
}
