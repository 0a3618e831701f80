// names.c — text: UTF-8 (spec 5.2.4, Unicode 15 table 3-7), and the custom section "name" (spec appendix 7.4).
//
// The name section serves people only. Whatever is wrong in it ends its reading without an error: names read so far stay, the
// rest is missing.
#include "sfi-jit/wasm/reader.h"

bool wasm_is_utf8(const uint8_t *s, uint32_t length) {
    const uint8_t *end = s + length;
    while (s < end) {
        uint8_t first = *s++;
        if (first < 0x80) continue;
        uint32_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        if (first < 0xc2 || first > 0xf4 || (size_t)(end - s) < more) return false;
        // The second byte's range rules out overlong forms, surrogates and what lies beyond U+10FFFF.
        uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        if (*s < low || *s > high) return false;
        for (uint32_t i = 1; i < more; i++)
            if ((s[i] & 0xc0) != 0x80) return false;
        s += more;
    }
    return true;
}

struct soft { // a reader that gives up quietly
    const uint8_t *p, *end;
    bool bad;
};

static uint32_t number(struct soft *s) {
    uint64_t value = 0;
    for (uint32_t shift = 0; shift < 35 && s->p < s->end; shift += 7) {
        uint8_t b = *s->p++;
        value |= (uint64_t)(b & 0x7f) << shift;
        if (b & 0x80) continue;
        if (value > UINT32_MAX) break;
        return (uint32_t)value;
    }
    s->bad = true;
    return 0;
}

static struct wasm_name name(struct soft *s) {
    uint32_t n = number(s);
    if (s->bad || n > (size_t)(s->end - s->p) || !wasm_is_utf8(s->p, n)) {
        s->bad = true;
        return (struct wasm_name){NULL, 0};
    }
    s->p += n;
    return (struct wasm_name){(const char *)s->p - n, n};
}

void wasm_parse_names(struct wasm_module *m, uint32_t start, uint32_t size) {
    enum { MODULE_NAME, FUNCTION_NAMES };
    struct soft s = {m->bytes + start, m->bytes + start + size, false};
    while (s.p < s.end && !s.bad) {
        uint8_t id = *s.p++;
        uint32_t length = number(&s);
        if (s.bad || length > (size_t)(s.end - s.p)) return;
        struct soft sub = {s.p, s.p + length, false};
        s.p += length;
        if (id == MODULE_NAME) {
            struct wasm_name text = name(&sub);
            if (!sub.bad) m->name = text;
        } else if (id == FUNCTION_NAMES) {
            for (uint32_t n = number(&sub); n && !sub.bad; n--) {
                uint32_t f = number(&sub);
                struct wasm_name text = name(&sub);
                if (!sub.bad && f < m->funcs) m->func[f].debug_name = text;
            }
        }
    }
}
