#!/usr/bin/env python3
"""wasm — generated modules (G7) in three engines: the JIT, node's V8 and wabt's interpreter (oracle O6).

Results, kinds of trap and the hash over memory and globals after all calls must agree. An item is a batch of modules. Every
module goes to the JIT and to V8, every eighth to wabt as well. Options and output as in fuzz.h. A module on which the
engines differ is kept as reproducer; one on which an engine runs out of stack or time is passed over.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import camp

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
GENERATOR = os.path.join(ROOT, 'build', 'fuzz', 'wasmgen')
BATCH = 64
MANY = 8
WABT_EVERY = 8

# What engines say → one word. null and wrong type are one: V8 does not tell them apart.
TRAPS = [
    (r'invalid atomic access', 'atomic'),
    (r'unaligned|not aligned|must be aligned', 'unaligned'),
    (r'unreachable', 'unreachable'),
    (r'stack|call depth|exhausted', 'stack'),
    (r'table index is out|undefined (table index|element)|out of bounds table', 'table'),
    (r'signature|null function|uninitialized|indirect call', 'callee'),
    (r'memory access|memory\.\w+ out of|out of bounds memory', 'memory'),
    (r'divide by zero|remainder by zero', 'zero'),
    (r'unrepresentable in integer|invalid conversion|float.*range', 'conversion'),
    (r'overflow|unrepresentable', 'overflow'),
]


def trap_kind(text):
    return next((kind for pattern, kind in TRAPS if re.search(pattern, text)), text)


def parse(text):
    """{export: value or trap}."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(' ')
        kind, _, value = rest.partition(' ')
        found[name] = value if kind == 'i64' else 'trap ' + trap_kind(rest)
    return found


def parse_wabt(text):
    found = {}
    for name, rest in re.findall(r'^(\w+)\(\) => (.*)$', text, re.MULTILINE):
        found[name] = f'{int(rest[4:]):x}' if rest.startswith('i64:') else 'trap ' + trap_kind(rest)
    return found


def read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ''


def compare(folder, number, wabt):
    """None, or what differs."""
    base = os.path.join(folder, str(number))
    results = {'sfi': parse(read(base + '.sfi')), 'v8': parse(read(base + '.v8'))}
    if wabt:
        try:
            run = subprocess.run(['wasm-interp', '--enable-threads', base + '.wasm', '--run-all-exports'], capture_output=True, text=True, timeout=60)
            results['wabt'] = parse_wabt(run.stdout)
        except subprocess.TimeoutExpired:
            pass
    if any('trap stack' in r.values() for r in results.values()):
        return None
    # wabt and V8 say "conversion" and "overflow" by other rules for trunc: NaN and range are one kind.
    plain = {k: {n: v.replace('conversion', 'overflow') for n, v in r.items()} for k, r in results.items()}
    first = plain['sfi']
    for name, said in plain.get('wabt', {}).items():  # one word for two kinds
        if said == 'trap atomic' and first.get(name) in ('trap memory', 'trap unaligned'):
            plain['wabt'][name] = first[name]
    for engine, result in plain.items():
        if result != first:
            names = sorted(n for n in set(first) | set(result) if first.get(n) != result.get(n))
            return f'{engine} differs: ' + ', '.join(f'{n} {first.get(n)} / {result.get(n)}' for n in names)
    return None if first else 'no results'


def main():
    o = camp.options(generator=GENERATOR)
    began, counts, bad = time.monotonic(), {'tried': 0, 'accepted': 0, 'executed': 0, 'faults': 0}, 0
    item = o.start

    def say(what, more=''):
        print(what, f'next={item}', *(f'{k}={v}' for k, v in counts.items()), more, flush=True)

    complete = 1
    while o.items is None or item < o.start + o.items:
        if item % o.shards != o.shard:
            item += 1
            continue
        if (o.seconds and time.monotonic() - began > o.seconds) or bad >= MANY:
            complete = 0
            break
        camp.note(o, item)
        with tempfile.TemporaryDirectory() as folder:
            made = subprocess.run([o.generator, '--seed', str(o.seed), '--from', str(item * BATCH), '--items', str(BATCH),
                                   '--corpus', folder, '--repro', o.repro],
                                  capture_output=True, text=True)
            for line in made.stdout.splitlines():
                if line.startswith('violation'):
                    print(line, flush=True)
                    bad += 1
                m = re.match(r'done .*tried=(\d+) accepted=(\d+) executed=(\d+) faults=(\d+)', line)
                if m:
                    for key, value in zip(counts, m.groups()):
                        counts[key] += int(value)
            if made.returncode not in (0, 1):
                print(f'violation O6 item={item} file=- the JIT died: {made.returncode} {made.stderr[-200:]!r}', flush=True)
                bad += 1
            subprocess.run(['node', '--stack-size=4000', os.path.join(ROOT, 'tests/fuzz/v8.js'), folder], check=True)
            for name in sorted(f for f in os.listdir(folder) if f.endswith('.wasm')):
                number = int(name[:-5])
                wrong = compare(folder, number, number % WABT_EVERY == 0)
                if wrong:
                    kept = os.path.join(o.repro, f'wasm-{o.seed}-{number}.wasm')
                    shutil.copy(os.path.join(folder, name), kept)
                    print(f'violation O6 item={item} file={kept} {wrong}', flush=True)
                    bad += 1
        item += 1
        say('progress')
    say('done', f'complete={complete}')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
