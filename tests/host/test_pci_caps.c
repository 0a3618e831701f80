// test_pci_caps.c — what a PCI function says about itself, sound and hostile: capability chains,
// MSI-X, BARs, virtio capabilities, which pages may be granted; and which IOMMU unit covers a
// function.
//
// Configuration space is a heap block of exactly PCI_CONFIG_SIZE bytes, so that a read outside of
// it is an AddressSanitizer report.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sasos/dev/pci_caps.c"
#define overlap space_overlap // both files have a static function of that name
#include "sasos/dev/space.c"
#undef overlap
#include "sasos/dev/vtd_scope.c"

static uint8_t *cfg;
static struct pci_caps caps;

static int setup(void **state) {
    (void)state;
    cfg = calloc(1, PCI_CONFIG_SIZE);
    cfg[PCI_STATUS] = 0x10;
    return cfg == NULL;
}

static int teardown(void **state) {
    (void)state;
    free(cfg);
    return 0;
}

static void put(unsigned o, uint64_t v, unsigned size) {
    for (unsigned i = 0; i < size; i++) cfg[o + i] = (uint8_t)(v >> 8 * i);
}

static void cap(unsigned at, uint8_t id, unsigned next) {
    cfg[at] = id;
    cfg[at + 1] = (uint8_t)next;
}

static void chain(void **state) {
    (void)state;
    cfg[0x34] = 0x43; // the two reserved bits are ignored
    cap(0x40, PCI_CAP_POWER_MANAGEMENT, 0x50);
    cap(0x50, PCI_CAP_MSIX, 0x60);
    cap(0x60, PCI_CAP_VENDOR, 0x80);
    cap(0x80, PCI_CAP_VENDOR, 0xa0);
    cap(0xa0, PCI_CAP_EXPRESS, 0xc0);
    cap(0xc0, PCI_CAP_MSI, 0xd0);
    cap(0xd0, PCI_CAP_ADVANCED_FEATURES, 0);
    put(0x100, PCI_EXT_CAP_ACS | 1 << 16 | 0x200u << 20, 4);
    put(0x200, PCI_EXT_CAP_ATS | 1 << 16 | 0xffcu << 20, 4);
    put(0xffc, PCI_EXT_CAP_PRI | 1 << 16, 4); // cut off by the end of the space
    pci_caps_parse(cfg, &caps);
    assert_false(caps.malformed);
    assert_int_equal(caps.power_management, 0x40);
    assert_int_equal(caps.msix, 0x50);
    assert_int_equal(caps.vendor_count, 2);
    assert_int_equal(caps.vendor[1], 0x80);
    assert_int_equal(caps.express, 0xa0);
    assert_int_equal(caps.msi, 0xc0);
    assert_int_equal(caps.advanced_features, 0xd0);
    assert_int_equal(caps.acs, 0x100);
    assert_int_equal(caps.ats, 0x200);
    assert_int_equal(caps.pri, 0);
}

