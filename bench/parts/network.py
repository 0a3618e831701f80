"""network.py — network drivers in the guest: frames sent, received and forwarded by the module, its native twin and Linux on one QEMU command line."""
import contextlib
import os
import shlex
import socket
import tempfile
import threading

import peers
from common import Failed
from parts.guest import COUNT_PLUGIN, KERNEL, PASSES, SIDES, WHY, boot_both, passes, side_modules
from parts.hosted import NET_LOAD, PORTS_LOAD
from peers import qemu

VIRTIO = 'virtio-net-pci,netdev=n%d,iommu_platform=on,disable-legacy=on,romfile='
DRIVERS = {  # name: (the -device value, grants, sides: Debian's cloud kernel has no e1000e)
    'virtio-net': (VIRTIO, '  pci 1af4:1041\n  irq 2\n  dma 128K\n  memory 2M\n', SIDES),
    'e1000e': ('e1000e,netdev=n%d,romfile=', '  pci 8086:10d3\n  irq 2\n  dma 64K\n  memory 2M\n', SIDES[:2]),
}
LOADS = {op: (os.path.abspath(load), ports) for op, load, ports in (  # the application, and the devices of a side as side_modules() has them
    ('tx', NET_LOAD, [('net', '', '1M')]),
    ('rx', NET_LOAD, [('net', '', '1M')]),
    ('ports', PORTS_LOAD, [('a', '', '1M'), ('b', '-b', '1M')]))}
WHY_PORTS = ('with few frames a batch each takes crossings to two drivers, which the instructions of the same cell show; the rest is the noise of a busy host, where turns '
             'of one side differ by a factor of two: how many frames an interrupt brings is chance')
TEXT = '''virtio-net and an emulated Intel e1000e in QEMU: the system with its module, with the driver's native twin, and Debian's Linux with packet sockets and one
system call a batch (sendmmsg, recvmmsg; sending goes round the queueing disciplines). As with the disks, module and twin are in one machine with a device each, and take turns
of less than a second: a ratio is the median of those of two turns beside each other, and half of the boots exchange the devices. tx sends into a UDP socket that nobody reads, as long
as buffers are free; a batch is what one call of the driver brings. rx receives frames that a program on this host sends as fast as QEMU takes them, through a stream socket; what one interrupt brings is what has come
meanwhile. ports receives on one device and sends on another, with two instances of the driver and an application that copies each frame from the one's channel to the other's; in
Linux a program between two packet sockets. Linux has boots of its own. Time is that of an emulated
machine; instructions are counted by a QEMU plugin around each measurement, in boots of their own too.'''
FRAMES = 4000
BLOCK, NUMBER_AT = 256, 16  # frames of one system call; where a frame's number is
SIZES, BATCHES = (64, 512, 1500), (1, 8, 32)
HEAD = ['', 'bytes', 'batch', 'µs a frame', 'native', 'Linux', 'kframes/s', 'Mbit/s', 'instructions', 'native', 'Linux', '× Linux']


@contextlib.contextmanager
def sink():
    """A -netdev value (without its id) whose frames end in a socket that is never read."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        end.bind(('127.0.0.1', 0))
        own.bind(('127.0.0.1', 0))
        port = own.getsockname()[1]
        own.close()  # QEMU binds it
        yield ('dgram,local.type=inet,local.host=127.0.0.1,local.port=%d,remote.type=inet,remote.host=127.0.0.1,remote.port=%d'
               % (port, end.getsockname()[1]))


def send_frames(end, size, over):
    """Numbered frames to the one that connects, as fast as they are taken, many with one system call: the other side has one for each frame otherwise,
    and how the host's threads wake each other is all that is measured."""
    end.settimeout(0.2)
    wire, n = None, 0
    while not (wire or over.is_set()):
        with contextlib.suppress(TimeoutError):
            wire, _ = end.accept()
    if not wire:
        return
    wire.settimeout(0.2)
    block = bytearray((size.to_bytes(4, 'big') + b'\xff' * 12 + b'\x88\xb5' + bytes(size - 14)) * BLOCK)
    with wire:
        while not over.is_set():
            for at in range(4 + NUMBER_AT, len(block), 4 + size):
                block[at:at + 4] = n.to_bytes(4, 'little')
                n = (n + 1) & 0xffffffff
            left = memoryview(block)
            while left and not over.is_set():
                try:
                    left = left[wire.send(left):]
                except TimeoutError:  # it takes none now
                    pass
                except ConnectionError:  # the machine has ended
                    return


@contextlib.contextmanager
def source(size):
    """A -netdev value (without its id) whose frames come without end."""
    with tempfile.TemporaryDirectory(prefix='sasos-') as folder, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        path, over = folder + '/wire', threading.Event()
        end.bind(path)
        end.listen(1)
        sender = threading.Thread(target=send_frames, args=(end, size, over))
        sender.start()
        try:
            yield f'stream,server=off,addr.type=unix,addr.path={path}'
        finally:
            over.set()
            sender.join()


def wires_of(op, size):
    """What the devices of one side are connected to."""
    return ([] if op == 'tx' else [source(size)]) + ([] if op == 'rx' else [sink()])


def boot(driver, side, op, size, cells, count=()):
    """(output, command) of a run; `count`: QEMU's arguments for counting."""
    device, grants, _ = DRIVERS[driver]
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(w) for w in wires_of(op, size)]
        if side == 'linux':
            more = [a for i, w in enumerate(wires) for a in ('-netdev', w.replace(',', f',id=n{i},', 1))]
            more += ['-device', device % 1] if op == 'ports' else []
            return peers.boot(driver, device % 0, None, cells, [*more, *count])
        load, ports = LOADS[op]
        config = 'sasos 1\n' + side_modules(driver, grants, load, ports, side, cells)
        config += ''.join(f'start {side}{more}\n' for _, more, _ in ports) + f'run load-{side}\n'
        r = qemu.boot(config=config, modules=[driver, load], kernel=KERNEL, disk=None, devices=[device % i for i in range(len(wires))],
                      netdevs=wires, qemu_args=list(count), timeout=120)
        if not r.ok:
            raise Failed(f'{side}: {r.why}\n{r.text[-500:]}')
        return r.text, r.command


