#!/usr/bin/env python3
"""QEMU's edu device: what its driver can do, and what its DMA cannot, to whatever address a client has it sent."""
import qemu
import tap

# The edu driver has a DMA page at 80000000, and its client's channel behind it.
TARGETS = {
    '0': 'the first page',
    '100000': 'low memory',
    '7ffff000': 'the page before its own',
    '80002000': 'the page behind',
    '80200000': 'addresses of its area that are not granted',
    'c0000000': 'its own registers',
    'b0000000': 'configuration space',
    'fec00000': 'the I/O APIC',
    'fed90000': 'the IOMMU',
    '100000000': 'above 4 GiB',
}
MODULES = ''.join(f'''module edu-{t} edu
  pci 1234:11e8
  dma 16K
module client-{t} edu-client
  connect edu edu-{t} 4K
  arg {t}
''' for t in TARGETS)
STEPS = ''.join(f'start edu-{t}\nrun client-{t}\nstop edu-{t} expect dma\n' for t in TARGETS)

# QEMU does not migrate edu: it is plugged in.
r = qemu.boot(config='sasos 1\n' + MODULES + STEPS, modules=['edu', 'edu-client'], disk=None, devices=['pcie-root-port,id=rp,chassis=1'],
              hot=['edu,bus=rp,dma_mask=0xffffffffffffffff'])
tap.ok(r.ok, 'all steps as expected', r)
tap.same(r.text.count('the page came back as it was'), len(TARGETS), 'each time: a factorial, and a page there and back')
for t, what in TARGETS.items():
    tap.has(r, rf'edu-{t}: killed: its device 01:00.0 tried to write to bus address 0x{t}, outside its DMA area', f'refused and attributed: {what}')
tap.done()
