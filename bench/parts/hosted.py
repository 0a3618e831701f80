"""hosted.py — drivers on the real CPU: each driver's module and its native twin against one device model, in a Linux process (bench/rig)."""
import json
import math
import os
import subprocess

from common import OUT, Failed

RIG = OUT + '/rig'
DRIVERS = {'virtio-blk': 'build/modules/virtio-blk.wasm', 'nvme': 'build/modules/nvme.wasm'}
LOAD = OUT + '/modules/blkload.wasm'
NETS = {'virtio-net': 'build/modules/virtio-net.wasm', 'e1000e': 'build/modules/e1000e.wasm'}
NET_LOAD, PORTS_LOAD = OUT + '/modules/netload.wasm', OUT + '/modules/netports.wasm'
SIZES = (512, 4096, 65536)
DEPTHS = (1, 8, 32, 128)
COUNT = {512: 4000, 4096: 2000, 65536: 300}  # requests of one try: half a millisecond, so that some are not disturbed
DEVICE_US = 10  # a fast NVMe disk; what it answers is waited for at depth 1, so there the bar is held against such a device
WHY = ('what a batch costs (a crossing and two or three kernel calls and, unless it is of frames to send, an event from the kernel, a third of which is a return that is mispredicted '
       'on purpose) and the driver\'s own code. The model, unlike a device, takes almost no time: see the columns "driver"')
WHY_PORTS = ('there are two drivers and crossings to both, and a copy of a length that the compiler does not know goes through the runtime\'s routine, which looks at both ends '
             'before it begins')
WHY_PACED = 'the machine was busy with something else; of a device that answers after so long a driver is a small part'
WHY_PACED_TX = 'sending does not wait for each frame, so what is seen is one crossing a frame and not the time that the device takes'
TEXT = '''The very same driver module that the system boots, and its native twin (the same C files, the same compiler and level, x86-64), each with the
same application (bench/apps/blkload, as a module or native), the same rings and the same model of the device, in one process and one run. The sandboxed side takes the
whole way: compiled, verified, application and driver in windows of their own, true crossings. Everything runs on one thread; the model answers at once, so
nothing hides the driver. With one request at a time that says little of throughput, since every device takes longer to answer than any driver to ask: there the
bar holds for a model that answers after 10 µs, as a fast NVMe disk does; the instant one is shown beside it. Counts are time-stamp cycles a request; sides alternate from round to round, ratios are of the
two runs of one round. The rounds of a cell are shared by several processes, since where a process happens to have its pages makes a difference too.'''


def cells(quick):
    ops = ('read', 'write')
    for op in ops:
        for pattern in ('rand', 'seq'):
            for size in SIZES:
                for depth in DEPTHS:
                    if quick and (pattern == 'seq' or (op == 'write' and size != 4096)):
                        continue
                    yield f'{op}:{pattern}:{size}:{depth}:{COUNT[size]}'


def run_rig(driver, module, rounds, names, load=LOAD, **env):
    """The rig's answer to each cell, as it comes, from several processes: see rounds_of(). env: their environment."""
    processes, each = rounds_of(rounds)
    for name in names:
        got = [ask_rig([RIG, driver, load, module, str(each), name], env) for _ in range(processes)]
        yield {'cell': name, **{side: {field: sum((g[side][field] for g in got), []) for field in got[0][side]} for side in ('sandboxed', 'native')}}


def rounds_of(rounds):
    """How many processes share so many rounds, and how many each has. Where a process has its pages makes a difference that its own rounds do not show."""
    processes = math.isqrt(rounds)
    return processes, rounds // processes


def several(rounds, what, cell):
    """The command of the method page."""
    processes, each = rounds_of(rounds)
    return f'{RIG} {what} {each} {cell} (each cell {processes} times)'


def ask_rig(command, env):
    """What one process says of one cell."""
    p = subprocess.run(command, env={**os.environ, **{k: str(v) for k, v in env.items()}}, capture_output=True, text=True)
    if p.returncode:
        said = p.stderr.strip().splitlines()
        raise Failed(said[-1] if said else f'{RIG} ended with status {p.returncode}')
    return json.loads(p.stdout)


def ratios(got):
    """Per round: throughput of the sandboxed side over the native one's; the same of the drivers alone."""
    s, n = got['sandboxed'], got['native']
    whole = [b / a for a, b in zip(s['total'], n['total'])]
    alone = [(nb + ne) / (sb + se) for sb, se, nb, ne in zip(s['submit'], s['event'], n['submit'], n['event'])]
    return whole, alone


