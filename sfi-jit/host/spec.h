// spec.h — runs the commands of the WebAssembly specification's test scripts. Freestanding: sfi-spec and the kernel of
// tests/boot/spec link the same runner.
//
// A stream is what sfi-spec makes of wast2json's files: records, each
//     uint32 size of the payload | uint32 line in the script | uint8 enum spec_verb | payload
// without padding, little-endian. A payload is a sequence of
//     bytes    uint32 length, then so many
//     name     uint8: there is one; then bytes (of length 0 if there is none)
//     value    uint8 enum wasm_type | uint8 width of its lanes in bits | uint32 classes | uint64 bits, two of them for a v128;
//              bits 2n and 2n+1 of the classes are the enum spec_class of lane n; what is no v128 has one lane
//     values   uint32 count, then so many
//     action   uint8 1: call a function, 0: read a global | name of the module | bytes, the export | values, the arguments
// A stream that breaks off or does not parse is refused where it does; what it asks for is judged like any module's wish.
//
// Every module goes the ordinary way: validate, compile, verify, link. A check is each record but SCRIPT and REGISTER.
#ifndef SFI_HOST_SPEC_H
#define SFI_HOST_SPEC_H
#include "loader/loader.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum spec_verb {
    SPEC_SCRIPT,   // bytes, its path: a store of its own begins
    SPEC_MODULE,   // name | bytes, for messages | bytes, the module
    SPEC_REGISTER, // name of the module | bytes, under which it is imported
    SPEC_ACTION,   // action
    SPEC_RETURN,   // action | values that it must give
    SPEC_TRAP,     // action | uint8 enum sfi_trap, 0: as the text says | bytes, the text
    SPEC_REJECTED, // uint8 enum ldr_status | bytes, the script's reason | bytes, the module
    SPEC_UNKNOWN,  // nothing: a command that nobody knows, a failure
    SPEC_VERBS,
};
enum spec_class { SPEC_EXACT, SPEC_NAN_CANONICAL, SPEC_NAN_ARITHMETIC, SPEC_ANY_REFERENCE };

#define SPEC_VALUES_MAX 1024

struct spec_check { // what was checked; the path is not terminated
    const char *path, *kind;
    uint32_t path_length, line;
};
// `format` with `args` says what is wrong (%s %u %llx); NULL: nothing, it passed.
typedef void spec_report(void *ctx, const struct spec_check *check, const char *format, va_list args);

struct spec {
    struct ldr_thread *thread; // which runs the modules: the caller's
    void *user;                // of every instance, ldr_user()
    bool ir_check;             // ldr_compile_options.check
    spec_report *report;
    void *ctx;
    unsigned passed, failed; // counted up
};
// The whole stream. False, with a sentence in *out_error, if it cannot be run to its end; stores are freed in any case.
bool spec_run(struct spec *spec, const uint8_t *stream, size_t size, const char **out_error);
#endif
