#!/usr/bin/env python3
"""The example of docs/security.md: a fuzzer of one's own against libsfiverify.a builds, links with nothing else, and runs."""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
import tap  # noqa: E402

with tempfile.TemporaryDirectory() as folder:
    program = os.path.join(folder, 'own_fuzzer')
    built = subprocess.run(['clang', '-Wall', '-Wextra', '-Werror', '-O2', '-I.', 'tests/fuzz/example/own_fuzzer.c',
                            'build/host/libsfiverify.a', '-o', program], cwd=ROOT, capture_output=True, text=True)
    if tap.ok(built.returncode == 0, 'it builds', built.stderr):
        run = subprocess.run([program, '300000'], capture_output=True, text=True, timeout=60)
        m = re.fullmatch(r'300000 tried, (\d+) accepted\n', run.stdout)
        tap.ok(run.returncode == 0 and m and int(m[1]) > 100, 'it runs, and some strings are accepted', run.stdout + run.stderr)
tap.done()
