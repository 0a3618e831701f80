#!/usr/bin/env python3
"""make bench-jit: how fast the code of sfi-jit is, against native code and other ways to run WebAssembly.

Each kernel in bench/kernels/ is one C file. It is built by one clang at one level (FLAGS) for this machine and for wasm32; the same
wasm file goes to every column but the native ones. A column is a program that runs the kernel a few times in one process and prints
the CPU time of each call and a checksum; the first call is not counted, compiling is outside of the time. All columns must
give one checksum.

Measuring is paired: a round runs every column once, one after another, in an order that changes from round to round. A
round's time is the fastest of its process's calls (CPU time, so that other load disturbs less). Shown are, over the rounds, the median
time of `native`, and for each other column the median of the rounds' ratios to it, with half their spread.
Then geometric means over the kernels. Lua and SQLite follow (programs.py): large programs, and what compile and verify speed are measured on.

  bench/jit.py                     the table, and build/bench/jit.json with everything that was measured
  bench/jit.py --hot KERNEL        the hottest code of a kernel, native and sfi-jit (hot.py)
  QUICK=1  fewer rounds, no ablation     ONLY=a,b  some kernels, groups or programs     COLUMNS=a,b  some columns     SIMD=0  wasm without vectors
Exit status 1 if a column failed or a checksum differs; a missed bar is shown, and is no failure.
"""
import argparse
import glob
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

import hot
import programs
from common import OUT, RUN, TIME_LIMIT, V8, Failed, best, cpu_of_children, has, make, mean, merge, ratio, run, text_size

WIZER_VERSION = '11.0.3'
WIZER = os.path.join(OUT, 'npm/node_modules/@bytecodealliance/wizer-linux-x64/wizer')
WASM2C_RT = '/usr/share/wabt/wasm2c'

WIZER_MISSING = None if os.path.exists(WIZER) else 'not there'

FLAGS = ['-O2', '-std=c99', '-fno-math-errno', '-Wall', '-Wextra', '-I.']
WASM = ['--target=wasm32', '-mbulk-memory', '-msign-ext', '-mnontrapping-fptoint', '-nostdlib', '-Wl,--no-entry',
        '-Wl,--export=kernel', '-Wl,--stack-first', '-Wl,-z,stack-size=1048576', '-Wl,--gc-sections']
SCALAR = ['-fno-vectorize', '-fno-slp-vectorize']
RUNNER = ['-O2', '-D_GNU_SOURCE', '-I.']
CALLS = 3
CRANELIFT_CALLS = 6
HOT_CALLS = 60


class Kernel:
    def __init__(self, path, simd):
        self.path = path
        self.name = os.path.basename(path)[:-2]
        text = open(path).read()
        self.size = re.search(r'^// Size: n = (\d+)$', text, re.M)[1]
        self.group = re.search(r'^// Group: (\w+)$', text, re.M)[1]
        self.sources = [path, 'bench/kernels/kernel.h']
        self.folder = os.path.join(OUT, 'kernels', self.name)
        self.simd = programs.SIMD[:simd]

    def file(self, name):
        return os.path.join(self.folder, name)

    def wasm(self, vectors=True):
        simd = self.simd if vectors else []
        name = 'kernel.simd.wasm' if simd else 'kernel.wasm'
        return make(self.file(name), ['clang', *FLAGS, *WASM, *simd, '-o', self.file(name), self.path], *self.sources)

    def native_object(self, extra=()):
        name = 'scalar.o' if extra else 'native.o'
        return make(self.file(name), ['clang', *FLAGS, *extra, '-c', '-o', self.file(name), self.path], *self.sources)

    def native(self, extra=()):
        o = self.native_object(extra)
        return make(o[:-2], ['clang', *RUNNER, '-o', o[:-2], 'bench/native.c', 'bench/profile.c', o],
                    o, 'bench/native.c', 'bench/profile.c')

    def native_text(self):
        return text_size(self.native_object())


