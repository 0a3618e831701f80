#!/usr/bin/env python3
"""The WASI test set in a Linux process: each program with the personality, linked as in the kernel (build/test/wasi-bed)."""
import os
import subprocess
import sys
import tempfile

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(FOLDER))
os.chdir(ROOT)
sys.path += ['tests/boot', 'tests/wasi']
import files  # noqa: E402
import programs  # noqa: E402
import tap  # noqa: E402

BED = 'build/test/wasi-bed'


def bed(*arguments):
    return subprocess.run([BED, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', timeout=60)


def run(p, archive, *more):
    options = list(more)
    for e in p.env:
        options += ['--env', e]
    if p.files:
        options += ['--env', 'SASOS_FILES=files.tar', '--blob', 'files.tar=' + archive]
    if not p.entropy:
        options.append('--no-entropy')
    return bed(*options, f'build/wasi/{p.name}.wasm', *p.args)


with tempfile.TemporaryDirectory() as folder:
    archive = os.path.join(folder, 'files.tar')
    good = files.archive()
    with open(archive, 'wb') as f:
        f.write(good)
    for p in programs.programs():
        if p.data or p.observe or p.network or p.terminal:
            continue
        done = run(p, archive)
        ok = done.returncode == (134 if p.trap else p.exit) and 'FAILED' not in done.stdout and p.printed(done.stdout)
        tap.ok(ok, f'{p.name}: {p.what}', f'status {done.returncode}\n{done.stdout[-3000:]}')

    done = bed('--no-console', 'build/wasi/stdio.wasm')
    tap.ok(done.returncode == 0 and 'one two three four\n' in done.stdout and 'last\n' in done.stdout,
           'without the grant of the console, output goes to the log by lines', done.stdout[-500:])

    twice = run(next(p for p in programs.programs() if p.name == 'descriptors'), archive, '--twice')
    tap.ok(twice.returncode == 0 and 'FAILED' not in twice.stdout, 'a second program finds descriptors as at the start', twice.stdout)
    twice = run(next(p for p in programs.programs() if p.name == 'closed'), archive, '--twice')
    tap.ok(twice.returncode == 0 and 'FAILED' not in twice.stdout, 'though the first one ended without closing any', twice.stdout)

    # Archives that must be refused, each with a sentence and before the program runs.
    def refused(what, data, sentence):
        with open(archive, 'wb') as f:
            f.write(data)
        done = bed('--env', 'SASOS_FILES=files.tar', '--blob', 'files.tar=' + archive, 'build/wasi/preopens.wasm')
        tap.ok(done.returncode == 3 and sentence in done.stdout, f'an archive that {what} is refused', f'{done.returncode} {done.stdout}')

    def changed(data, at, new, fix=True):
        data = bytearray(data)
        block = at // 512 * 512
        data[at:at + len(new)] = new
        if fix:
            data[block + 148:block + 156] = b' ' * 8
            data[block + 148:block + 156] = b'%06o\0 ' % sum(data[block:block + 512])
        return bytes(data)
    refused('has a wrong checksum', changed(good, 512, b'j', fix=False), 'checksum')
    refused('is no ustar', changed(good, 512 + 257, b'gnuta'), 'not in the ustar format')
    refused('has an entry of another type', changed(good, 512 + 156, b'L'), 'no file, directory or link')
    refused('has a name with ..', changed(good, 512, b'a/../hello'), '.. in it')
    refused('has an absolute name', changed(good, 512, b'/hello.txt'), 'absolute')
    refused('has a file below a file', changed(good, 4 * 512, b'hello.txt/x\0'), 'no directory')
    refused('has a link to nothing', changed(good, 3 * 512 + 157, b'jello.txt'), 'hard link')
    refused('says a size that is no number', changed(good, 512 + 124, b'0000000001x\0'), 'size')
    refused('says a size beyond its end', changed(good, 512 + 124, b'77777777777\0'), 'cut off')
    refused('is cut off in a file', good[:10 * 512], 'cut off')
    done = bed('--env', 'SASOS_FILES=files.tar', 'build/wasi/preopens.wasm')
    tap.ok(done.returncode == 3 and 'no blob files.tar' in done.stdout, 'an archive that is not granted is missed by name', done.stdout)
tap.done()
