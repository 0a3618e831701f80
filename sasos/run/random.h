// random.h — the system's random numbers: ChaCha20 (RFC 8439) with fast key erasure.
//
// The state is one key of 256 bits. A request derives two keys from it: the next state, and one whose key stream is the answer and which is
// then forgotten; so what was given out cannot be computed from a state that is seen later. Whatever is added is mixed into the key and can
// only help: who knows what he adds but not the key knows the new key no better.
//
// Seeds: RDSEED or RDRAND, where the CPU has them; the time-stamp counter's jitter over 4096 rounds in any case, the firmware's clock, and
// what drivers with the grant `entropy-source` add. Without the instructions and without such a driver the jitter is all there is:
// under an emulator that may be little, and random_init() says so in the log.
#ifndef SASOS_RUN_RANDOM_H
#define SASOS_RUN_RANDOM_H
#include <stddef.h>
#include <stdint.h>

#define RANDOM_MAX 4096u // bytes a call

void random_init(void);
void random_bytes(uint8_t *out, size_t n); // any n; not from interrupts
void random_add(const uint8_t *bytes, size_t n);

// The block function of RFC 8439 §2.3: key, counter and nonce as the sixteen words' last twelve.
void chacha20_block(const uint32_t key[8], uint32_t counter, const uint32_t nonce[3], uint8_t out[64]);
#endif
