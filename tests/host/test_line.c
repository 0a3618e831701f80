// test_line.c — the console's line editor (apps/console/line.h): keys in, the line and what the terminal shows of it out.
#include "apps/console/line.c"
#include "drivers/sdk/text.c"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct line l;
static char shown[65536];
static struct text echo;

static void begin(void) {
    echo = (struct text){shown, sizeof shown, 0};
    line_start(&l, "> ", &echo);
}

// Types; returns the finished line, or NULL.
static const char *type(const char *keys) {
    const char *done = NULL;
    for (; *keys; keys++)
        if (line_key(&l, (uint8_t)*keys, &echo) == LINE_READY) done = l.text;
    return done;
}

// What a terminal of one line would show, and where its cursor is.
static void assert_screen(const char *text, uint32_t cursor) {
    char row[512] = {0};
    uint32_t at = 0, end = 0;
    for (uint32_t i = 0; i < echo.length; i++) {
        char c = shown[i];
        if (c == '\r') {
            at = 0;
        } else if (c == '\n') {
            memset(row, 0, sizeof row);
            end = 0;
        } else if (c == 27) {
            uint32_t n = 0;
            for (i += 2; shown[i] >= '0' && shown[i] <= '9'; i++)
                n = 10 * n + (uint32_t)(shown[i] - '0');
            if (shown[i] == 'K') memset(row + at, 0, sizeof row - at), end = at;
            if (shown[i] == 'D') at -= n;
        } else if (c != '\a') {
            row[at++] = c;
            if (at > end) end = at;
        }
    }
    assert_string_equal(row, text);
    assert_int_equal(at, cursor);
}

static void test_editing(void **state) {
    (void)state;
    static const struct {
        const char *keys, *line, *screen;
        uint32_t cursor;
    } cases[] = {
        {"abc", NULL, "> abc", 5},
        {"abc\x7f", NULL, "> ab", 4},
        {"\x7f", NULL, "> ", 2},
        {"ac\x1b[Db", NULL, "> abc", 4},
        {"ac\x1bODb", NULL, "> abc", 4},
        {"bc\x1b[Ha\x1b[Fd", NULL, "> abcd", 6},
        {"bc\x1b[1~a\x1b[4~d", NULL, "> abcd", 6},
        {"abc\x1b[D\x1b[D\x1b[3~", NULL, "> ac", 3},
        {"abc\x01\x04", NULL, "> bc", 2},
        {"one two\x17", NULL, "> one ", 6},
        {"one two  \x17", NULL, "> one ", 6},
        {"one two\x1b[D\x1b[D\x15", NULL, "> wo", 2},
        {"one two\x1b[D\x1b[D\x0b", NULL, "> one t", 7},
        {"abc\x1b[C\x1b[C", NULL, "> abc", 5},
        {"a\x1b[5~b", NULL, "> ab", 4},
        {"a\x1b[1;5Cb", NULL, "> ab", 4},
        {"a\x02\x02\x06\x06z", NULL, "> az", 4},
        {"abc\x03", NULL, "> ", 2},
        {"a\x80\xff\x01z", NULL, "> za", 3},
        {"abc\r", "abc", "", 0},
        {"abc\r\n", "abc", "", 0},
        {"abc\n", "abc", "", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memset(&l, 0, sizeof l);
        begin();
        const char *line = type(cases[i].keys);
        if (cases[i].line) assert_string_equal(line, cases[i].line);
        if (!cases[i].line) assert_null(line);
        assert_screen(cases[i].screen, cases[i].cursor);
    }
}

static void test_history(void **state) {
    (void)state;
    memset(&l, 0, sizeof l);
    begin();
    type("one\r");
    begin();
    type("two\r");
    begin();
    type("two\r"); // again: kept once
    begin();
    type("\x1b[A");
    assert_screen("> two", 5);
    type("\x1b[A\x1b[A\x1b[A");
    assert_screen("> one", 5);
    type("\x1b[B");
    assert_screen("> two", 5);
    type("\x1b[B\x1b[B");
    assert_screen("> ", 2);
    type("\x10\x10x\r");
    assert_string_equal(l.text, "onex");
    for (unsigned i = 0; i < 3 * LINE_HISTORY; i++) {
        char text[16];
        snprintf(text, sizeof text, "n%u\r", i);
        begin();
        type(text);
    }
    begin();
    for (unsigned i = 0; i < 2 * LINE_HISTORY; i++) type("\x1b[A");
    char oldest[16];
    snprintf(oldest, sizeof oldest, "> n%u", 2 * LINE_HISTORY);
    assert_screen(oldest, (uint32_t)strlen(oldest));
}

static void test_limits(void **state) {
    (void)state;
    memset(&l, 0, sizeof l);
    begin();
    for (unsigned i = 0; i < 2 * LINE_MAX; i++) type("x");
    assert_int_equal(l.length, LINE_MAX - 1);
    type("\x01y"); // no room in front either
    assert_int_equal(l.length, LINE_MAX - 1);
    assert_int_equal(strlen(type("\r")), LINE_MAX - 1);
    // Every byte in every state of an escape sequence leaves the editor usable.
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++) {
            memset(&l, 0, sizeof l);
            begin();
            line_key(&l, 27, &echo);
            line_key(&l, (uint8_t)a, &echo);
            line_key(&l, (uint8_t)b, &echo);
            assert_true(l.cursor <= l.length && l.length < LINE_MAX);
        }
    // Text is cut off at the end of its buffer.
    char small[8] = "........";
    echo = (struct text){small, 4, 0};
    line_show(&l, &echo);
    assert_memory_equal(small + 4, "....", 4);
}

static void test_text(void **state) {
    (void)state;
    char bytes[128];
    struct text t = {bytes, sizeof bytes, 0};
    text_format(&t, "%s %d %u %x %ld %lx %c%%", "s", -5, 7u, 0xabcu, INT64_MIN, UINT64_MAX, 'c');
    uint32_t from = t.length;
    text_pad(&t, from, 3);
    text_pad(&t, from, 3); // past the column: one blank
    text_format(&t, "x%");
    bytes[t.length] = 0;
    assert_string_equal(bytes, "s -5 7 abc -9223372036854775808 ffffffffffffffff c%    x");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_editing),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
