// test_acpi.c — the ACPI parser on tables made here: sound ones, and each way they can be broken.
//
// The source hands out exactly the bytes that a test put at an address, in a heap block of just
// that size, so that a read past what the parser asked for is an AddressSanitizer report.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sasos/dev/acpi.c"
#include "sasos/dev/acpi_ivrs.c"

#define BLOCKS 16

static struct {
    uint64_t phys;
    size_t size;
    uint8_t bytes[2048];
} memory[BLOCKS];
static unsigned blocks;
static void *handed_out[1024];
static unsigned handed_count;

static const void *test_map(void *arg, uint64_t phys, uint64_t size) {
    (void)arg;
    for (unsigned i = 0; i < blocks; i++)
        if (phys >= memory[i].phys && phys - memory[i].phys <= memory[i].size &&
            size <= memory[i].size - (phys - memory[i].phys)) {
            void *copy = malloc(size ? size : 1);
            memcpy(copy, memory[i].bytes + (phys - memory[i].phys), size);
            assert_true(handed_count < 1024);
            handed_out[handed_count++] = copy;
            return copy;
        }
    return NULL;
}

static struct acpi_info info;

static enum acpi_status parse(uint64_t rsdp) {
    struct acpi_source source = {test_map, NULL};
    enum acpi_status s = acpi_parse(&source, rsdp, &info);
    while (handed_count) free(handed_out[--handed_count]);
    return s;
}

static void put(uint8_t *p, uint64_t v, unsigned size) {
    for (unsigned i = 0; i < size; i++) p[i] = (uint8_t)(v >> 8 * i);
}

static uint8_t *block(uint64_t phys, size_t size) {
    assert_true(blocks < BLOCKS && size <= sizeof memory[0].bytes);
    memory[blocks].phys = phys;
    memory[blocks].size = size;
    memset(memory[blocks].bytes, 0, sizeof memory[0].bytes);
    return memory[blocks++].bytes;
}

static void fix(uint8_t *p, size_t size, unsigned at) {
    uint8_t sum = 0;
    p[at] = 0;
    for (size_t i = 0; i < size; i++) sum = (uint8_t)(sum + p[i]);
    p[at] = (uint8_t)-sum;
}

static void seal(uint8_t *p) { fix(p, (size_t)(p[4] | p[5] << 8), 9); }

static uint8_t *table(uint64_t phys, const char *signature, size_t size) {
    uint8_t *p = block(phys, size);
    memcpy(p, signature, 4);
    put(p + 4, size, 4);
    return p;
}

#define RSDP 0x1000
#define XSDT 0x2000
#define RSDT 0x3000
#define TABLE(i) (0x10000 + 0x1000 * (uint64_t)(i))

// RSDP revision 2, an XSDT with n entries at TABLE(0…), an empty RSDT.
static void root(unsigned n) {
    blocks = 0;
    uint8_t *r = block(RSDP, 36);
    memcpy(r, "RSD PTR ", 8);
    r[15] = 2;
    put(r + 16, RSDT, 4);
    put(r + 20, 36, 4);
    put(r + 24, XSDT, 8);
    fix(r, 20, 8);
    fix(r, 36, 32);
    uint8_t *x = table(XSDT, "XSDT", 36 + 8 * n);
    for (unsigned i = 0; i < n; i++) put(x + 36 + 8 * i, TABLE(i), 8);
    seal(x);
    seal(table(RSDT, "RSDT", 36));
}

static uint8_t *madt(unsigned i, size_t extra) {
    uint8_t *t = table(TABLE(i), "APIC", 44 + extra);
    put(t + 36, 0xfee00000, 4);
    put(t + 40, 1, 4);
    return t;
}

