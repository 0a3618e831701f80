#!/usr/bin/env python3
"""Runs the modules of this folder in sfi-run. A module says in comments what is expected of it:

    ;; run: ARGUMENTS            behind the file's name; before "--" if there is one: in front of it
    ;; out: LINE                 of standard output, in order (all of them, if there is any)
    ;; err: REGULAR EXPRESSION   found in standard error
    ;; in: LINE                  of standard input
    ;; status: N                 exit status, 0 if it is not given

One test point a "run" line. A module that is malformed on purpose stands here as bytes, in cases below.
"""
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
HERE = os.path.join(ROOT, 'tests', 'wat')
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
import tap  # noqa: E402

TOOL = os.path.join(ROOT, 'build', 'host', 'sfi-run')
folder = tempfile.TemporaryDirectory()


def cases(path):
    found = []
    with open(path) as f:
        for line in f:
            m = re.match(r';; (run|out|err|in|status):(?: (.*))?$', line.rstrip('\n'))
            if m and m[1] == 'run':
                found.append({'run': m[2] or '', 'out': [], 'err': [], 'in': [], 'status': '0'})
            elif m and m[1] == 'status':
                found[-1]['status'] = m[2]
            elif m:
                found[-1][m[1]].append(m[2] or '')
    return found


def check(name, wasm, case):
    front, dashes, back = case['run'].rpartition('-- ')
    command = [TOOL, *shlex.split(front if dashes else ''), wasm, *shlex.split(back)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=60,
                             input=''.join(line + '\n' for line in case['in']))
    except subprocess.TimeoutExpired:
        tap.ok(False, name, 'takes more than 60 s')
        return
    said = f'status {run.returncode}, expected {case["status"]}\n{run.stdout}{run.stderr}'
    fits = str(run.returncode) == case['status'] and all(re.search(e, run.stderr) for e in case['err'])
    if case['out']:
        fits = fits and run.stdout.splitlines() == case['out']
    tap.ok(fits, name, said)


for path in sorted(glob.glob(HERE + '/*.wat')):
    base = os.path.basename(path)[:-4]
    wasm = os.path.join(folder.name, base + '.wasm')
    made = subprocess.run(['wat2wasm', '--debug-names', path, '-o', wasm], capture_output=True, text=True)
    if made.returncode:
        tap.ok(False, base, made.stderr)
        continue
    for case in cases(path):
        check(f'{base} {case["run"]}'.strip(), wasm, case)

# What sfi-run says about files and arguments that are no good.
BAD = [
    ('no file', None, '', '2', r'usage: sfi-run'),
    ('a missing file', 'none.wasm', '', '2', r'none\.wasm: No such file'),
    ('a folder', '.', '', '2', r'Is a directory'),
    ('an empty file', b'', '', '1', r'malformed module: '),
    ('not WebAssembly', b'#!/bin/sh\necho\n', '', '1', r'malformed module: magic header not detected'),
    ('a truncated module', b'\0asm\1\0\0\0\1\x7f\1', '', '1', r'malformed module: .*offset 0x'),
    ('an unknown option', None, '--frobnicate', '2', r'unknown option --frobnicate'),
]
for what, content, arguments, status, text in BAD:
    command = [TOOL, *arguments.split()]
    if isinstance(content, bytes):
        with open(os.path.join(folder.name, 'bad.wasm'), 'wb') as f:
            f.write(content)
        content = os.path.join(folder.name, 'bad.wasm')
    if content:
        command.append(content)
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    tap.ok(str(run.returncode) == status and re.search(text, run.stderr), 'refused: ' + what,
           f'status {run.returncode}, expected {status}\n{run.stderr}')
tap.done()
