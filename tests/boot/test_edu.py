#!/usr/bin/env python3
"""QEMU's edu device: what its driver can do, and what its DMA cannot."""
import qemu
import tap

CONFIG = '''sasos 1
module edu
  pci 1234:11e8
  dma 16K
module edu-client
  connect edu edu 4K
  arg 100000
start edu
run edu-client
stop edu expect dma
'''



# QEMU does not migrate edu: it is plugged in.
r = qemu.boot(config=CONFIG, modules=['edu', 'edu-client'], disk=None, devices=['pcie-root-port,id=rp,chassis=1'],
              hot=['edu,bus=rp,dma_mask=0xffffffffffffffff'])
tap.ok(r.ok, 'all steps as expected', r)
tap.has(r, 'edu-client: the page came back as it was', 'a factorial, and a page there and back')
tap.has(r, r'edu: killed: its device .* tried to write to bus address 0x100000, outside its DMA area', 'DMA outside is refused and attributed')
tap.done()
