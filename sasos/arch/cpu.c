// cpu.c — CPUID first, then the control registers (Intel SDM volume 2A "CPUID", volume 3A chapter 2; AMD APM volume 3 appendix E).
#include "sasos/arch/cpu.h"
#include "sasos/arch/offsets.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/lib/printf.h"

#define CR0_PE (1ull << 0)
#define CR0_MP (1ull << 1)
#define CR0_ET (1ull << 4)
#define CR0_NE (1ull << 5)
#define CR0_WP (1ull << 16)
#define CR0_PG (1ull << 31)
#define CR4_DE (1ull << 3)
#define CR4_PAE (1ull << 5)
#define CR4_MCE (1ull << 6)
#define CR4_OSFXSR (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define CR4_UMIP (1ull << 11)
#define CR4_LA57 (1ull << 12)
#define CR4_OSXSAVE (1ull << 18)
#define CR4_SMEP (1ull << 20)
#define CR4_SMAP (1ull << 21)
#define MSR_EFER 0xc0000080u
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)
#define EFER_NXE (1ull << 11)
#define MSR_PAT 0x277u
#define MSR_GS_BASE 0xc0000101u
#define XCR0_X87_SSE_AVX 7u
// PAT: the reset value (WB WT UC- UC) twice, but entry 4 is WC: what pt.c selects by the PAT bit alone.
#define PAT_VALUE 0x0007040100070406ull

enum reg { EAX, EBX, ECX, EDX };

static struct cpu_features features;
char cpu_has_smap; // entry.S: 1 if entries must clear AC

static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t r[4]) {
    __asm__ volatile("cpuid"
                     : "=a"(r[EAX]), "=b"(r[EBX]), "=c"(r[ECX]), "=d"(r[EDX])
                     : "a"(leaf), "c"(subleaf));
}

static bool bit(uint32_t leaf, enum reg reg, unsigned n) {
    uint32_t r[4];
    cpuid(leaf & 0x80000000u, 0,
          r); // EAX: the highest leaf of this range; beyond it CPUID returns another leaf's data
    if (leaf > r[EAX]) return false;
    cpuid(leaf, 0, r);
    return r[reg] >> n & 1;
}

static const struct {
    uint32_t leaf;
    enum reg reg;
    uint8_t bit;
    const char *name;
} required[] = {
    {1, EDX, 0, "x87"},           {1, EDX, 4, "TSC"},    {1, EDX, 5, "MSR"},
    {1, EDX, 6, "PAE"},           {1, EDX, 7, "MCE"},    {1, EDX, 9, "APIC"},
    {1, EDX, 15, "CMOV"},         {1, EDX, 16, "PAT"},   {1, EDX, 24, "FXSR"},
    {1, EDX, 25, "SSE"},          {1, EDX, 26, "SSE2"},  {1, ECX, 0, "SSE3"},
    {1, ECX, 9, "SSSE3"},         {1, ECX, 13, "CX16"},  {1, ECX, 19, "SSE4.1"},
    {1, ECX, 23, "POPCNT"},       {1, ECX, 26, "XSAVE"}, {1, ECX, 28, "AVX"},
    {7, EBX, 3, "BMI1"},          {7, EBX, 8, "BMI2"},   {0x80000001u, ECX, 5, "LZCNT"},
    {0x80000001u, EDX, 20, "NX"},
};

void cpu_init_gs(struct cpu *c) {
    c->self = c;
    cpu_wrmsr(MSR_GS_BASE, (uint64_t)c);
}

static void names(void) {
    uint32_t r[4];
    cpuid(0, 0, r);
    memcpy(features.vendor, &r[EBX], 4);
    memcpy(features.vendor + 4, &r[EDX], 4);
    memcpy(features.vendor + 8, &r[ECX], 4);
    cpuid(0x80000000u, 0, r);
    if (r[EAX] >= 0x80000004u)
        for (uint32_t i = 0; i < 3; i++) {
            cpuid(0x80000002u + i, 0, r);
            memcpy(features.brand + 16 * i, r, 16);
        }
    if (!features.hypervisor) return;
    cpuid(0x40000000u, 0, r);
    memcpy(features.hypervisor_name, &r[EBX], 12);
}

