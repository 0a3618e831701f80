"""guest.py — drivers in the guest, end to end: the module, its native twin in the bench kernel, and Debian's Linux, on one QEMU command line."""
import contextlib
import os
import re
import shlex
import shutil
import tempfile

import peers
from common import OUT, Failed
from peers import qemu

KERNEL, COUNT_PLUGIN, LOAD, LIVES = (os.path.abspath(os.path.join(OUT, f)) for f in
                                     ('kernel.elf', 'count.so', 'modules/blkload.wasm', 'modules/blklives.wasm'))
WARM_UP = 'read:rand:4096:32:1500'
SIDES = ('sandboxed', 'native', 'linux')
DRIVERS = {  # name: (the -device value, a snapshot of the firmware cannot have it, grants)
    'virtio-blk': (qemu.DISK_DEVICE, False, '  pci 1af4:1042\n  irq 1\n  dma 64K\n'),
    'nvme': ('nvme,drive=disk,serial=1', True, '  pci 1b36:0010\n  irq 4\n  dma 512K\n  budget 3000\n'),
}
SIZES, DEPTHS = (512, 4096, 65536), (1, 8, 32, 128)
ARGUMENTS = 24  # of one module instance
COUNTED = 2000  # requests whose instructions are counted
PASSES = 3  # of all cells in one boot
TURNS = 24  # passes of each side in one boot that has both
TOGETHER = 18  # cells of such a boot
NOTHING = 'if=none,driver=null-co,size=64M,read-zeroes=on,id='
TEXT = '''The system as it boots in QEMU, with the appliance's kernel but for one thing: the bench kernel also holds the drivers' native twins. The machine has two
disks, one served by the module and one by its twin, under the same application, rings, channel, fence and interrupts; the load runs on the one and then on
the other, in turns of less than a second, and a ratio is the median of those of two turns beside each other: boots differ by more than the drivers do, since
QEMU is several threads that the host puts where it likes. Half of the boots exchange the disks. The disks answer at once and hold zeros (QEMU's null-co;
virtio-blk with ioeventfd=off), so that no thread of a file's hides the driver. Debian's cloud kernel runs on the same command line, with its own driver and
an IOMMU in strict mode (DMA fenced as ours always is), O_DIRECT, a load generator of the same loop. QEMU emulates the processor here, so times are those of
an emulated machine, in which every guest instruction costs about the same: ratios on one command line. Instructions are counted by a QEMU plugin between the
two looks at the clock that a load generator takes for each measurement.'''
WHY = 'emulated time of a busy host, where two turns of 30 ms beside each other differ by a quarter, and the median of 48 still by some hundredths; the instruction counts of the same cells say what is executed'


def count_of(size, depth):
    return {1: 600, 8: 2000}.get(depth, 3000) if size < 65536 else 300


def cells(quick):
    for op in ('read', 'write'):
        for pattern in ('rand', 'seq'):
            for size in SIZES:
                for depth in DEPTHS:
                    if quick and (pattern == 'seq' or depth in (8, 128) or (op == 'write' and size != 4096)):
                        continue
                    yield f'{op}:{pattern}:{size}:{depth}:{count_of(size, depth)}'


def config(driver, native, names):
    """One driver, and as many instances of the load generator as the arguments need."""
    name = 'native' if native else driver
    text = f'sasos 1\nmodule {name} {driver}\n{DRIVERS[driver][2]}  memory 2M\n'
    steps = f'start {name}\n'
    for i in range(0, len(names), ARGUMENTS):
        text += f'module load{i} blkload\n  connect blk {name} 9M\n  memory 2M\n'
        text += ''.join(f'  arg {c}\n' for c in names[i:i + ARGUMENTS])
        steps += f'run load{i}\n'
    return text + steps


@contextlib.contextmanager
def disk():
    """A fresh disk image in memory, so that the host's disk has no part in it."""
    with tempfile.NamedTemporaryFile(dir='/dev/shm' if os.path.isdir('/dev/shm') else None, prefix='sasos-bench-') as f:
        with open(qemu.default_disk(), 'rb') as content:
            shutil.copyfileobj(content, f)
        f.flush()
        yield f.name


