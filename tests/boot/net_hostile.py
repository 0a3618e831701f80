"""net_hostile.py — what a hostile neighbour sends: requests with one defect and the answer each must get, and packets with wrong fields.

All comes from a random.Random, so a seed and a number give it again."""
import struct

import packets
import wire
from packets import ACK, GUEST, GUEST6, LOCAL6, ME, ME6, SYN, frame4, frame6

# ---- HTTP ----
GOOD = b'GET /icon.svg HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'


def _defects(rng):
    """(what, request, the answers that are right). None: hung up on without one."""
    def get(line=b'GET / HTTP/1.1', more=b'', host=b'Host: x\r\n'):
        return line + b'\r\n' + host + more + b'Connection: close\r\n\r\n'
    junk = bytes(rng.choice(b'abc/%.?&=-_~09') for _ in range(rng.randrange(1, 200)))
    control = bytes([rng.choice([0, 1, 8, 11, 27, 31, 127])])
    return [
        ('a method of no token', get(rng.choice([b'G@T', b'G(T', b'', b' GET', b'GE"T', b'\xff\xfe']) + b' / HTTP/1.1'), {400}),
        ('no version', get(b'GET /'), {400}),
        ('a version of no form', get(b'GET / ' + rng.choice([b'HTTP/1', b'http/1.1', b'HTTP/1.1 ', b'HTTP/x.y', b'HTTPS/1.1', b'1.1'])), {400}),
        ('another version', get(b'GET / HTTP/' + rng.choice([b'2.0', b'0.9', b'9.9'])), {505}),
        ('a target of no path', get(b'GET ' + rng.choice([b'*', b'x', b'ftp://a/', b'http:', b'\\', b'?x', b'#']) + b' HTTP/1.1'), {400}),
        ('a control character in the target', get(b'GET /a' + control + b' HTTP/1.1'), {400}),
        ('a broken escape', get(b'GET /' + rng.choice([b'%', b'%1', b'%zz', b'%00', b'%f%', b'a%2']) + b' HTTP/1.1'), {400}),
        ('a long target', get(b'GET /' + b'a' * rng.randrange(1100, 4000) + b' HTTP/1.1'), {414, 431}),
        ('out of the root', get(b'GET /' + b'../' * rng.randrange(1, 30) + b'etc/passwd HTTP/1.1'), {404}),
        ('a name that is not there', get(b'GET /' + junk.replace(b'%', b'x').replace(b'?', b'x') + b'/nothing HTTP/1.1'), {404}),
        ('no host', get(host=b''), {400}),
        ('two hosts', get(more=b'Host: y\r\n'), {400}),
        ('a header without a colon', get(more=b'abc\r\n'), {400}),
        ('a blank before the colon', get(more=b'abc : d\r\n'), {400}),
        ('a folded line', get(more=b'abc: d\r\n e\r\n'), {400}),
        ('a header without a name', get(more=b': d\r\n'), {400}),
        ('a control character in a header', get(more=b'abc: d' + control + b'\r\n'), {400}),
        ('a bare line feed', get().replace(b'\r\n', b'\n'), {400}),
        ('a bare carriage return', get(more=b'abc: d\re\r\n'), {400}),
        ('many headers', get(more=b''.join(b'h%d: x\r\n' % i for i in range(rng.randrange(70, 200)))), {431}),
        ('a long header', get(more=b'h: ' + b'x' * rng.randrange(9000, 30000) + b'\r\n'), {431}),
        ('a length of no number', get(more=b'Content-Length: ' + rng.choice([b'', b'-1', b'1x', b'0x10', b'+1', b'1,1', b'1 1']) + b'\r\n'), {400}),
        ('two lengths', get(more=b'Content-Length: 0\r\nContent-Length: 0\r\n'), {400}),
        ('a large length', get(more=b'Content-Length: ' + rng.choice([b'99999999', b'9' * 40, b'4294967297', b'18446744073709551617']) + b'\r\n'), {413}),
        ('chunks', get(more=b'Transfer-Encoding: chunked\r\n') + b'0\r\n\r\n', {501}),
        ('another expectation', get(more=b'Expect: 200-ok\r\n'), {417}),
        ('a tunnel', get(b'CONNECT a:1 HTTP/1.1'), {501}),
        ('an unknown method', get(b'BREW / HTTP/1.1'), {405, 501}),
        ('a write to what is not writable', get(b'DELETE /index.html HTTP/1.1'), {405}),
        ('no end of the line', bytes(rng.choice(b'abc /:') for _ in range(rng.randrange(1, 400))), {None}),
        ('no end of the head', GOOD[:rng.randrange(1, len(GOOD) - 3)], {None}),
        ('no end of the body', b'PUT /notes/a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n' + b'x' * rng.randrange(100), {None}),
        ('nothing', b'', {None}),
        ('noise', bytes([0x80]) + rng.randbytes(rng.randrange(300)).replace(b'\n', b'') + b'\r\n\r\n', {400}),
        ('a TLS greeting', b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + rng.randbytes(200).replace(b'\n', b'') + b'\r\n\r\n', {400}),
        ('nothing wrong', GOOD, {200}),
    ]