def paced(results, driver, module, rounds, names, runner=run_rig):
    """Throughput ratios of these cells against a device that takes its time: {cell: metric}."""
    out = {}
    for got in runner(driver, module, rounds, [n.rsplit(':', 1)[0] + ':200' for n in names], DEVICE_US=DEVICE_US):
        key = got['cell'].rsplit(':', 1)[0]
        out[key] = results.metric(f'hosted.{driver}.{key.replace(":", ".")}.throughput-{DEVICE_US}us', ratios(got)[0], '× native', 'higher', least=0.90,
                                  note=WHY_PACED_TX if key.startswith('tx:') else WHY_PACED)
    return out


def record(results, driver, got, slow):
    """Metrics of one cell; the table's row."""
    op, pattern, size, depth, _ = got['cell'].split(':')
    name = f'hosted.{driver}.{op}.{pattern}.{size}.{depth}'
    whole, alone = ratios(got)
    bar = 0.95 if int(depth) >= 32 else None
    m = results.metric(name + '.throughput', whole, '× native', 'higher', least=bar, note=WHY)
    cost = {}
    for side in ('sandboxed', 'native'):
        x = got[side]
        results.metric(f'{name}.{side}.total', x['total'], 'cycles')
        cost[side] = results.metric(f'{name}.{side}.driver', [a + b for a, b in zip(x['submit'], x['event'])], 'cycles')['value']
    total = [results.metrics[f'{name}.{side}.total']['value'] for side in ('sandboxed', 'native')]
    a = results.metric(name + '.alone', alone, '× native', 'higher')
    return [f'{op} {pattern}', int(size), int(depth), round(total[0]), round(total[1]), {'value': m['value'], 'met': m.get('met')},
            slow.get(got['cell'].rsplit(':', 1)[0]), round(cost['sandboxed']), round(cost['native']), {'value': a['value']}]


HEAD = ['', 'bytes', 'depth', 'cycles', 'native', 'throughput ×', f'at {DEVICE_US} µs ×', 'driver', 'native', 'driver ×']
EXPLAIN = ('cycles: everything a request costs, the device model included. driver: only what is spent inside the driver, entered from C and '
           'timed at each entry, so with the cost of entering (which is dearer from C than the crossing that `cycles` has).')


def charts(results, section, driver):
    """Throughput by depth, one chart a size; a driver's cycles by depth."""
    hz = results.machine.get('tsc_hz')
    for size in SIZES:
        name = f'hosted.{driver}.read.rand.{size}'
        series = []
        for side in ('sandboxed', 'native'):
            cycles = [results.metrics.get(f'{name}.{d}.{side}.total', {}).get('value') for d in DEPTHS]
            series.append({'name': side, 'values': [hz / c / 1e3 if c else None for c in cycles]})
        if any(v is not None for s in series for v in s['values']):
            section.chart('lines', f'{driver}: random reads of {size} bytes', 'thousand requests a second', 'Against the in-process model of the device.',
                          x=list(DEPTHS), x_title='requests in flight', series=series)
    items = [{'label': f'{size} bytes, depth {d}', 'series': k, **{key: m[key] for key in ('value', 'lo', 'hi')}}
             for size in SIZES[:2] for d in DEPTHS for k, side in enumerate(('sandboxed', 'native'))
             if (m := results.metrics.get(f'hosted.{driver}.read.rand.{size}.{d}.{side}.driver'))]
    if items:
        section.chart('bars', f'{driver}: inside the driver', 'cycles a random read', series=['sandboxed', 'native'], items=items)


# ---- network ----
NET_HEAD = ['', 'bytes', 'batch', 'cycles', 'native', 'throughput ×', f'at {DEVICE_US} µs ×', 'apart ×', 'extra', 'driver', 'native', 'extra']
NET_EXPLAIN = ('A packet: everything it costs, and inside the driver alone; extra is the difference. tx sends as long as buffers are free, rx receives, forward sends back each frame from '
               'the buffer in which it came, ports copies it to a second device with a driver of its own. A batch is what one call of the driver brings, or one interrupt of rx. apart: throughput over that of a twin whose application and driver have '
               'the channel at an address each, as domains have it and native code need not: a processor whose first cache goes by virtual address fetches a line anew '
               'when it is used by the other name. What is between the two columns is the price of that, the rest that of code and crossings.')


def net_cells(quick):
    for op in ('tx', 'rx', 'forward', 'ports'):
        for size in (64, 1500) if quick else (64, 512, 1500):
            for batch in (1, 32) if quick else (1, 8, 32):
                yield f'{op}:{size}:{batch}:{2000 if batch == 1 else 3200}'


def run_net(driver, module, rounds, names, **env):
    """The rig's answers: of cells on one device, then of those on two."""
    for rig, load, ports in ((driver, NET_LOAD, False), (driver + '-ports', PORTS_LOAD, True)):
        yield from run_rig(rig, module, rounds, [n for n in names if n.startswith('ports:') == ports], load, **env)