static void config_writes(void **state) {
    (void)state;
    put(0, 0x8086, 2);
    cfg[0x34] = 0x60;
    cap(0x60, PCI_CAP_VENDOR, 0x50); // the chain need not rise
    cfg[0x62] = 12;
    cap(0x50, PCI_CAP_POWER_MANAGEMENT, 0x80);
    cap(0x80, PCI_CAP_MSIX, 0);
    pci_caps_parse(cfg, &caps);
    assert_false(caps.malformed);
    for (unsigned size = 0; size <= 5; size++)
        for (unsigned o = 0; o < 2 * PCI_CONFIG_SIZE; o++) {
            bool own = o >= 0x40 && o + size <= 0x50, vendor = o >= 0x63 && o + size <= 0x6c;
            bool want = (size == 1 || size == 2 || size == 4) && o % size == 0 && (own || vendor);
            if (pci_config_writable(cfg, &caps, o, size) != want)
                fail_msg("%u bytes at %x", size, o);
        }
    assert_false(pci_config_writable(cfg, &caps, UINT32_MAX - 3, 4));
    cfg[0x62] = 255; // reaches over the next capability: that one's bytes stay its own
    assert_true(pci_config_writable(cfg, &caps, 0x7c, 4));
    assert_false(pci_config_writable(cfg, &caps, 0x80, 4));
    put(0, 0x1af4, 2);
    assert_false(pci_config_writable(cfg, &caps, 0x40, 4));
    put(0, 0x8086, 2);
    cap(0x80, PCI_CAP_MSIX, 0x50); // a loop
    pci_caps_parse(cfg, &caps);
    assert_true(caps.malformed);
    assert_false(pci_config_writable(cfg, &caps, 0x40, 4));
    cfg[PCI_STATUS] = 0; // no capabilities at all: all of it is the device's
    pci_caps_parse(cfg, &caps);
    assert_true(pci_config_writable(cfg, &caps, 0x40, 4) && pci_config_writable(cfg, &caps, 0xfc, 4));
    assert_false(pci_config_writable(cfg, &caps, 0x3c, 4) || pci_config_writable(cfg, &caps, 4, 2));
}

static void chain_absent(void **state) {
    (void)state;
    cfg[PCI_STATUS] = 0;
    cfg[0x34] = 0x40;
    cap(0x40, PCI_CAP_MSIX, 0);
    pci_caps_parse(cfg, &caps);
    assert_int_equal(caps.msix, 0);
    assert_false(caps.malformed);
}

static void chain_hostile(void **state) {
    (void)state;
    cfg[0x34] = 0x40;
    cap(0x40, PCI_CAP_MSI, 0x40); // itself
    pci_caps_parse(cfg, &caps);
    assert_true(caps.malformed);
    cap(0x40, PCI_CAP_MSI, 0x50);
    cap(0x50, PCI_CAP_VENDOR, 0x40); // a circle of two
    pci_caps_parse(cfg, &caps);
    assert_true(caps.malformed);
    assert_int_equal(caps.vendor_count, 1);
    cap(0x50, PCI_CAP_VENDOR, 0x3c); // into the header
    pci_caps_parse(cfg, &caps);
    assert_true(caps.malformed);
    cap(0x50, PCI_CAP_VENDOR, 0xf8);
    cap(0xf8, PCI_CAP_MSIX, 0); // twelve bytes do not fit
    pci_caps_parse(cfg, &caps);
    assert_true(caps.malformed);
    assert_int_equal(caps.msix, 0);
    cap(0xf8, PCI_CAP_EXPRESS, 0);
    pci_caps_parse(cfg, &caps);
    assert_int_equal(caps.express, 0);
    memset(cfg, 0xff, PCI_CONFIG_SIZE); // the function fell off the bus
    pci_caps_parse(cfg, &caps);
    assert_true(caps.malformed);
    // More vendor capabilities than there is room for.
    memset(cfg, 0, PCI_CONFIG_SIZE);
    cfg[PCI_STATUS] = 0x10;
    cfg[0x34] = 0x40;
    for (unsigned o = 0x40; o < 0xfc; o += 4) cap(o, PCI_CAP_VENDOR, o + 4);
    cap(0xfc, PCI_CAP_VENDOR, 0);
    pci_caps_parse(cfg, &caps);
    assert_int_equal(caps.vendor_count, PCI_VENDOR_CAPS_MAX);
    assert_true(caps.malformed);
}

static void extended_hostile(void **state) {
    (void)state;
    cfg[0x34] = 0x40;
    cap(0x40, PCI_CAP_EXPRESS, 0);
    put(0x100, PCI_EXT_CAP_ACS | 0x100u << 20, 4); // itself
    pci_caps_parse(cfg, &caps);
    assert_true(caps.malformed);
    put(0x100, PCI_EXT_CAP_ACS | 0x040u << 20, 4); // into the legacy part
    pci_caps_parse(cfg, &caps);
    assert_true(caps.malformed);
    put(0x100, 0, 4);
    pci_caps_parse(cfg, &caps);
    assert_false(caps.malformed);
}

