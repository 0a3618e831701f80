// test_text.c — the project's text files: words, manifests, configurations. Good ones are read as meant; bad ones are refused with
// the line and a sentence; and no bytes whatever make a reader go astray (truncations and noise, under the sanitizers).
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/manifest.h"
#include "loader/words.h"
#include "sasos/run/config.c"

int ksnprintf(char *buf, size_t size, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(buf, size, fmt, ap);
    va_end(ap);
    return n;
}
bool str_eq(const char *a, const char *b) { return !strcmp(a, b); }
void str_copy(char *dst, size_t size, const char *src) { snprintf(dst, size, "%s", src); }

static const char GOOD_MANIFEST[] = "sasos 1\n"
                                    "name virtio-blk # a comment\n"
                                    "\n"
                                    "kind driver\r\n"
                                    "memory 2M\n"
                                    "pci 1af4:1042\n"
                                    "pci 1af4:1001\n"
                                    "irq 3\ndma 64K\nbudget 250\nchannels 8\nchannel 4096\n"
                                    "export blk_submit\nimport ns.fn\noptional ns.more\n";

static void manifest_good(void **state) {
    (void)state;
    struct ldr_manifest m;
    char error[128];
    assert_true(ldr_manifest_parse(GOOD_MANIFEST, strlen(GOOD_MANIFEST), &m, error, sizeof error));
    assert_string_equal(m.name, "virtio-blk");
    assert_int_equal(m.kind, MANIFEST_DRIVER);
    assert_int_equal(m.memory, 2 << 20);
    assert_int_equal(m.dma, 64 << 10);
    assert_int_equal(m.irqs, 3);
    assert_int_equal(m.budget_ms, 250);
    assert_int_equal(m.channels, 8);
    assert_int_equal(m.channel, 4096);
    assert_int_equal(m.pcis, 2);
    assert_int_equal(m.pci[1].vendor, 0x1af4);
    assert_int_equal(m.pci[1].device, 0x1001);
    assert_int_equal(m.exports, 1);
    assert_true(ldr_manifest_exports(&m, "blk_submit", 10));
    assert_false(ldr_manifest_exports(&m, "blk_submi", 9));
    assert_false(ldr_manifest_exports(&m, "blk_submit2", 11));
    assert_string_equal(m.import[0].name_space, "ns");
    assert_string_equal(m.import[0].name, "fn");
    assert_false(m.import[0].optional);
    assert_string_equal(m.import[1].name, "more");
    assert_true(m.import[1].optional);
}

static void manifest_bad(void **state) {
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "line 0: the manifest is empty"},
        {"sasos 2\n", "line 1: the first line must be: sasos 1"},
        {"sasos 1\nkind app\n", "line 2: the name is missing"},
        {"sasos 1\nname a b\n", "line 2: expected: name NAME"},
        {"sasos 1\nname a/b\n", "line 2: expected: name NAME"},
        {"sasos 1\nname 0123456789012345678901234567890123456789\n", "line 2: expected: name NAME"},
        {"sasos 1\nname a\nkind god\n", "line 3: expected: kind driver, kind app, or kind library"},
        {"sasos 1\nname a\nwish 1\n", "line 3: unknown key"},
        {"sasos 1\nname a\nmemory 2G\n", "line 3: expected: memory SIZE, below 2048M"},
        {"sasos 1\nname a\nmemory 2048M\n", "line 3: expected: memory SIZE, below 2048M"},
        {"sasos 1\nname a\nmemory M\n", "line 3: expected: memory SIZE, below 2048M"},
        {"sasos 1\nname a\ndma 4294967297\n", "line 3: expected: dma SIZE, at most 1024M"},
        {"sasos 1\nname a\npci 1af4:\n", "line 3: expected: pci VENDOR:DEVICE or pci class "
                                         "BASE:REST in hexadecimal, at most 4 lines"},
        {"sasos 1\nname a\npci 11af4:1042\n", "line 3: expected: pci VENDOR:DEVICE or pci class "
                                              "BASE:REST in hexadecimal, at most 4 lines"},
        {"sasos 1\nname a\nimport nodot\n",
         "line 3: expected: import NAMESPACE.NAME, at most 64 lines"},
        {"sasos 1\nname a\nimport .x\n",
         "line 3: expected: import NAMESPACE.NAME, at most 64 lines"},
        {"sasos 1\n1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n",
         "line 2: more than 16 words, an open quote, or bytes that are not plain text"},
        {"sasos 1\nname \x01\n",
         "line 2: more than 16 words, an open quote, or bytes that are not plain text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ldr_manifest m;
        char error[128];
        assert_false(ldr_manifest_parse(cases[i].text, strlen(cases[i].text), &m, error, sizeof error));
        assert_string_equal(error, cases[i].error);
    }
}

