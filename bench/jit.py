#!/usr/bin/env python3
"""make bench-jit: how fast the code of sfi-jit is, against native code and other ways to run WebAssembly.

Each kernel in bench/kernels/ is one C file. It is built by one clang at one level (FLAGS) for this machine and for wasm32; the same
wasm file goes to every column but the native ones. A column is a program that runs the kernel a few times in one process and prints
the CPU time of each call and a checksum; the first call is not counted, compiling is outside of the time. All columns must
give one checksum.

Measuring is paired: a round runs every column once, one after another, in an order that changes from round to round. A
round's time is the fastest of its process's calls (CPU time, so that other load disturbs less). Shown are, over the rounds, the median
time of `native`, and for each other column the median of the rounds' ratios to it, with half their spread.
Then geometric means over the kernels.

  bench/jit.py                     the table, and build/bench/jit.json with everything that was measured
  bench/jit.py --hot KERNEL        the hottest code of a kernel, native and sfi-jit (hot.py)
  QUICK=1  fewer rounds     ONLY=a,b  some kernels     COLUMNS=a,b  some columns     SIMD=1  the wasm build may use 128-bit vectors
Exit status 1 if a column failed or a checksum differs; a missed bar is shown, and is no failure.
"""
import argparse
import glob
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..'))
os.chdir(ROOT)
BUILD = os.environ.get('B', 'build')
OUT = os.path.join(BUILD, 'bench')
RUN = os.path.join(OUT, 'run')
WASM2C_RT = '/usr/share/wabt/wasm2c'

FLAGS = ['-O2', '-std=c99', '-fno-math-errno', '-Wall', '-Wextra', '-I.']
WASM = ['--target=wasm32', '-mbulk-memory', '-msign-ext', '-mnontrapping-fptoint', '-nostdlib', '-Wl,--no-entry',
        '-Wl,--export=kernel', '-Wl,--stack-first', '-Wl,-z,stack-size=1048576', '-Wl,--gc-sections']
SCALAR = ['-fno-vectorize', '-fno-slp-vectorize']
V8 = ['--no-liftoff', '--no-wasm-lazy-compilation']
RUNNER = ['-O2', '-D_GNU_SOURCE', '-I.']
CALLS = 3
HOT_CALLS = 60
TIME_LIMIT = 60


class Failed(Exception):
    """A column did not run; the message says why."""


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Failed(lines[0] if lines else f'{command[0]} ended with status {done.returncode}')
    return done.stdout