static void no_root(void **state) {
    (void)state;
    blocks = 0;
    assert_int_equal(parse(0), ACPI_NO_RSDP);
    assert_int_equal(parse(RSDP), ACPI_UNREADABLE);
    root(0);
    assert_int_equal(parse(RSDP), ACPI_OK);
    assert_int_equal(info.have, 0);
    memory[0].bytes[0] = 'X';
    assert_int_equal(parse(RSDP), ACPI_RSDP_BAD);
    root(0);
    memory[0].bytes[20] = 35; // shorter than its own fields
    fix(memory[0].bytes, 36, 32);
    assert_int_equal(parse(RSDP), ACPI_RSDP_BAD);
    root(0);
    memory[0].bytes[33] ^= 1; // extended checksum
    assert_int_equal(parse(RSDP), ACPI_RSDP_BAD);
}

static void rsdt_fallback(void **state) {
    (void)state;
    root(1);
    seal(madt(0, 0));
    memory[1].bytes[9]++; // XSDT checksum
    memory[2].size = 40;
    put(memory[2].bytes + 4, 40, 4);
    put(memory[2].bytes + 36, TABLE(0), 4);
    seal(memory[2].bytes);
    assert_int_equal(parse(RSDP), ACPI_OK);
    assert_int_equal(info.have, ACPI_HAVE_MADT);
    assert_int_equal(info.reject_count, 1);
    assert_int_equal(info.rejects[0].status, ACPI_CHECKSUM);
    memory[2].bytes[9]++;
    assert_int_equal(parse(RSDP), ACPI_NO_ROOT_TABLE);
}

static void madt_entries(void **state) {
    (void)state;
    root(1);
    uint8_t *t = madt(0, 8 + 8 + 12 + 10 + 12 + 16);
    uint8_t *e = t + 44;
    memcpy(e, (uint8_t[]){0, 8, 3, 7, 1, 0, 0, 0}, 8); // CPU uid 3, APIC id 7, enabled
    memcpy(e + 8, (uint8_t[]){0, 8, 4, 9, 0, 0, 0, 0}, 8);
    memcpy(e + 16, (uint8_t[]){1, 12, 2, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0}, 12);
    memcpy(e + 28, (uint8_t[]){2, 10, 0, 9, 20, 0, 0, 0, 0x0d, 0}, 10);
    e[38] = 5, e[39] = 12;
    put(e + 42, 0x1fee00000, 8);
    e[50] = 9, e[51] = 16;
    put(e + 54, 300, 4), put(e + 58, 2, 4), put(e + 62, 11, 4); // x2APIC 300, online capable
    seal(t);
    assert_int_equal(parse(RSDP), ACPI_OK);
    assert_int_equal(info.reject_count, 0);
    assert_int_equal(info.cpu_count, 2);
    assert_int_equal(info.cpus[0].apic_id, 7);
    assert_true(info.cpus[0].enabled);
    assert_int_equal(info.cpus[1].apic_id, 300);
    assert_false(info.cpus[1].enabled);
    assert_int_equal(info.lapic_base, 0x1fee00000);
    assert_int_equal(info.ioapic_count, 1);
    assert_int_equal(info.ioapics[0].address, 0xfec00000);
    assert_int_equal(info.ioapics[0].gsi_base, 24);
    assert_int_equal(info.override_count, 1);
    assert_int_equal(info.overrides[0].gsi, 20);
    assert_int_equal(info.overrides[0].flags, 0x0d);

    // Entries that cannot be: zero length (an endless loop), past the end, shorter than their kind.
    const uint8_t bad[] = {0, 1, 7, 200};
    for (unsigned i = 0; i < sizeof bad; i++) {
        e[1] = bad[i];
        seal(t);
        assert_int_equal(parse(RSDP), ACPI_OK);
        assert_int_equal(info.reject_count, 1);
        assert_int_equal(info.rejects[0].status, ACPI_ENTRY_LENGTH);
        assert_memory_equal(info.rejects[0].signature, "APIC", 4);
        assert_int_equal(info.have, 0);
        assert_int_equal(info.cpu_count, 0);
    }
}