KNOWN = {200, 201, 204, 301, 304, 400, 403, 404, 405, 408, 413, 414, 417, 431, 500, 501, 503, 505, 507, None}


def request(rng):
    """One of them, or a good one with random bytes changed, for which any answer that the server has is right."""
    if rng.randrange(4):
        return rng.choice(_defects(rng))
    data = bytearray(GOOD)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data))
        what = rng.randrange(3)
        if what == 0:
            data[at] = rng.choice(b'\0\t\n\r :/%\x7f\x80\xffA0')
        elif what == 1:
            del data[at]
        else:
            data[at:at] = data[rng.randrange(len(data)):][:rng.randrange(20)]
    return 'bytes changed', bytes(data), KNOWN


# ---- Packets ----
EDGES = (0, 1, 4, 5, 7, 8, 0x0f, 0x10, 0x7f, 0x80, 0xf0, 0xfe, 0xff)
# Fields behind the Ethernet header that decide how a packet is read, as (offset, bytes) in the frame.
FIELDS4 = ((14, 1), (16, 2), (18, 2), (20, 2), (22, 1), (23, 1))
FIELDS6 = ((14, 1), (16, 2), (18, 2), (20, 1), (21, 1))
UPPER = {6: ((12, 1), (13, 1), (14, 2), (18, 2), (20, 1), (21, 1), (22, 2)), 17: ((4, 2), (6, 2), (8, 1)), 1: ((0, 1), (1, 1), (4, 4)),
         58: ((0, 1), (1, 1), (4, 4), (24, 1), (25, 1), (26, 1))}
FIELDS_ARP = ((14, 2), (16, 2), (18, 1), (19, 1), (20, 2), (22, 6), (28, 4), (38, 4))


def _bytes(rng, n):
    return bytes(rng.randrange(256) for _ in range(n))


def options_tcp(rng):
    """Options, some of which lie about their lengths; a multiple of 4 bytes."""
    out = b''
    while len(out) < 32 and rng.randrange(4):
        kind = rng.choice([0, 1, 2, 3, 4, 5, 8, 30, 255])
        out += bytes([kind]) if kind < 2 else bytes([kind, rng.choice([0, 1, 2, 3, 4, 10, 34, 255])]) + _bytes(rng, rng.randrange(12))
    return (out + bytes(-len(out) % 4))[:40]


def segment(rng, port, to_port, seq, ack):
    """A segment for a connection that there may be: numbers near the right ones, any flags, any options."""
    near = (0, 0, 0, 1, -1, 1000, -1000, 100000, 1 << 31)
    options = options_tcp(rng)
    data = rng.choice([b'', b'x' * rng.randrange(1400), request(rng)[1][:1400]])
    raw = wire.tcp(ME, GUEST, port, to_port, (seq + rng.choice(near)) & 0xffffffff, (ack + rng.choice(near)) & 0xffffffff, rng.randrange(256), options + data,
                   rng.choice([0, 1, 536, 65535]))
    words = 5 + len(options) // 4 if rng.randrange(8) else rng.randrange(16)
    raw = raw[:12] + bytes([words << 4]) + raw[13:18] + struct.pack('>H', rng.choice([0, 0, 1, 0xffff])) + raw[20:]
    return frame4(6, wire.with_sum(raw, 16, 6, ME, GUEST))