def make(target, command, *sources):
    """Runs the command if the target is older than a source or was made by another command. Returns the target."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    note = target + '.cmd'
    text = ' '.join(command)
    if (os.path.exists(target) and os.path.exists(note) and open(note).read() == text
            and all(os.path.getmtime(s) <= os.path.getmtime(target) for s in sources)):
        return target
    run(command)
    with open(note, 'w') as f:
        f.write(text)
    return target


class Kernel:
    def __init__(self, path, simd):
        self.path = path
        self.name = os.path.basename(path)[:-2]
        text = open(path).read()
        self.size = re.search(r'^// Size: n = (\d+)$', text, re.M)[1]
        self.group = re.search(r'^// Group: (\w+)$', text, re.M)[1]
        self.sources = [path, 'bench/kernels/kernel.h']
        self.folder = os.path.join(OUT, 'kernels', self.name)
        self.simd = ['-msimd128'] if simd else []

    def file(self, name):
        return os.path.join(self.folder, name)

    def wasm(self):
        name = 'kernel.simd.wasm' if self.simd else 'kernel.wasm'
        return make(self.file(name), ['clang', *FLAGS, *WASM, *self.simd, '-o', self.file(name), self.path], *self.sources)

    def native_object(self, extra=()):
        name = 'scalar.o' if extra else 'native.o'
        return make(self.file(name), ['clang', *FLAGS, *extra, '-c', '-o', self.file(name), self.path], *self.sources)

    def native(self, extra=()):
        o = self.native_object(extra)
        return make(o[:-2], ['clang', *RUNNER, '-o', o[:-2], 'bench/native.c', 'bench/profile.c', o],
                    o, 'bench/native.c', 'bench/profile.c')

    def native_text(self):
        sections = run(['llvm-size', '-A', self.native_object()])
        return sum(int(m[1]) for m in re.finditer(r'^\.text\S*\s+(\d+)', sections, re.M))


# ---- columns: a function from a kernel to the command that runs it; None if this machine lacks something ----
def native(k):
    return [k.native(), k.size, str(CALLS)]


def scalar(k):
    return [k.native(SCALAR), k.size, str(CALLS)]


def sfi(k):
    return [RUN, k.wasm(), k.size, str(CALLS)]


def v8(k):
    return ['node', *V8, 'bench/node.js', k.wasm(), k.size, str(CALLS)]


def wasm2c(k):
    source, target = k.file('w2c.c'), k.file('w2c')
    make(source, ['wasm2c', '-n', 'kernel', '-o', source, k.wasm()], k.wasm())
    make(target, ['clang', *RUNNER, '-I' + WASM2C_RT, '-DWASM2C="' + os.path.abspath(source)[:-2] + '.h"', '-o', target, source,
                  'bench/native.c', 'bench/profile.c', WASM2C_RT + '/wasm-rt-impl.c', '-lm'], source, 'bench/native.c')
    return [target, k.size, str(CALLS)]


def has(*programs):
    missing = [p for p in programs if not shutil.which(p) and not os.path.exists(p)]
    return f'not installed: {missing[0]}' if missing else None


COLUMNS = {  # name: (what makes the command, why it is absent here, its description)
    'native': (native, None, 'clang ' + ' '.join(FLAGS[:3])),
    'scalar': (scalar, None, 'the same with ' + ' '.join(SCALAR) + ': what a compiler without vectors could reach'),
    'sfi': (sfi, None, 'sfi-jit, verified'),
    'v8': (v8, has('node'), 'node ' + ' '.join(V8) + ': the optimising tier alone'),
    'wasm2c': (wasm2c, has('wasm2c', WASM2C_RT), 'wasm2c, then clang -O2, memory guarded by pages'),
}


def measure_once(command):
    try:
        return json.loads(run(command, timeout=TIME_LIMIT))
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
            times = results[c]['times'] + [min(got['ns']) / 1e6]
            for key in ('parse_s', 'compile_s', 'verify_s'):
                if key in got and key in results[c]:
                    got[key] = min(got[key], results[c][key])
            results[c] = {**got, 'times': times}
    sums = {v['checksum'] for v in results.values() if 'checksum' in v}
    if len(sums) > 1:
        right = results['native'].get('checksum') if 'native' in results else None
        for c, v in results.items():
            if 'checksum' in v and v['checksum'] != right:
                results[c] = {'failed': f"checksum {v['checksum']}, native {right}"}
    if 'sfi' in results and 'failed' not in results['sfi']:
        results['sfi']['native_text'] = k.native_text()
    return results


def ratio(results, column, base='native'):
    """(median, half the spread) of the rounds' ratios, or None."""
    a, b = results.get(column, {}), results.get(base, {})
    if not a.get('times') or not b.get('times'):
        return None
    rounds = [x / y for x, y in zip(a['times'], b['times'])]
    return statistics.median(rounds), (max(rounds) - min(rounds)) / 2


def mean(values):
    values = [v for v in values if v]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


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
    base = results.get('native', {})
    cells = ['FAILED' if 'failed' in base else f"{statistics.median(base['times']):.1f} ms"] if 'native' in columns else []
    for c in columns[1:] if 'native' in columns else columns:
        if 'failed' in results[c]:
            cells.append('FAILED')
        else:
            r = ratio(results, c)
            cells.append(f'{r[0]:.2f} ±{r[1]:.2f}' if r else f"{statistics.median(results[c]['times']):.1f} ms")
    s = results.get('sfi', {})
    if 'code_bytes' in s:
        cells += [show(s['text_bytes'] / s['native_text']), show(s['wasm_bytes'] / 1e6 / s['compile_s'], 1)]
    return cells


def summarise(table, columns, term):
    others = [c for c in columns if c != 'native']
    groups = sorted({k.group for k, _ in table})
    means = {}
    term.line()
    for g in groups + ['all']:
        rows = [r for k, r in table if g in (k.group, 'all')]
        means[g] = {c: mean([(ratio(r, c) or [None])[0] for r in rows]) for c in others}
        term.line(row('mean ' + g if g == 'all' else '  ' + g, [''] + [show(means[g][c]) for c in others]))
    sfis = [r['sfi'] for _, r in table if 'code_bytes' in r.get('sfi', {})]
    totals = {}
    if sfis:
        total = {key: sum(s[key] for s in sfis) for key in
                 ('wasm_bytes', 'code_bytes', 'text_bytes', 'nop_bytes', 'native_text', 'compile_s', 'parse_s', 'verify_s', 'spills')}
        totals = {
            'compile_mb_s': total['wasm_bytes'] / 1e6 / (total['compile_s'] + total['parse_s']),
            'verify_mb_s': total['code_bytes'] / 1e6 / total['verify_s'],
            'code_ratio': mean([s['text_bytes'] / s['native_text'] for s in sfis]),
            'nop_share': total['nop_bytes'] / total['text_bytes'],
            'spills': total['spills'],
        }
        term.line()
        term.line(f"compiling {totals['compile_mb_s']:.1f} MB of wasm a second (with decoding and validation), "
                  f"verifying {totals['verify_mb_s']:.0f} MB of code a second, over {len(sfis)} small modules")
        term.line(f"code size {totals['code_ratio']:.2f} of native text (geometric mean), padding {totals['nop_share']:.1%} of it, "
                  f"{total['spills']} spills")
    return means, totals