void cpu_check(void) {
    features.hypervisor = bit(1, ECX, 31); // first: a refusal ends the machine, and how depends on it
    char missing[160] = "";
    size_t used = 0;
    for (unsigned i = 0; i < ARRAY_LEN(required); i++)
        if (!bit(required[i].leaf, required[i].reg, required[i].bit) && used + 16 < sizeof missing)
            used += (size_t)ksnprintf(missing + used, sizeof missing - used, " %s", required[i].name);
    if (used)
        panic_refuse("the processor lacks%s, which compiled modules or the kernel rely on", missing);

    uint64_t cr4;
    __asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
    if (cr4 & CR4_LA57)
        panic_refuse("the firmware has turned on 5-level paging, which this kernel does not use");

    features.smep = bit(7, EBX, 7);
    features.smap = bit(7, EBX, 20);
    features.umip = bit(7, ECX, 2);
    features.pages_1g = bit(0x80000001u, EDX, 26);
    features.x2apic = bit(1, ECX, 21);
    features.rdrand = bit(1, ECX, 30);
    features.rdseed = bit(7, EBX, 18);
    features.invariant_tsc = bit(0x80000007u, EDX, 8);
    uint32_t r[4];
    cpuid(0xd, 1, r);
    features.xsaveopt = r[EAX] & 1;
    cpuid(0xd, 0, r);
    if ((r[EAX] & XCR0_X87_SSE_AVX) != XCR0_X87_SSE_AVX)
        panic_refuse("the processor cannot save the AVX state (XCR0 allows %x)", r[EAX]);
    features.phys_bits = 36;
    cpuid(0x80000000u, 0, r);
    if (r[EAX] >= 0x80000008u) {
        cpuid(0x80000008u, 0, r);
        features.phys_bits = r[EAX] & 0xff;
    }
    names();
}

bool cpu_check_same(void) {
    bool good = true;
    for (unsigned i = 0; i < ARRAY_LEN(required); i++)
        good &= bit(required[i].leaf, required[i].reg, required[i].bit);
    uint32_t r[4];
    cpuid(0xd, 1, r);
    bool xsaveopt = r[EAX] & 1;
    cpuid(0xd, 0, r);
    return good && (r[EAX] & XCR0_X87_SSE_AVX) == XCR0_X87_SSE_AVX &&
           bit(7, EBX, 7) == features.smep && bit(7, EBX, 20) == features.smap &&
           bit(7, ECX, 2) == features.umip && bit(1, ECX, 21) == features.x2apic &&
           xsaveopt == features.xsaveopt;
}

const struct cpu_features *cpu_features(void) { return &features; }

void cpu_init(void) {
    uint64_t cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    uint64_t cr4 = CR4_DE | CR4_PAE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    if (features.umip) cr4 |= CR4_UMIP;
    if (features.smep) cr4 |= CR4_SMEP;
    if (features.smap) cr4 |= CR4_SMAP;
    // NXE before the page tables that use it; whole values, so that nothing of the firmware's choice (PCIDE, CET, PKE) stays.
    cpu_wrmsr(MSR_EFER, EFER_LME | EFER_LMA | EFER_NXE);
    __asm__ volatile("movq %0, %%cr0" : : "r"(cr0) : "memory");
    __asm__ volatile("movq %0, %%cr4" : : "r"(cr4) : "memory");
    __asm__ volatile("xsetbv" : : "c"(0), "a"(XCR0_X87_SSE_AVX), "d"(0));
    cpu_wrmsr(MSR_PAT, PAT_VALUE);
    if (features.xcr0) return; // another CPU than the first
    features.xcr0 = XCR0_X87_SSE_AVX;
    uint32_t r[4];
    cpuid(0xd, 0, r);
    features.xsave_size = r[EBX]; // for what XCR0 enables now
    cpu_has_smap = features.smap;
}

bool cpu_random64(uint64_t *out) {
    if (!features.rdrand) return false;
    for (int i = 0; i < 10; i++) { // ten tries: Intel SDM volume 1, 7.3.17.1
        bool ok;
        __asm__ volatile("rdrand %0" : "=r"(*out), "=@ccc"(ok));
        if (ok) return true;
    }
    return false;
}
