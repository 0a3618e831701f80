#!/usr/bin/env python3
"""A machine without an IOMMU: virtio drivers behind rings that the kernel checks, hostile ones refused, other devices only where they are trusted.

The network drivers' part is in test_net.py and test_net_lives.py.
"""
import os
import tempfile

import qemu
import tap

DISK = 'virtio-blk-pci,drive=disk,disable-legacy=on'
DRIVER = '''sasos 1
module virtio-blk
  pci 1af4:1042
  irq 1
  dma 64K
  memory 2M
module blk-check
  connect blk virtio-blk 4M
  arg 400
module digest
  connect blk virtio-blk 4M
start virtio-blk
'''


def boot(config, modules, **machine):
    machine.setdefault('disk_device', DISK)
    r = qemu.boot(config=config, modules=modules, iommu=None, **machine)
    tap.has(r, 'DMA is NOT fenced: virtio devices get rings that the kernel checks', 'the console says that nothing fences')
    return r


with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'disk')
    with open(path, 'wb') as f:
        f.write(os.urandom((4 << 20) + 512 * 3))
    for name, device in (('as it comes', DISK), ('no event index, a queue of 8', DISK + ',event_idx=off,queue-size=8'),
                         ('that would obey an IOMMU', DISK + ',iommu_platform=on')):
        r = boot(DRIVER + 'run blk-check\nstop virtio-blk\nstart virtio-blk\nrun digest\n', ['virtio-blk', 'blk-check', 'digest'], disk=path,
                 writable=True, disk_device=device)
        tap.ok(r.ok, f'a disk {name}: all requests answered, before and after a restart', r)
        tap.has(r, f'sha256 {qemu.host_digest(path)}', f'a disk {name}: what was written is on the host\'s disk')
        tap.has(r, 'direct descriptors', f'a disk {name}: no indirect tables')

# A driver that publishes what it may not.
OUTSIDE = {'below': '0x7ffffe00, 512', 'above': '0x80002000, 512', 'straddling': '0x80001f00, 512', 'overflow': '0x80001200, 4294966784',
           'high': '0x180001200, 512', 'kernel': '0x100000, 512', 'memory': '0x400, 512'}
SENTENCES = {**{how: rf'descriptor 1 \(bus address {where} bytes\): it does not lie inside the DMA area' for how, where in OUTSIDE.items()},
             'header': r'descriptor 0 \(bus address 0x100000, 16 bytes\)',
             'next': r'descriptor 8: there is no descriptor of that number',
             'loop': r"descriptor 0: it is the device's already, or its chain is a loop",
             'indirect': 'descriptor 0: indirect tables and unknown flags are not allowed',
             'order': 'descriptor 2: a part to be read follows one to be written',
             'jump': 'descriptor 9: the available index is more than a ring ahead',
             'head': 'descriptor 8: there is no descriptor of that number',
             'twice': "descriptor 0: it is the device's already"}
MODULES = ''.join(f'module ring-{how} ring-rogue\n  pci 1af4:1042\n  irq 1\n  dma 64K\n  arg {how}\n' for how in ('good', *SENTENCES))
STEPS = 'start ring-good\nstop ring-good\n' + ''.join(f'start ring-{how} expect dma\n' for how in SENTENCES)
r = boot('sasos 1\n' + MODULES + STEPS, ['ring-rogue'])
tap.ok(r.ok, 'a request with nothing wrong succeeds, each with one thing wrong ends its driver', r)
with open(qemu.default_disk(), 'rb') as f:
    tap.has(r, f"the disk's first bytes are {int.from_bytes(f.read(8), 'little'):x}", 'what succeeds has read the disk')
for how, sentence in SENTENCES.items():
    tap.has(r, rf'ring-{how}: killed: what it gave its device 00:01.0 in queue 0 was refused: {sentence}', f'refused and attributed: {how}')
tap.ok('still alive' not in r.text, 'none goes on', r)

with open(os.path.join(qemu.ROOT, 'apps', 'demo.conf')) as f:
    r = boot(f.read(), ['virtio-blk', 'digest', 'outside', 'virtio-rogue'])
tap.ok(r.ok and r.text.count(qemu.host_digest(qemu.default_disk())) == 2, 'the demonstration is the same: the rogue driver ends, the disk works on', r)
for name in 'virtio-rng', 'virtio-rng-rust':
    if name.endswith('rust') and not os.path.exists(os.path.join(qemu.BUILD, 'testmod', name + '.wasm')):
        tap.skip(f'{name}: not built', 'no rustc; `make test` installs it')
        continue
    r = boot(f'sasos 1\nmodule {name}\n  pci 1af4:1044\n  irq 1\n  dma 16K\n  entropy-source\nstart {name}\nstop {name}\nstart {name}\n', [name],
             disk=None, devices=['virtio-rng-pci,disable-legacy=on'])
    tap.ok(r.ok, f'{name}: starts, stops, and starts again', r)
    tap.same(r.text.count(f"{name}: 64 bytes of the host's entropy are mixed in"), 2, f'{name}: both times what the host gave is mixed in')
r = boot('sasos 1\nmodule virtio-blk\n  pci 1af4:1001\n  irq 1\n  dma 64K\nstart virtio-blk expect refused\n', ['virtio-blk'],
         disk_device='virtio-blk-pci,drive=disk,disable-modern=on,disable-legacy=off')
tap.ok(r.ok, 'a legacy device is refused', r)
tap.has(r, 'its virtio device has no modern interface', 'and why')

# Devices that reach memory in ways of their own.
PORT = {'devices': ['pcie-root-port,id=rp,chassis=1'], 'disk_device': None}
NVME = 'sasos 1\nmodule nvme\n  pci class 01:0802 TRUSTED\n  irq 4\n  dma 512K\nmodule blk-check\n  connect blk nvme 4M\n  arg 60\n'
EDU = 'sasos 1\nmodule edu\n  pci 1234:11e8 TRUSTED\n  dma 16K\nmodule edu-client\n  connect edu edu 4K\n  arg 0\n'
for name, config, device, modules in (('nvme', NVME, 'nvme,drive=disk,serial=1', ['nvme', 'blk-check']), ('edu', EDU, 'edu', ['edu', 'edu-client'])):
    r = boot(config.replace('TRUSTED', '') + f'start {name} expect refused\n', modules, hot=[device + ',bus=rp'], **PORT)
    tap.ok(r.ok, f'{name}: refused', r)
    tap.has(r, rf'{name} needs a device that does DMA, and this machine has no usable IOMMU to fence it \(.*\): refused \(only `trusted` in its pci line',
            f'{name}: a clear sentence')
with tempfile.NamedTemporaryFile() as disk:
    disk.truncate(4 << 20)
    r = boot(NVME.replace('TRUSTED', 'trusted') + 'start nvme\nrun blk-check\nstop nvme\nstart nvme\nrun blk-check\n', ['nvme', 'blk-check'],
             hot=['nvme,drive=disk,serial=1,bus=rp'], disk=disk.name, **PORT)
tap.ok(r.ok, 'nvme, trusted: all requests answered', r)
tap.same(r.text.count('warning: NOTHING FENCES nvme: this machine has no usable IOMMU, and the configuration (module at line 2) trusts the device '
                      '01:00.0 and its driver with ALL MEMORY'), 2, 'nvme, trusted: each start says so')
tap.done()