static void chains_random(void **state) {
    (void)state;
    uint32_t seed = 7;
    for (unsigned round = 0; round < 5000; round++) {
        for (unsigned i = 0; i < PCI_CONFIG_SIZE; i += 4) {
            seed = seed * 1664525u + 1013904223u;
            put(i, seed >> 3 ^ seed << 11, 4);
        }
        cfg[PCI_STATUS] |= 0x10;
        if (round & 1) cfg[0x34] = 0x40, cfg[0x40] = PCI_CAP_EXPRESS;
        pci_caps_parse(cfg, &caps);
        struct pci_fn fn = {.cfg = cfg, .caps = caps};
        for (unsigned i = 0; i < PCI_BARS; i++)
            fn.bars[i] =
                (struct pci_bar){.base = 0xc0000000 + 0x10000 * i, .size = 0x10000, .usable = true};
        pci_msix_parse(cfg, &caps, fn.bars, &fn.msix);
        struct pci_virtio_cap v;
        for (uint8_t type = 1; type < 6; type++)
            if (pci_virtio_cap(&fn, type, 0, &v))
                assert_true((uint64_t)v.offset + v.length <= 0x10000);
        if (fn.msix.count) assert_true(fn.msix.table_offset + 16ull * fn.msix.count <= 0x10000);
    }
}

static void msix(void **state) {
    (void)state;
    struct pci_bar bars[PCI_BARS] = {[1] = {.base = 0xc0000000, .size = 0x1000, .usable = true},
                                     [2] = {.base = 0xc000, .size = 0x20, .io = true, .usable = true},
                                     [3] = {.base = 0xc1000000, .size = 0x1000}};
    struct pci_msix m;
    caps = (struct pci_caps){.msix = 0x50};
    put(0x52, 3, 2);
    put(0x54, 0x000 | 1, 4);
    put(0x58, 0x800 | 1, 4);
    pci_msix_parse(cfg, &caps, bars, &m);
    assert_int_equal(m.count, 4);
    assert_int_equal(m.table_bar, 1);
    assert_int_equal(m.pba_offset, 0x800);
    const uint32_t bad_table[] = {0xfd0 | 1, 0xfffffff8 | 1, 0 | 2, 0 | 3, 0, 6, 7};
    for (unsigned i = 0; i < sizeof bad_table / 4; i++) {
        put(0x54, bad_table[i], 4);
        pci_msix_parse(cfg, &caps, bars, &m);
        assert_int_equal(m.count, 0);
    }
    put(0x54, 1, 4);
    put(0x58, 0xffc | 1, 4); // bottom bits are the BAR, 0xff8 fits exactly
    pci_msix_parse(cfg, &caps, bars, &m);
    assert_int_equal(m.count, 0); // BAR 4 is not there
    put(0x58, 0xff8 | 1, 4);
    pci_msix_parse(cfg, &caps, bars, &m);
    assert_int_equal(m.count, 4);
    put(0x52, 0x7ff, 2); // 2048 entries do not fit into a page
    pci_msix_parse(cfg, &caps, bars, &m);
    assert_int_equal(m.count, 0);
}

