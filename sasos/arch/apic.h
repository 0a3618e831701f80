// apic.h — the local APIC of this CPU (Intel SDM volume 3A, chapter 11), xAPIC or x2APIC, its timer, and interrupts to others.
//
// x2APIC where CPUID has it, else the MMIO page. The two 8259s are masked and moved out of the exception vectors.
#ifndef SASOS_ARCH_APIC_H
#define SASOS_ARCH_APIC_H
#include <stdbool.h>
#include <stdint.h>

void apic_init(void);     // on the CPU that boots
void apic_init_cpu(void); // on another one
uint32_t apic_id(void);
bool apic_x2apic(void);
void apic_eoi(void);
bool apic_in_service(uint8_t vector);
// Raises a vector on this CPU: taken as soon as interrupts are on.
void apic_self_ipi(uint8_t vector);
// To the CPU with that APIC id. Interrupts are off: sending is two writes.
void apic_ipi(uint32_t id, uint8_t vector);
void apic_nmi(uint32_t id);
void apic_init_ipi(uint32_t id);              // resets it, to wait for a start-up IPI
void apic_startup(uint32_t id, uint8_t page); // it begins in real mode at page × 4096
// True from apic_init() on.
bool apic_ready(void);

// One shot on IRQ_VECTOR_TIMER at the time `deadline_ns` of time_now_ns() (now or past: as soon as possible; UINT64_MAX: never).
void apic_timer_arm(uint64_t deadline_ns);
// False for a timer interrupt before its time (a device can forge one, and the counter ends early where its reach was too short):
// then it is armed again.
bool apic_timer_due(void);

// For time_init(): the timer counts down from 2^32-1 without interrupting; ticks gone since the start.
void apic_timer_count_start(void);
uint32_t apic_timer_counted(void);
void apic_timer_set_hz(uint64_t hz);
#endif
