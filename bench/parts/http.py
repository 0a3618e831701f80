"""http.py — HTTP requests from this host to the system's server and to one on Debian's Linux, on one QEMU command line: requests a second, latency, instructions."""
import re
import shlex

from common import Failed, has, run
from parts.guest import WHY
from parts.serving import FILE, SIDES, STATUS, WEB, Machine, counted, counting, each_round, wires
from peers import sides

TEXT = '''wrk on this host asks for one file of 1 KiB, on connections that stay (keep) and on one a request (close), through QEMU's user-mode network (user) or over a tap device (tap). In the one guest httpd
answers, a WASI program that knows nothing of the benchmark, through WASI's calls, lwIP and virtio-net, each a sandbox of its own. In the other Debian's cloud kernel with
a C server on epoll that sends the same bytes without looking at more of a request than its Connection header. Same QEMU line, IOMMU on in both. wrk, QEMU and its network
share this host's CPUs, so times say as much about them; the instructions of the guest, counted by a QEMU plugin, are what a request costs.'''
CONNECTIONS = (1, 16, 128)
HEAD = ['', 'connections', 'requests/s', 'Linux', '× Linux', 'p50 ms', 'Linux', 'p99 ms', 'Linux']
UNITS = {'us': 1e-3, 'ms': 1, 's': 1e3, 'm': 6e4}


def wrk(at, keep, connections, seconds):
    command = ['wrk', '-t1', f'-c{connections}', f'-d{seconds}s', '--latency', '--timeout', '10', *([] if keep else ['-H', 'Connection: close']),
               f'http://{at[0]}:{at[1]}{FILE}']
    said = run(command)
    rate = re.search(r'Requests/sec:\s+([\d.]+)', said)
    at = {p: float(v) * UNITS[u] for p, v, u in re.findall(r'^\s+(50|99)%\s+([\d.]+)(us|ms|s|m)\s*$', said, re.M)}
    wrong = re.search(r'Socket errors:.*|Non-2xx.*', said)
    if not rate or len(at) != 2:
        raise Failed(f'wrk: {said[-300:]}')
    count = int(re.search(r'(\d+) requests in', said)[1])
    return {'rate': float(rate[1]), 'p50': at['50'], 'p99': at['99'], 'count': count, 'wrong': wrong and wrong[0], 'command': command}


def cells(quick):
    return [(keep, c) for keep in (True, False) for c in (CONNECTIONS[:2] if quick else CONNECTIONS)]


def key(wire, keep, connections):
    return f'http.{wire}.{"keep" if keep else "close"}.{connections}'


def rounds_of(term, section, wire, names, rounds, seconds):
    """{(side, keep, connections): [wrk's results]}."""
    got = {}
    for side, m in each_round(term, 'http', wire, rounds, section):
        wrk(m.at(WEB), True, 16, 1)
        for keep, c in names:
            one = wrk(m.at(WEB), keep, c, seconds)
            if one['wrong']:
                section.notes.append(f'{wire}, {side}, {c} connections{"" if keep else ", one a request"}: {one["wrong"]}')
            got.setdefault((side, keep, c), []).append(one)
    section.commands += [shlex.join(one[0]['command']) for (side, *_), one in got.items() if side == SIDES[0]]
    return got


def record(results, wire, got, keep, c):
    name = key(wire, keep, c)
    row, value = ['keep' if keep else 'close', c], {}
    for what, unit, better in (('rate', 'requests/s', 'higher'), ('p50', 'ms', 'lower'), ('p99', 'ms', 'lower')):
        for side in SIDES:
            if (side, keep, c) in got:
                value[side] = results.metric(f'{name}.{side}.{what}', [one[what] for one in got[side, keep, c]], unit, better)
        if 'linux' not in value:
            row += [value['sandboxed'], None, None] if what == 'rate' else [value['sandboxed'], None]
            continue
        ours, linux = ([one[what] for one in got[side, keep, c]] for side in SIDES)
        ratios = [a / b if better == 'higher' else b / a for a, b in zip(ours, linux)]
        # QEMU's user-mode network lets one connection wait to be accepted; what others wait for, a second or more, is its doing.
        slow = wire == 'user' and (what == 'p99' or (what == 'p50' and c > 16))
        ratio = results.metric(f'{name}.{what}.against-linux', ratios, '× Linux', 'higher', least=None if slow else 1, note=WHY)
        shown = {**value['sandboxed'], 'met': ratio.get('met')}
        row += [value['sandboxed'], value['linux'], ratio] if what == 'rate' else [shown, value['linux']]
    return row


def instructions(results, term, section, wire, names):
    head = ['instructions a request', 'connections', 'all', 'sandboxed', 'Linux', '× Linux']
    rows, found = [], {}
    for side in sides(*SIDES):
        term.progress(f'http, {wire}, {side}: counting instructions')
        with Machine(side, wire, counting(side)) as m:
            requests = []
            wrk(m.at(WEB), True, 16, 1)
            for keep, c in names:
                m.ask('close', STATUS)
                requests.append(wrk(m.at(WEB), keep, c, 1)['count'])
                m.ask('close', STATUS)
            for cell, n, counts in zip(names, requests, counted(m.stop(), len(names))):
                found[side, cell] = [i / n for i in counts]
                results.metric(f'{key(wire, *cell)}.{side}.instructions', found[side, cell][0], 'instructions a request')
    term.title(f'HTTP, {wire}: guest instructions a request', head)
    for keep, c in names:
        ours, linux = found['sandboxed', (keep, c)], found.get(('linux', (keep, c)), [None])[0]
        ratio = results.metric(f'{key(wire, keep, c)}.instructions.against-linux', ours[0] / linux, '× Linux', most=1) if linux else None
        rows.append(['keep' if keep else 'close', c, *ours, linux, ratio])
        term.row(rows[-1])
    section.table(f'{wire}: guest instructions a request', head, rows, 'All of the guest\'s, ours in verified code, Linux\'s.')


def rates(results, term, section, wire, names, quick):
    got = rounds_of(term, section, wire, names, 1 if quick else 3, 1)
    term.title(f'HTTP, {wire}: a file of 1 KiB', HEAD)
    rows = []
    for keep, c in names:
        rows.append(record(results, wire, got, keep, c))
        term.row(rows[-1])
    section.table(f'{wire}: a file of 1 KiB', HEAD, rows,
                  'keep: connections stay; close: one a request, whose latency is wrk\'s: from the request on. p50, p99: of the latency.')
    section.chart('bars', f'{wire}: requests a second', 'requests/s', series=list(SIDES), items=[
        {'label': f'{row[0]}, {row[1]}', 'series': k, 'value': row[2 + k]['value']} for row in rows for k in range(2) if row[2 + k]])


def measure(results, term, quick):
    section = results.section('http', 'HTTP against Linux', TEXT)
    missing = has('wrk')
    if missing:
        section.notes.append(missing + ' (apt-get install wrk): nothing here was measured')
        term.line(section.notes[-1])
        return
    for wire, why in wires():
        if why:
            section.notes.append(f'{wire}: not measured: {why}')
            continue
        names = cells(quick)
        with results.attempt(f'HTTP, {wire}', term):
            rates(results, term, section, wire, names, quick)
        with results.attempt(f'HTTP, {wire}: instructions', term):
            instructions(results, term, section, wire, names)
