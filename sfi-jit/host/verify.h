// verify.h — sfi_verify() where there is malloc: with working memory of exactly its size, so that ASan sees steps outside.
#ifndef SFI_HOST_VERIFY_H
#define SFI_HOST_VERIFY_H
#include "sfi-jit/verify/verify.h"
#include <stdlib.h>

static inline enum sfi_status host_verify(const struct sfi_code *code, struct sfi_rejection *out) {
    // A block that is too large is rejected before anything is written.
    uint32_t places = code->size <= SFI_CODE_MAX ? SFI_PLACES(code->size) : 0;
    struct sfi_place *place = malloc(places * sizeof *place);
    if (places && !place) abort();
    enum sfi_status status = sfi_verify(code, place, out);
    free(place);
    return status;
}
#endif
