#!/usr/bin/env python3
"""docs/write-an-application.md and docs/appliance.md: their commands, as they stand there, make a program, a machine that keeps its data, and a signature."""
import os
import re
import shlex
import subprocess
import tempfile

import qemu
import tap

EXAMPLE = os.path.join(qemu.ROOT, 'tests', 'wasi', 'example')


def read(path):
    with open(path) as f:
        return f.read()


def command(page, begin):
    """The line of a page's code blocks that begins so."""
    return re.search(rf'^{begin}.*$', read(os.path.join(qemu.ROOT, 'docs', page)), re.M)[0]


def appliance(line, *more):
    """`make appliance`, without making everything first."""
    variables = dict(w.split('=', 1) for w in shlex.split(line)[2:])
    return subprocess.run([os.path.join(qemu.ROOT, 'efi', 'appliance'), 'make', '--from-environment', *more], capture_output=True, text=True,
                          cwd=folder, env={**os.environ, **variables})


page = read(os.path.join(qemu.ROOT, 'docs', 'write-an-application.md'))
with tempfile.TemporaryDirectory() as folder:
    with open(os.path.join(folder, 'hello.c'), 'w') as f:
        f.write(read(os.path.join(EXAMPLE, 'hello.c')))
    compiled = subprocess.run(command('write-an-application.md', 'clang '), shell=True, cwd=folder, capture_output=True, text=True)
    tap.ok(compiled.returncode == 0, 'the command in the page compiles it', compiled)
    r = qemu.boot(config=read(os.path.join(EXAMPLE, 'hello.conf')), modules=['wasi', os.path.join(folder, 'hello.wasm')], disk=None)
    tap.ok(r.ok and re.search(r'^hello, you\nargument 1: one\nno disk', r.text, re.M), 'by its configuration it runs, without a disk', r)

    made = appliance(command('write-an-application.md', 'make appliance'))
    tap.ok(made.returncode == 0, 'the page\'s make appliance works', made)
    line = re.search(r'^  qemu-system-x86_64 (.*)$', read(os.path.join(folder, 'hello.txt')), re.M)[1]
    wanted = re.search(r'^```\n(hello, you\n.*?)^```', page, re.M | re.S)[1]
    for run in 1, 2:
        with qemu.Machine(shlex.split(line.replace('file=hello.qcow2', f'file={folder}/hello.qcow2'))) as m:
            why = m.read_until(None, 90)
            said = [s for s in m.text.splitlines() if re.match(r'hello, |argument \d|run \d+$', s)]
        tap.same(said, wanted.replace('run 1', f'run {run}').splitlines(), f'boot {run} says what the page says [{why}]')

    keys = subprocess.run(command('appliance.md', 'openssl req '), shell=True, cwd=folder, capture_output=True, text=True)
    signed = appliance(command('appliance.md', 'make appliance APP=prog.wasm SIGN').replace('prog', 'hello') + ' OUT=signed')
    shown = subprocess.run([os.path.join(qemu.ROOT, 'efi', 'appliance'), 'verify', 'signed.img'], cwd=folder, capture_output=True, text=True)
    tap.ok(signed.returncode == 0 and re.search(r'^signature +.*my appliances', shown.stdout, re.M), 'keys by openssl sign an image', f'{keys}\n{signed}\n{shown}')
tap.done()
