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

ECHO, PAGE, DISCARD, SOURCE, MUTE, ORDERS = 7, 80, 9, 19, 99, 99
MANY = 1000


class Guest:
    """A guest that runs sock-echo behind QEMU's user-mode network, its ports forwarded from free ones here."""

    def __init__(self, device, driver, ids, args=''):
        def free(kind):
            with socket.socket(socket.AF_INET, kind) as s:
                s.bind(('127.0.0.1', 0))
                return s.getsockname()[1]

        self.tcp = {p: free(socket.SOCK_STREAM) for p in (ECHO, PAGE, DISCARD, SOURCE, MUTE)}
        self.udp = {p: free(socket.SOCK_DGRAM) for p in (ECHO, ORDERS)}
        forwards = ''.join(f',hostfwd=tcp:127.0.0.1:{h}-:{g}' for g, h in self.tcp.items()) + \
            ''.join(f',hostfwd=udp:127.0.0.1:{h}-:{g}' for g, h in self.udp.items())
        self.background = wire.Background(
            config=wire.stack_config(driver, ids, args) + f'start {driver}\nstart lwip\nrun sock-echo\n',
            modules=[driver, 'lwip', 'sock-echo'], disk=None, devices=[device], netdevs=['user,ipv6=off' + forwards], timeout=100)

    def datagram(self, port, data, timeout=5.0):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(timeout)
            s.sendto(data, ('127.0.0.1', self.udp[port]))
            try:
                return s.recv(65536)
            except (TimeoutError, ConnectionError):
                return None

    def up(self):
        return any(self.datagram(ECHO, b'up', 0.2) == b'up' for _ in range(200))

    def connect(self, port):
        s = socket.create_connection(('127.0.0.1', self.tcp[port]), 10)
        s.settimeout(10)
        return s

    def order(self, text, tries=3):
        for _ in range(tries):
            answer = self.datagram(ORDERS, text)
            if answer:
                return answer[:-1].strip().decode()
        return None


def receive(s, n):
    got = b''
    while len(got) < n:
        part = s.recv(1 << 18)
        if not part:
            break
        got += part
    return got


def check_streams(g, name):
    data = os.urandom(300000)
    with g.connect(ECHO) as s:
        s.setblocking(False)
        sent, got = 0, b''
        while len(got) < len(data):
            readable, writable, _ = select.select([s], [s] if sent < len(data) else [], [], 10)
            if not readable and not writable:
                break
            if writable:
                sent += s.send(data[sent:sent + 65536])
            if readable:
                got += s.recv(65536)
        tap.ok(got == data, f'{name}: {len(data)} bytes are echoed', f'{len(got)} came back')
        s.setblocking(True)
        s.shutdown(socket.SHUT_WR)
        tap.same(s.recv(10), b'', f'{name}: the end of the stream is seen and answered')
    n = 4000000
    with g.connect(SOURCE) as s:
        s.sendall(b'%d\n' % n)
        tap.ok(receive(s, n + 1) == bytes(range(256)) * (n // 256), f'{name}: {n} bytes come from the guest, in order')
    with g.connect(DISCARD) as s:
        s.sendall(bytes(n))
        s.shutdown(socket.SHUT_WR)
        tap.same(receive(s, 100), b'%d\n' % n, f'{name}: {n} bytes go to the guest')


def check_many(g):
    """One at a time, since slirp's listen backlog is 1: a connection counts when it has been answered."""
    all_of_them, good = [], 0
    for i in range(MANY):
        all_of_them.append(g.connect(ECHO))
        all_of_them[-1].sendall(b'connection %d' % i)
        good += all_of_them[-1].recv(100) == b'connection %d' % i
    tap.same(good, MANY, f'{MANY} connections at once, each answered')
    tap.same(g.order(b's'), str(MANY + 7), 'the guest counts them')
    for s in all_of_them:
        s.sendall(b'again')
    tap.same(sum(s.recv(100) == b'again' for s in all_of_them), MANY, 'all of them at once')
    for s in all_of_them:
        s.close()
    good = 0
    for i in range(2 * MANY):
        with g.connect(PAGE) as s:
            s.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
            good += receive(s, 138).endswith(b'network\n')
    tap.same(good, 2 * MANY, f'{2 * MANY} connections one after the other')
    deadline = time.monotonic() + 20
    while g.order(b's') != '7' and time.monotonic() < deadline:
        pass
    tap.same(g.order(b's'), '7', 'all of them are gone')


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
        tap.same(receive(peer, 7), b'hello\n', f'{name}: a connection from the guest')
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
        tap.same(receive(s, 10), b'still here', f'{name}: and nobody else')
    mute.close()
    g.order(b'q')
    r = g.background.result()
    tap.ok(r.ok, f'{name}: ends well', r)
    tap.has(r, r'lwip: address 10\.0\.2\.15/24 by DHCP, gateway 10\.0\.2\.2', f'{name}: the address is told')
    tap.has(r, 'the peer said welcome', f'{name}: the guest heard its peer')


check('virtio-net', wire.VIRTIO, 'virtio-net', ['1af4:1041'])
check('e1000e', wire.E1000E, 'e1000e', ['8086:10d3'])
tap.done()
