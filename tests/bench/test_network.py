#!/usr/bin/env python3
"""Frames for measuring, in the guest: what the bench's source sends arrives in order, and is forwarded from one device to another."""
import os
import re
import socket
import sys

ROOT = os.path.join(os.path.dirname(__file__), '..', '..')
sys.path[:0] = [os.path.join(ROOT, 'tests', 'boot'), os.path.join(ROOT, 'bench')]
import tap  # noqa: E402
from common import Failed  # noqa: E402
from parts import guest as guest_part, network  # noqa: E402

with network.source(100) as wire, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as guest:
    guest.connect(wire.rsplit('addr.path=', 1)[1])
    with guest.makefile('rb') as f:  # frames as QEMU's stream has them: a length, then the frame
        got = [f.read(int.from_bytes(f.read(4), 'big')) for _ in range(3 * network.BLOCK)]
    tap.same({len(f) for f in got}, {100}, 'frames of the size')
    tap.same([int.from_bytes(f[16:20], 'little') for f in got], list(range(len(got))), 'numbered, and none is lost')

for driver in network.DRIVERS:
    for op, size in (('rx', 1500), ('ports', 64)):
        cell = f'{op}:{size}:32:300'
        text, _ = network.boot(driver, 'sandboxed', op, size, [cell])
        tap.ok(re.search(rf'cell {cell} ns=\d+ errors=0', text), f'{driver}: {cell}', text[-500:])
for driver, op in (('virtio-net', 'tx'), ('virtio-net', 'rx'), ('virtio-net', 'ports'), ('e1000e', 'ports')):
    cell = f'{op}:64:32:300'
    found, _ = network.turns_of(driver, op, 64, [cell], 'native')  # fails if a frame is lost or wrong
    tap.same({side: len(cells[cell]) for side, cells in found.items()}, {'sandboxed': guest_part.TURNS, 'native': guest_part.TURNS},
             f'{driver}, {cell}: modules and twins take turns in one boot')
try:
    network.boot('virtio-net', 'sandboxed', 'ports', 64, ['ports:65:32:300'])
    tap.ok(False, 'frames of another size are errors')
except Failed as e:
    tap.ok('errors=300' in str(e), 'frames of another size are errors', e)
tap.done()