def cells_of(op, quick):
    """{size: [cells that one boot does]}."""
    if quick:
        every = [(s, 32) for s in (SIZES[::2] if op == 'tx' else SIZES[:1])]
    else:
        every = [(s, b) for s in SIZES for b in (BATCHES[-1:] if op == 'rx' else BATCHES)]
    found = {}
    for size, batch in every:
        count = 5 * FRAMES if op == 'rx' else FRAMES // 4 if op == 'tx' and batch == 1 else FRAMES
        found.setdefault(0 if op == 'tx' else size, []).append(f'{op}:{size}:{batch}:{count}')
    return found


def turns_of(driver, op, size, cells, first):
    """Module and twin in one boot, a device each: ({side: {cell: [microseconds a frame, one a turn]}}, the command line). Frames come to both: the one
    whose turn it is not is soon out of empty buffers, and then QEMU takes none for it."""
    device, grants, _ = DRIVERS[driver]
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(w) for _ in SIDES[:2] for w in wires_of(op, size)]
        return boot_both(driver, grants, *LOADS[op], cells, first, devices=[device % i for i in range(len(wires))], netdevs=wires)


def measure_op(results, term, section, driver, op, rounds, quick, rows):
    sides = peers.sides(*DRIVERS[driver][2])
    for size, cells in cells_of(op, quick).items():
        with results.attempt(f'{driver} in the guest: {op}' + (f' of {size} bytes' if size else ''), term):
            measure_cells(results, term, section, driver, op, size, cells, sides, rounds, quick, rows)


def measure_cells(results, term, section, driver, op, size, cells, sides, rounds, quick, rows):
    us, count = ({c: {s: [] for s in sides} for c in cells} for _ in range(2))
    for r in range(2):  # each of the two has each device once
        term.progress(f'{driver}, {op}, module and twin: round {r + 1} of 2')
        both, command = turns_of(driver, op, size, cells, SIDES[r])
        section.commands += [] if r else ['sandboxed and native: ' + shlex.join(command)]
        for side, found in both.items():
            for c, v in found.items():
                us[c][side] += v
    for r in range(rounds if 'linux' in sides else 0):
        term.progress(f'{driver}, {op}, linux: round {r + 1} of {rounds}')
        text, command = boot(driver, 'linux', op, size, cells * PASSES)
        section.commands += [] if r else ['linux: ' + shlex.join(command)]
        for c, v in passes(text, cells).items():
            us[c]['linux'] += v
    for side in sides * (1 if quick or op == 'tx' else 2):
        term.progress(f'{driver}, {op}, {side}: counting instructions')
        text, _ = boot(driver, side, op, size, cells, peers.counting(COUNT_PLUGIN, side, KERNEL, 'hc_chan_count'))
        for c, n in zip(cells, peers.counted(text, cells)):
            count[c][side].append(n[0] / int(c.rsplit(':', 1)[1]))
    for c in cells:
        rows.append(record(results, driver, c, us[c], count[c]))
        term.row(rows[-1])


def record(results, driver, cell, us, count):
    op, size, batch, _ = cell.split(':')
    key = f'network.{driver}.{op}.{size}.{batch}'
    time = {s: results.metric(f'{key}.{s}', v, 'µs a frame') for s, v in us.items()}
    unit = 'instructions a frame'
    n = {s: results.metric(f'{key}.{s}.instructions', v, unit) for s, v in count.items()}
    ours, ratio = time['sandboxed']['value'], None
    results.metric(key + '.throughput', [b / a for a, b in zip(us['sandboxed'], us['native'])], '× native', 'higher', least=0.9, note=WHY_PORTS if op == 'ports' else WHY)
    if 'linux' in us:
        ratio = results.metric(key + '.instructions-against-linux', [a / b for a, b in zip(count['sandboxed'], count['linux'])], '× Linux', most=1 / 3 if batch == '32' else None)
        results.metric(key + '.against-linux', [b / ours for b in us['linux']], '× Linux', 'higher', least=1, note=WHY)
    return [op, int(size), int(batch), time['sandboxed'], time.get('native'), time.get('linux'), 1e3 / ours, int(size) * 8 / ours, n['sandboxed'],
            n.get('native'), n.get('linux'), ratio]


def measure(results, term, quick):
    section = results.section('network', 'Network drivers in the guest', TEXT)
    for driver in DRIVERS:
        rows = []
        term.title(f'{driver} in the guest', HEAD)
        section.table(f'{driver}: frames', HEAD, rows, 'kframes/s and Mbit/s: ours. Of rx and ports the instructions depend on how many frames an interrupt brings, and so on the '
                      'program that sends.')
        for op in ('tx',) if quick and driver == 'e1000e' else ('tx', 'rx', 'ports'):
            measure_op(results, term, section, driver, op, 1 if quick else 3 if op == 'tx' else 2, quick, rows)
        section.chart('bars', f'{driver}: guest instructions a frame', 'instructions', series=['sandboxed', 'native', 'linux'], items=[
            {'label': f'{r[0]} {r[1]} bytes, batch {r[2]}', 'series': k, 'value': r[8 + k]['value']} for r in rows if r[1] != 512 for k in range(3) if r[8 + k]])
