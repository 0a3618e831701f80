#!/usr/bin/env python3
"""Frames for measuring, in the guest: what the bench's source sends arrives in order, and is forwarded from one device to another."""
import os
import re
import socket
import sys
import tempfile
import threading

ROOT = os.path.join(os.path.dirname(__file__), '..', '..')
sys.path[:0] = [os.path.join(ROOT, 'tests', 'boot'), os.path.join(ROOT, 'bench')]
import tap  # noqa: E402
from common import Failed  # noqa: E402
from parts import network  # noqa: E402

with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end, \
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as guest:
    over = threading.Event()
    sender = threading.Thread(target=network.send_frames, args=(end, folder + '/guest', 100, over))
    sender.start()  # before there is anybody
    guest.bind(folder + '/guest')
    got = [guest.recv(2000) for _ in range(500)]
    over.set()
    sender.join()
    tap.same({len(f) for f in got}, {100}, 'frames of the size')
    tap.same([int.from_bytes(f[16:20], 'little') for f in got], list(range(500)), 'numbered, and none is lost')

for driver in network.DRIVERS:
    for op, size in (('rx', 1500), ('ports', 64)):
        cell = f'{op}:{size}:32:300'
        text, _ = network.boot(driver, 'sandboxed', op, size, [cell])
        tap.ok(re.search(rf'cell {cell} ns=\d+ errors=0', text), f'{driver}: {cell}', text[-500:])
try:
    network.boot('virtio-net', 'sandboxed', 'ports', 64, ['ports:65:32:300'])
    tap.ok(False, 'frames of another size are errors')
except Failed as e:
    tap.ok('errors=300' in str(e), 'frames of another size are errors', e)
tap.done()
