// json.c — see json.h. One recursive reader; depth is limited to DEPTH_MAX.
#include "sfi-jit/host/json.h"
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64u

struct reader {
    const char *at, *end;
    unsigned depth;
};

static void space(struct reader *r) {
    while (r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at) r->at++;
}
static bool take(struct reader *r, char c) {
    space(r);
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
    return true;
}
static bool word(struct reader *r, const char *w) {
    size_t n = strlen(w);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, w, n)) return false;
    r->at += n;
    return true;
}

static int hex4(struct reader *r) {
    int v = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        if (r->at == r->end) return -1;
        char c = *r->at;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return -1;
        v = v << 4 | digit;
    }
    return v;
}
static size_t utf8(char *out, uint32_t c) {
    if (c < 0x80) return out[0] = (char)c, 1;
    if (c < 0x800) return out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 63)), 2;
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}
// What follows a backslash: writes it to `out` (at most 4 bytes), returns how many bytes, 0 if it is no escape.
static size_t escape(struct reader *r, char *out) {
    static const char plain[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    if (r->at == r->end) return 0;
    char c = *r->at++;
    if (c == 'u') {
        int v = hex4(r), low;
        if (v >= 0xd800 && v < 0xdc00 && word(r, "\\u") && (low = hex4(r)) >= 0xdc00)
            v = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
        return v < 0 ? 0 : utf8(out, (uint32_t)v);
    }
    for (size_t i = 0; plain[i]; i += 2)
        if (plain[i] == c) return *out = plain[i + 1], 1;
    return 0;
}
// Behind the opening quote.
static char *string(struct reader *r, size_t *out_length) {
    size_t n = 0, room = 64;
    char *s = malloc(room);
    while (s && r->at < r->end && *r->at != '"') {
        if (n + 8 > room) {
            char *more = realloc(s, room *= 2);
            if (!more) break;
            s = more;
        }
        if (*r->at != '\\') {
            s[n++] = *r->at++;
            continue;
        }
        r->at++;
        size_t bytes = escape(r, s + n);
        n += bytes;
        if (!bytes) {
            free(s);
            return NULL;
        }
    }
    if (!s || r->at == r->end || *r->at != '"') {
        free(s);
        return NULL;
    }
    r->at++;
    s[n] = 0;
    *out_length = n;
    return s;
}

static struct json *value(struct reader *r);

static bool members(struct reader *r, struct json *j, char close) {
    struct json **last = &j->first;
    if (take(r, close)) return true;
    do {
        char *key = NULL;
        size_t length;
        if (close == '}' && (!take(r, '"') || !(key = string(r, &length)) || !take(r, ':'))) {
            free(key);
            return false;
        }
        if (!(*last = value(r))) {
            free(key);
            return false;
        }
        (*last)->key = key;
        last = &(*last)->next;
    } while (take(r, ','));
    return take(r, close);
}
static struct json *value(struct reader *r) {
    struct json *j = calloc(1, sizeof *j);
    bool ok = false;
    space(r);
    if (j && r->at < r->end && r->depth < DEPTH_MAX) {
        r->depth++;
        char c = *r->at;
        if (take(r, '{')) {
            j->kind = JSON_OBJECT;
            ok = members(r, j, '}');
        } else if (take(r, '[')) {
            j->kind = JSON_ARRAY;
            ok = members(r, j, ']');
        } else if (take(r, '"')) {
            j->kind = JSON_STRING;
            ok = (j->text = string(r, &j->length));
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            const char *start = r->at;
            while (r->at < r->end && *r->at && strchr("+-.eE0123456789", *r->at)) r->at++;
            j->kind = JSON_NUMBER;
            j->length = (size_t)(r->at - start);
            ok = (j->text = strndup(start, j->length));
        } else {
            j->kind = c == 't' ? JSON_TRUE : c == 'f' ? JSON_FALSE : JSON_NULL;
            ok = word(r, c == 't' ? "true" : c == 'f' ? "false" : "null");
        }
        r->depth--;
    }
    if (ok) return j;
    json_free(j);
    return NULL;
}

struct json *json_parse(const char *text, size_t length, unsigned *out_line) {
    struct reader r = {text, text + length, 0};
    struct json *j = value(&r);
    space(&r);
    if (j && r.at == r.end) return j;
    json_free(j);
    *out_line = 1;
    for (const char *p = text; p < r.at; p++) *out_line += *p == '\n';
    return NULL;
}
void json_free(struct json *j) {
    while (j) {
        struct json *next = j->next;
        json_free(j->first);
        free(j->text);
        free(j->key);
        free(j);
        j = next;
    }
}
const struct json *json_get(const struct json *j, const char *key) {
    for (const struct json *m = j && j->kind == JSON_OBJECT ? j->first : NULL; m; m = m->next)
        if (!strcmp(m->key, key)) return m;
    return NULL;
}
const char *json_text(const struct json *j, const char *key) {
    const struct json *m = json_get(j, key);
    return m ? m->text : NULL;
}
