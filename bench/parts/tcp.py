"""tcp.py — bulk transfers by TCP between this host and a guest, the system and Debian's Linux on one QEMU command line, with one program in both."""
import socket
import time

from common import Failed
from parts.guest import WHY
from parts.serving import SIDES, SINK, SOURCE, STATUS, Machine, counted, counting, each_round, wires
from peers import sides

TEXT = '''One connection, whose other end in the guest is one program (bench/programs/stream.c): as WebAssembly through WASI's calls, lwIP and virtio-net, and built for
Linux. QEMU's user-mode network (user) takes no offloads: each frame has at most 1514 bytes and its checksum, in both guests. On a tap device (tap) both may use the device's
checksums and segmentation.'''
PART = 1 << 18
HEAD = ['one connection', 'MB/s', 'Linux', '× Linux']


def connect(m, port):
    s = socket.create_connection(m.at(port), 20)
    s.settimeout(20)
    return s


def from_guest(m, seconds):
    """(bytes, seconds) of what the host received."""
    buffer, n = bytearray(PART), 0
    with connect(m, SOURCE) as s:
        s.recv_into(buffer)
        begin = now = time.monotonic()
        while now < begin + seconds:
            got = s.recv_into(buffer)
            if not got:
                raise Failed(f'{m.side}: the stream ends')
            n += got
            now = time.monotonic()
    return n, now - begin


def to_guest(m, seconds):
    """(bytes, seconds) until the guest has said how much came."""
    data, n = bytes(PART), 0
    with connect(m, SINK) as s:
        begin = time.monotonic()
        while time.monotonic() < begin + seconds:
            n += s.send(data)
        s.shutdown(socket.SHUT_WR)
        said = s.makefile().readline()
        spent = time.monotonic() - begin
    if said != f'{n}\n':
        raise Failed(f'{m.side}: {n} bytes were sent, {said.strip()} came')
    return n, spent


DIRECTIONS = {'guest to host': ('out', from_guest), 'host to guest': ('in', to_guest)}


def instructions(results, term, section, wire, seconds):
    head = ['instructions for 1460 bytes', 'all', 'sandboxed', 'Linux', '× Linux']
    rows, found = [], {}
    for side in sides(*SIDES):
        term.progress(f'tcp, {wire}, {side}: counting instructions')
        with Machine(side, wire, counting(side)) as m:
            size = []
            for _, move in DIRECTIONS.values():
                move(m, 0.5)
                m.ask('close', STATUS)
                size.append(move(m, seconds)[0])
                m.ask('close', STATUS)
            for (name, _), n, counts in zip(DIRECTIONS.values(), size, counted(m.stop(), len(size))):
                found[side, name] = [i * 1460 / n for i in counts]
                results.metric(f'tcp.{wire}.{name}.{side}.instructions', found[side, name][0], 'instructions for 1460 bytes')
    term.title(f'TCP, {wire}: guest instructions', head)
    for label, (name, _) in DIRECTIONS.items():
        ours, linux = found['sandboxed', name], found.get(('linux', name), [None])[0]
        ratio = results.metric(f'tcp.{wire}.{name}.instructions.against-linux', ours[0] / linux, '× Linux', most=1) if linux else None
        rows.append([label, *ours, linux, ratio])
        term.row(rows[-1])
    section.table(f'{wire}: guest instructions for 1460 bytes', head, rows, 'With what acknowledgements cost.')


def bulk(results, term, section, wire, rounds, seconds):
    got = {}
    for side, m in each_round(term, 'tcp', wire, rounds, section):
        for name, move in DIRECTIONS.values():
            move(m, 0.5)  # a warm-up
            n, spent = move(m, seconds)
            got.setdefault((side, name), []).append(n / spent / 1e6)
    term.title(f'TCP, {wire}: bulk', HEAD)
    rows = []
    for label, (name, _) in DIRECTIONS.items():
        pair = [got.get((side, name)) for side in SIDES]
        ratio = results.metric(f'tcp.{wire}.{name}.against-linux', [a / b for a, b in zip(*pair)], '× Linux', 'higher', least=1, note=WHY) if pair[1] else None
        rows.append([label, *(values and results.metric(f'tcp.{wire}.{name}.{side}', values, 'MB/s', 'higher') for side, values in zip(SIDES, pair)), ratio])
        term.row(rows[-1])
    section.table(f'{wire}: bulk', HEAD, rows)


def measure(results, term, quick):
    section = results.section('tcp', 'TCP against Linux', TEXT)
    rounds, seconds = (1, 1) if quick else (3, 2)
    for wire, why in wires():
        if why:
            section.notes.append(f'{wire}: not measured: {why}')
            continue
        with results.attempt(f'TCP, {wire}', term):
            bulk(results, term, section, wire, rounds, seconds)
        with results.attempt(f'TCP, {wire}: instructions', term):
            instructions(results, term, section, wire, seconds)