def _seed(rng, fragments):
    port = rng.randrange(1024, 65536)
    option = _bytes(rng, rng.randrange(8, 60))
    quoted = wire.ip4(6, wire.tcp(ME, GUEST, port, 7, rng.getrandbits(32), rng.getrandbits(32), rng.randrange(64), b'x' * rng.randrange(100)), ME, GUEST)
    dhcp = struct.pack('>BBBBIHH4s4s4s4s', 2, 1, 6, 0, rng.getrandbits(32), 0, 0, GUEST, GUEST, ME, ME) + wire.GUEST + bytes(202) + b'\x63\x82\x53\x63\x35\x01\x05' + option
    dns = struct.pack('>HHHHHH', rng.getrandbits(16), 0x8180, 1, rng.randrange(4), 0, 0) + b'\x03www\x07example\0\0\1\0\1\xc0\x0c' + option
    kinds = [
        lambda: wire.ethernet(0x806, packets.arp),
        lambda: wire.ethernet(rng.choice([0, 0x5dc, 0x800, 0x806, 0x8100, 0x86dd, 0x88a8, 0xffff]), option),
        lambda: wire.ethernet(0x800, quoted),
        lambda: frame4(1, wire.echo4(option)),
        lambda: frame4(1, struct.pack('>BBHI', rng.choice([3, 4, 5, 11, 12]), rng.randrange(16), 0, rng.choice([0, 68, 576, 0xffffffff])) + quoted[:28 + rng.randrange(40)]),
        lambda: frame4(2, struct.pack('>BBH4s', rng.choice([0x11, 0x16, 0x22]), 0, 0, ME)),
        lambda: frame4(17, wire.udp(ME, GUEST, 67, 68, dhcp)),
        lambda: frame4(17, wire.udp(ME, GUEST, 53, port, dns)),
        lambda: frame4(17, wire.udp(ME, GUEST, 123, port, option)),
        lambda: frame4(17, wire.udp(ME, GUEST, port, 7, option)),
        lambda: frame4(6, wire.tcp(ME, GUEST, port, rng.choice([7, 8000, port]), rng.getrandbits(32), rng.getrandbits(32), rng.randrange(256), options_tcp(rng))),
        lambda: frame6(struct.pack('>BBHI16s', rng.choice([133, 134, 135, 136, 137]), 0, 0, rng.getrandbits(32), GUEST6) + option),
        lambda: frame6(struct.pack('>BBHI', rng.choice([1, 2, 3, 4]), rng.randrange(8), 0, rng.choice([0, 1280, 0xffffffff])) + option),
        lambda: frame6(struct.pack('>BBHHH', rng.choice([130, 131, 132, 143]), 0, 0, 0, 0) + option, source=LOCAL6),
        lambda: frame6(wire.udp(ME6, GUEST6, port, 7, option), 17),
        lambda: frame6(wire.tcp(ME6, GUEST6, port, 7, 1, 0, SYN), 6),
        lambda: frame6(bytes([rng.choice([0, 17, 43, 60, 58, 59, 135]), rng.randrange(8)]) + option, rng.choice([0, 43, 60, 50, 51])),
    ]
    if fragments:
        kinds += [
            lambda: frame4(17, option, ident=rng.randrange(8), fragment=rng.choice([0x2000, 0, 1, 2, 0x2001, 0x1fff, 0x3fff, rng.getrandbits(16)])),
            lambda: frame6(bytes([rng.choice([6, 17, 44, 58, 0]), 0]) + struct.pack('>HI', rng.choice([0, 1, 8, 9, 0xfff8, 0xffff]), rng.randrange(8)) + option, 44),
        ]
    return rng.choice(kinds)()


def _set(rng, f, at, n):
    if at + n <= len(f):
        f[at:at + n] = bytes(rng.choice(EDGES) if rng.randrange(2) else rng.randrange(256) for _ in range(n))


def _seal(f):
    """Sums as a sender would have made them, as far as the packet's own lengths allow, so that it gets past them."""
    if f[12:14] == b'\x08\0' and len(f) >= 34:
        head = (f[14] & 15) * 4
        if 20 <= head <= len(f) - 14:
            f[24:26] = b'\0\0'
            f[24:26] = struct.pack('>H', wire.checksum(bytes(f[14:14 + head])))
            end, at, protocol = min(len(f), 14 + struct.unpack('>H', f[16:18])[0]), 14 + head, f[23]
            source, to = bytes(f[26:30]), bytes(f[30:34])
        else:
            return
    elif f[12:14] == b'\x86\xdd' and len(f) >= 54:
        end, at, protocol = min(len(f), 54 + struct.unpack('>H', f[18:20])[0]), 54, f[20]
        source, to = bytes(f[22:38]), bytes(f[38:54])
    else:
        return
    place = {6: 16, 17: 6, 58: 2, 1: 2}.get(protocol)
    if place is None or end < at + place + 2:
        return
    part = bytes(f[at:end])
    if protocol == 1:
        f[at + 2:at + 4] = b'\0\0'
        f[at + 2:at + 4] = struct.pack('>H', wire.checksum(bytes(f[at:end])))
    else:
        f[at:end] = wire.with_sum(part, place, protocol, source, to)


