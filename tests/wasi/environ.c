// environ.c — the environment, without the options of the personality.
// env: COLOUR=deep red
// env: EMPTY=
// env: SASOS_PROGRAM=renamed
// stdout: renamed
#include "check.h"

extern char **environ;

int main(int argc, char **argv) {
    size_t n, bytes;
    (void)argc;
    puts(argv[0]);
    TRUE(getenv("COLOUR") && !strcmp(getenv("COLOUR"), "deep red"));
    TRUE(getenv("EMPTY") && !*getenv("EMPTY"));
    TRUE(!getenv("SASOS_PROGRAM"));
    TRUE(!getenv("LISTEN_FDS"));
    SAME(__wasi_environ_sizes_get(&n, &bytes), 0);
    SAME(n, 2);
    SAME(bytes, sizeof "COLOUR=deep red" + sizeof "EMPTY=");
    uint8_t text[64], *pointers[2];
    SAME(__wasi_environ_get(BAD, text), __WASI_ERRNO_FAULT);
    SAME(__wasi_environ_get(pointers, BAD), __WASI_ERRNO_FAULT);
    CHECK_END();
}
