#!/usr/bin/env python3
"""docs/security.md: its table of trusted parts has the lines that the tree has, to a tenth; what it names exists. docs/sfi.md: the verifier's
checks that it names exist.

  tests/check/test_security.py --update     writes the counts of today into the page
"""
import glob
import os
import re
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
PAGE = os.path.join(ROOT, 'docs', 'security.md')
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
import tap  # noqa: E402

PARTS = {
    '`sfi-jit/verify/`': ['sfi-jit/verify/*'],
    '`sfi-jit/sfi.h`': ['sfi-jit/sfi.h'],
    '`loader/` without `tools/`, `pack/`': ['loader/*.[chS]'],
    '`sasos/`': ['sasos/**/*.[chS]', 'sasos/**/*.def', 'sasos/*.ld'],
    '`efi/`': ['efi/*.[ch]'],
}


def lines(patterns):
    total = 0
    for pattern in patterns:
        for path in glob.glob(os.path.join(ROOT, pattern), recursive=True):
            with open(path) as f:
                total += sum(1 for _ in f)
    return total


with open(PAGE) as f:
    page = f.read()
if '--update' in sys.argv:
    for part, patterns in PARTS.items():
        page = re.sub(r'(\| ' + re.escape(part) + r' \|[^|]*\| )[^|]*( \|)', lambda m: f'{m[1]}{lines(patterns):,}{m[2]}', page)
    with open(PAGE, 'w') as f:
        f.write(page)
for part, patterns in PARTS.items():
    m = re.search(r'\| ' + re.escape(part) + r' \|[^|]*\| ([\d,]+) \|', page)
    stated, real = int(m[1].replace(',', '')) if m else 0, lines(patterns)
    tap.ok(real * 0.9 <= stated <= real * 1.1, f'{part} has {real:,} lines', f'the page says {stated:,}: run with --update')
for name in sorted(set(re.findall(r'`((?:tests|sfi-jit|loader|sasos|efi)/[\w./-]+)`', page))):
    tap.ok(os.path.exists(os.path.join(ROOT, name)), f'{name} exists')
campaigns = set(re.findall(r'campaigns? `(\w+)`(?: and `(\w+)`)?', page))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'fuzz'))
from fuzz import GOALS  # noqa: E402
for name in sorted({n for pair in campaigns for n in pair if n}):
    tap.ok(name in GOALS, f'campaign {name} exists')
verifier = ''
for path in glob.glob(os.path.join(ROOT, 'sfi-jit', 'verify', '*.[ch]')):
    with open(path) as f:
        verifier += f.read()
with open(os.path.join(ROOT, 'docs', 'sfi.md')) as f:
    table = f.read().split('## Which check sits where')[1].split('\n## ')[0]
for name in sorted(set(re.findall(r'`(\w+_\w+)`', table))):
    tap.ok(re.search(rf'\b{name}\(', verifier), f'{name}() exists in the verifier', 'docs/sfi.md names it')
tap.done()
