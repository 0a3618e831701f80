// status.h — how a kernel function says why it did not do what it was asked.
//
// A status is for what may happen in a correct kernel: memory is out, a request makes no sense. The kernel's own mistakes
// are KASSERTs (lib/panic.h), and what a device or a module wrote is input with statuses of its own. A function that can
// fail returns enum status and leaves everything as it was unless its header says otherwise.
#ifndef SASOS_STATUS_H
#define SASOS_STATUS_H

#define STATUS_LIST(X)                                    \
    X(OK, "ok")                                           \
    X(NO_MEMORY, "out of memory")                         \
    X(NO_SPACE, "out of address space, slots or entries") \
    X(INVALID, "invalid argument")                        \
    X(DENIED, "not permitted")                            \
    X(EXISTS, "already there")                            \
    X(NOT_FOUND, "not there")                             \
    X(UNSUPPORTED, "not supported by this machine")       \
    X(TIMED_OUT, "timed out")

enum status {
#define X(name, text) ST_##name,
    STATUS_LIST(X)
#undef X
        ST_COUNT,
};

const char *status_text(enum status s); // never NULL
#endif
