// target.c — any bytes to the decoder, the validator and the compiler, as libFuzzer makes them up (campaign "decode").
//
// Compiled with all of the JIT under ASan, UBSan and coverage instrumentation. Nothing may crash, hang or leak; what
// compiles must be accepted by the verifier, since a module that the compiler breaks would be a denial of service.
#include "loader/loader.h"
#include "sfi-jit/host/verify.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const struct ldr_compile_options options = {.memory_limit = 64 << 20, .check = true};
    struct ldr_code *code;
    struct ldr_error error;
    enum ldr_status status = ldr_compile(bytes, size, &options, &code, &error);
    if (status == LDR_INTERNAL) abort(); // a check between passes
    if (status != LDR_OK) return 0;
    struct sfi_rejection why;
    if (host_verify(&ldr_code_jit(code)->sfi, &why) != SFI_ACCEPTED) abort();
    ldr_code_release(code);
    return 0;
}