def boot(side, driver, names, qemu_args=()):
    """(the machine's output, its command line)."""
    device, cold, _ = DRIVERS[driver]
    with disk() as path:
        if side == 'linux':
            return peers.boot(driver, device, path, names, qemu_args)
        r = qemu.boot(config=config(driver, side == 'native', names), modules=[driver, LOAD], kernel=KERNEL, disk=path, writable=True,
                      disk_device=device, cold=cold, timeout=240, qemu_args=list(qemu_args))
    if not r.ok:
        raise Failed(f'{side}: {r.why}\n{r.text[-500:]}')
    return r.text, r.command


def passes(text, names, who=''):
    """{cell: [microseconds a request, one a pass]}; of the load generator of that name, if one is given."""
    found = {n: [] for n in names}
    for m in re.finditer(who + r'cell (\S+) ns=(\d+) errors=0', text):
        if m[1] in found:
            found[m[1]].append(int(m[2]) / 1e3 / int(m[1].rsplit(':', 1)[1]))
    missing = [n for n in names if not found[n]]
    if missing:
        raise Failed(f'no result for {missing[0]}')
    return found


def times(text, names):
    """{cell: microseconds a request}, of a cell's passes in this boot the fastest, since another load of the host makes some slower."""
    return {n: min(us) for n, us in passes(text, names).items()}


def empty_disks(driver):
    """(the -device value of the first, QEMU's other arguments) for two disks that do nothing."""
    device = DRIVERS[driver][0] + (',ioeventfd=off' if driver == 'virtio-blk' else '')
    return device, ['-drive', NOTHING + 'disk', '-drive', NOTHING + 'other', '-device', device.replace('drive=disk', 'drive=other')]


def side_modules(driver, grants, load, ports, side, names):
    """Configuration lines of a side: its drivers and, called load-SIDE, an instance of `load` (a path) with these cells; `ports`: for each device (its channel's
    name in the load, what its driver is called behind the side's name, the channel's size)."""
    text = ''.join(f'module {side}{more} {driver}\n{grants}  memory 2M\n' for _, more, _ in ports)
    text += f'module load-{side} {os.path.basename(load).removesuffix(".wasm")}\n  memory 2M\n'
    text += ''.join(f'  connect {channel} {side}{more} {size}\n' for channel, more, size in ports)
    return text + ''.join(f'  arg {c}\n' for c in names)


def boot_both(driver, grants, load, ports, names, first, **machine):
    """Module and twin of a driver in one boot, with devices and a load of their own as side_modules() has them, `first` with the first devices; `machine`: what
    qemu.boot() needs for the devices. ({side: {cell: [microseconds, one a turn]}}, the command line)."""
    order = sorted(SIDES[:2], key=lambda side: side != first)
    text = 'sasos 1\n' + ''.join(side_modules(driver, grants, load, ports, side, names) for side in order)
    text += ''.join(f'start {side}{more}\n' for side in order for _, more, _ in ports)
    for i in range(TURNS):
        text += ''.join(f'run load-{side}\n' for side in (order if i % 2 == 0 else order[::-1]))
    r = qemu.boot(config=text, modules=[driver, load], kernel=KERNEL, disk=None, timeout=240, **machine)
    if not r.ok:
        raise Failed(f'{driver} and its twin: {r.why}\n{r.text[-500:]}')
    found = {side: passes(r.text, names, f'load-{side}: ') for side in order}
    for side, cells in found.items():
        for cell, us in cells.items():
            if len(us) != TURNS:  # the sides' turns would no longer be beside each other
                raise Failed(f'{side}: {cell} succeeded {len(us)} times of {TURNS}')
    return found, r.command


def rounds_of(results, term, section, driver, names, rounds):
    """{side: {cell: [microseconds, one a turn]}}; the turns of module and twin at one place were beside each other."""
    got = {s: {n: [] for n in names} for s in peers.sides(*SIDES)}
    device, more = empty_disks(driver)

    def take(side, cells):
        for name, us in cells.items():
            got[side][name] += us

    for r in range(rounds):
        for i in range(0, len(names), TOGETHER):
            term.progress(f'{driver}, module and twin: round {r + 1} of {rounds}')
            both, command = boot_both(driver, DRIVERS[driver][2], LOAD, [('blk', '', '9M')], [WARM_UP] + names[i:i + TOGETHER], SIDES[r % 2],
                                      devices=[device], cold=True, qemu_args=more)
            for side, cells in both.items():
                take(side, {n: cells[n] for n in names[i:i + TOGETHER]})
    section.commands.append('sandboxed and native: ' + shlex.join(command))
    if 'linux' in got:
        term.progress(f'{driver}, linux')
        text, command = peers.boot(driver, device, None, [WARM_UP] + names * PASSES, more)
        take('linux', passes(text, names))
        section.commands.append('linux: ' + shlex.join(command))
    return got


