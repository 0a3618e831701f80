// test_amdvi_regs.c — what AMD-Vi is told, bit by bit: device table entries, commands, interrupt
// entries, against the fields of AMD 48882 rev. 3.09 written out once more. What a blocked entry must
// not be is all zeros, because that lets everything pass.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sasos/dev/amdvi_regs.h"

// Bits first … first + bits − 1 of a structure of 64-bit words.
static uint64_t field(const uint64_t *words, unsigned first, unsigned bits) {
    uint64_t v = words[first / 64] >> first % 64;
    return bits == 64 ? v : v & ((1ull << bits) - 1);
}

static void device_table_entry(void **state) { // §2.2.2.1, table 7
    (void)state;
    const uint64_t root = 0x000abcdef1234000ull, table = 0x0000123456789000ull;
    const uint64_t e[4] = {AMDVI_DTE0_V | AMDVI_DTE0_TV | AMDVI_DTE0_MODE(4) | root |
                               AMDVI_DTE0_IR | AMDVI_DTE0_IW,
                           0x1234, AMDVI_DTE2_IV | AMDVI_DTE2_TABLE(table, 8), 0};
    assert_int_equal(field(e, 0, 1), 1); // V
    assert_int_equal(field(e, 1, 1), 1); // TV
    assert_int_equal(field(e, 9, 3), 4); // Mode
    assert_int_equal(field(e, 12, 40) << 12, root);
    assert_int_equal(field(e, 52, 9), 0);       // PPR, GPRP, GIoV, GV, GLX, GCR3
    assert_int_equal(field(e, 61, 2), 3);       // IR, IW
    assert_int_equal(field(e, 64, 16), 0x1234); // DomainID
    assert_int_equal(field(e, 96, 1), 0);       // I: no translations in the device
    assert_int_equal(field(e, 104, 2), 0);      // SysMgt
    assert_int_equal(field(e, 128, 1), 1);      // IV
    assert_int_equal(field(e, 129, 4), 8);      // IntTabLen: 256 entries
    assert_int_equal(field(e, 134, 46) << 6, table);
    assert_int_equal(field(e, 184, 3), 0); // InitPass, EIntPass, NMIPass
    assert_int_equal(field(e, 188, 2), 2); // IntCtl: remapped
    assert_int_equal(field(e, 190, 2), 0); // Lint0Pass, Lint1Pass
    const uint64_t blocked[4] = {AMDVI_DTE0_V | AMDVI_DTE0_TV | AMDVI_DTE0_MODE(4) | root, 0,
                                 AMDVI_DTE2_IV, 0};
    assert_int_equal(field(blocked, 0, 2), 3);
    assert_int_equal(field(blocked, 61, 2), 0);
    assert_int_equal(field(blocked, 128, 1), 1);
    assert_int_equal(field(blocked, 188, 2), 0); // IntCtl: refused
}

static void commands(void **state) { // §2.4
    (void)state;
    const uint64_t wait[2] = {AMDVI_CMD_COMPLETION_WAIT(0x0000123456789008ull), 7};
    assert_int_equal(field(wait, 60, 4), 1);
    assert_int_equal(field(wait, 0, 3), 1); // s, not i, not f
    assert_int_equal(field(wait, 3, 49) << 3, 0x0000123456789008ull);
    const uint64_t entry[2] = {AMDVI_CMD_INVALIDATE_DEVTAB_ENTRY(0xabcd), 0};
    assert_int_equal(field(entry, 60, 4), 2);
    assert_int_equal(field(entry, 0, 60), 0xabcd);
    const uint64_t pages[2] = {AMDVI_CMD_INVALIDATE_IOMMU_PAGES(0x1234), AMDVI_CMD_ALL_PAGES};
    assert_int_equal(field(pages, 60, 4), 3);
    assert_int_equal(field(pages, 32, 16), 0x1234);
    assert_int_equal(field(pages, 64, 3), 3);                // S, PDE, not GN
    assert_int_equal(field(pages, 76, 52), 0x7ffffffffffff); // the largest size: everything
    const uint64_t interrupts[2] = {AMDVI_CMD_INVALIDATE_INTERRUPT_TABLE(0xabcd), 0};
    assert_int_equal(field(interrupts, 60, 4), 5);
    assert_int_equal(field(interrupts, 0, 16), 0xabcd);
    const uint64_t all[1] = {AMDVI_CMD_INVALIDATE_IOMMU_ALL};
    assert_int_equal(field(all, 60, 4), 8);
}

static void interrupt_entries(void **state) { // §2.2.5.2
    (void)state;
    const uint64_t e32[1] = {AMDVI_IRTE32(0x42, 0x17)};
    assert_int_equal(field(e32, 0, 8), 1); // RemapEn; fixed, physical, no guest
    assert_int_equal(field(e32, 8, 8), 0x17);
    assert_int_equal(field(e32, 16, 8), 0x42);
    const uint64_t e128[2] = {AMDVI_IRTE128_LOW(0x12345678u), AMDVI_IRTE128_HIGH(0x42, 0x12345678u)};
    assert_int_equal(field(e128, 0, 8), 1);
    assert_int_equal(field(e128, 8, 24), 0x345678);
    assert_int_equal(field(e128, 64, 8), 0x42);
    assert_int_equal(field(e128, 120, 8), 0x12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(device_table_entry),
        cmocka_unit_test(commands),
        cmocka_unit_test(interrupt_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
