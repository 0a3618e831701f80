#!/usr/bin/env python3
"""A short run of every campaign of the escape range: one test point each. `make fuzz` is the long one."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
import tap  # noqa: E402

run = subprocess.run([os.path.join(HERE, 'fuzz.py'), '--short'], capture_output=True, text=True, errors='replace')
try:
    with open(os.path.join(ROOT, 'build', 'fuzz', 'results.json')) as f:
        results = json.load(f)
except OSError:
    results = {}
for name, result in results.items():
    counts = ', '.join(f'{result[k]} {k}' for k in ('tried', 'accepted', 'executed') if result[k])
    tap.ok(result['tried'] and not result['violations'], f'{name}: {counts}', '\n'.join(result['violations']))
tap.ok(run.returncode == 0 and len(results) >= 10, 'all campaigns', run.stdout[-3000:] + run.stderr[-2000:])
tap.done()
