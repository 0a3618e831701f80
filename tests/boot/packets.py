"""packets.py — for tests of the network stack on a raw wire (wire.py): this end as a host with an address, a name server and a time server."""
import struct
import time

import wire

ME, GUEST = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
ME6 = bytes.fromhex('fd000000000000000000000000000001')
GUEST6 = bytes.fromhex('fd000000000000000000000000000002')
LOCAL6 = bytes.fromhex('fe80000000000000') + bytes.fromhex('505400fffeabcdef')
PREFIX = bytes.fromhex('fd01000000000000')
SOLICITED = bytes.fromhex('ff0200000000000000000001ff000002')
ALL_NODES = bytes.fromhex('ff020000000000000000000000000001')
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
        self.found = FOUND  # what names mean

    def serve(self, f, port):
        """As a name server and a time server."""
        asked = f[42:]
        if port == 53:
            answer = asked[:2] + struct.pack('>HHHHH', 0x8180, 1, 1, 0, 0) + asked[12:] + struct.pack('>HHHIH', 0xc00c, 1, 1, 60, 4) + self.found
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

    def other(self, f):
        """What came while something else was waited for."""

    def ask(self, frame, wanted, timeout=3, tries=3):
        """Sends the frame and returns the first answer that is wanted."""
        for _ in range(tries):
            self.w.send(frame)
            end = time.monotonic() + timeout
            while (left := end - time.monotonic()) > 0 and (f := self.next(left)) is not None:
                if wanted(f):
                    return f
                self.other(f)
        return None

    def order(self, text, port=99):
        f = self.ask(frame4(17, wire.udp(ME, GUEST, 4000, port, text)),
                     lambda f: f[12:14] == b'\x08\0' and f[23] == 17 and f[36:38] == struct.pack('>H', 4000))
        return f and f[42:14 + struct.unpack('>H', f[16:18])[0]]


def is_echo4(f):
    return f[12:14] == b'\x08\0' and f[23] == 1 and f[34] == 0


def is_tcp(port, flags):
    return lambda f: f[12:14] == b'\x08\0' and f[23] == 6 and f[36:38] == struct.pack('>H', port) and f[47] & 0x17 == flags


def handshake(p, port, to=7):
    """The guest's first sequence number, after its connection with our port is there."""
    a = p.ask(frame4(6, wire.tcp(ME, GUEST, port, to, 1000, 0, SYN)), is_tcp(port, SYN | ACK))
    if not a:
        return None
    seq = struct.unpack('>I', a[38:42])[0] + 1
    p.w.send(frame4(6, wire.tcp(ME, GUEST, port, to, 1001, seq, ACK)))
    return seq
