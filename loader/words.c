// words.c — see words.h.
#include "loader/words.h"

struct words_reader words_open(const char *text, size_t size) {
    return (struct words_reader){text, size, 0, 0};
}

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// The words of one line [at, end). False if there are too many, an open quote, or bytes that are not text.
static bool split(const char *text, size_t at, size_t end, struct words *out) {
    out->count = 0;
    while (at < end) {
        if (blank(text[at])) {
            at++;
            continue;
        }
        if (text[at] == '#') return true;
        bool quoted = text[at] == '"';
        size_t start = at += quoted, stop;
        for (; at < end && (quoted ? text[at] != '"' : !blank(text[at])); at++)
            if ((text[at] < 32 && text[at] != '\t') ||
                text[at] == 127) // char is signed: bytes ≥ 128 are below 0
                return false;
        stop = at;
        if (quoted && at++ == end) return false;
        if (out->count == WORDS_MAX) return false;
        out->word[out->count] = text + start;
        out->length[out->count++] = (uint32_t)(stop - start);
    }
    return true;
}

enum words_result words_next(struct words_reader *r, struct words *out) {
    while (r->at < r->size) {
        size_t start = r->at;
        while (r->at < r->size && r->text[r->at] != '\n') r->at++;
        size_t end = r->at;
        if (r->at < r->size) r->at++;
        r->line++;
        if (!split(r->text, start, end, out)) return WORDS_BAD;
        if (out->count) return WORDS_LINE;
    }
    return WORDS_END;
}

bool words_is(const struct words *w, uint32_t i, const char *text) {
    if (i >= w->count) return false;
    uint32_t n = 0;
    while (n < w->length[i] && text[n] && text[n] == w->word[i][n]) n++;
    return n == w->length[i] && !text[n];
}

bool words_name(const struct words *w, uint32_t i, char *out, size_t size) {
    if (i >= w->count || w->length[i] >= size) return false;
    for (uint32_t n = 0; n < w->length[i]; n++) {
        char c = w->word[i][n];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.'))
            return false;
        out[n] = c;
    }
    out[w->length[i]] = 0;
    return true;
}

static bool number(const char *text, uint32_t length, uint32_t max, uint32_t *out) {
    uint64_t value = 0;
    if (length == 0) return false;
    for (uint32_t n = 0; n < length; n++) {
        if (text[n] < '0' || text[n] > '9') return false;
        value = value * 10 + (uint64_t)(text[n] - '0');
        if (value > max) return false;
    }
    *out = (uint32_t)value;
    return true;
}

bool words_number(const struct words *w, uint32_t i, uint32_t max, uint32_t *out) {
    return i < w->count && number(w->word[i], w->length[i], max, out);
}

bool words_size(const struct words *w, uint32_t i, uint32_t max, uint32_t *out) {
    if (i >= w->count) return false;
    uint32_t length = w->length[i], shift = 0;
    char unit = length ? w->word[i][length - 1] : 0;
    if (unit == 'K')
        shift = 10;
    else if (unit == 'M')
        shift = 20;
    if (!number(w->word[i], length - (shift ? 1 : 0), max >> shift, out)) return false;
    *out <<= shift;
    return true;
}

static bool hex16(const char *text, uint32_t length, uint16_t *out) {
    uint32_t value = 0;
    if (length == 0 || length > 4) return false;
    for (uint32_t n = 0; n < length; n++) {
        char c = text[n];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                                                : 16;
        if (digit == 16) return false;
        value = value << 4 | digit;
    }
    *out = (uint16_t)value;
    return true;
}

bool words_hex_pair(const struct words *w, uint32_t i, char between, uint16_t *out_first,
                    uint16_t *out_second) {
    if (i >= w->count) return false;
    const char *text = w->word[i];
    uint32_t n = 0;
    while (n < w->length[i] && text[n] != between) n++;
    return n < w->length[i] && hex16(text, n, out_first) &&
           hex16(text + n + 1, w->length[i] - n - 1, out_second);
}

bool words_pci(const struct words *w, struct words_pci *out) {
    out->class = w->count == 3 && words_is(w, 1, "class");
    return w->count == (out->class ? 3 : 2) &&
           words_hex_pair(w, out->class ? 2 : 1, ':', &out->vendor, &out->device) &&
           !(out->class && out->vendor > 0xff);
}

bool words_text(const struct words *w, uint32_t i, char *out, size_t size) {
    if (i >= w->count || w->length[i] >= size) return false;
    for (uint32_t n = 0; n < w->length[i]; n++) out[n] = w->word[i][n];
    out[w->length[i]] = 0;
    return true;
}
