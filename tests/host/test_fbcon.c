// test_fbcon.c — the text terminal of the framebuffer console (drivers/fbcon/screen.c): text, cursor, erasing, colours, and arbitrary bytes.
#include "drivers/fbcon/screen.c"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct screen s;

// The whole screen of 10 by 3 as text.
static const char *shown(const char *bytes) {
    static char out[31];
    screen_init(&s, 10, 3);
    screen_write(&s, (const uint8_t *)bytes, (uint32_t)strlen(bytes));
    for (int i = 0; i < 30; i++) out[i] = (char)s.cell[i];
    return out;
}

static void text_and_lines(void **state) {
    (void)state;
    assert_string_equal(shown("ab\r\ncd\nef"), "ab        cd          ef      ");
    assert_string_equal(shown("0123456789ab"), "0123456789ab                  "); // wraps …
    assert_string_equal(shown("0123456789\r\nab"), "0123456789ab                  "); // … but only when needed
    assert_string_equal(shown("a\r\nb\r\nc\r\nd"), "b         c         d         ");
    assert_string_equal(shown("abc\b\bX\tY"), "aXc     Y                     ");
    assert_string_equal(shown("a\xc3\xa4\xe2\x82\xac"
                              "b\x01\x7f"),
                        "a??b                          ");
}

static void cursor(void **state) {
    (void)state;
    assert_string_equal(shown("\x1b[2;3Hx\x1b[Ay\x1b[5Dz\x1b[2Bw"),
                        "z  y        x        w        ");
    screen_init(&s, 10, 3);
    screen_write(&s, (const uint8_t *)"\x1b[99;99H", 8);
    assert_true(s.row == 2 && s.column == 9);
    screen_write(&s, (const uint8_t *)"\x1b[s\x1b[H\x1b[99A\x1b[99D", 16);
    assert_true(s.row == 0 && s.column == 0);
    screen_write(&s, (const uint8_t *)"\x1b[u\x1b[4294967299A\x1b[2G", 21);
    assert_true(s.row == 0 && s.column == 1);
}

static void erasing(void **state) {
    (void)state;
    assert_string_equal(shown("0123456789\x1b[1;4H\x1b[K"), "012                           ");
    assert_string_equal(shown("0123456789\x1b[1;4H\x1b[1K"), "    456789                    ");
    assert_string_equal(shown("0123456789\x1b[1;4H\x1b[2Kx"), "   x                          ");
    assert_string_equal(shown("aaaaaaaaaabbbbbbbbbbcccc\x1b[2;2H\x1b[J"),
                        "aaaaaaaaaab                   ");
    assert_string_equal(shown("aaaaaaaaaabbbbbbbbbbcccc\x1b[2;2H\x1b[1J"),
                        "            bbbbbbbbcccc      ");
    assert_string_equal(shown("aaaaaaaaaabb\x1b[2Jc"), "            c                 ");
    assert_string_equal(shown("aaaa\x1b"
                              "cb"),
                        "b                             ");
}

static void colours(void **state) {
    (void)state;
    shown("a\x1b[31;44mb\x1b[1mc\x1b[7md\x1b[0me\x1b[97;100mf\x1b[39;49;22;27mg");
    assert_int_equal(s.cell[0], SCREEN_CELL('a', 7, 0));
    assert_int_equal(s.cell[1], SCREEN_CELL('b', 1, 4));
    assert_int_equal(s.cell[2], SCREEN_CELL('c', 9, 4));
    assert_int_equal(s.cell[3], SCREEN_CELL('d', 4, 9));
    assert_int_equal(s.cell[4], SCREEN_CELL('e', 7, 0));
    assert_int_equal(s.cell[5], SCREEN_CELL('f', 15, 8));
    assert_int_equal(s.cell[6], SCREEN_CELL('g', 7, 0));
    assert_string_equal(shown("\x1b[?25lx\x1b[1;2;3;4;5;6;7;8;9;10my\x1b[12\nz"),
                        "xy          z                 ");
}

// Whatever a client sends: the cursor stays on the screen, every cell is a character that the font has, nothing is touched outside.
static void any_bytes(void **state) {
    (void)state;
    static const char likely[] = "\x1b[0123456789;ABCDGHfJKmsuc\r\n\t\bxy";
    srandom(1);
    screen_init(&s, 13, 5);
    for (int i = 0; i < 1000000; i++) {
        uint8_t c = random() & 3 ? (uint8_t)likely[(size_t)random() % (sizeof(likely) - 1)]
                                 : (uint8_t)random();
        screen_write(&s, &c, 1);
        assert_true(s.row < 5 && s.column <= 13);
    }
    for (int i = 0; i < 13 * 5; i++) assert_in_range(s.cell[i] & 0xff, ' ', '~');
    for (uint32_t i = 13 * 5; i < SCREEN_ROWS_MAX * SCREEN_COLUMNS_MAX; i++)
        assert_int_equal(s.cell[i], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_lines), cmocka_unit_test(cursor),    cmocka_unit_test(erasing),
        cmocka_unit_test(colours),        cmocka_unit_test(any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
