// log.h — what the kernel tells its operator: one line a message, "[seconds.micros] area: text".
//
// Levels: error (something that was asked for is refused or lost), warn (works, but not as it should), info (what a boot
// shows), debug (kept out of the console unless log_level(LOG_DEBUG)). Any context. Lines longer than 240 bytes are cut.
#ifndef SASOS_LIB_LOG_H
#define SASOS_LIB_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_level(enum log_level most); // messages above it are dropped
void klog(enum log_level level, const char *area, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(area, ...) klog(LOG_ERROR, area, __VA_ARGS__)
#define log_warn(area, ...) klog(LOG_WARN, area, __VA_ARGS__)
#define log_info(area, ...) klog(LOG_INFO, area, __VA_ARGS__)
#define log_debug(area, ...) klog(LOG_DEBUG, area, __VA_ARGS__)
#endif