# ---- columns: a function from a kernel to the command that runs it; None if this machine lacks something ----
def native(k):
    return [k.native(), k.size, str(CALLS)]


def scalar(k):
    return [k.native(SCALAR), k.size, str(CALLS)]


def sfi(k):
    return [RUN, k.wasm(), k.size, str(CALLS)]


def ablated(letters):
    """The same without some mechanism, by bench/run-ablate."""
    return lambda k: ['env', 'ABLATE=' + letters, RUN + '-ablate', k.wasm(), k.size, str(CALLS)]


def v8(k):
    return ['node', *V8, 'bench/node.js', k.wasm(), k.size, str(CALLS)]


def wasm2c(k):
    source, target = k.file('w2c.c'), k.file('w2c')
    wasm = k.wasm(vectors=False)  # Debian 12's wasm2c knows none; clang may make its own
    make(source, ['wasm2c', '-n', 'kernel', '-o', source, wasm], wasm)
    make(target, ['clang', *RUNNER, '-I' + WASM2C_RT, '-DWASM2C="' + os.path.abspath(source)[:-2] + '.h"', '-o', target, source,
                  'bench/native.c', 'bench/profile.c', WASM2C_RT + '/wasm-rt-impl.c', '-lm'], source, 'bench/native.c')
    return [target, k.size, str(CALLS)]


def cranelift(k):
    """Two commands, whose CPU times differ by CRANELIFT_CALLS calls: see wizer.c."""
    commands = []
    for calls in (1, 1 + CRANELIFT_CALLS):
        target = k.file(f'wizer{calls}{"s" if k.simd else ""}.wasm')
        make(target, ['clang', *FLAGS, *WASM, *k.simd, f'-DN={k.size}', f'-DCALLS={calls}', '-o', target, k.path, 'bench/wizer.c'],
             *k.sources, 'bench/wizer.c')
        commands.append([WIZER, '--allow-wasi', '-o', os.devnull, target])
    return commands


COLUMNS = {  # name: (what makes the command, why it is absent here, its description)
    'native': (native, None, 'clang ' + ' '.join(FLAGS[:3])),
    'scalar': (scalar, None, 'the same with ' + ' '.join(SCALAR) + ': what a compiler without vectors could reach'),
    'sfi': (sfi, None, 'sfi-jit, verified'),
    'v8': (v8, has('node'), 'node ' + ' '.join(V8) + ': the optimising tier alone'),
    'cranelift': (cranelift, WIZER_MISSING, 'wasmtime inside Wizer ' + WIZER_VERSION + '; `make bench-peers` fetches it'),
    'wasm2c': (wasm2c, has('wasm2c', WASM2C_RT), 'wasm2c (module without vectors), then clang -O2, memory guarded by pages'),
    'unmasked': (ablated('m'), None, 'sfi-jit without masks'),
    'unbundled': (ablated('b'), None, 'sfi-jit without bundles: no padding, no alignment'),
    'bare': (ablated('mb'), None, 'sfi-jit without masks and bundles; guard regions remain, which cost no instruction'),
    'checks': (ablated('g'), None, 'sfi-jit with a comparison before each access in place of guard regions'),
}
ABLATIONS = ('unmasked', 'unbundled', 'bare', 'checks')  # shown against sfi, in a table of their own


def measure_once(command):
    try:
        if isinstance(command[0], str):
            return json.loads(run(command, timeout=TIME_LIMIT))
        spent = []
        for part in command:
            before = cpu_of_children()
            got = json.loads(run(part, timeout=TIME_LIMIT))
            spent.append(cpu_of_children() - before)
        return {**got, 'ns': [(spent[1] - spent[0]) * 1e9 / CRANELIFT_CALLS]}
    except subprocess.TimeoutExpired:
        raise Failed(f'no end after {TIME_LIMIT} s') from None
    except json.JSONDecodeError:
        raise Failed('unreadable output') from None


