#!/usr/bin/env python3
"""A block driver that is killed at random instants under load: its client sees pauses, no losses, and the kernel gets everything back.

The host compares the disk's image with what the client says that it wrote: no acknowledged write is lost, none comes from an earlier time.
KILLS=5000 in the environment makes it a long one; KILLED=virtio-blk keeps it to the machine of that name."""
import os
import re
import tempfile

import qemu
import tap
from zones import image_hash

KILLS = int(os.environ.get('KILLS', '200'))
KILLED = os.environ.get('KILLED')
SECTORS = 24576
CONFIG = """sasos 1
module DRIVER
  pci PCI
  irq 4
  dma 512K
  memory 2M
  budget 3000
  restart on-fault 1000000 0
  chaos MEAN COUNT
module blk-check
  connect blk DRIVER 4M
  arg 500
  arg LIVES
  observe
start DRIVER
run blk-check
stop DRIVER
"""


def killed(name, driver, pci, kills, mean_us, **machine):
    if KILLED not in (None, name):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'disk')
        with open(path, 'wb') as f:
            f.truncate(SECTORS * 512)
        config = (CONFIG.replace('DRIVER', driver).replace('PCI', pci).replace('MEAN', str(mean_us))
                  .replace('COUNT', str(kills)).replace('LIVES', str(kills + 1)))
        r = qemu.boot(config=config, modules=[driver, 'blk-check'], disk=path, writable=True, timeout=120 + kills / 4, **machine)
        tap.ok(r.ok, f'{name}: {kills} kills under load, every answer right', r)
        tap.has(r, rf'chaos: {driver}: killed {kills} times', f'{name}: so often')
        said = re.search(r'blk-check: (\d+) lives, writings ([0-9a-f]+)', r.text)
        zones = SECTORS // 64 * 64  # 43 buffers: 64 zones
        tap.ok(said and int(said[2], 16) == image_hash(path, zones), f'{name}: the disk holds the last writing of each sector',
               f'{said and said[0]}, image {image_hash(path, zones)}')
        kernel = re.findall(r'blk-check: the kernel has (\d+) objects, (\d+) frames are free', r.text)
        tap.ok(len(kernel) == 2 and kernel[0] == kernel[1], f'{name}: after the last life the kernel has what it had in the first', str(kernel))
        times = sorted((int(t) - int(d), int(t)) for t, d in
                       re.findall(r'ready (\d+) us after the end of the one before \((\d+) us of it', r.text))
        if times:
            word = name.replace(' ', '-')
            print(f'# count {word}-kills {kills}\n# count {word}-p50-us {times[len(times) // 2][0]}\n# count {word}-p99-us {times[len(times) * 99 // 100][0]}')
            print(f'# {name}: down for {times[len(times) // 2][0]} us beside the reset of the device (median; longest {times[-1][0]} us), '
                  f'{len(times)} times, in {r.seconds:.0f} s')


killed('virtio-blk', 'virtio-blk', '1af4:1042', KILLS, 4000)
killed('two CPUs', 'virtio-blk', '1af4:1042', max(KILLS // 4, 5), 4000, smp=2)
killed('NVMe', 'nvme', '1b36:0010', max(KILLS // 10, 5), 8000, cold=True, disk_device='nvme,drive=disk,serial=1')
tap.done()
