"""net_fuzz.py — a server under hostile clients (web) and neighbours (wire, lease): it goes on answering, every request gets the answer that it must, and
what the stack, the personality and the server hold comes back to what it was. test_net_clients.py and test_net_packets.py are these parts.

LONG=1: 10,000 connections, 1,000 at once, more of everything, and fragments time out before the last count (campaign `net` of make fuzz). SEED=n.
REPRO=DIR: where a request or the packets that broke something are written; PACKETS=FILE tests/boot/test_net_packets.py wire sends those again.
"""
import collections
import json
import os
import random
import socket
import struct
import sys
import time

import net_guest
import net_hostile
import packets
import tap
import wire
from packets import ACK, GUEST, ME, RST, SYN, frame4, frame6, is_tcp

LONG = bool(os.environ.get('LONG'))
SEED = int(os.environ.get('SEED', 1))
REPRO = os.environ.get('REPRO')
CONNECTIONS, TOGETHER, REQUESTS, FRAMES = (10000, 1000, 5000, 100000) if LONG else (1000, 300, 200, 3000)
HALF_OPEN, NAMES, LIES, LIES_AT_ONCE = (1000, 200, 2000, 500) if LONG else (400, 10, 100, 100)
SLOW, PATIENCE = 100, 2
REPEATS = 5
BATCH = 64
CONFIG = net_guest.HTTPD[1] + f'\n  env HTTPD_PATIENCE={PATIENCE}'
PING = wire.echo4(b'still there')
figures = {}


def note(name, data):
    if REPRO:
        path = os.path.join(REPRO, f'net-{name}-{SEED}')
        with open(path, 'wb') as f:
            f.write(data)
        return path
    return data[:300]


# ---- What must come back ----
COUNTERS = ('sockets', 'pool_items', 'heap_bytes', 'buffers_held')


def held(status):
    d = {x['name']: x for x in json.loads(status)['domains']}
    return {**{c: d['lwip']['counters'][c] for c in COUNTERS}, **{f'memory of {n}': d[n]['memory'] for n in ('lwip', 'wasi1', 'httpd')}}


def memory_of(now):
    return {k: v for k, v in now.items() if 'memory' in k}


def returns(get, before, patience, what, again=None):
    """Until nothing is above what it was: closed connections' ports rest for some seconds. Memory is kept for the next time, in pieces as they
    were needed: a little more of it may be there; or, with `again`, as much as the host let come together, but then doing that again takes none."""
    steady = None
    for _ in range(REPEATS if again else 0):
        last, steady = steady, memory_of(settled(get))
        if steady == last:
            before = {**before, **steady}
            break
        again()
    deadline = time.monotonic() + patience
    more = None
    while more is None or (more and time.monotonic() < deadline):
        if more:
            time.sleep(0.25)
        now = held(get('/api/status'))
        more = {k: (before[k], v) for k, v in now.items() if v > before[k] * (1.25 if 'memory' in k and not again else 1)}
    tap.ok(not more, what, more)


REST = 4.5  # seconds for which a closed connection is remembered, and a little


def settled(get):
    """What is held when nothing is under way."""
    time.sleep(REST)
    return held(get('/api/status'))


# ---- Clients ----
def everything(s):
    got = b''
    try:
        while part := s.recv(1 << 18):
            got += part
    except ConnectionResetError:
        pass
    return got


def answer(got):
    """The status of a response that is whole; None: nothing came; a text: what is wrong with it."""
    if not got:
        return None
    head, end, body = got.partition(b'\r\n\r\n')
    lines = head.split(b'\r\n')
    words = lines[0].split(b' ', 2)
    fields = dict(line.lower().split(b': ', 1) for line in lines[1:] if b': ' in line)
    if not end or len(words) < 3 or words[0] != b'HTTP/1.1' or not words[1].isdigit():
        return f'no response: {got[:100]}'
    if int(words[1]) not in (204, 304) and int(fields.get(b'content-length', -1)) > len(body):
        return f'cut off: {got[:100]}'
    return int(words[1])