static const char GOOD_CONFIG[] =
    "sasos 1\n"
    "module drv\n memory 1M\n pci 1af4:1042\n pci class 01:0802 trusted\n irq 8\n dma 64K\n budget "
    "10\n restart on-fault 5\n"
    "module app other\n connect blk drv 5000\n arg one\n arg two\n env \"A=b c\"\n"
    " port 60-60\n port 3f8-3ff\n isa-irq 12\n stack 128K\n program\n clock\n entropy-source\n"
    "start drv\nrun app\nrun app expect exit 7\nrun app expect trap stack\n"
    "run app expect budget\nstart drv expect dma\nrun app expect refused\nstop drv expect ok\n";

static void config_good(void **state) {
    (void)state;
    static struct config c;
    char error[256];
    assert_true(config_parse(GOOD_CONFIG, strlen(GOOD_CONFIG), &c, error, sizeof error));
    assert_int_equal(c.modules, 2);
    assert_int_equal(c.module[0].irqs, 8);
    assert_int_equal(c.module[0].pci[0].device, 0x1042);
    assert_false(c.module[0].trusted[0]);
    assert_true(c.module[0].pcis == 2 && c.module[0].pci[1].class && c.module[0].trusted[1]);
    assert_int_equal(c.module[1].line, 10);
    assert_string_equal(c.module[1].connect[0].module, "drv");
    assert_int_equal(c.module[1].connect[0].size, 8192); // whole pages
    assert_string_equal(c.module[1].text + c.module[1].arg[1], "two");
    assert_string_equal(c.module[1].text + c.module[1].env[0], "A=b c");
    assert_string_equal(c.module[1].file, "other");
    assert_int_equal(c.module[1].port[1].last, 0x3ff);
    assert_int_equal(c.module[1].isa_irq[0], 12);
    assert_int_equal(c.module[1].stack, 131072);
    assert_true(c.module[1].program && c.module[1].clock && c.module[1].entropy_source);
    assert_true(c.module[0].restart && c.module[0].restart_max == 5 && c.module[0].backoff_ms == 10);
    assert_false(c.module[1].restart);
    assert_false(c.module[0].program || c.module[1].console);
    assert_int_equal(c.steps, 8);
    assert_int_equal(c.step[0].kind, STEP_START);
    assert_int_equal(c.step[2].expect, EXPECT_EXIT);
    assert_int_equal(c.step[2].value, 7);
    assert_int_equal(c.step[3].expect, EXPECT_TRAP);
    assert_int_equal(c.step[3].value, SFI_TRAP_STACK);
    assert_int_equal(c.step[4].expect, EXPECT_BUDGET);
    assert_int_equal(c.step[5].expect, EXPECT_DMA);
    assert_int_equal(c.step[6].expect, EXPECT_REFUSED);
    assert_int_equal(c.step[7].kind, STEP_STOP);
    assert_int_equal(c.step[7].expect, EXPECT_OK);
}

// Exactly the bytes and no more: the sanitizer sees a read behind the end.
static void parse_both(const char *text, size_t size) {
    static struct config c;
    struct ldr_manifest m;
    char error[64]; // shorter than many messages
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    if (!config_parse(copy, size, &c, error, sizeof error)) assert_memory_equal(error, "line ", 5);
    if (!ldr_manifest_parse(copy, size, &m, error, sizeof error))
        assert_memory_equal(error, "line ", 5);
    free(copy);
}

static void hostile(void **state) {
    (void)state;
    for (size_t n = 0; n <= strlen(GOOD_CONFIG); n++) parse_both(GOOD_CONFIG, n);
    for (size_t n = 0; n <= strlen(GOOD_MANIFEST); n++) parse_both(GOOD_MANIFEST, n);
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        char text[sizeof GOOD_CONFIG];
        memcpy(text, GOOD_CONFIG, sizeof text);
        for (int edits = 0; edits < 4; edits++) {
            seed = seed * 1664525 + 1013904223;
            text[(seed >> 8) % (sizeof text - 1)] = (char)(seed >> 24);
        }
        parse_both(text, sizeof text - 1);
    }
}

