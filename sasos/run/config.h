// config.h — the appliance's configuration: which modules there are, what each is granted, and what is done in which order.
//
// Text, one `key words…` a line; `#` starts a comment, "…" is one word. First line `sasos 1`. Reference: docs/configuration.md.
//
//   module NAME [FILE]                a module of the image (FILE.wasm, default NAME.wasm); the lines below it are its grants
//   start NAME | stop NAME | run NAME, each with an optional `expect …`
//
// Authority is here and nowhere else: a manifest asks, the configuration grants. What the kernel keeps for itself (the ports of
// config_port_kept()) cannot be granted at all.
#ifndef SASOS_RUN_CONFIG_H
#define SASOS_RUN_CONFIG_H
#include "loader/words.h"
#include "sasos/status.h"
#include "sfi-jit/sfi.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_MODULES_MAX 32u
#define CONFIG_STEPS_MAX 128u
#define CONFIG_NAME 40u
#define CONFIG_PCI_MAX 4u
#define CONFIG_CONNECTS_MAX 8u
#define CONFIG_WORDS_MAX 32u // arguments and environment variables together
#define CONFIG_TEXT 4096u    // bytes of them, each with a 0
#define CONFIG_PORTS_MAX 8u
#define CONFIG_ISA_IRQS_MAX 8u
#define CONFIG_BLOBS_MAX 16u
#define CONFIG_BLOB 48u           // bytes of a file's name, as in the pack
#define CONFIG_MEMORY (16u << 20) // where nothing is said
#define CONFIG_LOG_LINES 200u
#define CONFIG_HANDLES 256u
#define CONFIG_RESTARTS 10u // within a minute, where nothing is said
#define CONFIG_BACKOFF_MS 10u
#define CONFIG_STACK_MAX (1u << 20)

struct config_ports {
    uint16_t first, last;
};
struct config_connect {
    char name_space[CONFIG_NAME], module[CONFIG_NAME];
    uint32_t size; // bytes, whole pages
};
struct config_module {
    char name[CONFIG_NAME], file[CONFIG_NAME];
    uint32_t line;
    bool program;                // a WASI command: no manifest, _start()
    uint32_t memory, dma, stack; // bytes; 0: the default
    uint32_t irqs, budget_ms;
    uint32_t share;                   // % of a CPU; 0: no limit
    uint32_t log_lines;               // a second
    uint32_t handles;                 // see dom_handles()
    uint32_t chaos_us, chaos_count;   // killed so often, after so many µs of a life on average
    bool restart;                     // after a fault
    uint32_t restart_max, backoff_ms; // so often within a minute; the pause after the second failure
    bool clock, console, entropy, entropy_source, observe, control, framebuffer;
    bool pinned;  // to `cpu`
    uint32_t cpu; // below CPUS_MAX
    uint32_t pcis, connects, args, envs, ports, isa_irqs, blobs;
    struct words_pci pci[CONFIG_PCI_MAX];
    bool trusted[CONFIG_PCI_MAX]; // that kind may do DMA where nothing fences it
    struct config_connect connect[CONFIG_CONNECTS_MAX];
    struct config_ports port[CONFIG_PORTS_MAX];
    uint8_t isa_irq[CONFIG_ISA_IRQS_MAX];
    char blob[CONFIG_BLOBS_MAX][CONFIG_BLOB];
    uint16_t arg[CONFIG_WORDS_MAX], env[CONFIG_WORDS_MAX]; // where they are in `text`
    uint16_t text_used;
    char text[CONFIG_TEXT];
};
struct config_step {
    enum { STEP_START, STEP_STOP, STEP_RUN } kind;
    enum { EXPECT_OK, EXPECT_EXIT, EXPECT_TRAP, EXPECT_BUDGET, EXPECT_DMA, EXPECT_REFUSED } expect;
    int32_t value; // EXIT: status; TRAP: enum sfi_trap
    uint32_t module;
    uint32_t line;
};
struct config {
    bool trace; // on from the first module on
    uint32_t modules, steps;
    struct config_module module[CONFIG_MODULES_MAX];
    struct config_step step[CONFIG_STEPS_MAX];
};

// Parses `size` bytes. On failure false, and out_error is "line N: what is wrong and what is expected".
bool config_parse(const char *text, size_t size, struct config *out, char *out_error,
                  size_t error_size);
// Ports whose owner could go round every fence or stop the machine: interrupt and DMA controllers, configuration space, resets.
bool config_port_kept(uint16_t first, uint16_t last);
#endif
