#!/usr/bin/env python3
"""Devices from inside the kernel (tests/boot/ktest/devices.c): the DMA fence, interrupts, resets, and what must be refused."""
import os
import re

import qemu
import tap

KTEST = os.path.join(qemu.BUILD, 'boot', 'ktest.elf')
EDU = 'edu,dma_mask=0xffffffffffffffff'
EDU_POINTS, DISK_POINTS = 25, 15
BLK = 'virtio-blk-pci,drive=disk,disable-legacy=on,iommu_platform=on'
PORT = 'pcie-root-port,id=rp,chassis=1'
PROVED = 'DMA of .* outside of its area was blocked and recorded'


def devices(name, points, *patterns, below=(), **machine):
    """`below`: bridges; the disk then sits behind them."""
    original = qemu.machine_args

    def bridges_first(*a):
        args = original(*a)
        disk = next(i for i, x in enumerate(args) if x.startswith('virtio-blk'))
        bridges = [x for b in below for x in ('-device', b)]
        return args[:disk - 1] + bridges + args[disk - 1:]
    if below:
        qemu.machine_args = bridges_first
    r = qemu.boot(kernel=KTEST, modules=[], config='devices', timeout=60, **machine)
    qemu.machine_args = original
    good, bad = re.findall(r'^ok (.*)', r.text, re.M), re.findall(r'^BAD (.*)', r.text, re.M)
    tap.ok(r.ok and not bad and len(good) == points + 1 and '\ndone\n' in r.text, f'{name}: {len(good)} of {points + 1} points', r)
    for p in patterns:
        tap.has(r, p, f'{name}: says so')
    return r


# QEMU does not migrate edu: its BAR is there only after a boot from reset.
devices('edu and a disk', EDU_POINTS + 2 * DISK_POINTS, PROVED, 'interrupts remapped', devices=[EDU], cold=True)
devices('edu and a disk on AMD-Vi', EDU_POINTS + 2 * DISK_POINTS, r'AMD-Vi.*interrupts remapped', 'outside of its area was blocked',
        devices=[EDU], cold=True, iommu=qemu.IOMMUS['amd'])
devices('39 bits', 2 * DISK_POINTS, PROVED, '3-level tables', iommu='intel-iommu,intremap=on')
devices('no interrupt remapping', 2 * DISK_POINTS, PROVED, 'a device can raise any interrupt vector',
        iommu='intel-iommu,intremap=off,aw-bits=48')
devices('below a root port', 2 * DISK_POINTS, PROVED, '^reset: function level reset', below=[PORT], disk_device=BLK + ',bus=rp')
devices('below a switch', 2 * DISK_POINTS, PROVED, below=[PORT, 'x3130-upstream,id=up,bus=rp', 'xio3130-downstream,id=down,bus=up,chassis=2'],
        disk_device=BLK + ',bus=down')
devices('on a second root bus', 2 * DISK_POINTS, PROVED, below=['pxb-pcie,id=pxb,bus_nr=64,bus=pcie.0', PORT + ',bus=pxb'],
        disk_device=BLK + ',bus=rp')
devices('below a conventional bridge', 0, '^disk: denied', 'cannot be told apart', below=[PORT, 'pcie-pci-bridge,id=bridge,bus=rp'],
        disk_device=BLK + ',bus=bridge,addr=3')
devices('a disk that goes around the IOMMU', 0, '^disk: denied', 'without VIRTIO_F_ACCESS_PLATFORM', 'no proof that DMA is fenced',
        disk_device='virtio-blk-pci,drive=disk,disable-legacy=on')
devices('a transitional disk', 0, '^disk: denied', 'without VIRTIO_F_ACCESS_PLATFORM', disk_device='virtio-blk-pci,drive=disk')
devices('no IOMMU', 2, 'DMA is NOT fenced', iommu=None)
tap.done()
