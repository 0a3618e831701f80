#!/usr/bin/env python3
"""The catalogue of escapes (catalogue.txt): one test point a row and way in which it is shown.

Cases of the corpus and modules are run here; a lemma, campaign, miscompile or test elsewhere must exist, and is run by its
own test. That each case fails when the check behind it is removed is shown by tests/fuzz/mutants.
"""
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'fuzz'))
import tap  # noqa: E402
from fuzz import GOALS  # noqa: E402

RUN = os.path.join(ROOT, 'build', 'host', 'sfi-run')
folder = tempfile.TemporaryDirectory()


def read(path):
    with open(os.path.join(ROOT, path)) as f:
        return f.read()


def corpus():
    """Names of all cases, and of those whose verdict is wrong."""
    names = []
    for path in glob.glob(os.path.join(ROOT, 'tests', 'verify', '*.txt')):
        names += re.findall(r'^(\S+) +(?:accept|[A-Z_0-9]+) ', read(path), re.MULTILINE)
    wrong = subprocess.run([os.path.join(ROOT, 'build', 'fuzz', 'cases')], cwd=ROOT, capture_output=True, text=True)
    return names, wrong.stdout.split() if wrong.returncode == 0 else names


def runs(path):
    """[arguments, [output], [regular expressions], status] of each "run" comment, as in tests/wat."""
    found = []
    for kind, text in re.findall(r'^;; (run|out|err|status): (.*)$', read(path), re.MULTILINE):
        if kind == 'run':
            found.append([text, [], [], '0'])
        elif kind == 'status':
            found[-1][3] = text
        else:
            found[-1][1 if kind == 'out' else 2].append(text)
    return found


def check_wat(name):
    path = f'tests/escape/{name.lower()}.wat'
    wasm = os.path.join(folder.name, name + '.wasm')
    made = subprocess.run(['wat2wasm', '--enable-tail-call', '--debug-names', os.path.join(ROOT, path), '-o', wasm], capture_output=True, text=True)
    if made.returncode:
        tap.ok(False, f'{name} wat', made.stderr)
        return
    for arguments, out, err, status in runs(path):
        run = subprocess.run([RUN, wasm, *shlex.split(arguments)], capture_output=True, text=True, errors='replace', timeout=60)
        good = str(run.returncode) == status and all(re.search(e, run.stderr) for e in err)
        good = good and (not out or run.stdout.split() == out)
        tap.ok(good, f'{name} wat {arguments}', f'status {run.returncode}\n{run.stdout}{run.stderr}')


def main():
    names, wrong = corpus()
    lemmas = re.findall(r'^; (?:lemma|negative): (\S+)', ''.join(read(os.path.relpath(p, ROOT)) for p in glob.glob(
        os.path.join(ROOT, 'tests/fuzz/lemmas/*.smt2'))), re.MULTILINE)
    miscompiles = re.findall(r'^(\S+) @', read('tests/fuzz/miscompiles/named.txt'), re.MULTILINE)
    seen = []
    for line in read('tests/escape/catalogue.txt').splitlines():
        if line.startswith('#'):
            continue
        name, title, ways = (p.strip() for p in line.split('|'))
        seen.append(name)
        for way in ways.split('; '):
            kind, _, rest = way.partition(' ')
            if kind == 'cases':
                mine = [n for n in names if n.startswith(name)]
                bad = [n for n in mine if n in wrong]
                tap.ok(mine and not bad, f'{name} {title}: {len(mine)} cases', '\n'.join(bad) or 'no such case')
            elif kind == 'wat':
                check_wat(name)
            elif kind == 'todo':
                tap.todo(f'{name} {title}', rest)
            elif kind == 'test':
                file, _, text = rest.partition(' ')
                tap.ok(text in read(file), f'{name} {title}: {rest}', 'not there')
            else:
                known = {'lemma': lemmas, 'campaign': list(GOALS), 'miscompile': miscompiles}[kind]
                tap.ok(any(k == rest or (kind == 'miscompile' and k.startswith(rest)) for k in known), f'{name} {title}: {way}',
                       'not there')
    tap.same(seen, [f'ESC-{n:03}' for n in range(1, 79)], 'all 78 rows are here, in order')
    tap.done()


main()
