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
from net_guest import ECHO, Guest, check_streams  # noqa: E402


class Direct(Guest):
    """The guest has an address of its own: no ports are forwarded."""
    address = tapdev.GUEST

    def netdev(self):
        return tapdev.NETDEV


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


why = tapdev.namespace()
if why:
    tap.skip_all(why)
g = Direct(wire.VIRTIO, 'virtio-net', ['1af4:1041'], args=f'  arg {tapdev.GUEST}/24\n  arg ipv6=fd00::2/64\n')
if tap.ok(g.up(), 'the guest is up'):
    check_streams(g, 'tap')
    start = time.monotonic()
    check_streams(g, 'tap, again')
    print(f'# {time.monotonic() - start:.1f} s for 8.6 MB')
    g.address = 'fd00::2'
    if tap.ok(reaches(g), 'IPv6: the guest is reached'):
        check_streams(g, 'IPv6')
    g.address = tapdev.GUEST
    g.order(b'q')
r = g.background.result()
tap.ok(r.ok, 'it ends well', r)
tap.has(r, 'mergeable buffers, checksums, segmentation, large receive', 'all offloads are there')
tap.done()