def measure(k, columns, rounds, progress):
    """All columns of one kernel: {column: {'times': [...], 'checksum': …, …} or {'failed': why}}."""
    results, commands = {}, {}
    for c in columns:
        try:
            commands[c] = COLUMNS[c][0](k)
            results[c] = {'times': []}
        except Failed as e:
            results[c] = {'failed': str(e)}
    for r in range(rounds):
        order = columns[r % len(columns):] + columns[:r % len(columns)]
        for c in order:
            if 'failed' in results[c]:
                continue
            progress(f'{k.name}: round {r + 1} of {rounds}, {c}')
            try:
                got = measure_once(commands[c])
            except Failed as e:
                results[c] = {'failed': str(e)}
                continue
            results[c] = merge(results[c], min(got['ns']) / 1e6, got)
    sums = {v['checksum'] for v in results.values() if 'checksum' in v}
    if len(sums) > 1:
        right = results['native'].get('checksum') if 'native' in results else None
        for c, v in results.items():
            if 'checksum' in v and v['checksum'] != right:
                results[c] = {'failed': f"checksum {v['checksum']}, native {right}"}
    if 'sfi' in results and 'failed' not in results['sfi']:
        results['sfi']['native_text'] = k.native_text()
    return results


# ---- the table ----
class Terminal:
    """Progress on the last line of a terminal; silent elsewhere."""

    def __init__(self):
        self.live = sys.stderr.isatty()

    def progress(self, text):
        if self.live:
            sys.stderr.write('\r\x1b[K' + text)
            sys.stderr.flush()

    def line(self, text=''):
        self.progress('')
        print(text, flush=True)


def row(name, cells):
    return f'{name:<12}' + ''.join(f'{c:>15}' for c in cells)


def show(value, digits=2):
    return '-' if value is None else f'{value:.{digits}f}'


def cells_of(results, columns):
    cells = []
    for c in columns:
        if 'failed' in results[c]:
            cells.append('FAILED')
        elif c == 'native' or not ratio(results, c):
            cells.append(f"{statistics.median(results[c]['times']):.1f} ms")
        else:
            cells.append('{:.2f} ±{:.2f}'.format(*ratio(results, c)))
    s = results.get('sfi', {})
    if 'native_text' in s:
        cells += [show(s['text_bytes'] / s['native_text']), f"{s['nop_bytes'] / s['code_bytes']:.1%}"]
    return cells


def summarise(table, columns, term):
    """The geometric means over the kernels: {group: {column: mean}}."""
    others = [c for c in columns if c != 'native']
    means = {}
    term.line()
    for g in sorted({k.group for k, _ in table}) + ['all']:
        rows = [r for k, r in table if g in (k.group, 'all')]
        means[g] = {c: mean([(ratio(r, c) or [None])[0] for r in rows]) for c in others}
        term.line(row('mean of all' if g == 'all' else '  ' + g, [''] * ('native' in columns) + [show(means[g][c]) for c in others]))
    means['fastest'] = {c: mean([best(r, c) for _, r in table]) for c in others}
    term.line(row('  by fastest', [''] * ('native' in columns) + [show(means['fastest'][c]) for c in others]))
    return means


def ablation(table, columns, term):
    """What each mechanism costs: sfi's time over that without it; for `checks`, theirs over sfi's."""
    def cost(results, c):
        r = ratio(results, *(('checks', 'sfi') if c == 'checks' else ('sfi', c)))
        return r and r[0] - 1

    def percent(value):
        return '-' if value is None else f'{value:+.1%}'
    if not columns or not table:
        return {}
    head = {'unmasked': 'masks', 'unbundled': 'bundles', 'bare': 'both', 'checks': 'if checks'}
    term.line()
    term.line(row('cost of', [head[c] for c in columns]))
    for k, r in table:
        term.line(row(k.name, [percent(cost(r, c)) for c in columns]))
    means = {c: mean([1 + cost(r, c) for _, r in table if cost(r, c) is not None]) for c in columns}
    fastest = {c: mean([best(r, *(('checks', 'sfi') if c == 'checks' else ('sfi', c))) for _, r in table]) for c in columns}
    term.line()
    term.line(row('mean of all', [percent(m and m - 1) for m in means.values()]))
    term.line(row('  by fastest', [percent(m and m - 1) for m in fastest.values()]))
    return {**means, 'fastest': fastest}


