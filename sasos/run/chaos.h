// chaos.h — kills domains at random instants, as often as their `chaos` lines say: what happens to their clients then is to be seen in tests.
//
// The instant is a timer interrupt's, whatever code it finds: module, kernel, or nothing at all. Without such a line nothing here runs.
#ifndef SASOS_RUN_CHAOS_H
#define SASOS_RUN_CHAOS_H
#include <stdint.h>

void chaos_start(void); // after dom_init(): one thread for each such domain. Refuses the machine if memory is out
extern uint64_t chaos_next; // ns: chaos_tick() has nothing to do before
void chaos_tick(void);      // from the timer's interrupt
#endif
