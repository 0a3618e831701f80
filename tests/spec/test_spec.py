#!/usr/bin/env python3
"""The WebAssembly specification's suite and this folder's own scripts, in sfi-spec: one point a script, every module verified.

The own ones, *.wast, are converted by wast2json.
SASOS_SPECTEST names the archive (wast2json output, GROUP/NAME/NAME.json); by default it is the conformance archive beside the
checkout. SASOS_SPECGROUPS names the groups, by default those of the language that is complete: "wasm1 wasm2 simd extended-const tail-call".
"""
import glob
import os
import re
import subprocess
import sys
import tarfile
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
import tap  # noqa: E402

archive = os.environ.get('SASOS_SPECTEST') or os.path.join(ROOT, '..', 'shared', 'spectest-dev.tar.xz')
groups = os.environ.get('SASOS_SPECGROUPS', 'wasm1 wasm2 simd extended-const tail-call').split()
tool = os.path.join(ROOT, 'build', 'host', 'sfi-spec')

total = [0, 0]


def run_script(script, name, folder):
    try:
        run = subprocess.run([tool, script], capture_output=True, text=True, errors='replace', timeout=120)
    except subprocess.TimeoutExpired:
        tap.ok(False, name, 'takes more than 120 s')
        return
    counts = re.search(r'^(\d+) passed, (\d+) failed$', run.stdout, re.MULTILINE)
    if counts:
        total[0] += int(counts[1])
        total[1] += int(counts[2])
    what = f' ({counts[1]} checks)' if counts else ''
    said = run.stdout.replace(folder + '/', '').splitlines()[:10]
    tap.ok(run.returncode == 0 and counts, name + what, '\n'.join(said) + run.stderr[:1000])


with tempfile.TemporaryDirectory() as folder:
    for path in sorted(glob.glob(os.path.join(ROOT, 'tests', 'spec', '*.wast'))):
        name = os.path.basename(path)
        script = os.path.join(folder, name + '.json')
        made = subprocess.run(['wast2json', '--enable-tail-call', '--enable-threads', path, '-o', script], capture_output=True, text=True)
        if tap.ok(made.returncode == 0, name + ' converts', made.stderr):
            run_script(script, name, folder)

if not os.path.exists(archive):
    tap.skip('the conformance suite', 'no conformance archive: set SASOS_SPECTEST to one')
    tap.done()
    sys.exit(0)

with tempfile.TemporaryDirectory() as folder:
    with tarfile.open(archive) as tar:
        tar.extractall(folder, [m for m in tar if m.isfile() and '..' not in m.name and not m.name.startswith('/')])
    for group in groups:
        scripts = sorted(glob.glob(f'{folder}/**/{group}/*/*.json', recursive=True))
        tap.ok(scripts, f'{group}: {len(scripts)} scripts')
        for script in scripts:
            run_script(script, f'{group}/{os.path.basename(script)[:-5]}', folder)
    print(f'# {total[0]} checks passed, {total[1]} failed')
tap.done()