def speeds(results):
    """Of compiling (decoding and validation included) and verifying, in MB/s, over these results."""
    sfis = [r['sfi'] for r in results if 'code_bytes' in r.get('sfi', {})]
    if not sfis:
        return {}
    total = {key: sum(s[key] for s in sfis) for key in
             ('module_bytes', 'code_bytes', 'text_bytes', 'nop_bytes', 'compile_s', 'parse_s', 'verify_s', 'spills')}
    return {'compile_mb_s': total['module_bytes'] / 1e6 / (total['compile_s'] + total['parse_s']),
            'verify_mb_s': total['code_bytes'] / 1e6 / total['verify_s'],
            'verify_share': total['verify_s'] / (total['compile_s'] + total['parse_s']),
            'code_ratio': mean([s['text_bytes'] / s['native_text'] for s in sfis]),
            'padding': total['nop_bytes'] / total['code_bytes'], 'spills': total['spills']}


def bars(table, means, large, term):
    """What the project promises, and how it stands."""
    def bar(text, value, most=None, least=None, digits=2):
        good = value <= most if least is None else value >= least
        limit = f'at most {most:.{digits}f}' if least is None else f'at least {least:.{digits}f}'
        term.line(f"  {'met   ' if good else 'MISSED'}  {text}: {value:.{digits}f}, {limit}")
    each = [(ratio(r, 'sfi')[0], k.name) for k, r in table if ratio(r, 'sfi')]
    term.line()
    if each:
        bar('kernels, mean run time against native', means['all']['sfi'], 1.15)
        bar('the slowest, ' + max(each)[1], max(each)[0], 1.6)
        if means['all'].get('v8'):
            bar('kernels, mean run time against V8', means['all']['sfi'] / means['all']['v8'], 1)
    if means.get('ablation', {}).get('bare'):
        bar('masks and bundles together against the same compiler without', means['ablation']['bare'], 1.05)
    kernels = speeds([r for _, r in table])
    if kernels:
        bar('kernels, mean code size against native', kernels['code_ratio'], 1.4)
    for p, r in large:
        if ratio(r, 'sfi'):
            bar(f'{p.name}, run time against native', ratio(r, 'sfi')[0], 1.4)
            one = speeds([r])
            bar(f'{p.name}, code size against native', one['code_ratio'], 1.4)
            bar(f'{p.name}, compiling, MB of wasm a second', one['compile_mb_s'], least=5, digits=1)
            bar(f'{p.name}, verifying, MB of code a second', one['verify_mb_s'], least=200, digits=0)


def machine():
    cpu = re.search(r'model name\s*: (.*)', open('/proc/cpuinfo').read())
    first = lambda *c: subprocess.run(c, capture_output=True, text=True).stdout.strip().split('\n')[0]  # noqa: E731
    return {'cpu': cpu[1] if cpu else '?', 'cores': os.cpu_count(), 'load': os.getloadavg()[0], 'kernel': os.uname().release,
            'clang': first('clang', '--version'), 'node': first('node', '--version') if shutil.which('node') else None,
            'wasm2c': first('wasm2c', '--version') if shutil.which('wasm2c') else None,
            'revision': first('git', 'describe', '--always', '--dirty'), 'date': time.strftime('%Y-%m-%dT%H:%M:%S%z')}


