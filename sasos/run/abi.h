// abi.h — constants of the module ABI that the kernel and the SDK share: errors, events. Never changed, only added to.
#ifndef SASOS_ABI_H
#define SASOS_ABI_H

#define SASOS_NAMESPACE "sasos1"

#define SASOS_ERRORS(X)                                                          \
    X(E_FAULT, -1, "a pointer or length outside the caller's memory")            \
    X(E_INVAL, -2, "an argument out of its range")                               \
    X(E_DENIED, -3, "no grant for it")                                           \
    X(E_NOENT, -4, "no such thing")                                              \
    X(E_NOMEM, -5, "out of memory, or the grant is used up")                     \
    X(E_AGAIN, -6, "not now")                                                    \
    X(E_IO, -7, "the device failed")                                             \
    X(E_PEER, -8, "the other domain is dead")                                    \
    X(E_READONLY, -9, "the medium cannot be written")                            \
    X(E_RANGE, -10, "beyond the end of the medium")                              \
    X(E_NODEV, -11, "no such device, or one that this driver refuses")           \
    X(E_INTR, -12, "the domain that called is being ended: clean up and return") \
    X(E_DEAD, -111, "the callee died during the call (made by the kernel)")
enum sasos_error {
    E_OK = 0,
#define X(name, value, text) name = value,
    SASOS_ERRORS(X)
#undef X
};

// A module's window (the contract's numbers, repeated because modules do not see the contract; asserted equal in domain.c).
#define SASOS_WINDOW_MEMORY_MAX 0x80000000u // wasm memory lies below, then the DMA and channel area
#define SASOS_WINDOW_DEVICE 0xc0000000u     // device registers

// Events of a domain: one bit each, sticky until taken.
#define SASOS_EVENT_IRQ(n) (1u << (n)) // 0–7: message n of the driver's function
#define SASOS_EVENT_CHANNEL(n) \
    (1u << (8 + (n)))                // 8–15: the other end of channel n signalled, or died
#define SASOS_EVENT_TIMER (1u << 16) // the time of timer() has come
#define SASOS_EVENT_STOP \
    (1u << 17) // the system is about to end this domain: finish what must be finished
#define SASOS_IRQS_MAX 8u
#define SASOS_CHANNELS_MAX 8u
#endif
