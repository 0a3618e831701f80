#!/usr/bin/env python3
"""The power-cut simulator (tests/ext4/powercut.c) on file systems of several kinds. CUTS=n STEPS=n SEED=n for more or other ones: a failure names
the SEED= that brings it back, with the same CUTS and STEPS.

Then damaged images: the module must come to an end with each. Where libext2fs itself goes wrong with one (it does: that is what the sandbox is
for), it must not be our own files that do."""
import os
import random
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'boot'))
import tap  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
SIM = os.path.join(ROOT, 'build', 'test', 'ext4-sim')
CUTS = os.environ.get('CUTS', '12')
STEPS = os.environ.get('STEPS', '600')
# A file was cut, then removed while open and written to, all in one transaction that the power cut took back: its new bytes were in place.
NAMELESS_SEED = 488663703
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
    path = image(folder, *KINDS['blocks of 2 KiB, small inodes, no checksums'])
    done = subprocess.run([SIM, 'run', path, str(NAMELESS_SEED), '600', '12', folder], capture_output=True, text=True)
    tap.ok(done.returncode == 0, 'a write to a removed file is in place when a cut brings its name back', done.stdout + done.stderr)
    files = os.path.join(folder, 'files')
    os.makedirs(os.path.join(files, 'a', 'b'))
    for i in range(60):
        with open(os.path.join(files, 'a', f'file-{i}'), 'wb') as f:
            f.write(os.urandom(i * 700))
    os.symlink('a/file-3', os.path.join(files, 'link'))
    for name, options in (('without checksums', ['-O', '^metadata_csum']), ('with checksums', [])):
        path = image(folder, 12, ['-b', '1024', *options, '-d', files])
        done = subprocess.run([SIM, 'damage', path, str(SEED), '100'], capture_output=True, text=True)
        tap.ok(done.returncode == 0, f'damaged images {name} come to an end, seed {SEED}', done.stdout + done.stderr)
        ours = re.findall(r'.*apps/ext4/\S+ runtime error.*|#[01] .* in (?!memcpy|memset|memmove|__)\w+ \S*apps/ext4/.*', done.stderr)
        tap.ok(not ours, f'it is not our own files that go wrong, {name}', '\n'.join(ours) + '\n' + done.stderr)
        print('#', done.stdout.strip())
print(f'# count power-cuts {len(KINDS) * int(CUTS)}')
print(f'# again with SEED={SEED} CUTS={CUTS} STEPS={STEPS}')
tap.done()
