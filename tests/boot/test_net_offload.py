#!/usr/bin/env python3
"""virtio-net with all offloads, against Linux's own network stack on a tap device: partial checksums and joined segments come in, checksums are left to the device.

The tap lives in a network namespace that only this test is in, so the host's network is not touched. Needs root and /dev/net/tun, and is skipped without.
"""
import ctypes
import fcntl
import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
import wire  # noqa: E402
from net_guest import ECHO, Guest, check_streams  # noqa: E402

CLONE_NEWNET = 0x40000000
TUNSETIFF, TUNSETPERSIST, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454ca, 0x400454cb, 0x0002, 0x1000, 0x4000
SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFFLAGS, IFF_UP = 0x8916, 0x891c, 0x8914, 1
NAME = b'sasos0'


def interface(name, address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        if address:
            for order, text in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, '255.255.255.0')):
                fcntl.ioctl(s, order, struct.pack('16sHH4s8x', name, socket.AF_INET, 0, socket.inet_aton(text)))
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack('16sH14x', name, IFF_UP))


def namespace():
    """A namespace with a tap device, or why there is none."""
    if not os.access('/dev/net/tun', os.R_OK | os.W_OK):
        return 'no access to /dev/net/tun'
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        return 'no right to make a network namespace'
    try:
        with open('/dev/net/tun', 'r+b', buffering=0) as f:
            fcntl.ioctl(f, TUNSETIFF, struct.pack('16sH22x', NAME, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
            fcntl.ioctl(f, TUNSETPERSIST, 1)
        interface(b'lo', None)
        interface(NAME, '192.0.2.1')
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:  # struct in6_ifreq
            fcntl.ioctl(s, SIOCSIFADDR, socket.inet_pton(socket.AF_INET6, 'fd00::1') +
                        struct.pack('Ii', 64, socket.if_nametoindex(NAME.decode())))
    except OSError as e:
        return f'the tap device cannot be set up: {e}'
    return ''


class Direct(Guest):
    """The guest has an address of its own: no ports are forwarded."""
    address = '192.0.2.2'

    def netdev(self):
        return f'tap,ifname={NAME.decode()},script=no,downscript=no'


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


why = namespace()
if why:
    tap.skip_all(why)
g = Direct(wire.VIRTIO, 'virtio-net', ['1af4:1041'], args='  arg 192.0.2.2/24\n  arg ipv6=fd00::2/64\n')
if tap.ok(g.up(), 'the guest is up'):
    check_streams(g, 'tap')
    start = time.monotonic()
    check_streams(g, 'tap, again')
    print(f'# {time.monotonic() - start:.1f} s for 8.6 MB')
    g.address = 'fd00::2'
    if tap.ok(reaches(g), 'IPv6: the guest is reached'):
        check_streams(g, 'IPv6')
    g.address = '192.0.2.2'
    g.order(b'q')
r = g.background.result()
tap.ok(r.ok, 'it ends well', r)
tap.has(r, 'mergeable buffers, checksums, segmentation, large receive', 'all offloads are there')
tap.done()