def bars(table, means, totals, term):
    """What the project promises, and how it stands."""
    def bar(text, value, good, digits=2):
        if value is not None:
            term.line(f"  {'met   ' if good else 'MISSED'}  {text}: {value:.{digits}f}")
    everything = means['all']
    each = [(ratio(r, 'sfi'), k.name) for k, r in table]
    worst = max(((r[0], name) for r, name in each if r), default=None)
    term.line()
    sfi_mean = everything.get('sfi')
    if sfi_mean:
        bar('mean run time, at most 1.15 × native', sfi_mean, sfi_mean <= 1.15)
        bar(f'slowest kernel ({worst[1]}), at most 1.60 × native', worst[0], worst[0] <= 1.6)
        if everything.get('v8'):
            bar('mean run time against V8, at most 1', sfi_mean / everything['v8'], sfi_mean <= everything['v8'])
    if totals:
        bar('code size, at most 1.40 × native', totals['code_ratio'], totals['code_ratio'] <= 1.4)
        bar('compiling, at least 5 MB/s', totals['compile_mb_s'], totals['compile_mb_s'] >= 5, 1)
        bar('verifying, at least 200 MB/s', totals['verify_mb_s'], totals['verify_mb_s'] >= 200, 0)


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
    simd = bool(os.environ.get('SIMD'))
    kernels = [Kernel(p, simd) for p in sorted(glob.glob('bench/kernels/*.c'))]
    if args.hot:
        import hot
        return hot.show(next((k for k in kernels if k.name == args.hot), None) or sys.exit(f'no kernel {args.hot}'), RUN, BUILD, str(HOT_CALLS))
    only = os.environ.get('ONLY')
    if only:
        kernels = [k for k in kernels if k.name in only.split(',') or k.group in only.split(',')]
    wanted = os.environ.get('COLUMNS')
    wanted = wanted.split(',') if wanted else list(COLUMNS)
    columns = [c for c in COLUMNS if c in wanted and not COLUMNS[c][1]]
    if 'sfi' in columns and not os.path.exists(RUN):
        sys.exit(f'bench-jit: no {RUN}: make bench-jit builds it')
    if not kernels or not columns:
        sys.exit('bench-jit: nothing to measure: ONLY or COLUMNS name nothing that exists')
    term = Terminal()
    about = machine()
    term.line(f"{about['cpu']}, {about['cores']} CPUs, Linux {about['kernel']}, load {about['load']:.1f}, revision {about['revision']}")
    term.line(f"{about['clang']}; wasm: {' '.join(WASM[:4] + (['-msimd128'] if simd else []))}; {args.rounds} rounds of {CALLS} calls")
    for c in COLUMNS:
        term.line(f"  {c:<8} {COLUMNS[c][2]}" + (f' ({COLUMNS[c][1]})' if COLUMNS[c][1] else ''))
    term.line()
    term.line(row('', [c if c == 'native' else c + ' ×' for c in columns] + (['code size ×', 'compile MB/s'] if 'sfi' in columns else [])))
    table, failures = [], []
    for k in kernels:
        results = measure(k, columns, args.rounds, term.progress)
        table.append((k, results))
        term.line(row(k.name, cells_of(results, columns)))
        failures += [f'{k.name}, {c}: {v["failed"]}' for c, v in results.items() if 'failed' in v]
    means, totals = summarise(table, columns, term)
    bars(table, means, totals, term)
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, 'jit.json'), 'w') as f:
        json.dump({'machine': about, 'flags': FLAGS, 'wasm_flags': WASM, 'simd': simd, 'rounds': args.rounds, 'calls': CALLS,
                   'columns': {c: COLUMNS[c][2] for c in columns},
                   'kernels': {k.name: {'group': k.group, 'n': int(k.size), 'columns': r,
                                        'ratios': {c: ratio(r, c) for c in columns}} for k, r in table},
                   'means': means, 'totals': totals, 'failures': failures}, f, indent=1)
    term.line()
    for f in failures:
        term.line('FAILED ' + f)
    term.line(f'{OUT}/jit.json has all numbers')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