static void madt_too_many(void **state) {
    (void)state;
    root(4); // further MADTs are ignored
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *t = madt(i, 8 * 240);
        for (unsigned k = 0; k < 240; k++)
            memcpy(t + 44 + 8 * k, (uint8_t[]){1, 0, 0, 0, 0, 0, 0, 0}, 8),
                t[44 + 8 * k] = 0, t[45 + 8 * k] = 8, t[48 + 8 * k] = 1;
        seal(t);
    }
    assert_int_equal(parse(RSDP), ACPI_OK);
    assert_int_equal(info.cpu_count, 240);
    assert_int_equal(info.reject_count, 2); // TABLE(2) and TABLE(3) are not there
    root(1);
    uint8_t *t = madt(0, 12 * 20);
    for (unsigned k = 0; k < 20; k++) t[44 + 12 * k] = 1, t[45 + 12 * k] = 12;
    seal(t);
    assert_int_equal(parse(RSDP), ACPI_OK);
    assert_int_equal(info.ioapic_count, ACPI_IOAPICS_MAX);
    assert_int_equal(info.dropped, 20 - ACPI_IOAPICS_MAX);
}

static void table_headers(void **state) {
    (void)state;
    root(1);
    uint8_t *t = madt(0, 0);
    seal(t);
    const uint32_t lengths[] = {0, 8, 35, 43, 45, 4096, 0x7fffffff, 0xffffffff};
    const enum acpi_status want[] = {ACPI_LENGTH,     ACPI_LENGTH,     ACPI_LENGTH, ACPI_CHECKSUM,
                                     ACPI_UNREADABLE, ACPI_UNREADABLE, ACPI_LENGTH, ACPI_LENGTH};
    for (unsigned i = 0; i < 8; i++) {
        put(t + 4, lengths[i], 4);
        assert_int_equal(parse(RSDP), ACPI_OK);
        assert_int_equal(info.reject_count, 1);
        assert_int_equal(info.rejects[0].status, want[i]);
    }
    put(t + 4, 40, 4); // sound checksum, but too short for a MADT
    fix(t, 40, 9);
    assert_int_equal(parse(RSDP), ACPI_OK);
    assert_int_equal(info.rejects[0].status, ACPI_LENGTH);
}

static void mcfg(void **state) {
    (void)state;
    root(1);
    uint8_t *t = table(TABLE(0), "MCFG", 44 + 16);
    put(t + 44, 0xe0000000, 8);
    t[54] = 0, t[55] = 255;
    seal(t);
    assert_int_equal(parse(RSDP), ACPI_OK);
    assert_int_equal(info.mcfg_count, 1);
    assert_int_equal(info.mcfg[0].base, 0xe0000000);
    assert_int_equal(info.mcfg[0].bus_last, 255);
    t[54] = 9, t[55] = 8; // last before first
    seal(t);
    parse(RSDP);
    assert_int_equal(info.mcfg_count, 0);
    assert_int_equal(info.rejects[0].status, ACPI_ENTRY_LENGTH);
    t[54] = 0;
    put(t + 44, 0xfffffffffff00000, 8); // wraps
    seal(t);
    parse(RSDP);
    assert_int_equal(info.mcfg_count, 0);
    put(t + 4, 44 + 15, 4);
    fix(t, 44 + 15, 9);
    parse(RSDP);
    assert_int_equal(info.rejects[0].status, ACPI_LENGTH);
}

