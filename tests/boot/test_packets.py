#!/usr/bin/env python3
"""The network stack on a raw wire: ARP, ICMP, neighbours and addresses of IPv6, fragments, half-open connections. Malformed packets: test_net_packets.py."""
import os
import struct
import time

import tap
import wire
from packets import ACK, ALL_NODES, FIN, GUEST, GUEST6, LOCAL6, ME, PREFIX, RST, SOLICITED, SYN, Peer, arp, frame4, frame6, handshake, is_echo4, is_tcp, mac_of


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
    far = wire.tcp(ME, GUEST, 5000, 7, (1001 + len(text) + (1 << 31)) & 0xffffffff, seq or 0, ACK, b'x')
    p.w.send(frame4(6, far))
    tap.ok(p.ask(frame4(1, wire.echo4(b'still there')), is_echo4), 'TCP: a byte half of the number space away does no harm')
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


def check_kept(p):
    """Connections that both sides have ended, whose sockets the program keeps: the stack forgets them, the program closes them later."""
    ports, ended = range(31000, 31200), 0
    for port in ports:
        seq = handshake(p, port, 98)
        f = seq and p.ask(frame4(6, wire.tcp(ME, GUEST, port, 98, 1001, seq, ACK)), is_tcp(port, FIN | ACK))
        ended += bool(f and p.ask(frame4(6, wire.tcp(ME, GUEST, port, 98, 1001, seq + 1 & 0xffffffff, FIN | ACK)), is_tcp(port, ACK)))
    tap.same(ended, len(ports), 'TCP: connections end whose sockets are kept')
    seqs = {port: handshake(p, port) for port in range(32000, 32040)}  # in the memory of those that are forgotten
    tap.same(p.order(b'h'), b'%d\nh' % len(ports), 'and are closed later')
    def alive(port, seq):
        return seq and p.ask(frame4(6, wire.tcp(ME, GUEST, port, 7, 1001, seq, ACK, b'as before')),
                             lambda f: is_tcp(port, ACK)(f) and f[54:63] == b'as before')
    tap.ok(all(alive(port, seq) for port, seq in seqs.items()), 'which does nothing to others')


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
        check_kept(peer)
        end = time.monotonic() + 20
        while 'the clock is set' not in run.machine.text and time.monotonic() < end:  # it asks when it likes
            peer.next(0.05)
        peer.order(b'q')
    r = run.result()
    tap.ok(r.ok, 'it ends well', r)
    tap.has(r, r'found 203\.0\.113\.5\n(.*\n)*.*found 198\.51\.100\.7', 'DNS: the addresses')
    tap.ok(peer.asked_for_time, 'NTP: the server is asked')
    tap.has(r, 'lwip: the clock is set', 'NTP: its answer sets the clock')
    tap.has(r, r'lwip: address 192\.0\.2\.2/24, gateway none', 'its address is told')
tap.done()
