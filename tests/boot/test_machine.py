#!/usr/bin/env python3
"""Machines and images: what the system runs on, and the sentence with which it refuses the rest."""
import struct

import qemu
import tap

ONE = 'sasos 1\nmodule good-exit\n  memory 1M\nrun good-exit\n'  # the least that a system can do


def runs(name, pattern='', **machine):
    r = qemu.boot(config=ONE, modules=['good-exit'], **machine)
    if tap.ok(r.ok, f'{name}: boots and ends well', r) and pattern:
        tap.has(r, pattern, f'{name}: says so')


def refuses(name, sentence, **given):
    r = qemu.boot(**{'config': ONE, 'modules': [], 'timeout': 30, **given})
    tap.ok(not r.ok and 'timed out' not in r.why, f'{name}: refused, not hanging', r)
    tap.has(r, sentence, f'{name}: a sentence')


runs('1 CPU, 512 MiB')
runs('256 MiB', memory=256)
runs('5 GiB and 2 CPUs, from the ESP', memory=5120, smp=2, cold=True)
runs('a screen', devices=['VGA'])
runs('no disk', disk=None)
runs('no IOMMU', 'DMA is NOT fenced', iommu=None)
runs('an IOMMU of 39 bits', 'translation is on', iommu='intel-iommu,intremap=on,caching-mode=on')

refuses('a CPU without BMI2', r'processor lacks.*BMI2', cpu='max,bmi2=off')

HEADER = struct.pack('<8sIIQ', b'SASPACK1', 1, 1, 24 + 72)
ENTRY = struct.pack('<48sQQII', b'a.wasm', 96, 4096, 0, 0)
for name, pack, sentence in [
    ('no pack', b'', 'shorter than it says'),
    ('something else than a pack', b'x' * 100, 'not a module pack'),
    ('a pack that ends early', HEADER, 'shorter than it says'),
    ('a module from behind the pack', HEADER + ENTRY, 'do not lie where they may'),
]:
    refuses(name, 'modules in the boot image cannot be used: .*' + sentence, pack=pack)
tap.done()