def main():
    parser = argparse.ArgumentParser(description='See the top of bench/jit.py.')
    parser.add_argument('--hot', metavar='KERNEL', help='print the hottest code, native and sfi-jit')
    parser.add_argument('--rounds', type=int, default=3 if os.environ.get('QUICK') else 9)
    args = parser.parse_args()
    simd = os.environ.get('SIMD', '1') != '0'
    kernels = [Kernel(p, simd) for p in sorted(glob.glob('bench/kernels/*.c'))]
    if args.hot:
        return hot.show(next((k for k in kernels if k.name == args.hot), None) or sys.exit(f'no kernel {args.hot}'), str(HOT_CALLS))
    only = os.environ.get('ONLY')
    large_programs = [P(simd) for P in programs.PROGRAMS]
    if only:
        large_programs = [p for p in large_programs if p.name in only.split(',')]
        kernels = [k for k in kernels if k.name in only.split(',') or k.group in only.split(',')]
    wanted = os.environ.get('COLUMNS')
    wanted = wanted.split(',') if wanted else [c for c in COLUMNS if c not in ABLATIONS or not os.environ.get('QUICK')]
    measured = [c for c in COLUMNS if c in wanted and not COLUMNS[c][1]]
    columns = [c for c in measured if c not in ABLATIONS]
    if 'sfi' in measured and not os.path.exists(RUN):
        sys.exit(f'bench-jit: no {RUN}: make bench-jit builds it')
    if not (kernels or large_programs) or not measured:
        sys.exit('bench-jit: nothing to measure: ONLY or COLUMNS name nothing that exists')
    term = Terminal()
    about = machine()
    term.line(f"{about['cpu']}, {about['cores']} CPUs, Linux {about['kernel']}, load {about['load']:.1f}, revision {about['revision']}")
    term.line(f"{about['clang']}; wasm: {' '.join(WASM[:4] + programs.SIMD[:simd])}; {args.rounds} rounds of {CALLS} calls")
    for c in COLUMNS:
        term.line(f"  {c:<10} {COLUMNS[c][2]}" + (f' ({COLUMNS[c][1]})' if COLUMNS[c][1] else ''))
    term.line()
    term.line(row('', [c if c == 'native' else c + ' ×' for c in columns] + (['code size ×', 'padding'] if 'sfi' in columns else [])))
    table, large, failures = [], [], []
    for k in kernels:
        results = measure(k, measured, args.rounds, term.progress)
        table.append((k, results))
        term.line(row(k.name, cells_of(results, columns)))
    means = summarise(table, columns, term) if table else {}
    term.line()
    for p in large_programs:
        shown = [c for c in columns if c in programs.COLUMNS]
        results = programs.measure(p, shown, args.rounds, term.progress)
        large.append((p, results))
        cells = dict(zip(columns + ['size', 'padding'], [''] * len(columns) + cells_of(results, shown)[len(shown):] + ['', '']))
        cells.update(zip(shown, cells_of(results, shown)))
        term.line(row(p.name, cells.values()))
    if 'sfi' in measured:
        means['ablation'] = ablation(table, [c for c in measured if c in ABLATIONS], term)
    bars(table, means, large, term)
    os.makedirs(OUT, exist_ok=True)
    entry = lambda r: {'columns': r, 'ratios': {c: ratio(r, c) for c in r}, 'fastest': {c: best(r, c) for c in r}, 'speeds': speeds([r])}  # noqa: E731
    with open(os.path.join(OUT, 'jit.json'), 'w') as f:
        json.dump({'machine': about, 'flags': FLAGS, 'wasm_flags': WASM, 'simd': simd, 'rounds': args.rounds, 'calls': CALLS,
                   'columns': {c: COLUMNS[c][2] for c in measured},
                   'kernels': {k.name: {'group': k.group, 'n': int(k.size), **entry(r)} for k, r in table},
                   'programs': {p.name: entry(r) for p, r in large},
                   'means': means, 'speeds': speeds([r for _, r in table])}, f, indent=1)
    term.line()
    for k, results in table + large:
        for c, v in results.items():
            if 'failed' in v:
                failures.append(f'{k.name}, {c}: {v["failed"]}')
                term.line('FAILED ' + failures[-1])
    term.line(f'{OUT}/jit.json has all numbers')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
