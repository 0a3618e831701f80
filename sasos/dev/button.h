// button.h — the machine's power button, where it is one of the fixed ACPI kind (ACPI 6.5 §4.8.2.2.1).
#ifndef SASOS_DEV_BUTTON_H
#define SASOS_DEV_BUTTON_H
#include <stdbool.h>

// Switches the machine to ACPI mode if need be and calls `pressed` from an interrupt handler when the button is. All other fixed events and all
// general-purpose ones stay off. False, with a line in the log, where there is no such button. Once, at boot, not from a handler.
bool button_init(void (*pressed)(void));
#endif