def packet(rng, fragments=True):
    """A frame with up to a few fields wrong. Its source stays this end, so that what it begins can be ended."""
    f = bytearray(_seed(rng, fragments))
    kind = bytes(f[12:14])
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        fields = FIELDS_ARP if kind == b'\x08\x06' else FIELDS4 if kind == b'\x08\0' else FIELDS6 if kind == b'\x86\xdd' else ((12, 2),)
        upper, base = (f[23], 34) if kind == b'\x08\0' and len(f) > 34 else (f[20], 54) if kind == b'\x86\xdd' and len(f) > 54 else (0, 0)
        if upper in UPPER and rng.randrange(2):
            at, n = rng.choice(UPPER[upper])
            at += base
        else:
            at, n = rng.choice(fields)
        if not fragments and (at, n) in ((20, 2), (20, 1)):
            continue
        _set(rng, f, at, n)
    for _ in range(rng.choice([0, 0, 1, 4])):
        if len(f) > 55:
            _set(rng, f, rng.randrange(54 if kind == b'\x86\xdd' else 34, len(f) - 1), 1)
    what = rng.randrange(8)
    if what == 0:
        del f[rng.randrange(1, len(f)):]
    elif what == 1:
        f += bytes(rng.randrange(1514 - len(f)))
    if what and rng.randrange(4):
        _seal(f)
    return bytes(f)


def dhcp_reply(rng, asked, kind, server=ME, address=GUEST):
    """A server's answer to what was asked; with rng, one whose options and fields lie."""
    body = struct.pack('>BBBB4sHH4s4s4s4s', 2, 1, 6, 0, asked[4:8], 0, 0, bytes(4), address, server, bytes(4)) + asked[28:44] + bytes(192) + b'\x63\x82\x53\x63'
    options = [bytes([53, 1, kind]), bytes([54, 4]) + server, bytes([1, 4, 255, 255, 255, 0]), bytes([3, 4]) + server, bytes([6, 4]) + server,
               bytes([51, 4]) + struct.pack('>I', 3600)]
    if rng:
        body = bytearray(body)
        for _ in range(rng.randrange(3)):
            _set(rng, body, rng.choice([0, 1, 2, 3, 10, 44, 107, 108, 236, 239]), 1)
        options = [bytes([o[0], rng.choice(EDGES)]) + o[2:] if rng.randrange(3) == 0 else o for o in options]
        options += [bytes([rng.choice([12, 15, 42, 52, 55, 58, 59, 255, 0]), rng.choice(EDGES)]) + _bytes(rng, rng.randrange(20)) for _ in range(rng.randrange(4))]
        rng.shuffle(options)
        tail = b''.join(options) + (b'\xff' if rng.randrange(2) else b'')
        return (bytes(body) + tail)[:rng.choice([2000, 2000, 240, 241, 243, rng.randrange(1, 300)])]
    return body + b''.join(options) + b'\xff'


def dns_reply(rng, asked):
    """An answer to that question, with names, counts and lengths that lie."""
    name = rng.choice([b'\xc0\x0c', b'\xc0\xff', b'\xff\xff', b'\x3f' + b'a' * 63, b'\x01', b'\0', b'\x80', b'\xc0', asked[12:-4]])
    record = name + struct.pack('>HHIH', rng.choice([1, 1, 5, 28, 255]), rng.choice([1, 1, 255]), rng.getrandbits(32), rng.choice([4, 4, 0, 3, 16, 0xffff])) + _bytes(rng, rng.randrange(20))
    head = asked[:2] + struct.pack('>HHHHH', rng.choice([0x8180, 0x8180, 0x8183, 0x0100, rng.getrandbits(16)]), rng.choice([1, 1, 0, 2, 0xffff]), rng.choice([1, 1, 0, 9, 0xffff]), rng.choice([0, 0xffff]), 0)
    f = head + (asked[12:] if rng.randrange(4) else b'') + record * rng.randrange(4)
    return f[:rng.choice([2000, 2000, rng.randrange(1, len(f) + 1)])]
