#!/usr/bin/env python3
"""NVMe: all sizes, alignments and formats against a client that knows what must be there, and the disk's digest against the host's."""
import os
import re
import tempfile

import qemu
import tap

CONFIG = '''sasos 1
module nvme
  pci 1b36:0010
  irq 4
  dma 512K
module blk-check
  connect blk nvme 4M
  arg 3000
module digest
  connect blk nvme 4M
start nvme
'''
MODULES = ['nvme', 'blk-check', 'digest']


def nvme(name, steps, *patterns, device='', size=32 << 20, readonly=False):
    """QEMU does not migrate NVMe, so the machine boots from reset."""
    with tempfile.TemporaryDirectory() as folder:
        disk = os.path.join(folder, 'disk')
        with open(disk, 'wb') as f:
            f.write(os.urandom(size))
        r = qemu.boot(config=CONFIG + steps, modules=MODULES, disk=disk, writable=not readonly, cold=True,
                      disk_device='nvme,drive=disk,serial=1' + device)
        tap.ok(r.ok, f'{name}: as expected', r)
        if 'digest' in steps:
            tap.has(r, f'sha256 {qemu.host_digest(disk)}', f'{name}: what was written is on the host\'s disk')
        for p in patterns:
            tap.has(r, p, f'{name}: says so')


CHECK = 'run blk-check\nstop nvme\nstart nvme\nrun digest\n'
nvme('512-byte blocks', CHECK, 'nvme: 65536 sectors .* blocks of 512 bytes, 2 queue pairs of 256 entries, doorbell buffers',
     'blk-check: 3000 requests answered, all data as written')
nvme('4 KiB blocks, transfers of 16 KiB, a small queue', CHECK, 'blocks of 4096 bytes.* 1 queue pairs',
     device=',logical_block_size=4096,physical_block_size=4096,mdts=2,max_ioqpairs=1')
tap.done()
