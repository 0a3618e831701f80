#!/usr/bin/env python3
"""The power-cut simulator (tests/ext4/powercut.c) on file systems of several kinds. CUTS=n STEPS=n SEED=n for more or other ones."""
import os
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'boot'))
import tap  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
SIM = os.path.join(ROOT, 'build', 'test', 'ext4-sim')
CUTS = os.environ.get('CUTS', '12')
STEPS = os.environ.get('STEPS', '600')
SEED = int(os.environ.get('SEED', random.randrange(10 ** 9)))
KINDS = {
    'blocks of 1 KiB': (16, ['-b', '1024']),
    'blocks of 4 KiB': (16, ['-b', '4096']),
    'a disk that is full most of the time': (4, ['-b', '1024', '-J', 'size=1']),
    'blocks of 2 KiB, small inodes, no checksums': (16, ['-b', '2048', '-I', '128', '-O', '^64bit,^metadata_csum,^flex_bg']),
}


def image(folder, mib, options):
    path = os.path.join(folder, 'disk')
    with open(path, 'wb') as f:
        f.truncate(mib << 20)
    subprocess.run(['mke2fs', '-q', '-F', '-t', 'ext4', *options, path], check=True)
    return path


with tempfile.TemporaryDirectory(dir='/dev/shm' if os.path.isdir('/dev/shm') else None) as folder:
    for number, (name, (mib, options)) in enumerate(KINDS.items()):
        path = image(folder, mib, options)
        done = subprocess.run([SIM, 'run', path, str(SEED + number), STEPS, CUTS, folder], capture_output=True, text=True)
        tap.ok(done.returncode == 0, f'{CUTS} power cuts, {name}, seed {SEED + number}', done.stdout + done.stderr)
        print('#', done.stdout.strip())
tap.done()
