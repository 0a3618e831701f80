#!/usr/bin/env python3
"""The network stack on a hostile driver: what cannot be is found out, noise does no harm, and clients go on talking to each other."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import qemu  # noqa: E402
import tap  # noqa: E402

CONFIG = '''sasos 1
module bad-net
  memory 1M
  restart on-fault 100 1
module lwip
  connect net bad-net 8M
  memory 32M
  entropy
  arg 192.0.2.2/24
module sock-loop
  connect sock lwip 64K
  memory 2M
start bad-net
start lwip
run sock-loop
'''
r = qemu.boot(config=CONFIG, modules=['bad-net', 'lwip', 'sock-loop'], disk=None)
tap.ok(r.ok, 'the stack and its client live', r)
tap.same(r.text.count('the network driver returned a buffer that it does not have'), 3, 'buffers that the driver does not have')
tap.has(r, r'sent a frame that it does not have \(999\)', 'a frame that it does not have')
tap.has(r, 'the network driver broke a ring', 'a ring that is broken')
tap.has(r, 'bad-net: life 8', 'all was tried')
tap.lacks(r, 'lwip: (trapped|killed|life)', 'the stack did not die')
tap.done()