HEAD = ['', 'bytes', 'depth', 'µs', 'native', 'Linux', '× native', '× Linux']


def record(results, driver, name, got):
    op, pattern, size, depth, _ = name.split(':')
    key = f'guest.{driver}.{op}.{pattern}.{size}.{depth}'
    us = {s: results.metric(f'{key}.{s}', got[s][name], 'µs a request')['value'] for s in got}
    native = results.metric(key + '.throughput', [b / a for a, b in zip(got['sandboxed'][name], got['native'][name])], '× native', 'higher', least=0.9, note=WHY)
    linux = None
    if 'linux' in got:
        linux = results.metric(key + '.against-linux', [b / us['sandboxed'] for b in got['linux'][name]], '× Linux', 'higher', least=1, note=WHY)
    return [f'{op} {pattern}', int(size), int(depth), us['sandboxed'], us['native'], us.get('linux'), native, linux]


def instructions(results, term, section, driver, depths):
    """Guest instructions a 4 KiB read, by side and depth."""
    head = ['4 KiB random reads', 'depth', 'instructions', 'sandboxed', 'native', 'Linux', 'native ÷', '× Linux']
    rows, found = [], {}
    names = [f'read:rand:4096:{d}:{COUNTED}' for d in depths]
    term.title(f'{driver}: guest instructions a request', head)
    for side in peers.sides(*SIDES):
        term.progress(f'{driver}, {side}: counting instructions')
        text, _ = boot(side, driver, [WARM_UP] + names, peers.counting(COUNT_PLUGIN, side, KERNEL))
        for depth, counts in zip(depths, peers.counted(text, names)):
            found[side, depth] = [n / COUNTED for n in counts]
            results.metric(f'guest.{driver}.instructions.{depth}.{side}', found[side, depth][0], 'instructions a request')
    for depth in depths:
        ours, native, linux = (found.get((s, depth), [None]) for s in SIDES)
        native, linux = native[0], linux[0]
        ratio = results.metric(f'guest.{driver}.instructions.{depth}.against-linux', ours[0] / linux, '× Linux', most=1 / 3) if linux else None
        part = results.metric(f'guest.{driver}.instructions.{depth}.native-part', native / ours[0], '× sandboxed', 'higher')
        rows.append(['', depth, ours[0], ours[1], native, linux, part, ratio])
        term.row(rows[-1])
    section.table(f'{driver}: guest instructions', head, rows, 'instructions: all of the guest\'s, our side; sandboxed: those of them in verified code, '
                  'driver and application; native ÷: the native twin\'s part of ours. A request of depth 1 has its interrupt and its wake-ups to itself.')
    section.chart('bars', f'{driver}: guest instructions a 4 KiB read', 'instructions', series=list(SIDES), items=[
        {'label': f'depth {d}', 'series': k, 'value': found[s, d][0]} for d in depths for k, s in enumerate(SIDES) if (s, d) in found])


