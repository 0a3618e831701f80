// abi-grants.c — kernel calls with their grants: each must do what its row says. Exit status 0, or the line of the first that does not.
#include "drivers/sdk/sasos.h"

#define CHECK(x) \
    if (!(x)) return __LINE__

static bool text_is(const char *got, int32_t length, const char *want) {
    int32_t n = 0;
    while (want[n]) n++;
    for (int32_t i = 0; n == length && i < n; i++)
        if (got[i] != want[i]) return false;
    return n == length;
}

static int32_t texts(void) {
    char text[64];
    CHECK(text_is(text, sasos_arg(0, text, 64), "one"));
    CHECK(text_is(text, sasos_arg(1, text, 64), "two words # not a comment"));
    CHECK(sasos_arg(2, text, 64) == 0); // ""
    CHECK(sasos_arg(3, text, 64) == E_NOENT);
    CHECK(text_is(text, sasos_env(0, text, 64), "HOME=/"));
    CHECK(text_is(text, sasos_env(1, text, 64), "GREETING=good morning"));
    CHECK(sasos_env(2, text, 64) == E_NOENT);
    return 0;
}

static int32_t clocks(void) {
    int64_t now = sasos_time_ns();
    CHECK(sasos_timer(now + 3000000) == 0);
    CHECK(sasos_wait(SASOS_EVENT_CHANNEL(0), 1000000) == 0); // not asked for: not told
    CHECK(sasos_wait(SASOS_EVENT_TIMER, -1) == SASOS_EVENT_TIMER);
    CHECK(sasos_time_ns() >= now + 3000000);
    CHECK(sasos_timer(0) == 0 && sasos_timer(-1) == 0); // past, and taken back
    CHECK(sasos_wait(SASOS_EVENT_TIMER, 1000000) == 0);
    CHECK(sasos_timer(0) == 0 && sasos_wait(SASOS_EVENT_TIMER, 0) == SASOS_EVENT_TIMER);
    int64_t day = 86400ll * 1000000000, wall = sasos_wall_ns();
    CHECK(wall > 50 * 365 * day); // the firmware of the test machine has a clock
    CHECK(sasos_wall_set(-1) == E_INVAL);
    CHECK(sasos_wall_set(20000 * day) == 0);
    wall = sasos_wall_ns();
    CHECK(wall >= 20000 * day && wall < 20001 * day);
    return 0;
}

static int32_t numbers(void) {
    static uint8_t a[4096], b[4096];
    CHECK(sasos_random(a, 4097) == E_INVAL);
    CHECK(sasos_random((uint8_t *)(uintptr_t)0x7fff0000u, 16) == E_FAULT);
    CHECK(sasos_random(a, 0) == 0 && a[0] == 0);
    CHECK(sasos_random(a, 4096) == 0 && sasos_entropy_add(a, 4096) == 0 && sasos_random(b, 4095) == 0);
    uint32_t ones = 0, same = 0;
    for (uint32_t i = 0; i < 4095; i++) {
        for (uint32_t bit = 0; bit < 8; bit++) ones += a[i] >> bit & 1;
        same += a[i] == b[i];
    }
    CHECK(ones > 16000 && ones < 16760); // 16380 ± 4 σ and more
    CHECK(same < 64 && b[4095] == 0);
    CHECK(sasos_counter(0, 42) == 0 && sasos_counter(1, 42) == E_NOENT);
    return 0;
}

static int32_t files(void) {
    char text[16];
    CHECK(sasos_blob_find("words.txt", 9) == 0);
    CHECK(sasos_blob_find("words.tx", 8) == E_NOENT);
    CHECK(sasos_blob_find("good-exit.wasm", 14) == E_NOENT); // in the image, but not granted
    CHECK(sasos_blob_size(0) == 26 && sasos_blob_size(1) == E_NOENT);
    CHECK(text_is(text, sasos_blob_read(0, 23, text, 16), "xyz"));
    CHECK(text_is(text, sasos_blob_read(0, 1, text, 3), "bcd"));
    CHECK(sasos_blob_read(0, 26, text, 16) == 0 && sasos_blob_read(0, -1, text, 16) == 0);
    CHECK(sasos_blob_read(0, 0, (char *)(uintptr_t)0x7fff0000u, 16) == E_FAULT);
    CHECK(sasos_blob_read(1, 0, text, 16) == E_NOENT);
    return 0;
}

