// test_pack.c — the module pack's reader against good and hostile packs: every status is demanded by name.
#include "loader/pack/pack.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT 3u
struct image { // two modules of 16 and 5 bytes and an empty one
    struct pack_header header;
    struct pack_entry_raw entries[COUNT];
    uint8_t data[32];
} __attribute__((aligned(16)));
_Static_assert(offsetof(struct image, data) % PACK_ALIGN == 0, "as the writer lays it out");

static struct image good(void) {
    struct image p = {
        .header = {PACK_MAGIC, PACK_VERSION, COUNT, sizeof(struct image)},
        .entries = {{.name = "virtio-blk", .offset = offsetof(struct image, data), .size = 16},
                    {.name = "hash_2.x", .offset = offsetof(struct image, data) + 16, .size = 5},
                    {.name = "empty", .offset = sizeof(struct image)}},
    };
    memcpy(p.data, "0123456789abcdefhello", 21);
    return p;
}

// Opens a copy that ends where the heap block ends, so that a read behind it is an ASan report.
static enum pack_status open_exact(const struct image *image, size_t size) {
    void *copy = malloc(size); // aligned to 16
    assert_non_null(copy);
    memcpy(copy, image, size);
    struct pack pack;
    enum pack_status status = pack_open(copy, size, &pack);
    if (status != PACK_OK) assert_int_equal(pack.count, 0);
    free(copy);
    return status;
}

static void test_good(void **state) {
    (void)state;
    struct image p = good();
    struct pack pack;
    assert_int_equal(pack_open(&p, sizeof p, &pack), PACK_OK);
    assert_int_equal(pack.count, COUNT);
    assert_int_equal(pack_find(&pack, "hash_2.x"), 1);
    assert_int_equal(pack_find(&pack, "hash_2"), COUNT);
    assert_int_equal(pack_find(&pack, ""), COUNT);
    struct pack_module m = pack_get(&pack, 1);
    assert_string_equal(m.name, "hash_2.x");
    assert_int_equal(m.size, 5);
    assert_memory_equal(m.bytes, "hello", 5);
    assert_int_equal(pack_get(&pack, 2).size, 0);
}

static void test_every_truncation(void **state) {
    (void)state;
    struct image p = good();
    for (size_t size = 0; size < sizeof p; size++)
        assert_int_equal(open_exact(&p, size), PACK_TRUNCATED);
    // Even when the header agrees with the length.
    for (size_t size = sizeof p.header; size < sizeof p; size++) {
        p.header.size = size;
        assert_int_not_equal(open_exact(&p, size), PACK_OK);
    }
}

static void test_rejections(void **state) {
    (void)state;
    struct image p;
#define REJECTED(status, change) \
    p = good();                  \
    change;                      \
    assert_int_equal(open_exact(&p, sizeof p), status)
    REJECTED(PACK_BAD_MAGIC, p.header.magic ^= 1);
    REJECTED(PACK_BAD_VERSION, p.header.version++);
    REJECTED(PACK_TOO_MANY, p.header.count = PACK_MAX + 1);
    REJECTED(PACK_TOO_MANY, p.header.count = UINT32_MAX);
    REJECTED(PACK_TRUNCATED, p.header.count = PACK_MAX);
    REJECTED(PACK_TRUNCATED, p.header.size++);
    REJECTED(PACK_TRUNCATED, p.header.size = UINT64_MAX);
    REJECTED(PACK_BAD_NAME, p.entries[0].name[0] = 0);
    REJECTED(PACK_BAD_NAME, p.entries[0].name[0] = 'A');
    REJECTED(PACK_BAD_NAME, p.entries[0].name[2] = '/');
    REJECTED(PACK_BAD_NAME, p.entries[0].name[2] = (char)0x80);
    REJECTED(PACK_BAD_NAME, p.entries[0].name[PACK_NAME - 1] = 'x');
    REJECTED(PACK_BAD_NAME, memset(p.entries[0].name, 'x', PACK_NAME));
    REJECTED(PACK_DUPLICATE, memcpy(p.entries[2].name, p.entries[0].name, PACK_NAME));
    REJECTED(PACK_BAD_FLAGS, p.entries[1].flags = 1);
    REJECTED(PACK_BAD_FLAGS, p.entries[1].zero = 1);
    REJECTED(PACK_BAD_RANGE, p.entries[1].offset++);
    REJECTED(PACK_BAD_RANGE, p.entries[0].offset = 0);
    REJECTED(PACK_BAD_RANGE, p.entries[0].offset = UINT64_MAX - 15);
    REJECTED(PACK_BAD_RANGE, p.entries[0].size = UINT64_MAX);
    REJECTED(PACK_BAD_RANGE, p.entries[1].size = 17);
    REJECTED(PACK_BAD_RANGE, p.entries[0].size = 17); // overlaps the next
    REJECTED(PACK_BAD_RANGE, p.entries[1].offset = p.entries[0].offset);
#undef REJECTED
    uint8_t *shifted = aligned_alloc(16, sizeof p + 16);
    assert_non_null(shifted);
    p = good();
    memcpy(shifted + 8, &p, sizeof p);
    struct pack pack;
    assert_int_equal(pack_open(shifted + 8, sizeof p, &pack), PACK_MISALIGNED);
    free(shifted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_rejections),
    };
    return cmocka_run_group_tests_name("pack", tests, NULL, NULL);
}
