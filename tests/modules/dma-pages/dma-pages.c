// dma-pages.c — what a device could read beside a buffer: nothing. Each DMA allocation, of one byte too, is whole zeroed pages of its
// own, although an earlier run of this module has filled the same frames. An argument, a digit, says how many allocations are to
// succeed where handles are fewer than the pages granted. Exit status = the line of what went wrong.
#include "drivers/sdk/sasos.h"

#define CHECK(x) \
    if (!(x)) return __LINE__
enum { PAGE = 4096, PAGES = 16, MARK = 0xa5 };

int32_t SASOS_EXPORT(app_main)(void) {
    uint32_t last = 0, pages = PAGES;
    char digit;
    if (sasos_arg(0, &digit, 1) == 1) pages = (uint32_t)(digit - '0');
    for (uint32_t i = 0; i < pages; i++) {
        uint32_t at = sasos_dma_alloc(1);
        CHECK(at && at % PAGE == 0 && at != last);
        for (uint32_t k = 0; k < PAGE; k++) CHECK(read8(at + k) == 0);
        for (uint32_t k = 0; k < PAGE; k++) write8(at + k, MARK);
        last = at;
    }
    CHECK(sasos_dma_alloc(1) == 0); // the grant is used up: a byte counts as a page, or a handle
    return 0;
}