def lives_boot(killed, ms):
    """Two disks under the same load at the same time, the driver of `killed` ('a', 'b' or None) killed once a second on average.
    ({'read' or 'write': a's throughput ÷ b's}, lives that were ended)."""
    device, _, grants = DRIVERS['virtio-blk']
    text = 'sasos 1\n'
    for n in 'ab':
        text += f'module disk-{n} virtio-blk\n{grants}  memory 2M\n' + ('  restart on-fault 1000000 0\n  chaos 1000000 1000\n' if n == killed else '')
        text += f'module load-{n} blklives\n  connect blk disk-{n} 1M\n  memory 2M\n  arg "read 300"\n  arg "read {ms}"\n  arg "write {ms}"\n'
    text += '  arg "read 300"\nstart disk-a\nstart disk-b\nstart load-a\nrun load-b\n'  # b goes on until a has surely finished
    with disk() as path, disk() as other:
        r = qemu.boot(config=text, modules=['virtio-blk', LIVES], kernel=KERNEL, disk=path, writable=True, disk_device=device, cold=True,
                      timeout=240, qemu_args=['-drive', f'if=none,id=other,format=raw,file={other}', '-device', device.replace('drive=disk', 'drive=other')])
    found = {n: re.findall(rf'load-{n}: lives (\w+): requests=(\d+) ns=(\d+) lives=(\d+)', r.text)[1:3] for n in 'ab'}
    if not r.ok or any(len(f) != 2 for f in found.values()):
        raise Failed(f'{r.why}\n{r.text[-500:]}')
    rate = {n: {op: int(count) / int(ns) for op, count, ns, _ in f} for n, f in found.items()}
    return {op: rate['a'][op] / rate['b'][op] for op in ('read', 'write')}, sum(int(f[1][3]) - 1 for f in found.values())


def lives(results, term, section, pairs, ms):
    """Throughput of a disk whose driver is killed, against another one beside it whose driver is not."""
    head = ['virtio-blk', 'ratio', 'least', 'most', 'kills']
    ratios, kills = {op: [] for op in ('read', 'write')}, 0
    term.progress('virtio-blk, two disks, nobody killed')
    control, _ = lives_boot(None, ms)
    for i in range(pairs):
        term.progress(f'virtio-blk, one of two disks killed every second: pair {i + 1} of {pairs}')
        a, kills_a = lives_boot('a', ms)
        b, kills_b = lives_boot('b', ms)
        kills += kills_a + kills_b
        for op in ratios:  # which of the two a disk is makes a difference of its own: it cancels out
            ratios[op].append((a[op] / b[op]) ** 0.5)
    term.title('virtio-blk: killed every second', head)
    rows = []
    for op, least in (('read', 0.95), ('write', 0.9)):
        ratio = results.metric(f'guest.virtio-blk.lives.{op}', ratios[op], '× undisturbed', 'higher', least=least, note=WHY)
        rows.append([f'{op} rand 4096, depth 32', ratio, min(ratios[op]), max(ratios[op]), kills])
        rows.append([f'{op}, nobody killed', control[op], '', '', 0])
    for row in rows:
        term.row(row)
    section.table('virtio-blk: killed every second', head, rows, 'Two disks under the same load at the same time, since boots of a busy host cannot be compared. One of '
                  'the two drivers is killed at random instants, once a second on average, and started again; its client attaches to the next life and sends again '
                  'what was not answered. ratio: that disk\'s throughput ÷ the other\'s, the geometric mean of two boots with the parts exchanged. nobody killed: the '
                  'first disk ÷ the second in one boot, where 1 would be no bias. What differs from 1 by less than the pairs do is noise.')


def throughput(results, term, section, driver, names, rounds):
    got = rounds_of(results, term, section, driver, names, rounds)
    term.title(f'{driver} in the guest ({results.machine["accelerator"]}), microseconds a request', HEAD)
    rows = []
    for name in names:
        rows.append(record(results, driver, name, got))
        term.row(rows[-1])
    section.table(f'{driver}: time a request', HEAD, rows)
    for size in SIZES:
        found = [{'name': s, 'values': [1e3 / m['value'] if (m := results.metrics.get(f'guest.{driver}.read.rand.{size}.{d}.{s}')) else None for d in DEPTHS]}
                 for s in got]
        section.chart('lines', f'{driver} in the guest: random reads of {size} bytes', 'thousand requests a second', x=list(DEPTHS), x_title='requests in flight', series=found)


def measure(results, term, quick):
    section = results.section('guest', 'Drivers in the guest', TEXT)
    rounds = 2  # an even number: each side has each disk as often
    for driver in DRIVERS:
        if quick and driver != 'virtio-blk':
            continue
        with results.attempt(f'{driver} in the guest', term):
            throughput(results, term, section, driver, list(cells(quick)), rounds)
        with results.attempt(f'{driver} in the guest: instructions', term):
            instructions(results, term, section, driver, (1, 32))
        if driver == 'virtio-blk' and not quick:
            with results.attempt(f'{driver} in the guest: lives', term):
                lives(results, term, section, 2, 5000)
