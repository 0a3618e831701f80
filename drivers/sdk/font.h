// font.h — a bitmap font of five by seven points for the printing ASCII characters; sasos/lib/font.def says how a glyph is laid out.
#ifndef SASOS_FONT_H
#define SASOS_FONT_H
#include <stdint.h>

#define FONT_FIRST ' '
#define FONT_LAST '~'
#define FONT_WIDTH 5u
#define FONT_HEIGHT 7u
#define FONT_DESCENDS (1ull << 35)

static const uint64_t font[] = {
#include "sasos/lib/font.def"
};
_Static_assert(sizeof(font) / sizeof(font[0]) == FONT_LAST - FONT_FIRST + 1, "one word each");
#endif
