#!/usr/bin/env python3
"""Runs the campaigns of the escape range, shows how they get on, and fails if anything got out.

  tests/fuzz/fuzz.py [--time TIME] [--seed N] [--only NAME[,NAME]] [--short] [--fresh] [--report]

Without --time each campaign does its share of one CI run (GOALS), with a seed of its own each day. With it (90, 15m, 8h), the
campaigns share the time, and each goes on where the last run with that seed stopped, or was interrupted (build/fuzz/state.json;
--fresh forgets it); a campaign that comes to its end begins again with the next seed. --short is the share of "make test".
Every campaign runs as a process a CPU. What is no campaign (STUDIES) is part of a CI run with --report, or asked for by --only.
--report writes build/fuzz/report.html and .txt. Reproducers are written to build/fuzz/repro/. Exit status 1 and a "failed"
count if an oracle fired, a process died, nothing was tried, or a run of all missed a goal that is not of time (goals.py).
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import threading
import time

import goals

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
FUZZ = os.path.join(ROOT, 'build', 'fuzz')
STATE = os.path.join(FUZZ, 'state.json')
RESULTS = os.path.join(FUZZ, 'results.json')
TOLD = os.path.join(FUZZ, 'studies.json')
SHARDS = max(2, os.cpu_count() or 2)
SEED_MAX = 2**63 - 1
QUIET = 30  # seconds between lines about a campaign, where there is no terminal
COUNTS = ('tried', 'accepted', 'executed', 'faults')

# name: what it is, items of a CI run, items of make test (None: all there are)
GOALS = {
    'enum': ('structured encodings, two decoders and the policy', None, 3000),
    'raw': ('raw encodings, two decoders and the policy', 256 + 1024, 128),
    'rows': ('the accepted language, and on the CPU', None, None),
    'templates': ('edits of templates and proofs, executed', 11200 + 8000, 1200),
    'blocks': ('random blocks, executed between guards', 312500, 1500),
    'tables': ('hostile side tables under ASan', 1000000, 40000),
    'jit': ("mutants of the JIT's output", 40000, 120),
    'wasm': ('generated modules in three engines', 313, 6),
    'calls': ('kernel calls with hostile arguments, requests refused', 2010000, 1500),
    'decode': ('any bytes to decoder and compiler, libFuzzer', 150, 12),
    'kill': ('a block driver killed under load, its disk compared', 5000, 200),
    'net': ('hostile clients and neighbours of the network, in rounds', 2, 1),
}
ASKED = ('kill', 'net')  # boot machines: by --only, and not part of a run of all


def coincidence(command, violation):
    """O9: what looks like an address must look like one again when the command runs anew, with other addresses; a number of the sequence's own
    does not."""
    item = int(re.search(r'item=(\d+)', violation)[1])
    first = max(0, item - 2000)
    said = subprocess.run(command + ['--from', str(first), '--items', str(item + 1 - first)], capture_output=True, text=True, cwd=ROOT)
    return said.returncode == 0 and 'complete=1' in said.stdout and f'item={item} ' not in said.stdout


class Shard:
    """One process of a campaign, and a thread that reads what it says."""

    def __init__(self, name, number, options):
        self.counts = dict.fromkeys(COUNTS, 0)
        self.next, self.complete, self.violations, self.ended, self.stopped = 0, False, [], False, False
        self.at = os.path.join(FUZZ, f'{name}.{number}.at')
        script = os.path.join(ROOT, 'tests', 'fuzz', f'camp_{name}.py')
        program = [sys.executable, script] if os.path.exists(script) else [os.path.join(FUZZ, name)]
        self.command = program + ['--shard', f'{number}/{SHARDS}', '--at', self.at, *options]
        self.log = open(os.path.join(FUZZ, f'{name}.{number}.log'), 'w+')
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=self.log, text=True, errors='replace',
                                        cwd=ROOT)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def stop(self):
        self.stopped = True
        self.process.terminate()

    def read(self):
        for line in self.process.stdout:
            kind, _, rest = line.strip().partition(' ')
            if kind in ('progress', 'done'):
                values = dict(re.findall(r'(\w+)=(\d+)', rest))
                self.next = int(values.get('next', 0))
                self.counts = {c: int(values.get(c, 0)) for c in COUNTS}
                self.complete = values.get('complete') == '1'
                self.ended = kind == 'done'
            elif kind == 'violation':
                if rest.startswith('O9') and coincidence([a for a in self.command if a not in ('--at', self.at)], rest):
                    print(f'  a number that happens to be an address here, and only here: {rest}')
                else:
                    self.violations.append(rest)
        status = self.process.wait()
        if not self.stopped and (not self.ended or status not in (0, 1)):
            with open(self.at, 'rb') as f:
                item = int.from_bytes(f.read(8), 'little')
            self.log.seek(0)
            said = self.log.read()
            path = os.path.join(FUZZ, 'repro', f'{os.path.basename(self.at)[:-3]}.died')
            with open(path, 'w') as f:
                f.write(' '.join(self.command) + f' --from {item} --items 1\n{said}')
            self.violations.append(f'DIED item={item} file={path} exit status {status}: {said[-300:]}')


def human(n):
    for unit, size in (('G', 1e9), ('M', 1e6), ('k', 1e3)):
        if n >= size:
            return f'{n / size:.2f}{unit}'
    return str(int(n))


def show(name, result, end):
    rate = result['tried'] / max(result['seconds'], 0.001)
    text = f'{name:10s} {result["seconds"]:6.1f} s  {human(result["tried"])} tried ({human(rate)}/s)'
    for count in COUNTS[1:]:
        if result[count]:
            text += f', {human(result[count])} {count}'
    if result['violations']:
        text += f', {len(result["violations"])} VIOLATIONS'
    if sys.stdout.isatty():
        print('\r\033[K' + text, end='\n' if end else '', flush=True)
    elif end:
        print(text, flush=True)


def run_campaign(name, seed, start, items, seconds):
    """Counts, violations, where it stopped, whether it came to its end, whether it was interrupted."""
    options = ['--seed', str(seed), '--from', str(start), '--repro', os.path.join(FUZZ, 'repro')]
    if items is not None:
        options += ['--items', str(items)]
    if seconds:
        options += ['--seconds', str(seconds)]
    began = said = time.monotonic()
    shards = [Shard(name, k, options) for k in range(SHARDS)]

    def sum_up():
        result = {c: sum(s.counts[c] for s in shards) for c in COUNTS}
        result.update(seconds=time.monotonic() - began, violations=[v for s in shards for v in s.violations])
        return result
    interrupted = False
    while any(s.thread.is_alive() for s in shards):
        try:
            time.sleep(0.05)
            if sys.stdout.isatty():
                show(name, sum_up(), False)
            elif time.monotonic() - said > QUIET:
                said = time.monotonic()
                show(name, sum_up(), True)
        except KeyboardInterrupt:
            interrupted = True
            for s in shards:
                s.stop()
    result = sum_up()
    result.update(what=GOALS[name][0], seed=seed, next=max(start, min(s.next for s in shards)), interrupted=interrupted,
                  complete=all(s.complete for s in shards), when=time.strftime('%Y-%m-%d %H:%M'))
    show(name, result, True)
    for violation in result['violations']:
        print('  ' + violation)
    if not result['tried'] and not interrupted and not result['violations']:
        print('  nothing was tried: it takes more time')
    return result


# What is no campaign: name, command. PAIRED ones keep one CPU busy or wait for a machine's clock: two at a time; the others use all CPUs, or time.
PAIRED = {
    'catalogue': ['tests/escape/undone.py'],
    'oracles': ['tests/fuzz/test_oracles.py'],
    'net-kills': ['env', 'KILLS=200', 'tests/boot/test_net_lives.py'],
    'dma': ['tests/boot/test_attack.py'],
    'kills': ['tests/boot/test_kill.py'],
    'spec-guest': ['tests/boot/test_spec_guest.py'],
    'calls-guest': ['env', 'SEQUENCES=7000', 'tests/boot/test_calls.py'],
    'powercuts': ['tests/ext4/test_powercut.py'],
    'spec': ['tests/spec/test_spec.py'],
    'lemmas': ['tests/fuzz/lemmas/test_lemmas.py'],
    'coverage': ['tests/fuzz/coverage.py'],
}
STUDIES = {
    **PAIRED,
    'mutants': ['tests/fuzz/mutants/mutants.py'],
    'miscompiles': ['tests/fuzz/miscompiles/miscompiles.py'],
    'speed': ['build/fuzz/speed', os.path.join(FUZZ, 'speed.json')],
}


def study(what):
    """Runs it; what a test counts it says in lines "# count NAME N". True if it was good."""
    began = time.monotonic()
    run = subprocess.run(STUDIES[what], cwd=ROOT, capture_output=True, text=True, errors='replace')
    good = run.returncode == 0
    counts = {name: int(n) for name, n in re.findall(r'^# count (\S+) (\d+)$', run.stdout, re.MULTILINE)}
    points = len(re.findall(r'^ok ', run.stdout, re.MULTILINE))
    last = f'{points} points' if points else next((line for line in reversed(run.stdout.splitlines()) if line.strip()), '')
    seconds = time.monotonic() - began
    more = ''.join(f', {name} {n}' for name, n in counts.items())
    wrong = '\n'.join(re.findall(r'^not ok .*(?:\n#.*){0,20}', run.stdout, re.MULTILINE)) or run.stdout[-2000:] + run.stderr[-1000:]
    print(f'{what:11s} {seconds:6.1f} s  {last + more if good else wrong}', flush=True)
    told = load(TOLD)
    told[what] = {'good': good, 'said': last, 'counts': counts, 'seconds': seconds}
    save(TOLD, told)
    return good


def run_studies(names):
    """How many were good."""
    good, lock = 0, threading.Lock()

    def one(name):
        nonlocal good
        fine = study(name)
        with lock:
            good += fine
    pool = concurrent.futures.ThreadPoolExecutor(2)
    try:
        list(pool.map(one, [n for n in names if n in PAIRED]))
    except KeyboardInterrupt:
        pool.shutdown(cancel_futures=True)
        raise
    for name in names:
        if name not in PAIRED:
            one(name)
    return good


def load(path):
    try:
        with open(path) as f:
            return json.load(f)
    except (OSError, ValueError):
        return {}


def save(path, value):
    with open(path + '.tmp', 'w') as f:
        json.dump(value, f, indent=1)
    os.replace(path + '.tmp', path)


def time_of(text):
    m = re.fullmatch(r'(\d+(?:\.\d+)?)([smh]?)', text)
    seconds = float(m[1]) * {'': 1, 's': 1, 'm': 60, 'h': 3600}[m[2]] if m else 0
    if not seconds:
        sys.exit(f'TIME is seconds, or minutes or hours as in 15m and 8h, not "{text}"')
    return seconds


def seed_of(text):
    try:
        seed = int(text, 0)
    except ValueError:
        seed = 0
    if not 1 <= seed <= SEED_MAX:
        sys.exit(f'SEED is a number from 1 on, not "{text}"')
    return seed


def names_of(text):
    """Campaigns and studies; each once, in the order in which they are named."""
    names = list(dict.fromkeys(name for name in re.split(r'[,\s]+', text) if name))
    for name in names:
        if name not in GOALS and name not in STUDIES:
            sys.exit(f'ONLY knows no "{name}"; there are {", ".join([*GOALS, *STUDIES])}')
    return names


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--time', type=time_of)
    parser.add_argument('--seed', type=seed_of)
    parser.add_argument('--only', type=names_of)
    parser.add_argument('--short', action='store_true')
    parser.add_argument('--fresh', action='store_true')
    parser.add_argument('--report', action='store_true')
    o = parser.parse_args()
    campaigns = [name for name in GOALS if name not in ASKED]
    studies = STUDIES if o.report and not o.time else ()
    if o.only:
        campaigns, studies = [n for n in o.only if n in GOALS], [n for n in o.only if n in STUDIES]
    base = o.seed or (1 if o.time or o.short else int(time.strftime('%Y%m%d')))
    began = time.monotonic()
    os.makedirs(os.path.join(FUZZ, 'repro'), exist_ok=True)
    state = {} if o.fresh else load(STATE)
    results = load(RESULTS)
    passed = failed = 0
    print(f'seed {base}, {SHARDS} processes a campaign, reproducers go to build/fuzz/repro/', flush=True)
    for name in campaigns:
        seed, start, items, seconds = base, 0, GOALS[name][2 if o.short else 1], None
        if o.time:
            items, seconds = None, max(1.0, o.time / len(campaigns))
            seed, start = state.get(f'{name}/{base}', (base, 0))
            if (seed, start) != (base, 0):
                print(f'{name:10s} goes on with seed {seed} at item {start}', flush=True)
        result = run_campaign(name, seed, start, items, seconds)
        good = result['tried'] and not result['violations']
        if o.time and good:
            state[f'{name}/{base}'] = (seed + 1, 0) if result['complete'] else (seed, result['next'])
            save(STATE, state)
        results[name] = {**result, 'ever': results.get(name, {}).get('ever', 0) + result['tried']}
        save(RESULTS, results)
        if result['interrupted']:
            raise KeyboardInterrupt
        passed, failed = passed + bool(good), failed + (not good)
    good = run_studies(studies)
    passed, failed = passed + good, failed + len(studies) - good
    if o.report and not o.time and not o.only:
        save(TOLD, {**load(TOLD), 'whole': {'seconds': time.monotonic() - began}})
        missed = [row for row in goals.table() if row[3] != 'yes']
        for campaign, goal, done, _ in missed:
            print(f'GOAL MISSED {campaign}: {goal}; done: {done or "nothing"}')
        failures = sum(row[1] not in goals.OF_TIME for row in missed)
        passed, failed = passed + len(goals.GOALS) - len(missed), failed + failures
    if o.report:
        subprocess.run([os.path.join(ROOT, 'tests', 'fuzz', 'report.py')])
    print(f'{passed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit('\ninterrupted')
