#!/usr/bin/env python3
"""A device that attacks (tests/boot/ktest/attack.c): memory, registers and interrupts that are not its own, on both kinds of IOMMU."""
import os
import re

import qemu
import tap

KTEST = os.path.join(qemu.BUILD, 'boot', 'ktest.elf')
POINTS = 29
RNG = 'virtio-rng-pci,iommu_platform=on,disable-legacy=on'


def attack(name, *patterns, **machine):
    r = qemu.boot(kernel=KTEST, modules=[], config='attack', timeout=60, **machine)
    good, wrong = re.findall(r'^ok (.*)', r.text, re.M), re.findall(r'^BAD (.*)', r.text, re.M)
    tap.ok(r.ok and not wrong and len(good) == POINTS and '\ndone\n' in r.text, f'{name}: {len(good)} of {POINTS} points', r)
    attempts, vectors = re.search(r'^attempts (\d+)', r.text, re.M), re.search(r'^forged \d+ of (\d+) vectors in (\d+) modes', r.text, re.M)
    if attempts and vectors:
        print(f'# count {name}-attempts {attempts[1]}\n# count {name}-vectors {vectors[1]}\n# count {name}-modes {vectors[2]}')
    for p in patterns:
        tap.has(r, p, f'{name}: {p}')


# The disk offers to translate for itself (ATS), and the unit would believe it. QEMU's VT-d lets the compatibility format pass.
attack('VT-d', '^ats there', 'an interrupt that names its own vector was NOT refused', iommu=qemu.IOMMU + ',device-iotlb=on', disk_device='pcie-root-port,id=rp,chassis=1',
       devices=[qemu.DISK_DEVICE + ',bus=rp,ats=on', RNG])
# There QEMU blocks what was forged: 256 vectors in each of the eight delivery modes.
attack('AMD-Vi', '^forged 0 ', 'an interrupt that names its own vector was refused', iommu=qemu.IOMMUS['amd'], cold=True, devices=[RNG])

# The same through a driver module, where the unit does not say what it refused: it was the only one that could.
r = qemu.boot(config='sasos 1\nmodule virtio-rogue\n  pci 1af4:1042\n  irq 1\n  dma 64K\n  memory 2M\nstart virtio-rogue expect dma\n',
              modules=['virtio-rogue'], iommu=qemu.IOMMUS['amd'], cold=True)
tap.ok(r.ok, 'AMD-Vi: a hostile driver is ended for what its device attempts', r)
tap.has(r, r'virtio-rogue: killed: its device 00:02\.0 tried to reach outside its DMA area \(AMD-Vi', 'AMD-Vi: and it is told which')
tap.done()
