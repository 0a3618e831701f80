// caller.c — the program's memory: pointers from the program are used here and nowhere else, by the kernel's checked copies.
#include "apps/wasi/wasi.h"

uint8_t buffer[BUFFER_SIZE];

static struct {
    struct witx_iovec list[IOVS_MAX];
    uint32_t count, index; // index: of the first that is not used up
    uint64_t left;
} iov;

int32_t errno_of(int32_t error) {
    switch (error) {
    case E_FAULT: return ERRNO_FAULT;
    case E_INVAL: return ERRNO_INVAL;
    case E_DENIED: return ERRNO_NOTCAPABLE;
    case E_NOENT: return ERRNO_NOENT;
    case E_NOMEM: return ERRNO_NOMEM;
    case E_AGAIN: return ERRNO_AGAIN;
    case E_READONLY: return ERRNO_ROFS;
    case E_RANGE: return ERRNO_FBIG;
    default: return error < 0 ? ERRNO_IO : SUCCESS; // the service behind it is gone, or its device
    }
}

int32_t caller_get(void *to, uint32_t from, uint32_t n) {
    return n ? errno_of(sasos_caller_read(to, from, n)) : SUCCESS;
}

int32_t caller_put(uint32_t to, const void *from, uint32_t n) {
    return n ? errno_of(sasos_caller_write(to, from, n)) : SUCCESS;
}

int32_t iov_take(uint32_t list, uint32_t count) {
    iov.count = iov.index = 0;
    iov.left = 0;
    if (count > IOVS_MAX) return ERRNO_INVAL;
    int32_t error = caller_get(iov.list, list, count * (uint32_t)sizeof(iov.list[0]));
    if (error) return error;
    for (uint32_t i = 0; i < count; i++) iov.left += iov.list[i].buf_len;
    iov.count = count;
    return iov.left > UINT32_MAX ? ERRNO_INVAL : SUCCESS; // the result is a $size
}

uint64_t iov_left(void) { return iov.left; }

// Moves n ≤ iov_left() bytes between `here` and the program's buffers.
static int32_t move(uint8_t *here, uint32_t n, bool gather) {
    while (n) {
        struct witx_iovec *v = &iov.list[iov.index];
        uint32_t part = v->buf_len < n ? v->buf_len : n;
        int32_t error = gather ? caller_get(here, v->buf, part) : caller_put(v->buf, here, part);
        if (error) return error;
        here += part, n -= part;
        v->buf += part, v->buf_len -= part, iov.left -= part;
        if (!v->buf_len) iov.index++;
    }
    return SUCCESS;
}

int32_t iov_gather(uint8_t *to, uint32_t n) { return move(to, n, true); }
int32_t iov_scatter(const uint8_t *from, uint32_t n) {
    return move((uint8_t *)(uintptr_t)from, n, false);
}
