#!/usr/bin/env python3
"""The network stack behind a user-mode network: DHCP, TCP, UDP, names, many connections, misuse by its client."""
import os
import select
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
import wire  # noqa: E402
from net_guest import ECHO, MUTE, OWN, PAGE, Guest, check_streams  # noqa: E402

MANY = 1000


def check_many(g):
    """One at a time, since slirp's listen backlog is 1: a connection counts when it has been answered."""
    all_of_them, good = [], 0
    for i in range(MANY):
        all_of_them.append(g.connect(ECHO))
        all_of_them[-1].sendall(b'connection %d' % i)
        good += all_of_them[-1].recv(100) == b'connection %d' % i
    tap.same(good, MANY, f'{MANY} connections at once, each answered')
    tap.same(g.order(b's'), str(MANY + OWN), 'the guest counts them')
    for s in all_of_them:
        s.sendall(b'again')
    tap.same(sum(s.recv(100) == b'again' for s in all_of_them), MANY, 'all of them at once')
    for s in all_of_them:
        s.close()
    good = 0
    for i in range(2 * MANY):
        with g.connect(PAGE) as s:
            s.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
            good += wire.receive(s, 138).endswith(b'network\n')
    tap.same(good, 2 * MANY, f'{2 * MANY} connections one after the other')
    deadline = time.monotonic() + 20
    while g.order(b's') != str(OWN) and time.monotonic() < deadline:
        pass
    tap.same(g.order(b's'), str(OWN), 'all of them are gone')


def check(name, device, driver, ids):
    g = Guest(device, driver, ids)
    if not tap.ok(g.up(), f'{name}: an address by DHCP, and UDP'):
        tap.ok(False, 'the guest', g.background.result())
        return
    check_streams(g, name)
    big = os.urandom(5000)
    tap.ok(any(g.datagram(ECHO, big) == big for _ in range(3)), f'{name}: a datagram in fragments')
    tap.same(g.order(b'm'), '0', f'{name}: wrong calls get their errors')
    if driver == 'virtio-net':
        check_many(g)
    # The peer does not listen: slirp's host side refuses.
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        address = bytes([4, 0]) + struct.pack('<H', s.getsockname()[1]) + bytes([10, 0, 2, 2]) + bytes(12)
        g.order(b'c' + address)
        s.listen(1)
        s.settimeout(10)
        g.order(b'c' + address)
        peer, _ = s.accept()
        tap.same(wire.receive(peer, 7), b'hello\n', f'{name}: a connection from the guest')
        peer.sendall(b'welcome\n')
        peer.close()
    mute = g.connect(MUTE)  # nobody reads there: it must stop the sender, not the stack
    mute.setblocking(False)
    taken = 0
    while select.select([], [mute], [], 1)[1] and taken < 1 << 26:
        taken += mute.send(bytes(65536))
    tap.ok(taken < 1 << 26, f'{name}: who does not read stops the sender')
    with g.connect(ECHO) as s:
        s.sendall(b'still here')
        tap.same(wire.receive(s, 10), b'still here', f'{name}: and nobody else')
    mute.close()
    g.order(b'q')
    r = g.background.result()
    tap.ok(r.ok, f'{name}: ends well', r)
    tap.has(r, r'lwip: address 10\.0\.2\.15/24 by DHCP, gateway 10\.0\.2\.2', f'{name}: the address is told')
    tap.has(r, 'the peer said welcome', f'{name}: the guest heard its peer')


check('virtio-net', wire.VIRTIO, 'virtio-net', ['1af4:1041'])
check('e1000e', wire.E1000E, 'e1000e', ['8086:10d3'])
tap.done()
