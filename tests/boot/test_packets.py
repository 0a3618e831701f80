#!/usr/bin/env python3
"""The network stack on a raw wire: ARP, ICMP, neighbours and addresses of IPv6, fragments, half-open connections, malformed packets."""
import os
import random
import re
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
import wire  # noqa: E402

ME, GUEST = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
ME6 = bytes.fromhex('fd000000000000000000000000000001')
GUEST6 = bytes.fromhex('fd000000000000000000000000000002')
LOCAL6 = bytes.fromhex('fe80000000000000') + bytes.fromhex('505400fffeabcdef')
PREFIX = bytes.fromhex('fd01000000000000')
SOLICITED = bytes.fromhex('ff0200000000000000000001ff000002')
ALL_NODES = bytes.fromhex('ff020000000000000000000000000001')
FUZZ = 4000
FOUND = bytes([203, 0, 113, 5])
FIN, SYN, RST, ACK = 1, 2, 4, 16

arp = struct.pack('>HHBBH6s4s6s4s', 1, 0x800, 6, 4, 1, wire.HOST, ME, bytes(6), GUEST)


def mac_of(multicast):
    return b'\x33\x33' + multicast[12:]


def frame4(protocol, payload, **more):
    return wire.ethernet(0x800, wire.ip4(protocol, payload, ME, GUEST, **more))


def frame6(payload, protocol=58, source=ME6, to=GUEST6, mac=wire.GUEST):
    if protocol == 58:
        payload = wire.with_sum(payload, 2, 58, source, to)
    return wire.ethernet(0x86dd, wire.ip6(protocol, payload, source, to), to=mac)


class Peer:
    """This end: answers what the guest asks about us, and gives the rest."""

    def __init__(self, w):
        self.w = w
        self.asked_for_time = False

    def serve(self, f, port):
        """As a name server and a time server."""
        asked = f[42:]
        if port == 53:
            answer = asked[:2] + struct.pack('>HHHHH', 0x8180, 1, 1, 0, 0) + asked[12:] + struct.pack('>HHHIH', 0xc00c, 1, 1, 60, 4) + FOUND
            if asked[12:].startswith(b'\x04none'):
                answer = asked[:2] + struct.pack('>HHHHH', 0x8183, 1, 0, 0, 0) + asked[12:]
        else:
            answer = b'\x24\x01\0\0' + bytes(20) + asked[40:48] + bytes(8) + struct.pack('>II', 0xe9000000, 0)
            self.asked_for_time = True
        self.w.send(frame4(17, wire.udp(ME, GUEST, port, struct.unpack('>H', f[34:36])[0], answer)))

    def next(self, timeout=3):
        while (f := self.w.receive(timeout)) is not None:
            if f[12:14] == b'\x08\0' and f[23] == 17 and f[36:38] in (b'\0\x35', b'\0\x7b'):
                self.serve(f, f[37])
                continue
            if f[12:14] == b'\x08\x06' and f[20:22] == b'\0\1' and f[38:42] == ME:
                self.w.send(wire.ethernet(0x806, struct.pack('>HHBBH6s4s6s4s', 1, 0x800, 6, 4, 2, wire.HOST, ME, f[22:28], f[28:32])))
            elif f[12:14] == b'\x86\xdd' and f[20] == 58 and f[54] == 135 and f[62:78] in (ME6, LOCAL6):
                body = struct.pack('>BBHI16s', 136, 0, 0, 0x60000000, f[62:78]) + b'\2\1' + wire.HOST
                self.w.send(frame6(body, source=f[62:78], to=f[22:38]))
            else:
                return f
        return None

    def ask(self, frame, wanted, timeout=3, tries=3):
        """Sends the frame and returns the first answer that is wanted."""
        for _ in range(tries):
            self.w.send(frame)
            while (f := self.next(timeout)) is not None:
                if wanted(f):
                    return f
        return None

    def order(self, text, port=99):
        f = self.ask(frame4(17, wire.udp(ME, GUEST, 4000, port, text)),
                     lambda f: f[12:14] == b'\x08\0' and f[23] == 17 and f[36:38] == struct.pack('>H', 4000))
        return f and f[42:14 + struct.unpack('>H', f[16:18])[0]]


