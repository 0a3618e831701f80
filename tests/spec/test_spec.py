#!/usr/bin/env python3
"""The WebAssembly specification's suite, in sfi-spec: one test point a script, every module through the verifier.

SASOS_SPECTEST names the archive (wast2json output, GROUP/NAME/NAME.json); by default it is the conformance archive beside the
checkout. SASOS_SPECGROUPS names the groups, by default those of the language that is complete: "wasm1 wasm2".
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
groups = os.environ.get('SASOS_SPECGROUPS', 'wasm1 wasm2').split()
tool = os.path.join(ROOT, 'build', 'host', 'sfi-spec')

if not os.path.exists(archive):
    print('1..0 # SKIP no conformance archive: set SASOS_SPECTEST to one')
    sys.exit(0)

with tempfile.TemporaryDirectory() as folder:
    with tarfile.open(archive) as tar:
        tar.extractall(folder, [m for m in tar if m.isfile() and '..' not in m.name and not m.name.startswith('/')])
    total = [0, 0]
    for group in groups:
        scripts = sorted(glob.glob(f'{folder}/**/{group}/*/*.json', recursive=True))
        tap.ok(scripts, f'{group}: {len(scripts)} scripts')
        for script in scripts:
            name = f'{group}/{os.path.basename(script)[:-5]}'
            try:
                run = subprocess.run([tool, script], capture_output=True, text=True, errors='replace', timeout=120)
            except subprocess.TimeoutExpired:
                tap.ok(False, name, 'takes more than 120 s')
                continue
            counts = re.search(r'^(\d+) passed, (\d+) failed$', run.stdout, re.MULTILINE)
            if counts:
                total = [total[0] + int(counts[1]), total[1] + int(counts[2])]
            what = f' ({counts[1]} checks)' if counts else ''
            tap.ok(run.returncode == 0 and counts, name + what, '\n'.join(run.stdout.replace(folder + '/', '').splitlines()[:10]) + run.stderr[:1000])
    print(f'# {total[0]} checks passed, {total[1]} failed')
tap.done()
