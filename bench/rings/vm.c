// vm.c — a virtual machine of our own for rings.h, made by KVM, so that ring 0 is the processor's: page tables, rings, nothing else.
//
//   rings GUEST.bin ROUNDS
//
// prints a line of JSON: {"kvm": MODULE, "hardware": bool, "times": N, "cycles": {NAME: [one a round]}}. hardware is false where KVM is not the
// processor's own virtualization (kvm_pvm runs a guest's ring 0 in ring 3 and does its privileged instructions itself): the numbers
// then say nothing about a processor. Exit status 3, with a sentence: there is no KVM here. Linux: Documentation/virt/kvm/api.rst.
#include "bench/rings/vm.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define TIMES 10000u
#define PAGE_BITS 0x83ull // 2 MiB, present, writable
#define TABLE_BITS 0x3ull
#define CR0 0x80010033ull // PG, WP, NE, ET, MP, PE
#define CR4 0x20ull       // PAE
#define EFER 0xd00ull     // NXE, LMA, LME
#define NO_KVM 3

#define X(name, text, what) text,
static const char *const names[RINGS_KINDS] = {RINGS(X)};
#undef X

static _Noreturn void fail(int status, const char *what) {
    fprintf(stderr, "rings: %s: %s\n", what, strerror(errno));
    exit(status);
}
static int ask(int fd, unsigned long request, void *argument, const char *what) {
    int result = ioctl(fd, request, argument);
    if (result < 0) fail(NO_KVM, what);
    return result;
}

static void put64(uint8_t *at, uint64_t v) { memcpy(at, &v, 8); }

static void fill(uint8_t *m, const char *path, uint32_t rounds) {
    put64(m + GUEST_ROOT + 511 * 8, (GUEST_ROOT + 0x1000) | TABLE_BITS);
    put64(m + GUEST_ROOT + 0x1000 + 510 * 8, (GUEST_ROOT + 0x2000) | TABLE_BITS);
    for (uint64_t i = 0; i < GUEST_MEMORY >> 21; i++)
        put64(m + GUEST_ROOT + 0x2000 + i * 8, i << 21 | PAGE_BITS);
    uint64_t tss = GUEST_BASE + GUEST_TSS;
    put64(m + GUEST_GDT + 8, 0x00209b0000000000ull);  // 64-bit code
    put64(m + GUEST_GDT + 16, 0x0000930000000000ull); // data
    put64(m + GUEST_GDT + 24, 0x67 | (tss & 0xffffff) << 16 | 0x8bull << 40 | (tss >> 24 & 0xff) << 56);
    put64(m + GUEST_GDT + 32, tss >> 32);
    ((struct vm_numbers *)(m + GUEST_NUMBERS))->rounds = rounds;
    ((struct vm_numbers *)(m + GUEST_NUMBERS))->times = TIMES;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || read(fd, m + GUEST_IMAGE, GUEST_PAGES - GUEST_IMAGE) <= 0) fail(1, path);
    close(fd);
}

static void registers(int cpu) {
    struct kvm_sregs s;
    ask(cpu, KVM_GET_SREGS, &s, "KVM_GET_SREGS");
    const struct kvm_segment data = {
        .selector = 16, .limit = ~0u, .type = 3, .present = 1, .s = 1, .g = 1, .db = 1};
    s.cs = (struct kvm_segment){
        .selector = 8, .limit = ~0u, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1};
    s.ds = s.es = s.fs = s.gs = s.ss = data;
    s.tr = (struct kvm_segment){
        .selector = 24, .base = GUEST_BASE + GUEST_TSS, .limit = 0x67, .type = 11, .present = 1};
    s.gdt = (struct kvm_dtable){.base = GUEST_BASE + GUEST_GDT, .limit = 39};
    s.idt = (struct kvm_dtable){.base = GUEST_BASE + GUEST_IDT, .limit = 4095};
    s.cr0 = CR0, s.cr3 = GUEST_ROOT, s.cr4 = CR4, s.efer = EFER;
    ask(cpu, KVM_SET_SREGS, &s, "KVM_SET_SREGS");
    struct kvm_regs r = {
        .rip = GUEST_BASE + GUEST_IMAGE, .rsp = GUEST_BASE + GUEST_STACK - 8, .rflags = 2};
    ask(cpu, KVM_SET_REGS, &r, "KVM_SET_REGS");
}

static void processor(int kvm, int cpu) { // what the host's has: PCID among it
    struct kvm_cpuid2 *c = calloc(1, sizeof *c + 256 * sizeof *c->entries);
    if (!c) fail(1, "memory");
    c->nent = 256;
    ask(kvm, KVM_GET_SUPPORTED_CPUID, c, "KVM_GET_SUPPORTED_CPUID");
    ask(cpu, KVM_SET_CPUID2, c, "KVM_SET_CPUID2");
    free(c);
}

static void print(const struct vm_numbers *n) {
    static const char *const modules[] = {"kvm_intel", "kvm_amd", "kvm_pvm"};
    const char *module = "unknown";
    char path[64];
    for (int i = 2; i >= 0; i--) {
        snprintf(path, sizeof path, "/sys/module/%s", modules[i]);
        if (!access(path, F_OK)) module = modules[i];
    }
    bool hardware = !strcmp(module, "kvm_intel") || !strcmp(module, "kvm_amd");
    printf("{\"kvm\": \"%s\", \"hardware\": %s, \"times\": %u, \"cycles\": {", module,
           hardware ? "true" : "false", n->times);
    bool first = true;
    for (int kind = 0; kind < RINGS_KINDS; kind++) {
        if (!n->cycles[kind][0]) continue; // this processor cannot
        printf("%s\"%s\": [", first ? "" : ", ", names[kind]);
        first = false;
        for (uint32_t i = 0; i < n->rounds; i++)
            printf("%s%.2f", i ? ", " : "", (double)n->cycles[kind][i] / n->times);
        printf("]");
    }
    printf("}}\n");
}

int main(int argc, char **argv) {
    int rounds = argc == 3 ? atoi(argv[2]) : 0;
    if (rounds < 1 || rounds > VM_ROUNDS_MAX) {
        fprintf(stderr, "usage: rings GUEST.bin ROUNDS\n");
        return 2;
    }
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0) fail(NO_KVM, "/dev/kvm");
    int vm = ask(kvm, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
    uint8_t *memory =
        mmap(NULL, GUEST_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail(1, "memory");
    fill(memory, argv[1], (uint32_t)rounds);
    struct kvm_userspace_memory_region region = {.memory_size = GUEST_MEMORY,
                                                 .userspace_addr = (uintptr_t)memory};
    ask(vm, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
    int cpu = ask(vm, KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU");
    int size = ask(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");
    struct kvm_run *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
    if (run == MAP_FAILED) fail(1, "KVM's page");
    processor(kvm, cpu);
    registers(cpu);
    while (ioctl(cpu, KVM_RUN, 0) < 0)
        if (errno != EINTR) fail(NO_KVM, "KVM_RUN");
    const struct vm_numbers *n = (const struct vm_numbers *)(memory + GUEST_NUMBERS);
    if (run->exit_reason != KVM_EXIT_HLT || !n->done) {
        fprintf(stderr, "rings: KVM gave up on the guest: exit reason %u\n", run->exit_reason);
        return NO_KVM;
    }
    print(n);
    return 0;
}
