#!/usr/bin/env python3
"""The disk path: odd sizes, direct descriptors, and disks that are missing, read-only, empty or go round the IOMMU."""
import hashlib
import os
import re
import tempfile

import qemu
import tap

DRIVER = '''sasos 1
module virtio-blk
  pci 1af4:1042
  pci 1af4:1001
  irq 1
  dma 64K
  memory 2M
module digest
  connect blk virtio-blk 4M
'''
MODULES = ['virtio-blk', 'digest']


def disk(folder, name, size):
    path = os.path.join(folder, name)
    with open(path, 'wb') as f:
        f.write(os.urandom(size))
    with open(path, 'rb') as f:
        return path, hashlib.sha256(f.read()).hexdigest()


def same_digest(name, path, digest, **more):
    r = qemu.boot(config=DRIVER + 'start virtio-blk\nrun digest\n', modules=MODULES, disk=path, **more)
    tap.ok(r.ok and digest in r.text, f'{name}: the digest is the host\'s', r)
    return r


def refused(name, sentence, **more):
    r = qemu.boot(config=DRIVER + 'start virtio-blk expect refused\n', modules=MODULES, **more)
    tap.ok(r.ok, f'{name}: refused as expected', r)
    tap.has(r, sentence, f'{name}: a clear sentence')


with tempfile.TemporaryDirectory() as folder:
    path, digest = disk(folder, 'one', 512)
    one = same_digest('one sector', path, digest)
    path, digest = disk(folder, 'odd', 65536 * 40 + 512 * 3)
    many = same_digest('not a multiple of the request size', path, digest)
    fence = [re.search(r'iommu: (\d+ maps, \d+ unmaps, \d+ invalidations, \d+ faults) since boot', r.text) for r in (one, many)]
    tap.ok(all(fence) and fence[0][1] == fence[1][1], 'the fence has nothing to do with a request: as much work for one sector as for a disk',
           f'{one}\n{many}')
    same_digest('without indirect descriptors and event index', path, digest,
                disk_device=qemu.DISK_DEVICE + ',indirect_desc=off,event_idx=off')
    same_digest('a queue of 8', path, digest, disk_device=qemu.DISK_DEVICE + ',queue-size=8')
    r = same_digest('read-only', path, digest, readonly=True)
    tap.has(r, r'virtio-blk: .*read-only', 'read-only: the driver says so')

    path, _ = disk(folder, 'written', 32 << 20)
    check = DRIVER + 'module blk-check\n connect blk virtio-blk 4M\n arg 1500\nstart virtio-blk\nrun blk-check\nrun digest\n'
    r = qemu.boot(config=check, modules=[*MODULES, 'blk-check'], disk=path, writable=True)
    tap.ok(r.ok, 'writes, reads and flushes of all sizes, many at once; refused requests', r)
    tap.has(r, f'sha256 {qemu.host_digest(path)}', 'what was written is on the host\'s disk')

    empty = os.path.join(folder, 'empty')
    open(empty, 'wb').close()
    r = qemu.boot(config=DRIVER + 'start virtio-blk\nrun digest expect exit 1\n', modules=MODULES, disk=empty)
    tap.ok(r.ok, 'an empty disk: the application ends with an error', r)
    tap.has(r, r'digest: the disk is empty', 'an empty disk: a clear sentence')

    refused('no disk', r'refused: virtio-blk: there is no such device in this machine', disk=None)
    refused('a disk that goes round the IOMMU', r'ACCESS_PLATFORM', disk=path,
            disk_device='virtio-blk-pci,drive=disk,disable-legacy=on')
tap.done()