def record_net(results, driver, got, slow, apart):
    op, size, batch, _ = got['cell'].split(':')
    name = f'hosted.{driver}.{op}.{size}.{batch}'
    side = {s: got[s] for s in ('sandboxed', 'native')}
    inside = {s: [a + b for a, b in zip(x['submit'], x['event'])] for s, x in side.items()}
    pair = lambda what: [a - b for a, b in zip(what['sandboxed'], what['native'])]  # noqa: E731
    total = {s: x['total'] for s, x in side.items()}
    bar = 0.95 if batch == '32' else None
    m = {s: results.metric(f'{name}.{s}.total', total[s], 'cycles')['value'] for s in side}
    d = {s: results.metric(f'{name}.{s}.driver', inside[s], 'cycles')['value'] for s in side}
    why = WHY_PORTS if op == 'ports' else WHY
    ratio = results.metric(name + '.throughput', [b / a for a, b in zip(total['sandboxed'], total['native'])], '× native', 'higher', least=bar, note=why)
    most = 30 if op in ('forward', 'ports') else 15  # each way
    extra = results.metric(name + '.extra', pair(total), 'cycles a packet', most=most if batch == '32' else None, note=why)
    alone = results.metric(name + '.extra-driver', pair(inside), 'cycles a packet')
    return [op, int(size), int(batch), m['sandboxed'], m['native'], ratio, slow.get(got['cell'].rsplit(':', 1)[0]), apart.get(got['cell']), extra, d['sandboxed'], d['native'], alone]


def measure_net(results, section, term, quick, rounds, driver, module):
    hz = results.machine['tsc_hz']
    term.title(f'{driver}, cycles a packet on this CPU', NET_HEAD)
    rows, names = [], list(net_cells(quick))
    section.table(driver, NET_HEAD, rows, NET_EXPLAIN)
    section.commands += [several(rounds, f'{driver} {NET_LOAD} {module}', 'OP:SIZE:BATCH:COUNT'), several(rounds, f'{driver}-ports {PORTS_LOAD} {module}', 'ports:SIZE:BATCH:COUNT')]
    slow = paced(results, driver, module, rounds, [n for n in names if n.split(':')[2] == '1'], run_net)
    apart = {}
    for got in run_net(driver, module, rounds, [n for n in names if n.split(':')[2] == '32'], CHANNEL_TWICE=1):
        key = got['cell'].rsplit(':', 1)[0].replace(':', '.')
        apart[got['cell']] = results.metric(f'hosted.{driver}.{key}.throughput-apart', ratios(got)[0], '× native', 'higher')
    for got in run_net(driver, module, rounds, names):
        rows.append(record_net(results, driver, got, slow, apart))
        term.row(rows[-1])
        term.progress(f'{driver}: {len(rows)} of {len(names)}')
    items = [{'label': f'{r[0]} {r[1]} bytes, batch {r[2]}', 'series': k, 'value': r[3 + k]} for r in rows if r[1] != 512 for k in (0, 1)]
    section.chart('bars', f'{driver}: a packet', 'cycles', 'Driver, application and model of the device.', series=['sandboxed', 'native'], items=items)
    rates = [[r[0], r[1], r[2], hz / r[3] / 1e6, hz / r[4] / 1e6, hz / r[3] * r[1] * 8 / 1e9] for r in rows]
    section.table(f'{driver}: rates', ['', 'bytes', 'batch', 'million packets/s', 'native', 'Gbit/s'], rates, 'Of one core, against the model of the device.')


def measure_block(results, section, term, quick, rounds, driver, module):
    term.title(f'{driver}, cycles a request on this CPU', HEAD)
    rows, names = [], list(cells(quick))
    section.table(driver, HEAD, rows, EXPLAIN)
    slow = paced(results, driver, module, rounds, [n for n in names if n.split(':')[3] == '1'])
    for got in run_rig(driver, module, rounds, names):
        rows.append(record(results, driver, got, slow))
        term.row(rows[-1])
        term.progress(f'{driver}: {len(rows)} of {len(names)}')
    charts(results, section, driver)


def measure(results, term, quick):
    rounds = 9 if quick else 25
    section = results.section('hosted', 'Drivers on the real CPU', TEXT)
    for driver, module in DRIVERS.items():
        section.commands.append(several(rounds, f'{driver} {LOAD} {module}', 'OP:PATTERN:SIZE:DEPTH:COUNT'))
        with results.attempt(f'{driver} on the real CPU', term):
            measure_block(results, section, term, quick, rounds, driver, module)
    for driver, module in NETS.items():
        with results.attempt(f'{driver} on the real CPU', term):
            measure_net(results, section, term, quick, rounds, driver, module)
