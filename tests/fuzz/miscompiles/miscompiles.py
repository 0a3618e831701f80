#!/usr/bin/env python3
"""Seeded miscompiles of the JIT: named ones after the catalogue of escapes, and every k-th of the conditions of sfi-jit/x64/
removed, negated, thinned or off by one. What the broken JIT makes must be rejected by the verifier or be harmless.

  tests/fuzz/miscompiles/miscompiles.py [--jobs N] [--conditions N] [--every N] [--only TEXT]     writes build/fuzz/miscompiles.json

The conditions are compiled into one copy of the sources, as the verifier's mutants are; a named one costs a file. Needs build/fuzz/corpus. A miscompile is
  rejected   the verifier refused some module's code (and what it accepted was harmless)
  harmless   the code differs, is accepted, satisfies the policy and stays inside when it runs
  refused    the compiler's own checks stopped it, it died or did not end: no code
  no effect  no module of the corpus compiles differently: for a named one that is a failure
  stale      a named one does not apply to the JIT as it is now: one in ten may
  ESCAPED    an oracle fired
"""
import argparse
import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'mutants'))
import mutants as base  # noqa: E402

ROOT = base.ROOT
BUILD = os.path.join(ROOT, 'build', 'fuzz', 'miscompiles')
GOOD = os.path.join(BUILD, 'good.code')
RESULT = os.path.join(ROOT, 'build', 'fuzz', 'miscompiles.json')
NAMED_LEAST = 200  # of the named ones have to apply, in a whole run


def named():
    with open(os.path.join(HERE, 'named.txt')) as f:
        for line in f:
            if line.strip() and not line.startswith('#'):
                parts = [p.strip() for p in line.rstrip('\n').split(' @ ')]
                assert len(parts) == 4, line
                yield parts


def insert_conditions(mutants, path, text):
    """Conditions of if and the first operand of ?: in returns, as in the verifier's mutants."""
    plain = base.blank_comments(text)
    lines = text.split('\n')
    edits = []
    for m in re.finditer(r'\bif \(', plain):
        close = base.matching(plain, m.end() - 1)
        line = plain.count('\n', 0, m.start())
        condition = plain[m.end():close]
        if 'sfi_mutant' in condition or plain[:m.start()].rstrip().endswith('\\'):
            continue
        edits.append((m.end(), close, base.mutate_condition(mutants, path, line + 1, lines[line].strip(), condition)))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def compile_to(source, out, *more):
    base.run(['clang', *base.FLAGS, *more, '-c', source, '-o', out], check=True)
    return out


def link(out, objects):
    base.run(['clang', '-fuse-ld=lld', '-o', out, os.path.join(BUILD, 'judge_jit.o'), *objects, 'build/o/libfuzz.a',
              'build/o/libhost.a', '-lm', '-lZydis', '-lcapstone'], check=True)
    return out


def write(path, text):
    with open(path, 'w') as f:
        f.write(text)
    return path


def build_conditions(pool):
    """One JIT with all conditions' mutants inside: (program, mutants)."""
    mutants, sources = base.Mutants(), []
    for path in sorted(glob.glob(os.path.join(ROOT, 'sfi-jit/x64/*.c'))):
        with open(path) as f:
            text = insert_conditions(mutants, os.path.relpath(path, ROOT), f.read())
        if 'sfi_mutant' in text:
            sources.append(write(os.path.join(BUILD, os.path.basename(path)), 'extern int sfi_mutant;\n' + text))
    objects = list(pool.map(lambda s: compile_to(s, s + '.o'), sources))
    return link(os.path.join(BUILD, 'conditions'), objects), mutants.all


def build_named(name, file, old, new):
    """A JIT with that change: its program, or None if it does not apply any more."""
    with open(os.path.join(ROOT, file)) as f:
        text = f.read()
    if text.count(old) != 1:
        return None
    return link(os.path.join(BUILD, name), [compile_to(write(os.path.join(BUILD, name + '.c'), text.replace(old, new)),
                                                       os.path.join(BUILD, name + '.o'), '-O0')])  # compiled once, run once


