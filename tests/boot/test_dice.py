#!/usr/bin/env python3
"""The worked example of docs/write-a-driver.md and docs/write-an-application.md does what they say, restart included."""
import os
import re

import qemu
import tap

with open(os.path.join(qemu.ROOT, 'tests', 'modules', 'dice-client', 'dice.conf')) as f:
    config = f.read()
r = qemu.boot(config=config, modules=['virtio-dice', 'dice-client'], disk=None,
              devices=['virtio-rng-pci,disable-legacy=on,iommu_platform=on'])
tap.ok(r.ok, 'all steps as expected', r)
counts = re.search(r'ones to sixes: (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)$', r.text, re.M)
tap.ok(counts and sum(map(int, counts.groups())) == 300, '300 faces', r)
tap.has(r, r'virtio-dice: life 2, ready', 'the driver was killed and came back')
tap.done()