static void config_bad(void **state) {
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"module a b c\n", "line 2: expected: module NAME, or module NAME FILE"},
        {"module \"\"\n", "line 2: expected: module NAME, or module NAME FILE"},
        {"module \"a b\"\n", "line 2: expected: module NAME, or module NAME FILE"},
        {"module a\n arg \"open\n", "line 3: more than 16 words, an open quote"},
        {"module a\n arg\n", "line 3: expected: arg WORD"},
        {"module a\n arg b c\n", "line 3: expected: arg WORD"},
        {"module a\n env b\n", "line 3: expected: env NAME=VALUE"},
        {"module a\n env =b\n", "line 3: expected: env NAME=VALUE"},
        {"module a\n env\n", "line 3: expected: env NAME=VALUE"},
        {"module a\n stack 60K\n", "line 3: expected: stack SIZE"},
        {"module a\n stack 2M\n", "line 3: expected: stack SIZE"},
        {"module a\n stack \"\"\n", "line 3: expected: stack SIZE"},
        {"module a\n restart\n", "line 3: expected: restart never"},
        {"module a\n restart always\n", "line 3: expected: restart never"},
        {"module a\n restart never 1\n", "line 3: expected: restart never"},
        {"module a\n restart on-fault 1 10001\n", "line 3: expected: restart never"},
        {"module a\n restart on-fault 1 2 3\n", "line 3: expected: restart never"},
        {"module a\n clock 1\n", "line 3: expected nothing behind this word"},
        {"module a\n port 60\n", "line 3: expected: port FIRST-LAST"},
        {"module a\n port 64-60\n", "line 3: expected: port FIRST-LAST"},
        {"module a\n port 3f8-10000\n", "line 3: expected: port FIRST-LAST"},
        {"module a\n port 40-80\n", "line 3: these ports are the kernel's own"},
        {"module a\n port cf8-cf8\n", "line 3: these ports are the kernel's own"},
        {"module a\n port 0-ffff\n", "line 3: these ports are the kernel's own"},
        {"module a\n isa-irq 2\n", "line 3: expected: isa-irq LINE"},
        {"module a\n isa-irq 16\n", "line 3: expected: isa-irq LINE"},
        {"module a\n blob a/b\n", "line 3: expected: blob FILE"},
        {"module a\n blob \"\"\n", "line 3: expected: blob FILE"},
    };
    static struct config c;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128], error[256];
        int n = snprintf(text, sizeof text, "sasos 1\n%s", cases[i].text);
        assert_false(config_parse(text, (size_t)n, &c, error, sizeof error));
        if (strncmp(error, cases[i].error, strlen(cases[i].error)))
            fail_msg("%s: %s, not %s", cases[i].text, error, cases[i].error);
    }
    // 4 KiB of words and not a byte more, whatever their number.
    static char text[8192];
    char error[256];
    for (int size = 127; size <= 128; size++) { // 32 of them, each with a 0
        int n = sprintf(text, "sasos 1\nmodule a\n");
        for (int i = 0; i < 32; i++) n += sprintf(text + n, " arg %0*d\n", size, i);
        n += sprintf(text + n, "run a\n");
        assert_int_equal(config_parse(text, (size_t)n, &c, error, sizeof error), size == 127);
    }
    assert_string_equal(
        error, "line 34: more than 32 arg and env lines, or 4 KiB of them, for one module");
}

static void full(void **state) {
    (void)state;
    static struct config c;
    static char text[65536];
    char error[256];
    size_t n = (size_t)sprintf(text, "sasos 1\n");
    for (int i = 0; i < 33; i++) n += (size_t)sprintf(text + n, "module m%d\n", i);
    assert_false(config_parse(text, n, &c, error, sizeof error));
    assert_string_equal(error, "line 34: more than 32 modules");
    n = (size_t)sprintf(text, "sasos 1\nmodule m\n");
    for (int i = 0; i < 129; i++) n += (size_t)sprintf(text + n, "run m\n");
    assert_false(config_parse(text, n, &c, error, sizeof error));
    assert_string_equal(error, "line 131: more than 128 steps");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_good), cmocka_unit_test(manifest_bad),
        cmocka_unit_test(config_good),   cmocka_unit_test(hostile),
        cmocka_unit_test(full),          cmocka_unit_test(config_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