static void fadt_and_s5(void **state) {
    (void)state;
    root(1);
    uint8_t *t = table(TABLE(0), "FACP", 244);
    put(t + 64, 0x604, 4);
    put(t + 76, 0x608, 4);
    t[91] = 4;
    put(t + 112, FADT_RESET_REG_SUP | FADT_TMR_VAL_EXT, 4);
    t[116] = ACPI_SPACE_IO, t[117] = 8;
    put(t + 120, 0xcf9, 8);
    t[128] = 0x0f;
    put(t + 140, 0x8000, 8);
    seal(t);
    static const uint8_t aml[] = {0x08, '_',  'S',  '5',  '_',  0x12, 0x06,
                                  0x04, 0x0a, 0x05, 0x01, 0x00, 0x00};
    uint8_t *d = table(0x8000, "DSDT", 36 + sizeof aml);
    memcpy(d + 36, aml, sizeof aml);
    seal(d);
    assert_int_equal(parse(RSDP), ACPI_OK);
    assert_int_equal(info.have, ACPI_HAVE_FADT | ACPI_HAVE_S5);
    assert_int_equal(info.pm1a_cnt.address, 0x604);
    assert_int_equal(info.pm1b_cnt.address, 0);
    assert_int_equal(info.pm_timer.address, 0x608);
    assert_true(info.pm_timer_32bit);
    assert_int_equal(info.reset_reg.address, 0xcf9);
    assert_int_equal(info.reset_value, 0x0f);
    assert_int_equal(info.s5_slp_typa, 5);
    assert_int_equal(info.s5_slp_typb, 1);

    // Every truncation of the DSDT, and every value of the package's length byte: at worst there is
    // no \_S5_.
    for (size_t n = 36; n < 36 + sizeof aml; n++) {
        memory[blocks - 1].size = n;
        put(d + 4, n, 4);
        fix(d, n, 9);
        assert_int_equal(parse(RSDP), ACPI_OK);
        assert_int_equal(info.reject_count, 0);
    }
    memory[blocks - 1].size = 36 + sizeof aml;
    put(d + 4, 36 + sizeof aml, 4);
    for (unsigned v = 0; v < 256; v++) {
        d[36 + 6] = (uint8_t)v;
        seal(d);
        assert_int_equal(parse(RSDP), ACPI_OK);
        assert_int_equal(info.reject_count, 0);
    }
    d[36 + 6] = 6, d[36 + 9] = 8; // SLP_TYP of four bits
    seal(d);
    parse(RSDP);
    assert_false(info.have & ACPI_HAVE_S5);
    memcpy(d, "XXXX", 4);
    seal(d);
    parse(RSDP);
    assert_int_equal(info.rejects[0].status, ACPI_SIGNATURE);
}

static void hpet(void **state) {
    (void)state;
    root(1);
    uint8_t *t = table(TABLE(0), "HPET", 56);
    put(t + 36, 0x8086a201, 4);
    put(t + 44, 0xfed00000, 8);
    seal(t);
    parse(RSDP);
    assert_int_equal(info.have, ACPI_HAVE_HPET);
    assert_int_equal(info.hpet_base, 0xfed00000);
    t[40] = ACPI_SPACE_IO;
    seal(t);
    parse(RSDP);
    assert_int_equal(info.have, 0);
    assert_int_equal(info.reject_count, 1);
}

static uint8_t *dmar(size_t extra) {
    uint8_t *t = table(TABLE(0), "DMAR", 48 + extra);
    t[36] = 38; // 39 bits
    t[37] = 1;
    return t;
}

static void dmar_structures(void **state) {
    (void)state;
    root(1);
    uint8_t *t = dmar(16 + 8 + 24 + 10 + 20);
    uint8_t *e = t + 48;
    e[2] = 24, e[4] = 1; // DRHD with one scope, INCLUDE_PCI_ALL
    put(e + 8, 0xfed90000, 8);
    memcpy(e + 16, (uint8_t[]){3, 8, 0, 0, 2, 0xff, 0, 1}, 8); // I/O APIC 2 at ff:00.1
    e += 24;
    e[0] = 1, e[2] = 34; // RMRR with a scope of two steps
    put(e + 8, 0x7000, 8), put(e + 16, 0x7fff, 8);
    memcpy(e + 24, (uint8_t[]){1, 10, 0, 0, 0, 0, 1, 0, 2, 3}, 10);
    e += 34;
    e[0] = 9, e[2] = 20; // an unknown structure is skipped
    seal(t);
    assert_int_equal(parse(RSDP), ACPI_OK);
    assert_int_equal(info.have, ACPI_HAVE_DMAR);
    assert_int_equal(info.dmar_host_address_width, 39);
    assert_true(info.dmar_intr_remap);
    assert_int_equal(info.drhd_count, 1);
    assert_int_equal(info.drhds[0].register_base, 0xfed90000);
    assert_int_equal(info.drhds[0].register_size, 4096);
    assert_true(info.drhds[0].include_pci_all);
    assert_int_equal(info.drhds[0].scope_count, 1);
    assert_int_equal(info.scopes[0].type, ACPI_SCOPE_IOAPIC);
    assert_int_equal(info.scopes[0].enumeration_id, 2);
    assert_int_equal(info.reserved_count, 1);
    assert_int_equal(info.reserved[0].limit, 0x7fff);

    // A DMAR with any impossible length is no DMAR at all: half a list of units would leave devices
    // unfenced.
    struct {
        unsigned at;
        uint8_t value;
    } bad[] = {{48 + 2, 0},  {48 + 2, 3},  {48 + 2, 15},  {48 + 2, 255},  {48 + 2, 22},
               {48 + 17, 0}, {48 + 17, 6}, {48 + 17, 7},  {48 + 17, 10},  {48 + 22, 32},
               {48 + 23, 8}, {72 + 2, 23}, {72 + 2, 200}, {72 + 9, 0xf0}, {106 + 2, 21},
               {106 + 2, 3}, {48 + 8, 1}};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t old = t[bad[i].at];
        t[bad[i].at] = bad[i].value;
        seal(t);
        assert_int_equal(parse(RSDP), ACPI_OK);
        assert_int_equal(info.reject_count, 1);
        assert_int_equal(info.have, 0);
        assert_int_equal(info.drhd_count, 0);
        assert_int_equal(info.scope_count, 0);
        t[bad[i].at] = old;
    }
}