static int32_t observation(void) {
    static struct sasos_dom_info d;
    static struct sasos_sys_info s;
    static char text[70000];
    CHECK(sasos_dom_info(0, &d, sizeof d) == sizeof d);
    CHECK(text_is(d.name, 10, "abi-grants") && text_is(d.file, 10, "abi-grants") && d.file[10] == 0);
    CHECK(d.kind == SASOS_APP && d.state == SASOS_RUNNING && d.end[0] == 0 && d.vendor == 0);
    CHECK(d.memory > sizeof text && d.memory <= d.memory_max && d.memory_max == 1 << 20 &&
          d.dma_max == 0);
    CHECK(d.counters == 1 && text_is(d.counter[0].name, 7, "answers") && d.counter[0].value == 42);
    d.name[5] = '!';
    CHECK(sasos_dom_info(0, &d, 5) == 5 && d.name[5] == '!'); // and not a byte more
    CHECK(sasos_dom_info(1, &d, sizeof d) == E_NOENT);
    CHECK(sasos_dom_info(0, (void *)(uintptr_t)0xfffffff0u, 64) == E_FAULT);
    CHECK(sasos_sys_info(&s, sizeof s) == sizeof s && sasos_sys_info(&s, 8) == 8);
    CHECK(s.domains == 1 && s.cpus >= 1 && s.memory_free && s.memory_free < s.memory);
    CHECK(s.flags & SASOS_DMA_FENCED && text_is(s.iommu, 4, "VT-d"));
    CHECK(d.handles == 0 && d.handles_max == 256 && s.flags & SASOS_TRACING);
    static struct sasos_trace t[8];
    CHECK(sasos_trace_read(0, t, 8) == 8 && t[0].number == 1 && t[7].number == 8);
    CHECK(t[0].time_ns <= t[7].time_ns && sasos_trace_read(8, t, 1) == 1 && t[0].number == 8);
    CHECK(sasos_trace_read(UINT64_MAX - 1, t, 8) == 0 && sasos_trace_read(0, t, 0) == 0);
    CHECK(sasos_trace_read(0, (void *)(uintptr_t)0xfffffff0u, 1) == E_FAULT);
    int64_t next = sasos_log_read(0, text, sizeof text);
    CHECK(next > 100 && s.log_first == 0 && (uint64_t)next == s.log_next && text[0] == '[' &&
          text[next - 1] == '\n');
    sasos_log("marked", 6);
    CHECK(sasos_log_read((uint64_t)next, text, 8) == next + 7 && text[7] == 0); // a part, and on from there
    CHECK(sasos_log_read((uint64_t)next + 7, text, sizeof text) > next + 7);
    for (uint32_t i = 0; i < 300; i++) // over 64 KiB: the oldest goes
        sasos_log("................................................................................"
                  "................"
                  "................................................................................"
                  "................",
                  192);
    CHECK(sasos_sys_info(&s, sizeof s) == sizeof s && s.log_next - s.log_first == 65536);
    next = sasos_log_read(0, text, sizeof text);
    CHECK((uint64_t)next == s.log_next && text[65535] == '\n' && text[65536] == 0);
    CHECK(sasos_log_read((uint64_t)next, text, 100) == next && text[0] == 0);
    CHECK(sasos_log_read(UINT64_MAX, text, 100) == -1 && sasos_log_read(0, text, 0) == E_INVAL);
    return 0;
}

int32_t SASOS_EXPORT(app_main)(void) {
    int32_t (*const parts[])(void) = {texts, clocks, numbers, files, observation};
    for (uint32_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int32_t line = parts[i]();
        if (line) return line;
    }
    return sasos_console_write("raw text \\\n", 11) == 11 ? 0 : __LINE__;
}
