// share.c — the part of loader/platform.h that links memories and tables between instances: refused in this kernel.
//
// Domains share channels only (channel.c), whose pages belong to the run. A kernel whose stores hold several instances links another
// file in the place of this one (tests/boot/spec).
#include "loader/platform.h"

enum ldr_status ldr_plat_share(uint64_t window, int64_t offset, uint64_t from_window,
                               int64_t from_offset, uint64_t size) {
    (void)window, (void)offset, (void)from_window, (void)from_offset, (void)size;
    return LDR_UNSUPPORTED;
}
