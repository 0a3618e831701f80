// sfi-compile — compiles a module ahead of time: sfi-compile IN.wasm OUT.code
//
// What it writes saves the system the compiler's time at start, and gains nothing else: it is verified there like everything that is
// to run, and refused if it does not belong to the module. The same code comes out of the compiler in the system.
#include "loader/loader.h"
#include "loader/platform.h"
#include "sfi-jit/host/host.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    host_init("sfi-compile");
    if (argc != 3) die("usage: sfi-compile IN.wasm OUT.code");
    size_t size, cache_size;
    uint8_t *module = host_read_file(argv[1], &size), *cache;
    if (!module) die("%s: %s", argv[1], strerror(errno));
    struct ldr_error error;
    if (ldr_cache(module, size, &cache, &cache_size, &error) != LDR_OK)
        die("%s: %s", argv[1], error.text);
    FILE *file = fopen(argv[2], "wb");
    if (!file || fwrite(cache, 1, cache_size, file) != cache_size || fclose(file) != 0)
        die("%s: %s", argv[2], strerror(errno));
    ldr_plat_free(cache, cache_size);
    free(module);
    return 0;
}
