// main.c — the boot order, from the boot application's jump to the first module.
#include "efi/bootinfo.h"
#include "sasos/arch/apic.h"
#include "sasos/arch/cpu.h"
#include "sasos/arch/smp.h"
#include "sasos/arch/time.h"
#include "sasos/arch/trap.h"
#include "sasos/dev/acpi.h"
#include "sasos/dev/dev.h"
#include "sasos/layout.h"
#include "sasos/lib/console.h"
#include "sasos/lib/fb.h"
#include "sasos/lib/log.h"
#include "sasos/lib/mem.h"
#include "sasos/lib/panic.h"
#include "sasos/mem/arena.h"
#include "sasos/mem/frame.h"
#include "sasos/mem/heap.h"
#include "sasos/mem/pt.h"
#include "sasos/run/run.h"
#include "sasos/run/thread.h"

static struct bootinfo boot; // the kernel's copy; the original is reclaimed

_Noreturn void kernel_main(uint64_t bootinfo_pa);

static void copy_bootinfo(uint64_t pa) {
    boot = *(const struct bootinfo *)(DIRECT_MAP_BASE + pa);
    if (boot.magic != BOOTINFO_MAGIC || boot.version != BOOTINFO_VERSION || boot.size != sizeof boot)
        panic_refuse("boot application and kernel do not belong together (boot information version "
                     "%u, %u bytes)",
                     boot.version, boot.size);
}

// Everything that rode in the image lies in RAM, or it is not looked at.
static void check_blobs(void) {
    const struct boot_blob *blobs[] = {&boot.kernel_elf, &boot.modules, &boot.config};
    for (unsigned i = 0; i < ARRAY_LEN(blobs); i++)
        if (blobs[i]->size && !frame_is_ram(blobs[i]->base, blobs[i]->size))
            panic_refuse("section %u of the boot image does not lie in memory", i);
}

void kernel_main(uint64_t bootinfo_pa) {
    uint64_t entered = cpu_rdtsc();
    con_init_serial(); // words first
    smp_init();        // this CPU's state
    trap_init_early(); // from here on a mistake is a panic with a backtrace
    copy_bootinfo(bootinfo_pa);
    cpu_check(); // refuse what cannot work, before any control register is touched
    cpu_init();  // CR0, CR4, EFER, XCR0, PAT
    frame_init(&boot, DIRECT_MAP_BASE); // physical memory
    check_blobs();
    uint64_t arena_pa, arena_size;
    arena_reserve(&arena_pa, &arena_size); // the only memory that will become executable
    pt_init(&boot, arena_pa, arena_size);  // own page tables, W^X, no identity map
    heap_init(HEAP_BASE, HEAP_SIZE);       // kernel objects
    trap_init();                           // interrupt stacks with guards
    panic_symbols(&boot);                  // names for backtraces
    fb_init(&boot);                        // text on the screen, where there is one
    log_info("main", "SASOS on %s %s%s%s", cpu_features()->vendor, cpu_features()->brand,
             cpu_features()->hypervisor ? ", hypervisor " : "", cpu_features()->hypervisor_name);
    acpi_init(&boot);          // what the firmware's tables say
    apic_init();               // interrupts of this CPU, 8259s off
    time_init(&boot, entered); // the clock
    thr_init();                // this context becomes the idle thread
    frame_reclaim(&boot);      // the boot application's memory, but for what rode in the image
    log_info("mem", "%llu of %llu MiB free", (unsigned long long)frame_count_free() >> 8,
             (unsigned long long)frame_total() >> 8);
    dev_init();  // every device silenced and fenced before anybody may drive one
    smp_start(); // the other CPUs
    log_info("main", "firmware and loader %llu ms, kernel entry to here %llu ms",
             (unsigned long long)time_tsc_to_ns(boot.tsc_exit - boot.tsc_entry) / 1000000,
             (unsigned long long)time_now_ns() / 1000000);
    run_start(&boot); // a thread that carries out the configuration
    thr_start();
}
