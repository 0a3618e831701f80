"""tapdev.py — a tap device for a guest, in a network namespace of its own, so that the host's network is not touched. Needs root and /dev/net/tun.

    why = tapdev.namespace()     this thread, and what it starts, is in a new namespace where HOST is this end of NETDEV; or why not
    with tapdev.inside() as why: the same until the end of the block
"""
import contextlib
import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWNET = 0x40000000
TUNSETIFF, TUNSETPERSIST, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454ca, 0x400454cb, 0x0002, 0x1000, 0x4000
SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFFLAGS, IFF_UP = 0x8916, 0x891c, 0x8914, 1
NAME = b'sasos0'
HOST, GUEST = '192.0.2.1', '192.0.2.2'
NETDEV = f'tap,ifname={NAME.decode()},script=no,downscript=no'


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
        interface(NAME, HOST)
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:  # struct in6_ifreq
            fcntl.ioctl(s, SIOCSIFADDR, socket.inet_pton(socket.AF_INET6, 'fd00::1') +
                        struct.pack('Ii', 64, socket.if_nametoindex(NAME.decode())))
    except OSError as e:
        return f'the tap device cannot be set up: {e}'
    return ''


@contextlib.contextmanager
def inside():
    """Threads and processes that the block starts stay in the namespace, which ends with the last of them."""
    before = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
    try:
        yield namespace()
    finally:
        if ctypes.CDLL(None, use_errno=True).setns(before, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), 'the namespace cannot be left')
        os.close(before)
