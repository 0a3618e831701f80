#!/usr/bin/env python3
"""WASI programs with persistent files, Lua and SQLite among them: a disk that the host's tools made, and check."""
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

import qemu
import tap
import wire

sys.path.append(os.path.join(qemu.ROOT, 'tests', 'wasi'))
import programs  # noqa: E402
import smoke  # noqa: E402

CONFIG = '''sasos 1
module virtio-blk
  pci 1af4:1042
  irq 1
  dma 64K
  memory 2M
module ext4
  connect blk virtio-blk 8M
  memory 8M
module wasi1 wasi
  connect fs ext4 1M
  memory 4M
  console
GRANTS
module PROGRAM
  program
  connect wasi_snapshot_preview1 wasi1 4K
  memory 64M
start virtio-blk
start ext4
start wasi1
run PROGRAM
'''


def sh(*args):
    return subprocess.run(args, capture_output=True, text=True)


def boot(program, disk, grants='', files=()):
    return qemu.boot(config=CONFIG.replace('PROGRAM', program).replace('GRANTS', grants), disk=disk, writable=True,
                     modules=['virtio-blk', 'ext4', 'wasi', os.path.join(qemu.BUILD, 'modules', 'ext4.code'), os.path.join(qemu.BUILD, 'wasi', program + '.wasm'), *files])


def clean(disk, what):
    done = sh('e2fsck', '-fn', disk)
    tap.ok(done.returncode == 0, what, done.stdout + done.stderr)


def check_unsynced(folder, disk):
    """What two programs wrote, without a sync, before they returned and trapped: on the disk while the machine goes on."""
    config = CONFIG[:CONFIG.index('module wasi1')]
    ends = (('returns', ''), ('traps', ' expect trap unreachable'), ('sleeps', ''))
    for name, _ in ends:
        config += (f'module wasi-{name} wasi\n  connect fs ext4 1M\n  arg {name}\nmodule {name} unsynced\n  program\n'
                   f'  connect wasi_snapshot_preview1 wasi-{name} 4K\n')
    config += 'start virtio-blk\nstart ext4\n' + ''.join(f'start wasi-{name}\nrun {name}{end}\n' for name, end in ends)
    run = wire.Background(config=config, disk=disk, writable=True, timeout=60, modules=[
        'virtio-blk', 'ext4', 'wasi', os.path.join(qemu.BUILD, 'modules', 'ext4.code'), os.path.join(qemu.BUILD, 'wasi', 'unsynced.wasm')])
    run.wait_for('run: run sleeps')
    copy = os.path.join(folder, 'copy')
    deadline, found = time.monotonic() + 15, []
    while found != ['returns\n', 'traps\n'] and time.monotonic() < deadline:  # as a power cut now would leave it
        shutil.copyfile(disk, copy)
        sh('e2fsck', '-fy', copy)
        found = [sh('debugfs', '-R', f'cat {name}', copy).stdout for name, _ in ends[:2]]
    tap.same(found, ['returns\n', 'traps\n'], 'a program that returns or traps without a sync: what it wrote is on the disk all the same')
    run.machine.process.kill()
    run.join()


with tempfile.TemporaryDirectory() as folder:
    disk = os.path.join(folder, 'disk')
    with open(disk, 'wb') as f:
        f.truncate(32 << 20)
    assert sh('mke2fs', '-q', '-F', '-t', 'ext4', disk).returncode == 0
    for p in programs.programs():
        if not p.data:
            continue
        r = boot(p.name, disk)
        tap.ok(r.ok and 'FAILED' not in r.text and p.printed(r.text), f'{p.name}: {p.what}', r)
        clean(disk, f'{p.name}: the disk is in order')
    check_unsynced(folder, disk)
    tap.same(sh('debugfs', '-R', 'cat kept', disk).stdout, 'kept over switching off\n', 'the host reads what the program wrote')

    archive = os.path.join(folder, 'files.tar')
    smoke.archive(archive)
    files = '  blob files.tar\n  env SASOS_FILES=files.tar\n  entropy\n  env COLOUR=red\n'
    r = boot('lua', disk, files + '  env SASOS_PROGRAM=lua\n  arg /smoke.lua\n  arg one\n  arg /data', [archive])
    tap.ok(r.ok and 'all good\t24' in r.text, 'Lua\'s smoke test, with files of its own', r)
    r = boot('sql', disk, files + '  arg /data/test.db\n  arg /smoke.sql', [archive])
    tap.ok(r.ok and smoke.expected_sql() in r.text, 'SQLite\'s smoke test, with its database on the disk', r)
    tap.ok(sh('e2fsck', '-fy', disk).returncode <= 1, 'the journal is replayed by the host')
    clean(disk, 'and the disk is in order')
    db = os.path.join(folder, 'test.db')
    sh('debugfs', '-R', f'dump test.db {db}', disk)
    tap.same(sqlite3.connect(db).execute('SELECT count(*), sum(weight) FROM item').fetchone(), (100, 2525.0), 'the host reads the database')
tap.done()