static void dmar_too_many(void **state) {
    (void)state;
    root(1);
    uint8_t *t = dmar(16 * 20);
    for (unsigned i = 0; i < 20; i++) {
        t[48 + 16 * i + 2] = 16;
        put(t + 48 + 16 * i + 8, 0xfed90000 + 0x1000 * i, 8);
    }
    seal(t);
    assert_int_equal(parse(RSDP), ACPI_OK);
    assert_int_equal(info.drhd_count, ACPI_DRHD_MAX);
    assert_true(info.dmar_incomplete); // the IOMMU code refuses
}

// ---- IVRS (AMD 48882 rev. 3.09 §5.2) ----

static uint8_t *ivrs(unsigned slot, size_t extra) {
    uint8_t *t = table(TABLE(slot), "IVRS", 48 + extra);
    put(t + 36, 40 << 8, 4); // PASize
    return t;
}

// An IVHD block of `length` bytes at e; returns where its device entries begin.
static uint8_t *ivhd(uint8_t *e, uint8_t type, unsigned length, uint64_t base) {
    e[0] = type, e[1] = 0xf1;
    put(e + 2, length, 2), put(e + 4, 0x0102, 2), put(e + 6, 0x40, 2);
    put(e + 8, base, 8), put(e + 16, 3, 2);
    return e + (type == 0x10 ? 24 : 40);
}