class Web:
    def __init__(self):
        self.kept = None
        self.guest = net_guest.Program(net_guest.HTTPD[0], CONFIG, net_guest.HTTPD[2], ports=(80,), timeout=1800)

    def ask(self, data):
        with self.guest.connect(80) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            return everything(s)

    def get(self, path):
        """On one connection, as long as the server keeps it: each that ends would rest in the stack for seconds, and be counted."""
        for _ in range(2):
            try:
                self.kept = self.kept or self.guest.connect(80)
                self.kept.sendall(f'GET {path} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
                got = b''
                while not isinstance(answer(got), int) and (part := self.kept.recv(1 << 18)):
                    got += part
                if got:
                    return got.partition(b'\r\n\r\n')[2]
            except OSError:
                pass
            self.kept.close()
            self.kept = None
        return b''

    def open(self):
        return json.loads(self.get('/api/server'))['open']

    def nobody(self, what, patience=20):
        end = time.monotonic() + patience
        while (n := self.open()) > 1 and time.monotonic() < end:
            time.sleep(0.1)
        tap.same(n, 1, what)

    def connections(self):
        """Opened and closed one after the other, in three ways."""
        bad = 0
        for i in range(CONNECTIONS):
            s = self.guest.connect(80)
            s.sendall(net_hostile.GOOD if i % 3 else net_hostile.GOOD[:20])
            if i % 3 == 1:
                bad += answer(everything(s)) != 200
            if i % 3 == 2:
                bad += not s.recv(1)  # the rest is not wanted: a reset
            s.close()
        tap.ok(not bad, f'{CONNECTIONS} connections opened and closed, a third in the middle of a request, a third in the middle of an answer', bad)
        self.nobody('none of them is left')

    def together(self):
        good, began = 0, time.monotonic()
        many = []
        for _ in range(TOGETHER):
            many.append(self.guest.connect(80))
            many[-1].sendall(net_hostile.GOOD.replace(b'Connection: close\r\n', b''))
            good += many[-1].recv(4096).startswith(b'HTTP/1.1 200 OK')
        there = self.open() - 1
        if time.monotonic() > began + 3 * PATIENCE and there < TOGETHER:
            print(f'# {TOGETHER - there} of them had nothing to say for too long already')
            there = TOGETHER
        tap.same((good, there), (TOGETHER, TOGETHER), f'{TOGETHER} at once')
        for i, s in enumerate(many):
            if i % 2:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))  # without a word
            s.close()
        self.nobody('none of them is left')

    def one_more(self):
        """A connection that says nothing yet, and is there: QEMU's forwarding takes only one new connection at a time."""
        s = self.guest.connect(80)
        self.open()
        return s

    def slow(self):
        """Clients that send a byte now and then, say nothing, or take nothing; meanwhile others are served."""
        slow, deaf = ([self.one_more() for _ in range(n)] for n in (SLOW, SLOW // 5))
        big = b'GET /status.js HTTP/1.1\r\nHost: x\r\n\r\n'
        for s in deaf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.setblocking(False)
            try:
                s.send(big * 100)
            except BlockingIOError:
                pass
        began, at, worst, served = time.monotonic(), 0, 0, 0
        while time.monotonic() < began + PATIENCE + 1:
            for s in slow:
                try:
                    s.send(net_hostile.GOOD[at:at + 1])
                except OSError:
                    pass  # cut off already
            at = min(at + 1, len(net_hostile.GOOD) - 5)
            start = time.monotonic()
            served += answer(self.ask(net_hostile.GOOD)) == 200
            worst = max(worst, time.monotonic() - start)
            time.sleep(0.1)
        figures['longest answer beside slow clients'] = f'{worst * 1000:.0f} ms'
        tap.ok(served >= 3, 'others are served beside slow and deaf clients', served)
        said = collections.Counter(answer(everything(s)) for s in slow)
        tap.same(dict(said), {408: SLOW}, f'{SLOW} slow clients are told that it took too long')
        for s in slow + deaf:
            s.close()
        self.nobody('and all are gone')

    def malformed(self):
        bad = []
        rng = random.Random(f'requests {SEED}')
        for n in range(REQUESTS):
            what, data, right = net_hostile.request(rng)
            status = answer(self.ask(data))
            if status not in right:
                bad.append((n, what, status, note(f'request-{n}', data)))
        tap.ok(not bad, f'{REQUESTS} malformed requests: each has the answer that it must', bad[:5])


def web():
    w = Web()
    try:
        if not tap.ok(w.guest.run.wait_for('httpd: ready') and w.guest.run.wait_for('by DHCP'), 'web: the server is up'):
            return
        w.together()  # first, so that all memory that is needed at once has been asked for
        before = settled(w.get)
        began = time.monotonic()
        w.connections()
        figures['connections'] = f'{CONNECTIONS} in {time.monotonic() - began:.1f} s'
        w.slow()
        w.malformed()
        w.together()
        returns(w.get, before, 30, 'web: sockets, pools, buffers and memory are what they were', w.together if LONG else None)
    finally:
        text = w.guest.end()
    tap.ok('trapped' not in text and 'warning: lwip' not in text, 'web: nothing of the machine failed', text[-2000:])


# ---- Neighbours ----
WEB = 8000  # sock-echo has 80


class Liar(packets.Peer):
    """A host whose name server may say something else first."""
    wrong = None

    def other(self, f):
        """Refuses a segment of a connection that this end does not have, as a host does."""
        four = f[12:14] == b'\x08\0' and len(f) >= 54 and f[23] == 6 and f[30:34] == ME
        if not four and not (f[12:14] == b'\x86\xdd' and len(f) >= 74 and f[20] == 6 and f[38:54] == packets.ME6):
            return
        at = 34 if four else 54
        source, to, seq, ack, offset, flags = struct.unpack('>HHIIBB', f[at:at + 14])
        if flags & RST:
            return
        end = struct.unpack('>H', f[16:18])[0] + 14 if four else 54 + struct.unpack('>H', f[18:20])[0]
        n = end - at - (offset >> 4) * 4 + (flags & 1) + (flags >> 1 & 1)
        ours, theirs = (ME, GUEST) if four else (packets.ME6, packets.GUEST6)
        reset = wire.tcp(ours, theirs, to, source, ack, (seq + n) & 0xffffffff, RST | ACK)
        self.w.send(frame4(6, reset) if four else frame6(reset, 6))

    def serve(self, f, port):
        if port == 53 and self.wrong:
            for answer_ in self.wrong(f[42:]):
                self.w.send(frame4(17, wire.udp(ME, GUEST, 53, struct.unpack('>H', f[34:36])[0], answer_)))
        super().serve(f, port)


def drain(p, timeout):
    while (f := p.next(timeout)) is not None:
        p.other(f)


class Neighbour:
    """This end of the wire: a web client of a few lines."""

    def __init__(self, p):
        self.p, self.port = p, 10000

    def begin(self, to_port):
        """A connection: our port, our number, theirs; None if there is none."""
        self.port = self.port % 50000 + 1 if self.port >= 10000 else 10000
        port = self.port
        a = self.p.ask(frame4(6, wire.tcp(ME, GUEST, port, to_port, 1000, 0, SYN)), is_tcp(port, SYN | ACK), 1, 5)
        if not a:
            return None
        seq = struct.unpack('>I', a[38:42])[0] + 1
        self.p.w.send(frame4(6, wire.tcp(ME, GUEST, port, to_port, 1001, seq, ACK)))
        return port, 1001, seq

    def end(self, to_port, connection):
        port, mine, theirs = connection
        self.p.w.send(frame4(6, wire.tcp(ME, GUEST, port, to_port, mine, theirs, RST | ACK)))

    def get(self, path, patience=10):
        c = self.begin(WEB)
        if not c:
            return None
        port, mine, theirs = c
        request = f'GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'.encode()
        got, over, deadline = b'', False, time.monotonic() + patience
        self.p.w.send(frame4(6, wire.tcp(ME, GUEST, port, WEB, mine, theirs, ACK, request)))
        mine += len(request)
        while not over and time.monotonic() < deadline:
            f = self.p.next(1)
            if f is None:  # lost: their window may be full of what we dropped
                self.p.w.send(frame4(6, wire.tcp(ME, GUEST, port, WEB, mine - len(request), theirs, ACK, request)))
                continue
            if f[12:14] != b'\x08\0' or f[23] != 6 or f[36:38] != struct.pack('>H', port):
                self.p.other(f)
                continue
            data = f[34 + (f[46] >> 4) * 4:14 + struct.unpack('>H', f[16:18])[0]]
            if struct.unpack('>I', f[38:42])[0] == theirs:
                over = f[47] & 1
                got += data
                theirs = (theirs + len(data) + over) & 0xffffffff
            if data or over:
                self.p.w.send(frame4(6, wire.tcp(ME, GUEST, port, WEB, mine, theirs, ACK)))
        self.end(WEB, (port, mine, theirs))
        return got.partition(b'\r\n\r\n')[2]

    def half_open(self, n):
        """Connections that are begun and not gone on with: others get in all the same."""
        for port in range(20000, 20000 + n):
            self.p.w.send(frame4(6, wire.tcp(ME, GUEST, port, WEB, 1, 0, SYN)))
        while self.p.next(0.2):
            pass
        tap.ok(self.get('/icon.svg') == ICON, f'{n} half-open connections do not keep others out')
        for port in range(20000, 20000 + n):
            self.p.w.send(frame4(6, wire.tcp(ME, GUEST, port, WEB, 2, 0, RST)))

    def alive(self):
        return self.p.ask(frame4(1, PING), packets.is_echo4, 1, 5)

    def frames(self, rng, n, fragments):
        """Malformed ones, some in the middle of connections; after each batch it must answer."""
        sent = []
        while n > 0:
            batch = [net_hostile.packet(rng, fragments) for _ in range(BATCH * 3 // 4)]
            for port in (7, WEB):
                c = self.begin(port)
                if c:
                    batch += [net_hostile.segment(rng, c[0], port, c[1], c[2]) for _ in range(BATCH // 8)]
            rng.shuffle(batch)
            sent = sent[-4 * BATCH:] + batch
            for f in batch:
                self.p.w.send(f)
            drain(self.p, 0)
            if not self.alive():
                return note('packets', b''.join(f.hex().encode() + b'\n' for f in sent))
            n -= len(batch)
        drain(self.p, 0.2)
        return None

    def names(self, rng, n):
        """Names are asked for, and answered wrongly before they are answered: what the program gets is the end of the question, whatever it is."""
        good = 0
        for i in range(n):
            self.p.wrong = lambda asked: [net_hostile.dns_reply(rng, asked) for _ in range(20)]
            good += self.p.order(b'nname%d.example' % i) is not None
            self.p.wrong = None
        tap.same(good, n, f'{n} names that are answered wrongly: the question ends')
        tap.same(self.p.order(b'nlast.example'), b'4294967295\nn', 'a name that is answered rightly')


ECHO = 'module sock-echo\n  connect sock lwip 512K\n  observe\n  control\n  memory 4M\n'
with open(os.path.join(net_guest.qemu.ROOT, 'apps/httpd/site/icon.svg'), 'rb') as icon:
    ICON = icon.read()


def on_wire(w, stack, echo=False):
    grants = CONFIG.replace('tcp:80', f'tcp:{WEB}') + ('\n' + ECHO if echo else '')
    return net_guest.Program(net_guest.HTTPD[0], grants, net_guest.HTTPD[2] + (['sock-echo'] if echo else []), netdev=w.netdev, stack=stack,
                             steps=('start sock-echo\n' if echo else '') + 'run httpd\n', timeout=1800)


def wire_():
    with wire.Wire() as w:
        guest = on_wire(w, '  arg 192.0.2.2/24\n  arg ipv6=fd00::2/64\n  arg dns=192.0.2.1\n', echo=True)
        p = Liar(w)
        n = Neighbour(p)
        rng = random.Random(f'packets {SEED}')
        try:
            if not tap.ok(guest.run.wait_for('httpd: ready') and n.alive() and n.get('/icon.svg') == ICON, 'wire: the server is up'):
                return
            if 'PACKETS' in os.environ:
                with open(os.environ['PACKETS']) as f:
                    for line in f:
                        w.send(bytes.fromhex(line))
                tap.ok(n.alive(), 'it answers after the packets of ' + os.environ['PACKETS'])
                return
            began = time.monotonic()
            broken = n.frames(rng, FRAMES // 2, True)
            if not tap.ok(not broken, f'{FRAMES // 2} malformed packets: it answers after each {BATCH}', broken):
                return
            if LONG:
                n.names(rng, NAMES)
                n.half_open(HALF_OPEN)
            before = settled(n.get)
            broken = n.frames(rng, FRAMES // 2, LONG)
            if not tap.ok(not broken, f'{FRAMES // 2} more', broken):
                return
            figures['packets'] = f'{FRAMES} in {time.monotonic() - began:.1f} s'
            n.names(rng, NAMES)
            n.half_open(HALF_OPEN)
            returns(n.get, before, 90 if LONG else 15, 'wire: sockets, pools, buffers and memory are what they were')
            tap.ok(n.get('/icon.svg') == ICON, 'and the page is what it was')
        finally:
            text = guest.end()
        tap.ok('trapped' not in text and 'assertion' not in text, 'wire: nothing of the machine failed', text[-2000:])


def lease():
    """An address by DHCP, of a server that first answers wrongly."""
    with wire.Wire() as w:
        guest = on_wire(w, '')
        rng = random.Random(f'lease {SEED}')
        p = packets.Peer(w)
        given, told = False, 0
        deadline = time.monotonic() + (300 if LONG else 60)
        while not given and time.monotonic() < deadline:
            f = p.next(1)
            if f is None or f[12:14] != b'\x08\0' or f[23] != 17 or f[36:38] != b'\0\x43':
                continue
            asked = f[42:]
            kind = asked[asked.index(b'\x35\x01', 240) + 2]
            if kind == 1 and told < LIES:
                for _ in range(LIES_AT_ONCE):  # it asks again at ever longer intervals
                    w.send(dhcp(net_hostile.dhcp_reply(rng, asked, rng.choice([2, 2, 2, 5, 6, 0, 255]))))
                told += LIES_AT_ONCE
            elif kind == 1:
                w.send(dhcp(net_hostile.dhcp_reply(None, asked, 2)))
            elif kind == 3:
                wanted = asked.find(b'\x32\x04' + GUEST, 240) >= 0 and told >= LIES
                w.send(dhcp(net_hostile.dhcp_reply(None, asked, 5 if wanted else 6)))
                given = wanted
        n = Neighbour(p)
        tap.ok(given and n.alive() and n.get('/icon.svg') == ICON, f'lease: after {told} wrong answers it takes the right one, and serves', guest.run.machine.text[-2000:])
        guest.end()


def dhcp(data):
    return wire.ethernet(0x800, wire.ip4(17, wire.udp(ME, GUEST, 67, 68, data), ME, GUEST))


def main(*parts):
    for part in sys.argv[1:] or parts:
        {'web': web, 'wire': wire_, 'lease': lease}[part]()
    for name, value in figures.items():
        print(f'# {name}: {value}')
    tap.done()
