// json.c — a JSON parser (RFC 8259): recursive descent into a tree of nodes in an arena, strings with escapes, numbers as doubles; then a walk
// over the tree. 64 KiB of generated text, n times.
//
// Group: text
// Size: n = 300
#include "bench/kernels/kernel.h"

#define TEXT 65536
#define NODES 32768
enum kind { NONE, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT };
struct node {
    enum kind kind;
    uint32_t key, hash; // of an object's member; of a string
    double number;
    struct node *first, *next;
};
static char text[TEXT + 64];
static struct node node[NODES];
static uint32_t nodes;
static const char *at;

// ---- making the text ----
static char *put_text(char *out, const char *s) {
    while (*s) *out++ = *s++;
    return out;
}
static char *put_number(char *out, uint32_t v) {
    char digit[10];
    int n = 0;
    do digit[n++] = (char)('0' + v % 10);
    while (v /= 10);
    while (n) *out++ = digit[--n];
    return out;
}
static char *put_value(char *out, uint32_t *seed, uint32_t depth) {
    static const char *const name[] = {"id",        "name", "value",      "list", "\\u00e9t\\u00e9",
                                       "a\\\"b\\n", "x",    "longer name"};
    uint32_t r = next_random(seed), kind = (r >> 4) % (depth ? 8 : 5);
    switch (kind) {
    case 0: return put_text(out, r & 1 ? "true" : r & 2 ? "false" : "null");
    case 1:
    case 2: return put_number(out, r >> 8);
    case 3:
        out = put_number(put_text(out, "-"), r >> 20);
        out = put_number(put_text(out, "."), r >> 10 & 1023);
        return r & 1 ? put_text(out, "e-3") : out;
    case 4: return put_text(put_text(put_text(out, "\""), name[r >> 8 & 7]), "\"");
    default:
        *out++ = kind == 5 ? '[' : '{';
        for (uint32_t i = 0, n = 1 + (r >> 12) % 5; i < n; i++) {
            if (i) out = put_text(out, ", ");
            if (kind != 5)
                out = put_text(put_text(put_text(out, "\""), name[(r >> 16) + i & 7]), "\": ");
            out = put_value(out, seed, depth - 1);
        }
        *out++ = kind == 5 ? ']' : '}';
        return out;
    }
}

// ---- parsing ----
static struct node *value(void);

static void skip(void) {
    while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r') at++;
}
static int literal(const char *s) {
    while (*s)
        if (*at++ != *s++) return 0;
    return 1;
}
static uint32_t hex4(void) {
    uint32_t v = 0;
    for (int i = 0; i < 4; i++, at++) {
        uint32_t c = (uint8_t)*at;
        v = v << 4 | (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return v;
}
static int string(uint32_t *out_hash) {
    uint32_t h = 2166136261u;
    if (*at++ != '"') return 0;
    for (;;) {
        uint32_t c = (uint8_t)*at++;
        if (c == '"') break;
        if (c < 32) return 0;
        if (c == '\\') switch (c = (uint8_t)*at++) {
            case 'n': c = '\n'; break;
            case 't': c = '\t'; break;
            case 'r': c = '\r'; break;
            case 'b': c = '\b'; break;
            case 'f': c = '\f'; break;
            case 'u': c = hex4(); break;
            case '"':
            case '\\':
            case '/': break;
            default: return 0;
            }
        h = (h ^ c) * 16777619u;
    }
    *out_hash = h;
    return 1;
}
static double number(void) {
    double v = 0, scale = 1;
    int negative = *at == '-', exponent = 0, down = 0;
    at += negative;
    while (*at >= '0' && *at <= '9') v = v * 10 + (*at++ - '0');
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9'; at++) v += (*at - '0') * (scale /= 10);
    if (*at == 'e' || *at == 'E') {
        at++;
        down = *at == '-';
        at += *at == '-' || *at == '+';
        while (*at >= '0' && *at <= '9') exponent = exponent * 10 + (*at++ - '0');
        while (exponent--) v = down ? v / 10 : v * 10;
    }
    return negative ? -v : v;
}
static int members(struct node *parent, int object) {
    struct node **tail = &parent->first;
    char close = object ? '}' : ']';
    at++;
    for (skip(); *at != close; skip()) {
        uint32_t key = 0;
        if (object) {
            if (!string(&key)) return 0;
            skip();
            if (*at++ != ':') return 0;
        }
        struct node *v = value();
        if (!v) return 0;
        v->key = key;
        *tail = v;
        tail = &v->next;
        skip();
        if (*at == ',')
            at++;
        else if (*at != close)
            return 0;
    }
    at++;
    return 1;
}
static struct node *value(void) {
    skip();
    if (nodes == NODES) return NULL;
    struct node *v = &node[nodes++];
    *v = (struct node){NONE, 0, 0, 0, NULL, NULL};
    int good;
    switch (*at) {
    case '{':
        v->kind = OBJECT;
        good = members(v, 1);
        break;
    case '[':
        v->kind = ARRAY;
        good = members(v, 0);
        break;
    case '"':
        v->kind = STRING;
        good = string(&v->hash);
        break;
    case 't':
        v->kind = TRUE;
        good = literal("true");
        break;
    case 'f':
        v->kind = FALSE;
        good = literal("false");
        break;
    case 'n': good = literal("null"); break;
    default:
        v->kind = NUMBER;
        v->number = number();
        good = 1;
    }
    return good ? v : NULL;
}

static uint64_t walk(const struct node *v, uint64_t sum) {
    for (; v; v = v->next) {
        sum = mix(sum, (uint64_t)v->kind << 32 ^ v->key ^ v->hash);
        if (v->kind == NUMBER) sum = mix_double(sum, v->number);
        sum = walk(v->first, sum);
    }
    return sum;
}

uint64_t kernel(uint32_t n) {
    uint32_t seed = 127;
    uint64_t sum = 0;
    char *out = text;
    *out++ = '[';
    while (out < text + TEXT - 8192) out = put_text(put_value(out, &seed, 4), ",\n ");
    put_text(out, "0]");
    for (uint32_t t = 0; t < n; t++) {
        nodes = 0;
        at = text;
        const struct node *root = value();
        if (!root) return 0;
        sum = walk(root, sum);
    }
    return sum;
}
