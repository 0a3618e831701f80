// log.c — log_line(): a line put together and given to the kernel's log call.
#include "drivers/sdk/sasos.h"
#include "drivers/sdk/text.h"

#define LINE 256u

void log_line(const char *format, ...) {
    char bytes[LINE];
    struct text line = {bytes, LINE, 0};
    va_list args;
    va_start(args, format);
    text_vformat(&line, format, args);
    va_end(args);
    sasos_log(line.bytes, line.length);
}
