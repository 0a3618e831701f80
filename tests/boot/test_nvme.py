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


def nvme(name, steps, *patterns, device='', size=32 << 20, readonly=False, cold=False):
    """QEMU does not migrate NVMe: it is there after a boot from reset, or plugged into a port of a machine that was restored."""
    device = 'nvme,drive=disk,serial=1' + device
    machine = {'cold': True, 'disk_device': device} if cold else {
        'disk_device': None, 'devices': ['pcie-root-port,id=rp,chassis=1'], 'hot': [device + ',bus=rp']}
    with tempfile.TemporaryDirectory() as folder:
        disk = os.path.join(folder, 'disk')
        with open(disk, 'wb') as f:
            f.write(os.urandom(size))
        r = qemu.boot(config=CONFIG + steps, modules=MODULES, disk=disk, writable=not readonly, **machine)
        tap.ok(r.ok, f'{name}: as expected', r)
        if 'digest' in steps:
            tap.has(r, f'sha256 {qemu.host_digest(disk)}', f'{name}: what was written is on the host\'s disk')
        for p in patterns:
            tap.has(r, p, f'{name}: says so')


CHECK = 'run blk-check\nstop nvme\nstart nvme\nrun digest\n'
nvme('512-byte blocks', CHECK, 'nvme: 65536 sectors .* blocks of 512 bytes, 2 queue pairs of 256 entries, doorbell buffers',
     'blk-check: 3000 requests answered, all data as written', cold=True)
nvme('4 KiB blocks, transfers of 16 KiB, a small queue, plugged in', CHECK, 'blocks of 4096 bytes.* 1 queue pairs', '01:00.0 BAR 0: .* assigned',
     device=',logical_block_size=4096,physical_block_size=4096,mdts=2,max_ioqpairs=1')
tap.done()
