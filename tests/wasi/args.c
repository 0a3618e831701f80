// args.c — arguments arrive as the configuration has them, with the program's name in front.
// args: one "two words" ""
// stdout: program|one|two words||
#include "check.h"

int main(int argc, char **argv) {
    size_t n, bytes;
    SAME(argc, 4);
    for (int i = 0; i < argc; i++) printf("%s|", argv[i]);
    puts("");
    SAME(__wasi_args_sizes_get(&n, &bytes), 0);
    SAME(n, 4);
    SAME(bytes, sizeof "program" + sizeof "one" + sizeof "two words" + 1);
    SAME(__wasi_args_sizes_get(BAD, &bytes), __WASI_ERRNO_FAULT);
    SAME(__wasi_args_sizes_get(&n, BAD), __WASI_ERRNO_FAULT);
    uint8_t text[64], *pointers[4];
    SAME(__wasi_args_get(pointers, BAD), __WASI_ERRNO_FAULT);
    SAME(__wasi_args_get(BAD, text), __WASI_ERRNO_FAULT);
    SAME(__wasi_args_get(pointers, text), 0);
    TRUE(pointers[1] == text + sizeof "program");
    CHECK_END();
}
