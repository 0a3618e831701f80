// names.c — see sasos.h: the names of the kernel calls, by their rows of hostcall.def.
#include "drivers/sdk/sasos.h"

const char *sasos_call_name(uint64_t row) {
    static const char *const names[] = {
#define X(result, name, parameters, types, text) #name,
#include "sasos/run/hostcall.def"
#undef X
    };
    return row < sizeof(names) / sizeof(names[0]) ? names[row] : "?";
}