static void bars(void **state) {
    (void)state;
    struct pci_bar b;
    assert_int_equal(pci_bar_decode(0xfebf0000, 0, 0xffff0000, 0, &b), 1);
    assert_true(b.base == 0xfebf0000 && b.size == 0x10000 && !b.io && !b.is64);
    assert_int_equal(pci_bar_decode(0x0000000c, 0x38, 0xffffc00c, 0xffffffff, &b), 2);
    assert_true(b.base == 0x3800000000 && b.size == 0x4000 && b.is64 && b.prefetchable);
    assert_int_equal(pci_bar_decode(0xc001, 0, 0xffffffe1, 0, &b), 1);
    assert_true(b.io && b.base == 0xc000 && b.size == 0x20);
    assert_int_equal(pci_bar_decode(0xc001, 0, 0x0000ffe1, 0, &b), 1); // 16 address bits
    assert_int_equal(b.size, 0x20);
    assert_int_equal(pci_bar_decode(0, 0, 0, 0, &b), 1);
    assert_int_equal(b.size, 0);
    assert_int_equal(pci_bar_decode(UINT32_MAX, 0, UINT32_MAX, 0, &b), 1);
    assert_int_equal(b.size, 0);
    pci_bar_decode(0xfebf0000, 0, 0xff0f0000, 0, &b); // holes in the mask
    assert_int_equal(b.size, 0);
    pci_bar_decode(0xfebf1000, 0, 0xffff0000, 0, &b); // base is not a multiple of the size
    assert_int_equal(b.size, 0);
    pci_bar_decode(4, 0, 4, 0, &b); // 2^64 bytes
    assert_int_equal(b.size, 0);
}

static void virtio(void **state) {
    (void)state;
    struct pci_fn fn = {.cfg = cfg, .caps = {.vendor = {0x40, 0x50, 0x64, 0xf0}, .vendor_count = 4}};
    fn.bars[4] = (struct pci_bar){.base = 0x800000000, .size = 0x4000, .usable = true};
    cap(0x40, 9, 0x50), cfg[0x42] = 16, cfg[0x43] = 1, cfg[0x44] = 4;
    put(0x4c, 0x1000, 4);
    cap(0x50, 9, 0x64), cfg[0x52] = 20, cfg[0x53] = 2, cfg[0x54] = 4;
    put(0x58, 0x3000, 4), put(0x5c, 0x1000, 4), put(0x60, 4, 4);
    cap(0x64, 9, 0xf0), cfg[0x66] = 16, cfg[0x67] = 1, cfg[0x68] = 4;
    put(0x6c, 0x2000, 4), put(0x70, 0x1000, 4);
    cap(0xf0, 9, 0), cfg[0xf2] = 20, cfg[0xf3] = 2,
                     cfg[0xf4] = 4; // a notify capability cut off by the end
    struct pci_virtio_cap v;
    assert_true(pci_virtio_cap(&fn, 1, 0, &v));
    assert_int_equal(v.bar, 4);
    assert_int_equal(v.length, 0x1000);
    assert_true(pci_virtio_cap(&fn, 1, 1, &v));
    assert_int_equal(v.offset, 0x2000);
    assert_false(pci_virtio_cap(&fn, 1, 2, &v));
    assert_true(pci_virtio_cap(&fn, 2, 0, &v));
    assert_int_equal(v.notify_off_multiplier, 4);
    assert_false(pci_virtio_cap(&fn, 2, 1, &v));
    put(0x58, 0xfffff000, 4); // offset + length wraps 32 bits
    assert_false(pci_virtio_cap(&fn, 2, 0, &v));
    put(0x58, 0x3001, 4);
    assert_false(pci_virtio_cap(&fn, 2, 0, &v));
    put(0x58, 0, 4);
    cfg[0x54] = 6; // no such BAR
    assert_false(pci_virtio_cap(&fn, 2, 0, &v));
    cfg[0x54] = 4, cfg[0x52] = 16; // too short for its multiplier
    assert_false(pci_virtio_cap(&fn, 2, 0, &v));
}