static void ivrs_structures(void **state) {
    (void)state;
    root(1);
    enum { ENTRIES = 4 + 4 + 4 + 4 + 4 + 8 + 4 + 8 + 8 + 8 + 23, LENGTH = 24 + ENTRIES };
    uint8_t *t = ivrs(0, LENGTH + 32 + 12);
    uint8_t *e = ivhd(t + 48, 0x10, LENGTH, 0xfed80000);
    const uint8_t entries[ENTRIES] = {
        2,    0x08, 0, 0, 2,
        0x09, 0,    0, // 00:01.0 and its neighbour: one range
        3,    0,    1, 0, 0,
        0,    0,    0,    // a range, padding inside
        4,    0xff, 1, 0, // its end: bus 1
        67,   0,    2, 0, 0,
        0xfa, 0,    0,    // bus 2 under the id 00:1f.2
        4,    0xff, 2, 0, //
        66,   0x20, 3, 0, 0,
        0x20, 3,    0, // an alias of itself
        72,   0,    0, 0, 5,
        0xa0, 0,    1, // I/O APIC 5 is 00:14.0
        72,   0,    0, 0, 0,
        0xa1, 0,    2,                             // an HPET: skipped
        240,  0,    0, 0, [ENTRIES - 23 + 21] = 1, // an ACPI device with one byte of name: skipped
    };
    memcpy(e, entries, sizeof entries);
    uint8_t *m = t + 48 + LENGTH; // IVMD
    m[0] = 0x21, m[2] = 32;
    put(m + 16, 0x70000000, 8), put(m + 24, 0x10000, 8);
    m[32] = 0x99, m[34] = 12; // an unknown block is skipped
    seal(t);
    assert_int_equal(parse(RSDP), ACPI_OK);
    assert_int_equal(info.have, ACPI_HAVE_IVRS);
    assert_int_equal(info.ivrs_physical_bits, 40);
    assert_int_equal(info.ivhd_count, 1);
    assert_int_equal(info.ivhds[0].register_base, 0xfed80000);
    assert_int_equal(info.ivhds[0].rid, 0x0102);
    assert_int_equal(info.ivhds[0].capability, 0x40);
    assert_int_equal(info.ivhds[0].segment, 3);
    assert_int_equal(info.ivhds[0].flags, 1);
    assert_int_equal(info.ivhds[0].range_count, 4);
    const struct acpi_ivrs_range want[] = {{0x08, 0x09, 0, false},
                                           {0x100, 0x1ff, 0, false},
                                           {0x200, 0x2ff, 0xfa, true},
                                           {0x320, 0x320, 0x320, true}};
    assert_memory_equal(info.ivrs_ranges, want, sizeof want);
    assert_int_equal(info.ivrs_ioapic_count, 1);
    assert_int_equal(info.ivrs_ioapics[0].id, 5);
    assert_int_equal(info.ivrs_ioapics[0].rid, 0xa0);
    assert_int_equal(info.reserved_count, 1);
    assert_int_equal(info.reserved[0].limit - info.reserved[0].base, 0xffff);

    // Any impossible length, an end without a beginning, a range without an end or upside down: no
    // IVRS at all, for half a list of units would leave devices unfenced.
    const unsigned d = 48 + 24;
    struct {
        unsigned at;
        uint8_t value;
    } bad[] = {{50, 3},
               {50, 23},
               {50, 255},
               {51, 1},
               {50, LENGTH - 1},
               {48 + 8, 1},
               {d, 4},
               {d + 8, 2},
               {d + 8, 4},
               {d + 16, 2},
               {d + 16, 0},
               {d + 18, 0},
               {d + 20, 4},
               {d + 28, 67},
               {d + 56, 66},
               {d + 77, 0xff},
               {48 + LENGTH + 2, 31},
               {48 + LENGTH + 2, 200},
               {48 + LENGTH + 24 + 2, 0},
               {48 + LENGTH + 34, 13}};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t old = t[bad[i].at];
        t[bad[i].at] = bad[i].value;
        seal(t);
        assert_int_equal(parse(RSDP), ACPI_OK);
        if (info.reject_count != 1) fail_msg("case %u is accepted", i);
        assert_int_equal(info.have, 0);
        assert_int_equal(info.ivhd_count + info.ivrs_range_count + info.reserved_count, 0);
        t[bad[i].at] = old;
    }
    for (unsigned cut = 36; cut < 48 + LENGTH + 44; cut++) { // cut off anywhere: bounded, and refused
        put(t + 4, cut, 4);
        seal(t);
        assert_int_equal(parse(RSDP), ACPI_OK);
        bool whole = cut == 48 + LENGTH || cut == 48 + LENGTH + 32;
        assert_int_equal(info.ivhd_count, whole);
    }
}

// Firmware describes a unit in three blocks; the newest type counts.
static void ivrs_newest(void **state) {
    (void)state;
    root(1);
    uint8_t *t = ivrs(0, 28 + 44 + 44);
    ivhd(t + 48, 0x10, 28, 0xfed80000)[0] = 1;
    ivhd(t + 76, 0x11, 44, 0xfed84000)[0] = 1;
    ivhd(t + 120, 0x40, 44, 0xfed88000)[0] = 1;
    seal(t);
    parse(RSDP);
    assert_int_equal(info.ivhd_count, 1);
    assert_int_equal(info.ivhds[0].register_base, 0xfed88000);
    assert_int_equal(info.ivrs_ranges[0].last, 0xffff);
    t[120] = 0x12; // not known: the next one
    seal(t);
    parse(RSDP);
    assert_int_equal(info.ivhd_count, 1);
    assert_int_equal(info.ivhds[0].register_base, 0xfed84000);
}

