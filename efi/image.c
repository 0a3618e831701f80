// image.c — what the boot image carries: PE sections, and the kernel's ELF file in one of them.
//
// The image was signed as a whole or came from a disk that anybody could write, so its headers are checked like input, and
// the ELF file must be of the one shape that sasos/kernel.ld makes: ELF-64, little endian, x86-64, ET_EXEC (System V ABI,
// "ELF Header", "Program Header"), ascending PT_LOAD segments that start on pages of their own, within the kernel's
// gigabyte, none writable and executable.
#include "efi/boot.h"
#include "sasos/layout.h"

#define BAD_IMAGE "build the boot image again (make)"

static uint32_t get16(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8; }
static uint32_t get32(const uint8_t *p) { return get16(p) | get16(p + 2) << 16; }

// PE/COFF specification, "Section Table (Section Headers)". The firmware has loaded the image, so its headers are sound.
struct boot_blob image_section(const uint8_t *image, uint64_t image_size, const char *name) {
    const uint8_t *pe = image + get32(image + 60);
    uint32_t count = get16(pe + 6);
    const uint8_t *section = pe + 24 + get16(pe + 20);
    for (uint32_t i = 0; i < count; i++, section += 40) {
        uint32_t n = 0;
        while (n < 8 && section[n] == (uint8_t)name[n] && name[n]) n++;
        if (n < 8 && (section[n] || name[n])) continue;
        struct boot_blob blob = {(uint64_t)image + get32(section + 12), get32(section + 8)};
        if (get32(section + 12) > image_size || blob.size > image_size - get32(section + 12)) break;
        return blob;
    }
    boot_fail("the boot image lacks one of .kernel, .modules and .config", BAD_IMAGE, EFI_SUCCESS);
}

struct elf_header { // Elf64_Ehdr
    uint8_t e_ident[16];
    uint16_t e_type, e_machine;
    uint32_t e_version;
    uint64_t e_entry, e_phoff, e_shoff;
    uint32_t e_flags;
    uint16_t e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx;
};

struct elf_segment { // Elf64_Phdr
    uint32_t p_type, p_flags;
    uint64_t p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align;
};
_Static_assert(sizeof(struct elf_header) == 64 && sizeof(struct elf_segment) == 56, "ELF-64");

enum { PT_LOAD = 1, PF_X = 1, PF_W = 2 };

static _Noreturn void bad_elf(const char *why) { boot_fail(why, BAD_IMAGE, EFI_SUCCESS); }

static const struct elf_header *check_header(struct boot_blob elf) {
    static const uint8_t ident[7] = {0x7f, 'E', 'L', 'F', 2 /* 64 bit */, 1 /* LSB */, 1};
    const struct elf_header *h = (const void *)elf.base;
    if (elf.size < sizeof *h || memcmp(h->e_ident, ident, sizeof ident) != 0 ||
        h->e_type != 2 /* ET_EXEC */ || h->e_machine != 62 /* EM_X86_64 */)
        bad_elf("the kernel in the boot image is not an x86-64 ELF program");
    if (h->e_phentsize != sizeof(struct elf_segment) || h->e_phoff % 8 || h->e_phoff > elf.size ||
        h->e_phnum > (elf.size - h->e_phoff) / sizeof(struct elf_segment))
        bad_elf("the kernel's program headers lie outside its file");
    return h;
}

// Appends p to the kernel's segments, which are checked so far.
static void add_segment(struct boot_kernel *k, const struct elf_segment *p, uint64_t file_size) {
    uint64_t end_so_far = KERNEL_BASE;
    if (k->count) end_so_far = k->virt + k->pages * EFI_PAGE_SIZE;
    if (k->count == BOOT_SEGMENTS) bad_elf("the kernel has too many segments");
    if (p->p_offset > file_size || p->p_filesz > file_size - p->p_offset || p->p_filesz > p->p_memsz)
        bad_elf("a segment of the kernel lies outside its file");
    if (p->p_vaddr % EFI_PAGE_SIZE || p->p_vaddr < end_so_far || p->p_memsz > KERNEL_MAX ||
        p->p_vaddr - KERNEL_BASE > KERNEL_MAX - p->p_memsz)
        bad_elf("a segment of the kernel is not where kernels go");
    if ((p->p_flags & PF_W) && (p->p_flags & PF_X))
        bad_elf("a segment of the kernel is writable and executable");
    if (k->count == 0) k->virt = p->p_vaddr;
    k->segments[k->count++] = (struct boot_segment){
        .virt = p->p_vaddr,
        .pages = EFI_PAGES(p->p_memsz),
        .writable = (p->p_flags & PF_W) != 0,
        .executable = (p->p_flags & PF_X) != 0,
    };
    k->pages = EFI_PAGES(p->p_vaddr + p->p_memsz - k->virt);
}

void image_load_kernel(struct boot_blob elf, struct boot_kernel *out_kernel) {
    const struct elf_header *h = check_header(elf);
    const struct elf_segment *table = (const void *)(elf.base + h->e_phoff);
    struct boot_kernel *k = out_kernel;
    *k = (struct boot_kernel){.entry = h->e_entry};
    for (uint32_t i = 0; i < h->e_phnum; i++)
        if (table[i].p_type == PT_LOAD && table[i].p_memsz) add_segment(k, &table[i], elf.size);

    _Bool entry_ok = 0;
    for (uint32_t i = 0; i < k->count; i++)
        entry_ok |= k->segments[i].executable && k->entry >= k->segments[i].virt &&
                    k->entry - k->segments[i].virt < k->segments[i].pages * EFI_PAGE_SIZE;
    if (!entry_ok) bad_elf("the kernel's entry point is not in its code");

    k->phys = boot_pages(BOOT_TYPE_KERNEL, k->pages);
    for (uint32_t i = 0, n = 0; i < h->e_phnum; i++) {
        if (table[i].p_type != PT_LOAD || !table[i].p_memsz) continue;
        struct boot_segment *s = &k->segments[n++];
        s->phys = k->phys + (s->virt - k->virt);
        memcpy((void *)s->phys, (const void *)(elf.base + table[i].p_offset), table[i].p_filesz);
    }
}
