#!/usr/bin/env python3
"""The main job, as `make demo` does it: the disk's digest through the sandboxed driver, both attacks caught, the digest again."""
import re

import qemu
import tap


def digests(r):
    return re.findall(r'digest: sha256 ([0-9a-f]{64})$', r.text, re.M)


def demo(name, cold):
    r = qemu.boot(cold=cold, timeout=180)
    tap.ok(r.ok, f'{name}: all steps as expected, and the machine goes off', r)
    tap.same(digests(r), [qemu.host_digest(qemu.default_disk())] * 2, f'{name}: twice the digest that the host has')
    tap.has(r, r'outside: trapped: .*out of bounds memory access.*app_main.*', f'{name}: the read outside is attributed')
    tap.has(r, r'virtio-rogue: killed: its device 00:01\.0 tried to write to bus address 0x100000, outside its DMA area',
            f'{name}: the DMA outside is attributed to driver, device and address')
    tap.lacks(r, r'does not hold|still alive', f'{name}: neither attack got through')
    tap.has(r, r'iommu: .*translation is on', f'{name}: the fence is up')
    tap.same(r.text.count('digest: ended with status 0; the kernel allocated 0 times meanwhile'), 2,
             f'{name}: nothing is allocated on the data path')
    tap.lacks(r, r'panic', f'{name}: no panic')
    up = re.search(r'main: entry to first module (\d+) ms', r.text)
    tap.ok(up and int(up[1]) < 3000, f'{name}: the time from entry to the first module is printed', r)


demo('snapshot', cold=False)
demo('cold boot through the ESP', cold=True)
tap.done()
