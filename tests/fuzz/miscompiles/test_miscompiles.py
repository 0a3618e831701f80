#!/usr/bin/env python3
"""Seeded miscompiles of the JIT (miscompiles.py), every fifteenth of the named ones: none gets out.
All of them, and broken conditions, are run by `make fuzz`.
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, '..', '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
import tap  # noqa: E402

run = subprocess.run([os.path.join(HERE, 'miscompiles.py'), '--every', '15', '--conditions', '0'], capture_output=True, text=True,
                     errors='replace')
m = re.search(r'(\d+) miscompiles, \d+ of them named: (\d+) rejected, (\d+) harmless, (\d+) refused, (\d+) no effect, (\d+) stale, (\d+) ESCAPED',
              run.stdout)
if tap.ok(m, 'it came to its end', run.stdout + run.stderr[-3000:]):
    total, rejected, harmless, _, idle, stale, escaped = map(int, m.groups())
    tap.ok(escaped == 0, f'{total} miscompiles: {rejected} rejected, {harmless} harmless, {escaped} escaped', run.stdout)
    tap.ok(run.returncode == 0, f'{idle} of the named ones have no effect, {stale} do not apply', run.stdout)
tap.done()
