#!/usr/bin/env python3
"""A device that attacks (tests/boot/ktest/attack.c): memory, registers and interrupts that are not its own, on both kinds of IOMMU."""
import os
import re

import qemu
import tap

KTEST = os.path.join(qemu.BUILD, 'boot', 'ktest.elf')
POINTS = 28
RNG = 'virtio-rng-pci,iommu_platform=on,disable-legacy=on'


def attack(name, *patterns, **machine):
    r = qemu.boot(kernel=KTEST, modules=[], config='attack', timeout=60, **machine)
    good, wrong = re.findall(r'^ok (.*)', r.text, re.M), re.findall(r'^BAD (.*)', r.text, re.M)
    tap.ok(r.ok and not wrong and len(good) == POINTS and '\ndone\n' in r.text, f'{name}: {len(good)} of {POINTS} points', r)
    for p in patterns:
        tap.has(r, p, f'{name}: {p}')


# The disk offers to translate for itself (ATS), and the unit would believe it. QEMU's VT-d lets the compatibility format pass.
attack('VT-d', '^ats there', 'an interrupt that names its own vector was NOT refused', iommu=qemu.IOMMU + ',device-iotlb=on', disk_device='pcie-root-port,id=rp,chassis=1',
       devices=[qemu.DISK_DEVICE + ',bus=rp,ats=on', RNG])
# There QEMU blocks what was forged: 256 vectors in each of the eight delivery modes.
attack('AMD-Vi', '^forged 0$', 'an interrupt that names its own vector was refused', iommu=qemu.IOMMUS['amd'], cold=True, devices=[RNG])
tap.done()