def judge(program, number=0):
    """(verdict, detail)."""
    env = {**os.environ, 'SFI_MUTANT': str(number)}
    try:
        said = base.run([program, GOOD], env=env, capture_output=True, text=True, timeout=90, errors='replace')
    except subprocess.TimeoutExpired:
        return 'refused', 'does not end'
    if 'violation' in said.stdout:
        return 'ESCAPED', said.stdout.strip()
    m = re.search(r'same=(\d+) refused=(\d+) rejected=(\d+) accepted=(\d+) ran=(\d+) rule=(\w+)', said.stdout)
    if not m:
        return 'refused', f'status {said.returncode}'
    _, refused, rejected, accepted, ran = map(int, m.groups()[:5])
    if rejected:
        return 'rejected', f'{m[6]}, {rejected} modules' + (f'; {accepted} accepted, harmless in {ran} runs' if accepted else '')
    if accepted:
        return 'harmless', f'{accepted} modules differ, {ran} runs between canaries'
    return ('refused', f'{refused} modules') if refused else ('no effect', '')


def judge_named(parts):
    program = build_named(*parts)
    if not program:
        return 'stale', f'"{parts[2]}" does not stand there once'
    verdict = judge(program)
    os.remove(program)
    return verdict


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--conditions', type=int, default=60, help='so many of the conditions, such as have an effect')
    parser.add_argument('--only', default='')
    parser.add_argument('--every', type=int, default=1, help='only every n-th of the named ones')
    o = parser.parse_args()
    shutil.rmtree(GOOD, ignore_errors=True)  # of another corpus
    os.makedirs(GOOD)
    done = []

    def add(file, line, source, change, verdict, detail):
        done.append({'file': file, 'line': line, 'source': source, 'change': change, 'verdict': verdict, 'detail': detail})
        if verdict in ('ESCAPED', 'stale', 'no effect'):
            print(f'{file}:{line}: {source}: {change}: {verdict} {detail}', flush=True)

    compile_to(os.path.join(HERE, 'judge_jit.c'), os.path.join(BUILD, 'judge_jit.o'))
    good = link(os.path.join(BUILD, 'good'), [])
    base.run([good, GOOD, 'save'], check=True, stdout=subprocess.DEVNULL)
    if judge(good)[0] != 'no effect':
        sys.exit(f'the JIT as it is: {judge(good)}')
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        chosen = [n for n in named() if o.only in n[0]][::o.every]
        for parts, verdict in zip(chosen, pool.map(judge_named, chosen)):
            add(parts[1], 0, parts[0], 'named', *verdict)
        effective, (program, mutants) = 0, build_conditions(pool) if o.conditions else (None, [])
        order = [mutants[i * 7919 % len(mutants)] for i in range(len(mutants))]  # scattered over files and kinds of change
        queue = [m for m in order if o.only in f'{m["file"]} {m["source"]} {m["change"]}']
        while queue and effective < o.conditions:
            batch, queue = queue[:2 * o.jobs], queue[2 * o.jobs:]
            for m, verdict in zip(batch, pool.map(lambda m: judge(program, m['number']), batch)):
                if verdict[0] != 'no effect':
                    add(m['file'], m['line'], m['source'], m['change'], *verdict)
                    effective += 1
    count = {v: sum(1 for m in done if m['verdict'] == v) for v in ('rejected', 'harmless', 'refused', 'no effect', 'stale', 'ESCAPED')}
    with open(RESULT, 'w') as f:
        json.dump({'miscompiles': done, 'count': count}, f, indent=1)
    print(f'{len(done)} miscompiles, {len(chosen)} of them named: ' + ', '.join(f'{n} {v}' for v, n in count.items()))
    few = not o.only and o.every == 1 and len(chosen) - count['stale'] < NAMED_LEAST
    return 1 if count['ESCAPED'] or count['no effect'] or count['stale'] > len(chosen) // 10 or few else 0


if __name__ == '__main__':
    sys.exit(main())
