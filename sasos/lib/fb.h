// fb.h — text on the firmware's linear framebuffer, 8 × 16 pixels a character.
//
// The screen rolls instead of scrolling: after the last line writing goes on at the top, with the next line cleared, because
// reading video memory back is slow everywhere. Only console.c writes here, under its lock.
#ifndef SASOS_LIB_FB_H
#define SASOS_LIB_FB_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bootinfo;
struct fb_screen {
    uint64_t base;                 // physical address
    uint32_t width, height, pitch; // pixels, pixels, bytes
    uint32_t format;               // as in bootinfo.h
};

// Maps the framebuffer and clears it. Needs page tables. Does nothing where the firmware gave none.
void fb_init(const struct bootinfo *info);
void fb_write(const char *s, size_t n);
const struct fb_screen *fb_screen(void); // NULL: there is none
// While a domain has the screen nothing is written here. Any context.
void fb_give(bool to_domain);
#endif
