// search.c — string search in 64 KiB of text: Horspool's method and the plain one, n needles.
//
// Group: embedded
// Size: n = 150
#include "bench/kernels/kernel.h"

#define TEXT 65536
static char text[TEXT + 1];

static uint32_t length(const char *s) {
    uint32_t n = 0;
    while (s[n]) n++;
    return n;
}
static uint32_t horspool(const char *needle, uint32_t m) {
    uint8_t skip[256];
    uint32_t found = 0;
    for (int i = 0; i < 256; i++) skip[i] = (uint8_t)m;
    for (uint32_t i = 0; i + 1 < m; i++) skip[(uint8_t)needle[i]] = (uint8_t)(m - 1 - i);
    for (uint32_t at = 0; at + m <= TEXT; at += skip[(uint8_t)text[at + m - 1]]) {
        uint32_t k = m;
        while (k > 0 && text[at + k - 1] == needle[k - 1]) k--;
        if (!k) found += at;
    }
    return found;
}
static uint32_t plain(const char *needle) {
    uint32_t found = 0;
    for (const char *p = text; *p; p++) {
        const char *a = p, *b = needle;
        while (*b && *a == *b) a++, b++;
        if (!*b) found += (uint32_t)(p - text);
    }
    return found;
}

uint64_t kernel(uint32_t n) {
    uint32_t seed = 67;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < TEXT; i++) {
        uint32_t r = next_random(&seed) % 32;
        text[i] = r < 26 ? (char)('a' + r % 7) : ' ';
    }
    text[TEXT] = 0;
    for (uint32_t t = 0; t < n; t++) {
        char needle[16];
        uint32_t m = 3 + t % 9, at = next_random(&seed) % (TEXT - 16);
        for (uint32_t i = 0; i < m; i++) needle[i] = text[at + i];
        needle[m] = 0;
        uint32_t found = horspool(needle, length(needle));
        if (found != plain(needle)) return 0;
        sum = mix(sum, found);
    }
    return sum;
}
