// words.h — reading the project's text files: lines of words. Manifests and configurations are made of nothing else.
//
// A line is words separated by blanks; `#` at the start of a word begins a comment; empty lines do not count. A word that begins with `"`
// goes on to the next `"`, blanks included; the quotes are not part of it, and nothing can stand for a quote inside. Control characters
// other than tab, and bytes ≥ 128, make the line bad, as does a quote that is not closed. Words point into the text, are not
// terminated, and are checked against what they may be by the calls below. Freestanding; works on hostile text.
#ifndef LDR_WORDS_H
#define LDR_WORDS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORDS_MAX 16u

struct words_reader {
    const char *text;
    size_t size, at;
    uint32_t line; // of the last line read, from 1
};
struct words {
    uint32_t count;
    const char *word[WORDS_MAX];
    uint32_t length[WORDS_MAX];
};
enum words_result {
    WORDS_LINE,
    WORDS_END,
    WORDS_BAD
}; // BAD: too many words, an open quote, or bytes that are not text

struct words_reader words_open(const char *text, size_t size);
enum words_result words_next(struct words_reader *r, struct words *out);
bool words_is(const struct words *w, uint32_t i, const char *text);
// Copies word i, terminated; false if it does not fit or has other characters than letters, digits, `_`, `-`, `.`.
bool words_name(const struct words *w, uint32_t i, char *out, size_t size);
bool words_number(const struct words *w, uint32_t i, uint32_t max, uint32_t *out); // decimal
// A number of bytes: decimal, K or M may follow.
bool words_size(const struct words *w, uint32_t i, uint32_t max, uint32_t *out);
// "1af4:1042": two hexadecimal numbers with `between` between them.
bool words_hex_pair(const struct words *w, uint32_t i, char between, uint16_t *out_first,
                    uint16_t *out_second);
// A kind of PCI function: by its ids, "pci 1af4:1042", or by base class : sub-class and interface, "pci class 01:0802".
struct words_pci {
    uint16_t vendor, device; // of a class: its base, and the other two
    bool class;
};
bool words_pci(const struct words *w, struct words_pci *out); // the whole line
// Copies word i, whatever it is, terminated; false if it does not fit.
bool words_text(const struct words *w, uint32_t i, char *out, size_t size);
#endif