static void grantable(void **state) {
    (void)state;
    struct pci_fn all[3] = {0};
    struct pci_fn *f = &all[0];
    f->bars[0] = (struct pci_bar){.base = 0xc0000000, .size = 0x4000, .usable = true};
    f->bars[1] = (struct pci_bar){.base = 0xc0010000, .size = 0x1000, .usable = true};
    f->bars[2] = (struct pci_bar){.base = 0xc000, .size = 0x1000, .usable = true, .io = true};
    f->bars[3] = (struct pci_bar){.base = 0xc0020000, .size = 0x1000}; // not usable
    f->bars[4] = (struct pci_bar){.base = 0xc0030000, .size = 0x100, .usable = true};
    f->bars[5] = (struct pci_bar){.base = 0xc0031080, .size = 0x80, .usable = true};
    f->caps.msix = 0x40;
    f->msix = (struct pci_msix){
        .count = 4, .table_bar = 0, .table_offset = 0x1ff0, .pba_bar = 1, .pba_offset = 0xff8};
    assert_true(pci_page_grantable(all, 3, f, 0, 0));
    assert_false(pci_page_grantable(all, 3, f, 0, 1)); // the table straddles pages 1 and 2
    assert_false(pci_page_grantable(all, 3, f, 0, 2));
    assert_true(pci_page_grantable(all, 3, f, 0, 3));
    assert_false(pci_page_grantable(all, 3, f, 0, 4));
    assert_false(pci_page_grantable(all, 3, f, 0, UINT64_MAX / 4096));
    assert_false(pci_page_grantable(all, 3, f, 1, 0)); // pending bits
    assert_false(pci_page_grantable(all, 3, f, 2, 0));
    assert_false(pci_page_grantable(all, 3, f, 3, 0));
    assert_true(pci_page_grantable(all, 3, f, 4, 0));  // small, but alone in its page
    assert_false(pci_page_grantable(all, 3, f, 5, 0)); // does not begin a page
    assert_false(pci_page_grantable(all, 3, f, 6, 0));
    all[1].bars[0] = (struct pci_bar){.base = 0xc0030100, .size = 0x100, .usable = true};
    assert_false(pci_page_grantable(all, 3, f, 4, 0)); // now it has a neighbour
    all[2].bars[5] = (struct pci_bar){.base = 0xc0003f00, .size = 0x100};
    assert_false(pci_page_grantable(all, 3, f, 0, 3)); // a neighbour need not be usable
    f->msix.count = 0;                                 // a table somewhere, nobody knows where
    assert_false(pci_page_grantable(all, 3, f, 0, 0));
}

static void scopes(void **state) {
    (void)state;
    static struct acpi_info a;
    struct pci_fn all[4] = {
        {.rid = pci_rid(0, 1, 0), .header_type = 1, .secondary = 1},
        {.rid = pci_rid(1, 0, 0), .header_type = 1, .secondary = 2},
        {.rid = pci_rid(2, 3, 1)},
        {.rid = pci_rid(0, 5, 0)},
    };
    all[1].bridge = &all[0];
    all[2].bridge = &all[1];
    assert_int_equal(vtd_scope_find(&a, all, 4, &all[3]), -1);
    a.drhd_count = 2;
    a.drhds[1].include_pci_all = true;
    assert_int_equal(vtd_scope_find(&a, all, 4, &all[2]), 1);
    // Endpoint scope by a path of three steps.
    a.drhds[0].scope_count = 1;
    a.scopes[0] = (struct acpi_scope){
        .type = ACPI_SCOPE_ENDPOINT, .path_len = 3, .path = {{1, 0}, {0, 0}, {3, 1}}};
    assert_int_equal(vtd_scope_find(&a, all, 4, &all[2]), 0);
    assert_int_equal(vtd_scope_find(&a, all, 4, &all[3]), 1);
    a.scopes[0].path[1].device = 7; // leads nowhere
    assert_int_equal(vtd_scope_find(&a, all, 4, &all[2]), 1);
    a.scopes[0] = (struct acpi_scope){
        .type = ACPI_SCOPE_ENDPOINT, .path_len = 2, .path = {{5, 0}, {0, 0}}}; // through an endpoint
    assert_int_equal(vtd_scope_find(&a, all, 4, &all[2]), 1);
    a.scopes[0] =
        (struct acpi_scope){.type = ACPI_SCOPE_BRIDGE, .path_len = 1, .path = {{1, 0}}}; // all below
    assert_int_equal(vtd_scope_find(&a, all, 4, &all[2]), 0);
    assert_int_equal(vtd_scope_find(&a, all, 4, &all[0]), 0);
    a.scopes[0].path_len = 0;
    assert_int_equal(vtd_scope_find(&a, all, 4, &all[2]), 1);
    // I/O APICs: on a bus that need not be visible, or behind bridges that must be.
    uint16_t rid = 0;
    assert_false(vtd_scope_ioapic(&a, all, 4, 2, &rid));
    a.scopes[0] = (struct acpi_scope){.type = ACPI_SCOPE_IOAPIC,
                                      .enumeration_id = 2,
                                      .start_bus = 0xff,
                                      .path_len = 1,
                                      .path = {{1, 2}}};
    assert_false(vtd_scope_ioapic(&a, all, 4, 3, &rid));
    assert_true(vtd_scope_ioapic(&a, all, 4, 2, &rid));
    assert_int_equal(rid, pci_rid(0xff, 1, 2));
    a.scopes[0] = (struct acpi_scope){.type = ACPI_SCOPE_IOAPIC,
                                      .enumeration_id = 2,
                                      .path_len = 3,
                                      .path = {{1, 0}, {0, 0}, {9, 0}}};
    assert_true(vtd_scope_ioapic(&a, all, 4, 2, &rid));
    assert_int_equal(rid, pci_rid(2, 9, 0));
    a.scopes[0].path[1].device = 7; // no such bridge
    assert_false(vtd_scope_ioapic(&a, all, 4, 2, &rid));
    a.scopes[0].path_len = 0;
    assert_false(vtd_scope_ioapic(&a, all, 4, 2, &rid));
    a.drhds[0].segment = a.drhds[1].segment = 1; // units of another segment cover nothing here
    assert_int_equal(vtd_scope_find(&a, all, 4, &all[2]), -1);
}

