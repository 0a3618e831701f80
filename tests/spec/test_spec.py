#!/usr/bin/env python3
"""The WebAssembly specification's suite and this folder's own scripts (suite.py), in sfi-spec: one point a script, every module
verified. tests/boot/test_spec_guest.py runs the same in the kernel."""
import os
import re
import subprocess
import sys

import suite

sys.path.insert(0, os.path.join(suite.ROOT, 'tests', 'boot'))
import tap  # noqa: E402

total = [0, 0]


def run_script(script, group):
    name = f'{group}/{os.path.basename(script)[:-5]}'
    try:
        run = subprocess.run([suite.TOOL, script], capture_output=True, text=True, errors='replace', timeout=120)
    except subprocess.TimeoutExpired:
        tap.ok(False, name, 'takes more than 120 s')
        return
    counts = re.search(r'^(\d+) passed, (\d+) failed$', run.stdout, re.MULTILINE)
    if counts:
        total[0] += int(counts[1])
        total[1] += int(counts[2])
    what = f' ({counts[1]} checks)' if counts else ''
    said = run.stdout.replace(os.path.dirname(script) + '/', '').splitlines()[:10]
    tap.ok(run.returncode == 0 and counts, name + what, '\n'.join(said) + run.stderr[:1000])


with suite.scripts() as found:
    for group, paths in found.items():
        tap.ok(paths, f'{group}: {len(paths)} scripts')
        for path in paths:
            run_script(path, group)
print(f'# count checks {total[0]}\n# count failed {total[1]}')
if not os.path.exists(suite.ARCHIVE):
    tap.skip('the conformance suite', suite.MISSING)
tap.done()
