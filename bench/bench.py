#!/usr/bin/env python3
"""make bench: what does this isolation cost?

Every part pairs the sandboxed thing with its native twin, built from the same source by the same compiler, in one run. Tables appear
while it runs; build/bench/results.json has every number, build/bench/report.html the plots and the method. A bar that is missed is shown
with an exclamation mark (red on a terminal) and the reason; it is no failure of the command.

  ONLY=part,…   some of the parts (names below)        QUICK=1   fewer cells and rounds: at most five minutes on a quiet machine, where all takes 25
  bench/bench.py --list                                names the parts
"""
import argparse
import importlib
import os
import sys
import time

import jit
import report
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


def main():
    parser = argparse.ArgumentParser(description='See the top of bench/bench.py.')
    parser.add_argument('--list', action='store_true', help='name the parts')
    parser.add_argument('--out', default=OUT, help='where results.json and report.html go')
    args = parser.parse_args()
    if args.list:
        for name, what in PARTS.items():
            print(f'{name:<10} {what}')
        return 0
    quick = os.environ.get('QUICK', '0') not in ('', '0')
    if not quick:
        os.environ.pop('QUICK', None)  # parts look, too
    names = chosen(os.environ.get('ONLY'))
    term, failed, started = Terminal(), 0, time.monotonic()
    results = Results({**jit.machine(), 'tsc_hz': tsc_hz()}, quick)
    m = results.machine
    term.line(f"{m['cpu']}, {m['cores']} CPUs, Linux {m['kernel']}, load {m['load']:.1f}, {m['clang']}, revision {m['revision']}")
    if m['load'] > 0.5:
        term.line('this machine is busy with something else: times are noisier than they need be')
    for name in names:
        began = time.monotonic()
        try:
            importlib.import_module('parts.' + name).measure(results, term, quick)
        except (Failed, qemu.Failure) as e:
            failed += 1
            term.line(f'FAILED: {name}: {e}')
            results.section(name, name, f'This part failed: {e}')
        except KeyboardInterrupt:
            term.line(f'interrupted in {name}: the report has what was measured before')
            failed += 1
            break
        results.seconds[name] = round(time.monotonic() - began, 1)
        term.line(f'({name}: {results.seconds[name]:.0f} s)')
    misses(results, term)
    results.save(os.path.join(args.out, 'results.json'))
    report.write(results, os.path.join(args.out, 'report.html'))
    term.line()
    term.line(f'{args.out}/results.json, {args.out}/report.html ({time.monotonic() - started:.0f} s)')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
