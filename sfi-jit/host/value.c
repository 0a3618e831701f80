// value.c — see value.h.
#include "sfi-jit/host/value.h"
#include "sfi-jit/wasm/module.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *value_type_name(uint8_t type) {
    switch (type) {
    case WASM_I32: return "i32";
    case WASM_I64: return "i64";
    case WASM_F32: return "f32";
    case WASM_F64: return "f64";
    case WASM_V128: return "v128";
    case WASM_FUNCREF: return "funcref";
    case WASM_EXTERNREF: return "externref";
    default: return "?";
    }
}

static bool parse_int(const char *text, unsigned bits, uint64_t *out) {
    char *end;
    bool minus = *text == '-';
    const char *digits = text + (*text == '-' || *text == '+');
    bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    if (!isxdigit((unsigned char)digits[hex ? 2 : 0])) return false;
    errno = 0;
    uint64_t v = strtoull(digits, &end, hex ? 16 : 10);
    uint64_t most = bits == 64 ? UINT64_MAX : UINT32_MAX;
    if (*end || errno || v > (minus ? most / 2 + 1 : most)) return false;
    *out = (minus ? 0 - v : v) & most;
    return true;
}

static bool parse_float(const char *text, bool is_double, uint64_t *out) {
    const char *digits = text + (*text == '-' || *text == '+');
    uint64_t sign = *text == '-' ? (is_double ? 1ull << 63 : 1ull << 31) : 0;
    uint64_t inf = is_double ? 0x7ffull << 52 : 0xffull << 23;
    if (!strncmp(digits, "nan", 3)) {
        uint64_t payload = is_double ? 1ull << 51 : 1ull << 22;
        char *end = (char *)digits + 3;
        if (!strncmp(end, ":0x", 3) && isxdigit((unsigned char)digits[6]))
            payload = strtoull(digits + 6, &end, 16);
        *out = sign | inf | payload;
        return !*end && payload && payload < (is_double ? 1ull << 52 : 1ull << 23);
    }
    if (!strcmp(digits, "inf")) return *out = sign | inf, true;
    char *end;
    if (!isdigit((unsigned char)*digits) && *digits != '.') return false;
    if (is_double) {
        double d = strtod(text, &end);
        memcpy(out, &d, 8);
    } else {
        float f = strtof(text, &end);
        uint32_t b;
        memcpy(&b, &f, 4);
        *out = b;
    }
    return !*end;
}

bool value_parse(uint8_t type, const char *text, uint64_t *out) {
    switch (type) {
    case WASM_I32: return parse_int(text, 32, out);
    case WASM_I64: return parse_int(text, 64, out);
    case WASM_F32: return parse_float(text, false, out);
    case WASM_F64: return parse_float(text, true, out);
    case WASM_FUNCREF:
    case WASM_EXTERNREF: return *out = 0, !strcmp(text, "null");
    default: return false;
    }
}

static void print_float(bool is_double, uint64_t bits, char *out, size_t size) {
    unsigned fraction = is_double ? 52 : 23;
    uint64_t payload = bits & ((1ull << fraction) - 1), exponents = is_double ? 0x7ff : 0xff;
    bool minus = bits >> (is_double ? 63 : 31) & 1;
    if ((bits >> fraction & exponents) == exponents && payload) {
        snprintf(out, size, "%snan:0x%" PRIx64, minus ? "-" : "", payload);
    } else if (is_double) {
        double d;
        memcpy(&d, &bits, 8);
        snprintf(out, size, "%.17g", d);
    } else {
        float f;
        uint32_t low = (uint32_t)bits;
        memcpy(&f, &low, 4);
        snprintf(out, size, "%.9g", (double)f);
    }
}
void value_print(uint8_t type, uint64_t bits, char *out, size_t size) {
    switch (type) {
    case WASM_I32: snprintf(out, size, "%" PRId32, (int32_t)bits); break;
    case WASM_I64: snprintf(out, size, "%" PRId64, (int64_t)bits); break;
    case WASM_F32: print_float(false, bits & UINT32_MAX, out, size); break;
    case WASM_F64: print_float(true, bits, out, size); break;
    default:
        if (bits)
            snprintf(out, size, "ref %" PRIu64, bits);
        else
            snprintf(out, size, "null");
    }
}