static void ivrs_too_many(void **state) {
    (void)state;
    root(1);
    uint8_t *t = ivrs(0, 24 * 20);
    for (unsigned i = 0; i < 20; i++) ivhd(t + 48 + 24 * i, 0x10, 24, 0xfed80000 + 0x4000 * i);
    seal(t);
    parse(RSDP);
    assert_int_equal(info.ivhd_count, ACPI_IVHD_MAX);
    assert_true(info.ivrs_incomplete); // the IOMMU code refuses
    root(1);
    t = ivrs(0, 24 + 4 * 300);
    uint8_t *e = ivhd(t + 48, 0x10, 24 + 4 * 300, 0xfed80000);
    for (unsigned i = 0; i < 300; i++) e[4 * i] = 2, put(e + 4 * i + 1, 2 * i, 2);
    seal(t);
    parse(RSDP);
    assert_int_equal(info.ivrs_range_count, ACPI_IVRS_RANGES_MAX);
    assert_true(info.ivrs_incomplete);
}

// Random damage to a sound set of tables with the checksums repaired: whatever the parser says, it
// stays in its bounds.
static void damage(void **state) {
    (void)state;
    uint32_t seed = 1;
    for (unsigned round = 0; round < 20000; round++) {
        root(4);
        uint8_t *a = madt(0, 8 + 12);
        a[44] = 0, a[45] = 8, a[48] = 1, a[52] = 1, a[53] = 12;
        uint8_t *d = table(TABLE(1), "DMAR", 48 + 24 + 34);
        d[36] = 47, d[50] = 24;
        put(d + 56, 0xfed90000, 8);
        memcpy(d + 64, (uint8_t[]){1, 8, 0, 0, 0, 0, 2, 0}, 8);
        d[72] = 1, d[74] = 34;
        memcpy(d + 96, (uint8_t[]){2, 10, 0, 0, 0, 0, 1, 0, 2, 3}, 10);
        uint8_t *m = table(TABLE(2), "MCFG", 44 + 16);
        put(m + 44, 0xe0000000, 8);
        uint8_t *v = ivrs(3, 24 + 4 + 8 + 4 + 8 + 32);
        uint8_t *e = ivhd(v + 48, 0x10, 24 + 24, 0xfed80000);
        memcpy(e, (uint8_t[]){2, 8,   0, 0, 67, 0, 2, 0, 0, 8,   0, 0,
                              4, 255, 2, 0, 72, 0, 0, 0, 0, 160, 0, 1},
               24);
        e[24] = 0x20, e[26] = 32, e[48] = 1;
        uint8_t *victims[] = {a, d, m, v};
        for (unsigned k = 0; k < 4; k++) {
            seed = seed * 1664525u + 1013904223u;
            uint8_t *w = victims[(seed >> 8) % 4];
            size_t size = (size_t)(w[4] | w[5] << 8);
            w[36 + (seed >> 16) % (size - 36)] = (uint8_t)(seed >> 4);
        }
        seal(a), seal(d), seal(m), seal(v);
        assert_int_equal(parse(RSDP), ACPI_OK);
    }
}

static void texts(void **state) {
    (void)state;
    assert_string_equal(acpi_status_text(ACPI_OK), "ok");
    assert_string_equal(acpi_status_text((enum acpi_status)99), "unknown ACPI status");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_root),         cmocka_unit_test(rsdt_fallback),
        cmocka_unit_test(madt_entries),    cmocka_unit_test(madt_too_many),
        cmocka_unit_test(table_headers),   cmocka_unit_test(mcfg),
        cmocka_unit_test(fadt_and_s5),     cmocka_unit_test(hpet),
        cmocka_unit_test(dmar_structures), cmocka_unit_test(dmar_too_many),
        cmocka_unit_test(ivrs_structures), cmocka_unit_test(ivrs_newest),
        cmocka_unit_test(ivrs_too_many),   cmocka_unit_test(damage),
        cmocka_unit_test(texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
