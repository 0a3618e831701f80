#!/usr/bin/env python3
"""virtio-net with all offloads, against Linux's own network stack on a tap device: partial checksums and joined segments come in, checksums are left to the device.

Needs root and /dev/net/tun (tests/boot/tapdev.py), and is skipped without.
"""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
import tapdev  # noqa: E402
import wire  # noqa: E402
from net_guest import ECHO, SOURCE, Direct, check_streams  # noqa: E402


def reaches(g):
    """Both ends' new addresses are tentative for a second or two (RFC 4862, 5.4)."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            g.connect(ECHO).close()
            return True
        except OSError:
            time.sleep(0.1)
    return False


def cut_by_device(g, family):
    """Few frames that are long come from the guest, not one for each segment."""
    def received():
        with open('/proc/thread-self/net/dev') as f:
            return next([int(n) for n in line.split(':')[1].split()[:2]] for line in f if line.strip().startswith(tapdev.NAME.decode()))

    n = 4000000
    before = received()
    with g.connect(SOURCE) as s:
        s.sendall(b'%d\n' % n)
        wire.receive(s, n)
    size, frames = (b - a for a, b in zip(before, received()))
    tap.ok(frames and size / frames > 4000, f'{family}: segments leave in frames that the device cuts up', f'{size} bytes in {frames} frames')


why = tapdev.namespace()
if why:
    tap.skip_all(why)
g = Direct(wire.VIRTIO, 'virtio-net', ['1af4:1041'], args=f'  arg {tapdev.GUEST}/24\n  arg ipv6=fd00::2/64\n')
if tap.ok(g.up(), 'the guest is up'):
    check_streams(g, 'tap')
    start = time.monotonic()
    check_streams(g, 'tap, again')
    cut_by_device(g, 'IPv4')
    print(f'# {time.monotonic() - start:.1f} s for 12.6 MB')
    g.address = 'fd00::2'
    if tap.ok(reaches(g), 'IPv6: the guest is reached'):
        check_streams(g, 'IPv6')
        cut_by_device(g, 'IPv6')
    g.address = tapdev.GUEST
    g.order(b'q')
r = g.background.result()
tap.ok(r.ok, 'it ends well', r)
tap.has(r, 'mergeable buffers, checksums, segmentation, large receive', 'all offloads are there')
tap.done()