static void space(void **state) {
    (void)state;
    static struct boot_mem_range map[300];
    struct bootinfo info = {.mem_map_count = 4};
    static struct acpi_info a;
    map[0] = (struct boot_mem_range){.base = 0, .pages = 0x80000, .efi_type = 7};
    map[1] = (struct boot_mem_range){.base = 0x80000000, .pages = 1, .efi_type = 0};
    map[2] = (struct boot_mem_range){.base = 0xc0000000, .pages = 16, .efi_type = 11};
    map[3] = (struct boot_mem_range){.base = 1ull << 32, .pages = 1 << 18, .efi_type = 7};
    space_init(&info, (uint64_t)map);
    a.lapic_base = 0xfef00000, a.hpet_base = 0xfed00000;
    a.ioapics[a.ioapic_count++].address = 0xfec00000;
    a.drhds[a.drhd_count++] = (struct acpi_drhd){.register_base = 0xfed90000, .register_size = 4096};
    a.mcfg[a.mcfg_count++] = (struct acpi_mcfg){.base = 0xe0000000, .bus_last = 255};
    const struct {
        uint64_t base, size;
        bool device;
    } cases[] = {
        {0xc0000000, 0x10000, true}, // memory-mapped I/O may be in the map
        {0xd0000000, 0x1000000, true},
        {0x1000, 0x1000, false},
        {0x7ffff000, 0x1000, false},
        {0x70000000, 1u << 30, false},
        {0x80000000, 0x100, false},
        {0x80001000, 0x1000, true},
        {0xfffff000, 0x2000, false},
        {0xfffff000, 0x1000, true},
        {0x100000000, 1, false},
        {0x13fffffff, 1, false},
        {0x140000000, 1 << 20, true},
        {0xfee00000, 0x1000, false},
        {0xfeefffff, 1, false},
        {0xfec00000, 0x1000, false},
        {0xfed00000, 0x400, false},
        {0xfed90000, 0x1000, false},
        {0xfef00000, 0x1000, false},
        {0xe0000000, 0x1000, false},
        {0xefff0000, 0x10000, false},
        {0xf0000000, 0x10000, true},
        {UINT64_MAX - 0xfff, 0x1000, true},
        {UINT64_MAX - 0xfff, 0x2000, false},
        {0xd0000000, 0, false},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(space_is_device(&a, cases[i].base, cases[i].size), cases[i].device);
    for (unsigned i = 0; i < 300; i++) // more pieces than are kept: nothing may be granted
        map[i] = (struct boot_mem_range){.base = 0x10000ull * i, .pages = 1};
    info.mem_map_count = 300;
    space_init(&info, (uint64_t)map);
    assert_false(space_is_device(&a, 0xd0000000, 0x1000));
}

static void windows(void **state) {
    (void)state;
    struct pci_window w[2];
    assert_false(pci_bridge_windows(cfg, w)); // zeros: firmware gave it none
    put(0x20, 0xfe50fe40, 4);                 // fe400000 … fe5fffff
    put(0x24, 0x0001fff1, 4);                 // 64-bit, limit below base: none
    assert_true(pci_bridge_windows(cfg, w));
    assert_int_equal(w[0].first, 0xfe400000);
    assert_int_equal(w[0].last, 0xfe5fffff);
    assert_true(w[1].last < w[1].first);
    put(0x24, 0x00110001, 4);
    put(0x28, 0x38, 4), put(0x2c, 0x38, 4);
    pci_bridge_windows(cfg, w);
    assert_int_equal(w[1].first, 0x3800000000);
    assert_int_equal(w[1].last, 0x38001fffff);
    put(0x28, 0x39, 4); // base above limit
    pci_bridge_windows(cfg, w);
    assert_true(w[1].last < w[1].first);
}

static void places(void **state) {
    (void)state;
    struct pci_fn all[4] = {{.rid = 1}, {.rid = 0x100}, {.rid = 0x101}, {.rid = 8}};
    const struct pci_window w = {0xfe400000, 0xfe40ffff};
    all[1].bridge = all[2].bridge = &all[0];
    assert_int_equal(pci_place(all, 4, &all[0], w, 0x4000), 0xfe400000);
    assert_int_equal(pci_place(all, 4, &all[0], w, 0x10000), 0xfe400000);
    assert_int_equal(pci_place(all, 4, &all[0], w, 0x20000), 0);
    all[1].bars[0] = (struct pci_bar){.base = 0xfe400000, .size = 0x1000};
    all[2].bars[2] = (struct pci_bar){.base = 0xfe406000, .size = 0x80};
    all[3].bars[0] = (struct pci_bar){.base = 0xfe404000, .size = 0x1000}; // not below this bridge
    all[1].bars[4] = (struct pci_bar){.base = 0xfe402000, .size = 0x100, .io = true};
    assert_int_equal(pci_place(all, 4, &all[0], w, 0x100), 0xfe401000); // a page of its own
    assert_int_equal(pci_place(all, 4, &all[0], w, 0x4000), 0xfe408000);
    assert_int_equal(pci_place(all, 4, &all[0], w, 0x8000), 0xfe408000);
    assert_int_equal(pci_place(all, 4, &all[0], w, 0x10000), 0);
    all[2].bars[3] = (struct pci_bar){.base = 0xfe408000, .size = 0x8000};
    assert_int_equal(pci_place(all, 4, &all[0], w, 0x4000), 0);
    assert_int_equal(pci_place(all, 4, &all[0], w, 0x2000), 0xfe402000);
    const struct pci_window top = {0xfffffffffffff000, UINT64_MAX}, none = {1, 0};
    assert_int_equal(pci_place(all, 4, &all[0], top, 0x2000), 0); // no wrapping
    assert_int_equal(pci_place(all, 4, &all[0], none, 0x1000), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(chain),         T(config_writes), T(chain_absent), T(chain_hostile), T(extended_hostile),
        T(chains_random), T(msix),          T(bars),         T(virtio),        T(grantable),
        T(scopes),        T(space),         T(windows),      T(places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
