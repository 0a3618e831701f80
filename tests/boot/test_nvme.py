#!/usr/bin/env python3
"""NVMe: all sizes, alignments and formats against a client that knows what must be there, and the disk's digest against the host's."""
import os
import re
import tempfile

import qemu
import tap

CONFIG = '''sasos 1
module nvme
  pci PCI
  irq 4
  dma 512K
module blk-check
  connect blk nvme 4M
  arg 1200
module digest
  connect blk nvme 4M
start nvme
'''
MODULES = ['nvme', 'blk-check', 'digest']


def nvme(name, steps, *patterns, device='', size=16 << 20, pci='class 01:0802', cold=False):
    """QEMU does not migrate NVMe: it is there after a boot from reset, or plugged into a port of a machine that was restored."""
    device = 'nvme,drive=disk,serial=1' + device
    machine = {'cold': True, 'disk_device': device} if cold else {
        'disk_device': None, 'devices': ['pcie-root-port,id=rp,chassis=1'], 'hot': [device + ',bus=rp']}
    with tempfile.TemporaryDirectory() as folder:
        disk = os.path.join(folder, 'disk')
        with open(disk, 'wb') as f:
            f.write(os.urandom(size))
        r = qemu.boot(config=CONFIG.replace('PCI', pci) + steps, modules=MODULES, disk=disk, writable=True, timeout=180, **machine)
        tap.ok(r.ok, f'{name}: as expected', r)
        if 'digest' in steps:
            tap.has(r, f'sha256 {qemu.host_digest(disk)}', f'{name}: what was written is on the host\'s disk')
        for p in patterns:
            tap.has(r, p, f'{name}: says so')


CHECK = 'run blk-check\nstop nvme\nstart nvme\nrun digest\n'
nvme('512-byte blocks', CHECK, 'nvme: 32768 sectors .* blocks of 512 bytes, 2 queue pairs of 256 entries, doorbell buffers',
     'blk-check: 1200 requests answered, all data as written', cold=True)
nvme('4 KiB blocks, transfers of 16 KiB, a small queue, plugged in', CHECK, 'blocks of 4096 bytes.* 1 queue pairs', '01:00.0 BAR 0: .* assigned',
     device=',logical_block_size=4096,physical_block_size=4096,mdts=2,max_ioqpairs=1', pci='1b36:0010')

for granted, why in (('class 01:0601', 'grants it none of that kind'), ('class 01:0802', 'there is no such device in this machine'),
                     ('1af4:1042', 'there is no such device in this machine')):
    r = qemu.boot(config=CONFIG.replace('PCI', granted).replace('start nvme', 'start nvme expect refused'), modules=MODULES)
    tap.ok(r.ok, f'granted {granted}, without such a device: refused', r)
    tap.has(r, why, f'granted {granted}: and why')
tap.done()
