// devices.h — see devices.c.
#ifndef SASOS_KTEST_DEVICES_H
#define SASOS_KTEST_DEVICES_H

unsigned ktest_devices(void); // prints its points; returns how many were bad

#endif
