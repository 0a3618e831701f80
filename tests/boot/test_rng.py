#!/usr/bin/env python3
"""The virtio entropy drivers: the one in C and the one in Rust do the same with the same grants."""
import os

import qemu
import tap

CONFIG = '''sasos 1
module NAME
  pci 1af4:1044
  irq 1
  dma 16K
  entropy-source
start NAME
stop NAME
start NAME
'''
DEVICE = 'virtio-rng-pci,disable-legacy=on'

for name in 'virtio-rng', 'virtio-rng-rust':
    if name.endswith('rust') and not os.path.exists(os.path.join(qemu.BUILD, 'testmod', name + '.wasm')):
        tap.skip(f'{name}: not built', 'no rustc; `make test` installs it')
        continue
    r = qemu.boot(config=CONFIG.replace('NAME', name), modules=[name], disk=None, devices=[DEVICE + ',iommu_platform=on'])
    tap.ok(r.ok, f'{name}: starts, stops, and starts again', r)
    tap.same(r.text.count(f"{name}: 64 bytes of the host's entropy are mixed in"), 2, f'{name}: both times what the host gave is mixed in')
    r = qemu.boot(config=CONFIG[:CONFIG.index('\nstop')].replace('NAME', name) + ' expect refused\n', modules=[name], disk=None,
                  devices=[DEVICE])
    tap.ok(r.ok, f'{name}: a device whose DMA would go round the IOMMU is refused', r)
tap.done()
