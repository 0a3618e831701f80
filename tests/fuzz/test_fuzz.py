#!/usr/bin/env python3
"""A short run of every campaign of the escape range: one test point each. `make fuzz` is the long one. And what fuzz.py makes of
its options: wrong ones are refused, and a run for a time goes on where the last one stopped."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
import tap  # noqa: E402



def fuzz(*options):
    return subprocess.run([os.path.join(HERE, 'fuzz.py'), *options], capture_output=True, text=True, errors='replace')


run = fuzz('--short')
try:
    with open(os.path.join(ROOT, 'build', 'fuzz', 'results.json')) as f:
        results = json.load(f)
except OSError:
    results = {}
for name, result in results.items():
    counts = ', '.join(f'{result[k]} {k}' for k in ('tried', 'accepted', 'executed') if result[k])
    tap.ok(result['tried'] and not result['violations'], f'{name}: {counts}', '\n'.join(result['violations']))
tap.ok(run.returncode == 0 and len(results) >= 10, 'all campaigns', run.stdout[-3000:] + run.stderr[-2000:])
for option in ('--only=nonsense', '--seed=abc', '--seed=0', '--time=-1', '--time=nan', '--time=1d'):
    refused = fuzz(option)
    value = option.partition('=')[2]
    tap.ok(refused.returncode == 1 and f'"{value}"' in refused.stderr and not refused.stdout, f'{option} is refused',
           refused.stdout + refused.stderr)
timed = [fuzz('--time=1s', '--only=tables', '--seed=0x5eed') for _ in range(2)]
tap.ok(all(t.returncode == 0 for t in timed) and f'goes on with seed {0x5eed} at item ' in timed[1].stdout,
       'a run for a time goes on', timed[0].stdout + timed[1].stdout)
tap.done()
