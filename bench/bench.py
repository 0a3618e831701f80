#!/usr/bin/env python3
"""make bench: what does this isolation cost?

Every part pairs the sandboxed thing with its native twin, built from the same source by the same compiler, in one run. Tables appear
while it runs; build/bench/results.json has every number, build/bench/report.html the plots and the method. A bar that is missed is shown
with an exclamation mark (red on a terminal) and the reason; it is no failure of the command. What cannot be measured is: the rest goes on, and the exit
status is 1 (130 after Ctrl-C; what was measured until then is kept). A peer that is not installed is left out, which is no failure either.

  ONLY=part,…   some of the parts (names below)        QUICK=1   fewer cells and rounds: at most five minutes on a quiet machine, where all takes 25
  bench/bench.py --list                                names the parts
"""
import argparse
import importlib
import os
import sys
import time

import jit
import peers
import report
import summary
from common import OUT, Failed, run
from peers import qemu
from results import Results
from terminal import Terminal

PARTS = {  # name: what it answers
    'hosted': 'drivers on the real CPU, cycles a request',
    'crossings': 'a call between domains, against other ways to call: rings and page tables, Linux',
    'boot': 'from reset to the first block, packet and HTTP reply; modules, sizes',
    'guest': 'drivers in the guest, end to end: module, native twin, Linux; instructions a request',
    'mechanisms': 'in the guest: the fence against DMA, interrupts, preemption, restarts',
    'network': 'network drivers in the guest: frames sent, received and forwarded by module, native twin, Linux',
    'http': 'HTTP by wrk from this host: requests a second and latency, against a C server on Linux',
    'tcp': 'bulk transfers by TCP, against Linux',
    'compute': 'compiled code against native, V8, wasm2c; what each mechanism costs',
}


def chosen(only):
    names = [n for n in only.split(',') if n] if only else list(PARTS)
    wrong = [n for n in names if n not in PARTS]
    if wrong:
        sys.exit(f'bench: there is no part {wrong[0]}; there are {", ".join(PARTS)}')
    return names


def tsc_hz():
    """The time-stamp counter's frequency, as Linux found it, or measured by a tool of ours."""
    return float(run([os.path.join(OUT, 'rig'), 'hz']))


def misses(results, term):
    bars, missed = results.with_bar(), results.missed()
    if not bars:
        return
    term.line()
    term.line(f'{len(bars) - len(missed)} of {len(bars)} bars are met')
    for why, names in report.by_reason(missed).items():
        for name in names:
            m = missed[name]
            term.line(f"  MISSED  {name}: {m['value']:.2f} {m['unit']}, {report.bar_of(m)}")
        term.line('          why: ' + why)


def keep(results, folder, more=''):
    """The two files, whole or not at all."""
    paths = [os.path.join(folder, f) + more for f in ('results.json', 'report.html')]
    results.save(paths[0])
    report.write(results, paths[1])
    if more:
        for p in paths:
            os.remove(p)


def measure(results, term, names, folder, quick):
    """The parts, one after the other; what there is after each of them is kept. True if a person ended it."""
    m = results.machine
    term.line(f"{m['cpu']}, {m['cores']} CPUs, Linux {m['kernel']}, load {m['load']:.1f}, {m['clang']}, revision {m['revision']}")
    if m['load'] > 0.5:
        term.line('this machine is busy with something else: times are noisier than they need be')
    if not m['linux_peer']:
        term.line('Linux is not compared with: ' + peers.linux()[1])
    for name in names:
        began = time.monotonic()
        try:
            with results.attempt(name, term):
                importlib.import_module('parts.' + name).measure(results, term, quick)
            results.seconds[name] = round(time.monotonic() - began, 1)
            term.line(f'({name}: {results.seconds[name]:.0f} s)')
            keep(results, folder)
        except KeyboardInterrupt:
            results.failures.append((name, 'interrupted: what was measured before is here, and no part that comes after it'))
            return True
    return False


def main():
    parser = argparse.ArgumentParser(description='See the top of bench/bench.py.')
    parser.add_argument('--list', action='store_true', help='name the parts')
    parser.add_argument('--out', default=OUT, help='where results.json and report.html go')
    args = parser.parse_args()
    if args.list:
        for name, what in PARTS.items():
            print(f'{name:<10} {what}')
        return 0
    quick = os.environ.get('QUICK', '') or '0'
    if quick not in ('0', '1'):
        sys.exit(f'bench: QUICK is 0 or 1, not {quick}')
    quick = quick == '1'
    if not quick:
        os.environ.pop('QUICK', None)  # parts look, too
    names = chosen(os.environ.get('ONLY'))
    term, started = Terminal(), time.monotonic()
    try:
        results = Results({**jit.machine(), 'tsc_hz': tsc_hz(), 'qemu': qemu.qemu_version().splitlines()[0], 'accelerator': qemu.accelerator()[0],
                           'linux_peer': peers.linux()[0]}, quick)
        keep(results, args.out, '.new')  # rather found out now than at the end
        interrupted = measure(results, term, names, args.out, quick)
        keep(results, args.out)
    except (OSError, Failed, qemu.Failure) as e:
        sys.exit(f'bench: {e}')
    misses(results, term)
    if said := summary.sentences(results.metrics):
        term.line()
        for sentence in said:
            term.line('* ' + sentence)
    for what, why in results.failures:
        term.line(f'FAILED: {what}: {why.splitlines()[0] if why else why}')
    term.line()
    term.line(f'{args.out}/results.json, {args.out}/report.html ({time.monotonic() - started:.0f} s)')
    return 130 if interrupted else 1 if results.failures else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
