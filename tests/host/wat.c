// wat.c — see wat.h.
#include "tests/host/wat.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint8_t *wat(const char *text, size_t *out_size) {
    char folder[] = "/tmp/sasos-wat.XXXXXX", in[64], out[64], command[256];
    if (!mkdtemp(folder)) abort();
    snprintf(in, sizeof in, "%s/in.wat", folder);
    snprintf(out, sizeof out, "%s/out.wasm", folder);
    snprintf(command, sizeof command,
             "wat2wasm --enable-tail-call --enable-threads --debug-names %s -o %s", in, out);
    FILE *f = fopen(in, "w");
    if (!f || fputs(text, f) < 0 || fclose(f)) abort();
    if (system(command)) {
        fprintf(stderr, "wat2wasm failed on:\n%s\n", text);
        exit(1);
    }
    uint8_t *bytes = malloc(1 << 20);
    if (!bytes || !(f = fopen(out, "rb"))) abort();
    *out_size = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    unlink(in);
    unlink(out);
    rmdir(folder);
    return bytes;
}
