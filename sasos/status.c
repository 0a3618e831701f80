// status.c — the texts of status.h.
#include "sasos/status.h"

const char *status_text(enum status s) {
    static const char *const texts[] = {
#define X(name, text) text,
        STATUS_LIST(X)
#undef X
    };
    return s < ST_COUNT ? texts[s] : "unknown status";
}
