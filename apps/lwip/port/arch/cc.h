// cc.h — lwIP's view of compiler and machine: 32-bit WebAssembly, little-endian, no C library, asserts that end the domain.
#ifndef LWIP_PORT_CC_H
#define LWIP_PORT_CC_H
#include <stdint.h>

#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_UNISTD_H 1
#define LWIP_NO_CTYPE_H 1
#define X8_F "x"
#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "u"

#define lwip_htons(x) __builtin_bswap16(x)
#define lwip_htonl(x) __builtin_bswap32(x)

void port_assert(const char *what, int line) __attribute__((noreturn));
#define LWIP_PLATFORM_ASSERT(what) port_assert(what, __LINE__)
#define LWIP_PLATFORM_DIAG(x) // debugging output: none
#define LWIP_ERROR(message, expression, handler) \
    do {                                         \
        if (!(expression)) {                     \
            handler;                             \
        }                                        \
    } while (0)

uint32_t port_random(void);
#define LWIP_RAND() port_random()
uint16_t port_checksum(const void *data, int length);
#define LWIP_CHKSUM port_checksum
#endif
