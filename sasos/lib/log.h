// log.h — what the kernel tells its operator: one line a message, "[seconds.micros] area: text".
//
// Levels: error (something that was asked for is refused or lost), warn (works, but not as it should), info (what a boot
// shows). Any context. Lines longer than 240 bytes are cut.
#ifndef SASOS_LIB_LOG_H
#define SASOS_LIB_LOG_H
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO };

// What was logged is kept, the newest 64 KiB of it: a position counts all bytes since boot. Copies whole bytes from `from` on, or from
// the oldest kept if that is later; at most size − 1 and a 0. Returns the position to go on from.
uint64_t log_read(uint64_t from, char *to, size_t size);
void log_range(uint64_t *out_first, uint64_t *out_next); // what is kept

void klog(enum log_level level, const char *area, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(area, ...) klog(LOG_ERROR, area, __VA_ARGS__)
#define log_warn(area, ...) klog(LOG_WARN, area, __VA_ARGS__)
#define log_info(area, ...) klog(LOG_INFO, area, __VA_ARGS__)
#endif
