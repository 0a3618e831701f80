#!/usr/bin/env python3
"""Lua and SQLite, built from Debian's source packages as WASI commands, with the personality in a Linux process."""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)
sys.path += ['tests/boot', 'tests/wasi']
import smoke  # noqa: E402
import tap  # noqa: E402

with tempfile.TemporaryDirectory() as folder:
    archive = os.path.join(folder, 'files.tar')
    smoke.archive(archive)

    def run(program, *arguments):
        return subprocess.run(['build/test/wasi-bed', '--env', 'COLOUR=red', '--env', f'SASOS_PROGRAM={program}', '--env', 'SASOS_FILES=files.tar',
                               '--blob', 'files.tar=' + archive, f'build/wasi/{program}.wasm', *arguments], capture_output=True, text=True, timeout=120)
    done = run('lua', '/smoke.lua', 'one')
    tap.ok(done.returncode == 0 and done.stdout.startswith('all good'), 'Lua\'s smoke test', done.stdout + done.stderr)
    done = run('sql', ':memory:', '/smoke.sql')
    tap.ok(done.returncode == 0, 'SQLite\'s smoke test', done.stdout + done.stderr)
    tap.same(done.stdout, smoke.expected_sql(), 'prints what the host\'s SQLite prints')
tap.done()
