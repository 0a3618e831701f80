// test_ldr_manifest.c — manifests: a good one, each mistake with its line, and anything at all.
#include "loader/manifest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char error[160];
static struct ldr_manifest m;
// From an allocation of exactly its size, so that ASan sees a step too far.
static bool parse(const char *text, size_t size) {
    char *copy = malloc(size ? size : 1);
    memcpy(copy, text, size);
    memset(error, 'x', sizeof error);
    bool ok = ldr_manifest_parse(copy, size, &m, error, sizeof error);
    free(copy);
    return ok;
}

static const char good[] =
    "# a driver\nsasos 1\nname virtio-blk\nkind driver   # comment\n\n"
    "memory 2M\npci 1af4:1042\npci class 01:0802\nirq 2\ndma 64K\nbudget 250\n"
    "export blk_submit\nexport blk_other\nimport rng.fill\nchannels 8\n";

static void a_good_one(void **state) {
    (void)state;
    if (!parse(good, strlen(good))) fail_msg("%s", error);
    assert_string_equal(m.name, "virtio-blk");
    assert_int_equal(m.kind, MANIFEST_DRIVER);
    assert_int_equal(m.memory, 2 << 20);
    assert_int_equal(m.pcis, 2);
    assert_true(!m.pci[0].class && m.pci[0].vendor == 0x1af4 && m.pci[0].device == 0x1042);
    assert_true(m.pci[1].class && m.pci[1].vendor == 1 && m.pci[1].device == 0x0802);
    assert_int_equal(m.irqs, 2);
    assert_int_equal(m.dma, 64 << 10);
    assert_int_equal(m.budget_ms, 250);
    assert_int_equal(m.channels, 8);
    assert_true(ldr_manifest_exports(&m, "blk_submit", 10));
    assert_true(ldr_manifest_exports(&m, "blk_other", 9));
    assert_false(ldr_manifest_exports(&m, "blk_submi", 9));
    assert_false(ldr_manifest_exports(&m, "blk_submit2", 11));
    assert_int_equal(m.imports, 1);
    assert_string_equal(m.import[0].name_space, "rng");
    assert_string_equal(m.import[0].name, "fill");
    // No newline at the end.
    assert_true(parse("sasos 1\nname a\nkind app", 23));
    assert_int_equal(m.kind, MANIFEST_APP);
}

static void mistakes_name_their_line(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int line;
    } wrong[] = {
        {"", 0},
        {"sasos 2\n", 1},
        {"name a\nsasos 1\n", 1},
        {"sasos 1\nname a\nkind app\ncolour red\n", 4},
        {"sasos 1\nname a\nkind plan\n", 3},
        {"sasos 1\nname\n", 2},
        {"sasos 1\nname a b\n", 2},
        {"sasos 1\nname a/b\n", 2},
        {"sasos 1\nname a\nkind app\nmemory 2T\n", 4},
        {"sasos 1\nname a\nkind app\nmemory -1\n", 4},
        {"sasos 1\nname a\nkind app\nmemory 99999999999\n", 4},
        {"sasos 1\nname a\nkind app\nmemory 2049M\n", 4},
        {"sasos 1\nname a\nkind driver\npci 1af4\n", 4},
        {"sasos 1\nname a\nkind driver\npci 1af4:10420\n", 4},
        {"sasos 1\nname a\nkind driver\npci class\n", 4},
        {"sasos 1\nname a\nkind driver\npci class 100:0802\n", 4},
        {"sasos 1\nname a\nkind driver\npci class 01:0802 1\n", 4},
        {"sasos 1\nname a\nkind driver\npci glass 01:0802\n", 4},
        {"sasos 1\nname a\nkind driver\nirq 99999999\n", 4},
        {"sasos 1\nname a\nkind app\nimport f\n", 4},
        {"sasos 1\nname a\nkind app\nbudget 1 2\n", 4},
        {"sasos 1\nname a\nkind app\nname b\001\n", 4},
        {"sasos 1\nname a23456789012345678901234567890123456789012345\n", 2},
        {"sasos 1\nkind app\n", 2},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char line[32];
        if (parse(wrong[i].text, strlen(wrong[i].text))) fail_msg("accepted: %s", wrong[i].text);
        assert_non_null(memchr(error, 0, sizeof error));
        snprintf(line, sizeof line, "line %d: ", wrong[i].line);
        if (wrong[i].line && strncmp(error, line, strlen(line)))
            fail_msg("%s\nsays: %s", wrong[i].text, error);
    }
    // A message that does not fit is cut, not overrun.
    char small[8];
    memset(small, 'x', sizeof small);
    assert_false(ldr_manifest_parse("nonsense\n", 9, &m, small, sizeof small));
    assert_non_null(memchr(small, 0, sizeof small));
}

static void anything(void **state) {
    (void)state;
    char text[sizeof good];
    unsigned seed = 1, accepted = 0;
    for (int i = 0; i < 200000; i++) {
        size_t size = sizeof good - 1;
        memcpy(text, good, sizeof good);
        for (unsigned k = seed % 5; k < 5; k++) {
            seed = seed * 1103515245 + 12345;
            unsigned at = (seed >> 8) % size;
            text[at] = seed >> 28 < 8 ? "\n #:.0KMz"[(seed >> 4) % 9] : (char)(seed >> 16);
        }
        if (!(i & 7)) size = (seed >> 8) % size;
        accepted += parse(text, size);
        assert_true(m.pcis <= MANIFEST_PCI_MAX && m.exports <= MANIFEST_EXPORTS_MAX);
    }
    assert_true(accepted > 100 && accepted < 200000);
    // More lines of a kind than there is room for.
    static const char *const many[] = {"pci 1:2\n", "export f\n", "import a.b\n"};
    for (int i = 0; i < 3; i++) {
        static char big[4096];
        strcpy(big, "sasos 1\nname a\nkind driver\n");
        for (int k = 0; k < 100; k++) strcat(big, many[i]);
        assert_false(parse(big, strlen(big)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_one),
        cmocka_unit_test(mistakes_name_their_line),
        cmocka_unit_test(anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
