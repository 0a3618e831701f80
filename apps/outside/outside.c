// outside.c — a broken application, for the demonstration: reads outside its sandbox and must be stopped there.
//
// A module can only name 32-bit addresses of its own window; what is not mapped there does not exist for it. This one reads on from the
// end of its memory, as a loop with a wrong bound does. Exit status 1 means that nobody stopped it.
#include "drivers/sdk/sasos.h"

int32_t SASOS_EXPORT(app_main)(void) {
    log_line("reading on behind the end of my memory");
    uint32_t sum = 0;
    for (uint32_t address = 0; address < SASOS_WINDOW_MEMORY_MAX; address += 4096)
        sum += read32(address);
    log_line("read everything, sum %x: the sandbox does not hold", sum);
    return 1;
}
