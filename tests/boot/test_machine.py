#!/usr/bin/env python3
"""Machines and images: what the system runs on, and the sentence with which it refuses the rest."""
import struct

import qemu
import tap

IDLE = 'sasos 1\n'  # a configuration without modules: boots, finds nothing to do, ends well


def runs(name, pattern='', **machine):
    r = qemu.boot(config=IDLE, modules=[], **machine)
    if tap.ok(r.ok, f'{name}: boots and ends well', r) and pattern:
        tap.has(r, pattern, f'{name}: says so')


def refuses(name, sentence, **given):
    r = qemu.boot(**{'config': IDLE, 'modules': [], 'timeout': 30, **given})
    tap.ok(not r.ok and 'timed out' not in r.why, f'{name}: refused, not hanging', r)
    tap.has(r, sentence, f'{name}: a sentence')


runs('1 CPU, 512 MiB')
runs('256 MiB', memory=256)
runs('5 GiB and 2 CPUs, from the ESP', memory=5120, smp=2, cold=True)
runs('a screen', devices=['VGA'])
runs('no disk', disk=None)
runs('no IOMMU', 'DMA is NOT fenced', iommu=None)
runs('an IOMMU of 39 bits', 'translation is on', iommu='intel-iommu,intremap=on,caching-mode=on')

refuses('an old CPU', r'processor lacks.*SSE4\.1', cpu='qemu64')
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
for name, config, sentence in [
    ('no configuration', b'', 'configuration in the boot image cannot be used'),
    ('an unknown key', IDLE + 'modul x\n', 'line 2: unknown key'),
    ('a binary configuration', bytes(range(256)) * 8, 'line 1: '),
    ('a step without its module', IDLE + 'start x\n', 'line 2: '),
]:
    refuses(name, sentence, config=config)
tap.done()
