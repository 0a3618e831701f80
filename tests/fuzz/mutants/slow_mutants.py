#!/usr/bin/env python3
"""The verifier's mutants (mutants.py): at least 98 % of those that are no equivalents are killed, every survivor is explained,
and for every row of the catalogue of escapes that stands in the corpus there is a mutant, a check taken out, under which its
cases fail. Takes minutes, so it is no part of `make test`: tests/run tests/fuzz/mutants/slow_mutants.py; `make fuzz` runs the mutants too.
"""
import glob
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, '..', '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
import tap  # noqa: E402

run = subprocess.run([os.path.join(HERE, 'mutants.py')], capture_output=True, text=True, errors='replace')
if not tap.ok(re.search(r'^\d+ mutants, ', run.stdout, re.MULTILINE), 'mutants.py came to its end', run.stdout + run.stderr[-3000:]):
    tap.done()
with open(os.path.join(ROOT, 'build', 'fuzz', 'mutants.json')) as f:
    found = json.load(f)
total = len(found['mutants'])
tap.ok(total > 500 and found['killed'] >= 0.98 * (total - found['explained']) and found['explained'] < 0.05 * total,
       f'{found["killed"]} of {total} mutants are killed, {found["explained"]} are equivalent')
tap.ok(found['survived'] == 0, f'{found["explained"]} survivors are explained, {found["survived"]} are not', run.stdout)
failing = {}
for m in found['mutants']:
    for case in m['cases'] if len(m['cases']) < 200 or 'unknown' in m['change'] else ():  # not those which reject everything
        failing.setdefault(case, m)
rows = {}
for path in glob.glob(os.path.join(ROOT, 'tests', 'verify', '*.txt')):
    with open(path) as f:
        for case in re.findall(r'^(ESC-\d+\S*) +[A-Z]', f.read(), re.MULTILINE):  # not those that are accepted
            rows.setdefault(case[:7], []).append(case)
for row, cases in sorted(rows.items()):
    missing = [c for c in cases if c not in failing]
    m = next((failing[c] for c in cases if c in failing), {'source': '', 'change': ''})
    tap.ok(not missing, f'{row}: {len(cases)} cases seen to fail, as under "{m["source"]}" {m["change"]}', '\n'.join(missing))
tap.done()