def is_echo4(f):
    return f[12:14] == b'\x08\0' and f[23] == 1 and f[34] == 0


def is_tcp(port, flags):
    return lambda f: f[12:14] == b'\x08\0' and f[23] == 6 and f[36:38] == struct.pack('>H', port) and f[47] & 0x17 == flags


def check_protocols(p):
    a = p.ask(wire.ethernet(0x806, arp, to=wire.BROADCAST), lambda f: f[12:14] == b'\x08\x06' and f[20:22] == b'\0\2')
    tap.ok(a and a[22:32] == wire.GUEST + GUEST, 'ARP: it has its address', a)
    good = []
    for n in (0, 1, 18, 56, 1471, 1472):
        data = os.urandom(n)
        a = p.ask(frame4(1, wire.echo4(data)), is_echo4)
        good.append(a is not None and a[42:42 + n] == data and wire.checksum(a[14:34]) == 0)
    tap.ok(all(good), 'ICMP: pings of all sizes are answered', good)
    data = os.urandom(5000)
    whole, parts = wire.echo4(data), {}
    for at in range(0, len(whole), 1480):
        p.w.send(frame4(1, whole[at:at + 1480], ident=9, fragment=at // 8 | (0x2000 if at + 1480 < len(whole) else 0)))
    while sum(map(len, parts.values())) < len(whole) and (f := p.next()) is not None:
        if f[12:14] == b'\x08\0' and f[23] == 1:
            where = struct.unpack('>H', f[20:22])[0]
            parts[(where & 0x1fff) * 8] = f[34:14 + struct.unpack('>H', f[16:18])[0]]
    back = b''.join(parts[k] for k in sorted(parts))
    tap.ok(back[8:] == data, 'fragments: a ping of 5000 bytes is put together, and answered in fragments', sorted(parts))
    solicitation = struct.pack('>BBHI16s', 135, 0, 0, 0, GUEST6) + b'\1\1' + wire.HOST
    a = p.ask(frame6(solicitation, to=SOLICITED, mac=mac_of(SOLICITED)), lambda f: f[12:14] == b'\x86\xdd' and f[54] == 136, 0.3, 20)
    tap.ok(a and a[62:78] == GUEST6 and wire.GUEST in a[78:], 'IPv6: the neighbour answers', a)
    data = os.urandom(1000)
    a = p.ask(frame6(struct.pack('>BBHHH', 128, 0, 0, 1, 1) + data), lambda f: f[12:14] == b'\x86\xdd' and f[54] == 129)
    tap.ok(a and a[62:] == data, 'IPv6: a ping is answered')
    advertisement = struct.pack('>BBHBBHII', 134, 0, 0, 64, 0, 1800, 0, 0) + b'\1\1' + wire.HOST + \
        struct.pack('>BBBBIII', 3, 4, 64, 0xc0, 86400, 86400, 0) + PREFIX + bytes(8)
    p.w.send(frame6(advertisement, source=LOCAL6, to=ALL_NODES, mac=mac_of(ALL_NODES)))
    made = PREFIX + bytes([wire.GUEST[0] ^ 2]) + wire.GUEST[1:3] + b'\xff\xfe' + wire.GUEST[3:]
    a = p.ask(frame6(struct.pack('>BBHHH', 128, 0, 0, 1, 2), to=made), lambda f: f[12:14] == b'\x86\xdd' and f[54] == 129, 0.3, 20)
    tap.ok(a and a[22:38] == made, 'IPv6: an advertised prefix gives an address')
    a = p.ask(frame4(17, wire.udp(ME, GUEST, 4000, 12345, b'nobody')), lambda f: f[12:14] == b'\x08\0' and f[23] == 1 and f[34] == 3)
    tap.ok(a and a[35] == 3, 'ICMP: nobody at that port')
    a = p.ask(frame4(6, wire.tcp(ME, GUEST, 4001, 12345, 1, 0, SYN)), is_tcp(4001, RST | ACK))
    tap.ok(a, 'TCP: nobody at that port')


def check_services(p):
    tap.same(p.order(b'nwww.example'), b'4294967295\nn', 'DNS: a name is found')
    tap.same(p.order(b'nnone.example'), b'49\nn', 'DNS: a name that does not exist')
    tap.same(p.order(b'n198.51.100.7'), b'4294967295\nn', 'DNS: an address is its own name')


def handshake(p, port, to=7):
    """The guest's first sequence number, after its connection with our port is there."""
    a = p.ask(frame4(6, wire.tcp(ME, GUEST, port, to, 1000, 0, SYN)), is_tcp(port, SYN | ACK))
    if not a:
        return None
    seq = struct.unpack('>I', a[38:42])[0] + 1
    p.w.send(frame4(6, wire.tcp(ME, GUEST, port, to, 1001, seq, ACK)))
    return seq


def check_half_open(p):
    for port in range(20000, 20400):
        p.w.send(frame4(6, wire.tcp(ME, GUEST, port, 7, 1, 0, SYN)))
    while p.next(0.3):
        pass
    seq = handshake(p, 5000)
    text = b'after a flood'
    a = seq and p.ask(frame4(6, wire.tcp(ME, GUEST, 5000, 7, 1001, seq, ACK, text)),
                      lambda f: is_tcp(5000, ACK)(f) and len(f) >= 54 + len(text))
    tap.ok(a and a[54:54 + len(text)] == text, 'TCP: 400 half-open connections do not keep others out')
    p.w.send(frame4(6, wire.tcp(ME, GUEST, 5000, 7, 1001 + len(text), seq or 0, RST | ACK)))
    for port in range(20000, 20400):
        p.w.send(frame4(6, wire.tcp(ME, GUEST, port, 7, 2, 0, RST)))


def check_closed(p):
    """Of the connections that the guest closed first, only the newest are remembered, since lwIP searches them for each new one."""
    ends, ports = [], range(30000, 30200)
    for port in ports:
        seq = handshake(p, port, 19)
        f = seq and p.ask(frame4(6, wire.tcp(ME, GUEST, port, 19, 1001, seq, ACK, b'1\n')), is_tcp(port, FIN | ACK))
        if not f:
            break
        seq, = struct.unpack('>I', f[38:42])
        seq += struct.unpack('>H', f[16:18])[0] - 40 + 1
        ends.append(frame4(6, wire.tcp(ME, GUEST, port, 19, 1003, seq & 0xffffffff, FIN | ACK)))
        p.ask(ends[-1], is_tcp(port, ACK))
    if not tap.same(len(ends), len(ports), 'TCP: the guest closes connections'):
        return
    tap.ok(p.ask(ends[-1], is_tcp(ports[-1], ACK)), 'TCP: a segment that is lost at the end of the last one is answered again')
    tap.ok(p.ask(ends[0], is_tcp(ports[0], RST | ACK)), f'TCP: the first of {len(ports)} is forgotten')


def seeds(rng):
    port = rng.randrange(1024, 65536)
    option = bytes(rng.randrange(256) for _ in range(40))
    head = wire.ip4(6, wire.tcp(ME, GUEST, port, 7, rng.getrandbits(32), rng.getrandbits(32), rng.randrange(64), b'x' * rng.randrange(100)), ME, GUEST)
    dhcp = struct.pack('>BBBBIHH4s4s4s4s', 2, 1, 6, 0, rng.getrandbits(32), 0, 0, GUEST, GUEST, ME, ME) + wire.GUEST + bytes(202) + \
        b'\x63\x82\x53\x63\x35\x01\x05' + option
    dns = struct.pack('>HHHHHH', rng.getrandbits(16), 0x8180, 1, rng.randrange(4), 0, 0) + b'\x03www\x07example\0\0\1\0\1\xc0\x0c' + option
    return [
        wire.ethernet(0x806, arp), wire.ethernet(0x800, head), frame4(1, wire.echo4(option)),
        frame4(1, struct.pack('>BBHI', rng.randrange(20), rng.randrange(20), 0, 0) + head[:28]),
        frame4(17, wire.udp(ME, GUEST, 67, 68, dhcp)), frame4(17, wire.udp(ME, GUEST, 53, port, dns)),
        frame4(17, wire.udp(ME, GUEST, port, 7, option)),
        frame4(17, option, ident=rng.getrandbits(16), fragment=rng.getrandbits(16)),
        frame6(struct.pack('>BBHI16s', rng.choice([133, 134, 135, 136, 137]), 0, 0, rng.getrandbits(32), GUEST6) + option),
        frame6(struct.pack('>BBHHH', 130, 0, 0, 0, 0) + option, source=LOCAL6),
        frame6(wire.udp(ME6, GUEST6, port, 7, option), 17), frame6(wire.tcp(ME6, GUEST6, port, 7, 1, 0, SYN), 6),
        frame6(bytes([rng.choice([0, 17, 43, 44, 60, 58]), rng.randrange(4)]) + option, rng.choice([0, 43, 44, 60])),
    ]


def mutate(rng, f):
    f = bytearray(f)
    for _ in range(rng.choice([0, 1, 1, 2, 4, 16])):
        at = rng.randrange(12, len(f))
        f[at] = rng.choice([0, 1, 0x7f, 0x80, 0xff, rng.randrange(256)])
    what = rng.randrange(8)
    if what == 0:
        del f[rng.randrange(1, len(f)):]
    elif what == 1:
        f += bytes(rng.randrange(1514 - len(f)))
    elif what == 2 and f[12:14] == b'\x08\0' and len(f) > 34:  # so that it gets past the first checksum
        f[24:26] = b'\0\0'
        f[24:26] = struct.pack('>H', wire.checksum(bytes(f[14:34])))
    return bytes(f)


def check_malformed(p):
    rng = random.Random('malformed packets')
    for n in range(FUZZ):
        p.w.send(mutate(rng, rng.choice(seeds(rng))))
        if n % 16 == 0:
            while p.next(0):
                pass
    while p.next(0.3):
        pass
    a = p.ask(frame4(1, wire.echo4(b'still there')), is_echo4)
    tap.ok(a, f'{FUZZ} malformed packets: the stack lives')
    seq = handshake(p, 5001)
    tap.ok(seq, 'and accepts connections')
    if seq:
        p.w.send(frame4(6, wire.tcp(ME, GUEST, 5001, 7, 1001, seq, RST | ACK)))
    count = p.order(b's')
    tap.ok(count and int(re.match(rb'\d+', count)[0]) <= 8, 'and has no more sockets than before', count)


with wire.Wire() as w:
    run = wire.Background(
        config=wire.stack_config('virtio-net', ['1af4:1041'], '  arg 192.0.2.2/24\n  arg ipv6=fd00::2/64\n  arg dns=192.0.2.1\n  arg ntp=192.0.2.1\n') +
        'start virtio-net\nstart lwip\nrun sock-echo\n',
        modules=['virtio-net', 'lwip', 'sock-echo'], disk=None, devices=[wire.VIRTIO], netdevs=[w.netdev], timeout=60)
    peer = Peer(w)
    if tap.ok(peer.ask(frame4(17, wire.udp(ME, GUEST, 4000, 7, b'up')), lambda f: f[42:44] == b'up', 0.2, 200), 'the guest is up'):
        check_protocols(peer)
        check_services(peer)
        check_half_open(peer)
        check_closed(peer)
        check_malformed(peer)
        peer.order(b'q')
    r = run.result()
    tap.ok(r.ok, 'it ends well', r)
    tap.has(r, r'found 203\.0\.113\.5\n(.*\n)*.*found 198\.51\.100\.7', 'DNS: the addresses')
    tap.ok(peer.asked_for_time, 'NTP: the server is asked')
    tap.has(r, 'lwip: the clock is set', 'NTP: its answer sets the clock')
    tap.has(r, r'lwip: address 192\.0\.2\.2/24, gateway none', 'its address is told')
tap.done()
