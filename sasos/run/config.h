// config.h — the appliance's configuration: which modules there are, what each is granted, and what is done in which order.
//
// Text, one `key words…` a line; `#` starts a comment. First line `sasos 1`. Reference: docs/configuration.md.
//
//   module NAME                       a module of the image (NAME.wasm); the lines below are its grants, until the next module or step
//     memory SIZE                     at most this much wasm memory (K and M may follow a number)
//     pci VENDOR:DEVICE               the first such function that no other domain holds; several lines: any of these
//     irq N                           messages (MSI-X) 0 … N−1
//     dma SIZE                        DMA pages
//     budget MS                       longest computation without giving the CPU back
//     connect NAMESPACE MODULE SIZE   imports of that namespace are the exports of MODULE; a channel of SIZE bytes is shared with it
//     arg WORD                        read with arg()
//   start NAME | stop NAME | run NAME, each with an optional `expect …`:
//     ok (default) | exit N | trap KIND | budget | dma | refused
//
// Authority is here and nowhere else: a manifest asks, the configuration grants.
#ifndef SASOS_RUN_CONFIG_H
#define SASOS_RUN_CONFIG_H
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
#define CONFIG_ARGS_MAX 8u

struct config_pci {
    uint16_t vendor, device;
};
struct config_connect {
    char name_space[CONFIG_NAME], module[CONFIG_NAME];
    uint32_t size; // bytes, whole pages
};
struct config_module {
    char name[CONFIG_NAME];
    uint32_t line;
    uint32_t memory, dma; // bytes
    uint32_t irqs, budget_ms;
    uint32_t pcis, connects, args;
    struct config_pci pci[CONFIG_PCI_MAX];
    struct config_connect connect[CONFIG_CONNECTS_MAX];
    char arg[CONFIG_ARGS_MAX][CONFIG_NAME];
};
struct config_step {
    enum { STEP_START, STEP_STOP, STEP_RUN } kind;
    enum { EXPECT_OK, EXPECT_EXIT, EXPECT_TRAP, EXPECT_BUDGET, EXPECT_DMA, EXPECT_REFUSED } expect;
    int32_t value; // EXIT: status; TRAP: enum sfi_trap
    uint32_t module;
    uint32_t line;
};
struct config {
    uint32_t modules, steps;
    struct config_module module[CONFIG_MODULES_MAX];
    struct config_step step[CONFIG_STEPS_MAX];
};

// Parses `size` bytes. On failure false, and out_error is "line N: what is wrong and what is expected".
bool config_parse(const char *text, size_t size, struct config *out, char *out_error,
                  size_t error_size);
#endif
