// ablate_layout.c — the compiler's layout with bundles of 4 KiB: in code of any size hardly anything is padded. See ablate.c.
#include "sfi-jit/sfi.h"
#undef SFI_BUNDLE
#define SFI_BUNDLE 4096u
#define x64_asm_finish ablate_asm_finish
#include "sfi-jit/x64/layout.c"
