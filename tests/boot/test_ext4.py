#!/usr/bin/env python3
"""The ext4 module in the guest: the file service's calls, what the host's tools find on the disk, full disks, a dead client, power cuts."""
import os
import random
import re
import subprocess
import tempfile
import threading
import time

import qemu
import tap

CONFIG = '''sasos 1
module virtio-blk
  pci 1af4:1042
  pci 1af4:1001
  irq 1
  dma 64K
  memory 2M
module ext4
  connect blk virtio-blk 8M
  memory 8M
module fs-client
  connect fs ext4 1M
  memory 2M
  arg JOB
start virtio-blk
start ext4
run fs-client EXPECT
'''
MODULES = ['virtio-blk', 'ext4', 'fs-client']


def sh(*args):
    return subprocess.run(args, capture_output=True, text=True)


def mkfs(path, mib, *options):
    with open(path, 'wb') as f:
        f.truncate(mib << 20)
    done = sh('mke2fs', '-q', '-F', '-t', 'ext4', *options, path)
    assert done.returncode == 0, done.stderr
    return path


def job(name, disk, expect='', **more):
    config = CONFIG.replace('JOB', name).replace('EXPECT', expect)
    return qemu.boot(config=config, modules=MODULES, disk=disk, writable=True, **more)


def clean(disk, what):
    done = sh('e2fsck', '-fn', disk)
    tap.ok(done.returncode == 0, what, done.stdout + done.stderr)


class Recovery:
    """What e2fsck -fy does and says: with the journal, the orphans and the superblock's sums it must have repaired everything."""
    def __init__(self, disk):
        done = sh('e2fsck', '-fy', disk)
        self.text = done.stdout + done.stderr
        rest = re.sub(r'Free \w+ count wrong .*\nFix\? yes', '', self.text)
        self.ok = done.returncode <= 1 and '? yes' not in rest and sh('e2fsck', '-fn', disk).returncode == 0


def recover(disk):
    return Recovery(disk)


def record(i):
    """What the client writes as its record i (fill() in tests/modules/fs-client)."""
    out = bytearray()
    seed = i
    for _ in range(250):
        seed = (seed * 1664525 + 1013904223) & 0xffffffff
        out += seed.to_bytes(4, 'little')
    return bytes(out)


def kill_under_load(machine):
    """Waits, in a thread, for some acknowledged syncs, and kills the machine a random moment later."""
    wanted = random.randrange(5, 60)

    def wait():
        while machine.process.poll() is None and machine.raw.count(b'fs-client: safe') < wanted:
            time.sleep(0.002)
        time.sleep(random.random() / 20)
        machine.process.kill()
    threading.Thread(target=wait, daemon=True).start()


def power_cut(folder, disk):
    """Kills the machine under load. Returns what is wrong afterwards, or '', and how many records were safe."""
    r = job('load', mkfs(disk, 64), started=kill_under_load)
    safe = [int(n) for n in re.findall(r'fs-client: safe (\d+)$', r.text, re.M)]
    done = recover(disk)
    if not done.ok:
        return f'e2fsck had to repair more than it should:\n{done.text}', len(safe)
    files = {}
    for f in range(8):
        out = os.path.join(folder, f'log-{f}')
        sh('debugfs', '-R', f'dump log-{f} {out}', disk)
        files[f] = open(out, 'rb').read() if os.path.exists(out) else b''
    for i in range(safe[-1] + 1 if safe else 0):
        if files[i % 8][i // 8 * 1000:][:1000] != record(i):
            return f'record {i} is not there, and {safe[-1]} was said to be safe', len(safe)
    return '', len(safe)


with tempfile.TemporaryDirectory() as folder:
    for options in (('-b', '1024'), ('-b', '4096')):
        disk = mkfs(os.path.join(folder, 'disk'), 64, *options)
        r = job('basic', disk)
        tap.ok(r.ok, f'every call, {" ".join(options)}', r)
        clean(disk, f'e2fsck finds nothing, {" ".join(options)}')
    found = sh('debugfs', '-R', 'cat hello', disk).stdout
    tap.same(found, 'hello' + '\0' * 5, 'debugfs reads what the guest wrote')
    found = sh('debugfs', '-R', 'ls -p many', disk).stdout
    listed = re.findall(r'^/[1-9].*/file-with-a-name-', found, re.M)  # a removed first entry of a block is shown with inode 0
    tap.same(len(listed), 500, 'debugfs lists what the guest made')
    r = job('again', disk)
    tap.ok(r.ok, 'another boot finds it', r)
    r = job('crash', disk, 'expect trap unreachable')
    tap.ok(r.ok, 'a client dies with a removed file open', r)
    clean(disk, 'its file is gone, and switching off has left the file system clean')
    tap.same(sh('debugfs', '-R', 'stat left-open', disk).stdout, '', 'nothing of the file is left')
    r = job('full', mkfs(os.path.join(folder, 'small'), 12))
    tap.ok(r.ok, 'a full disk', r)
    clean(os.path.join(folder, 'small'), 'e2fsck finds nothing on the full disk')
    data, disk = mkfs(os.path.join(folder, 'data'), 16), os.path.join(folder, 'gpt')
    qemu.tool('sasos-mkimage', disk, os.path.join(qemu.BUILD, 'boot', 'stub.img'), data)
    in_partition = CONFIG.replace('  connect blk virtio-blk 8M', '  connect blk virtio-blk 4M\n  arg DATA').replace('JOB', 'full')
    r = qemu.boot(config=in_partition.replace('EXPECT', ''), modules=MODULES, disk=disk, writable=True)
    tap.ok(r.ok, 'a partition, and half the cache', r)
    with open(disk, 'rb') as f:
        table = f.read(1024 + 128 * 128)
    name = table.find('DATA'.encode('utf-16-le'))
    clean(f'{disk}?offset={int.from_bytes(table[name - 24:name - 16], "little") * 512}', 'e2fsck finds nothing in the partition')
    nowhere = in_partition.replace('arg DATA', 'arg NONE').replace('start ext4', 'start ext4 expect refused').partition('run')[0]
    r = qemu.boot(config=nowhere, modules=MODULES, disk=disk)
    tap.has(r, 'ext4: the disk has no partition of that name', 'a partition that is not there')
    disk = mkfs(os.path.join(folder, 'lives'), 64)
    r = qemu.boot(config=CONFIG.replace('dma 64K', 'dma 64K\n  restart on-fault 100 1').replace('JOB', 'lives\n  control').replace('EXPECT', ''),
                  modules=MODULES, disk=disk, writable=True)
    tap.ok(r.ok, 'the driver dies under load, and no data are lost', r)
    clean(disk, 'e2fsck finds nothing after that')
    cut = os.path.join(folder, 'cut')
    for n in range(3):
        why, safe = power_cut(folder, cut)
        tap.ok(not why and safe >= 5, f'power cut {n + 1}, after {safe} acknowledged syncs', why)
    r = job('speed', mkfs(os.path.join(folder, 'speed'), 64), timeout=120)
    tap.ok(r.ok, 'a large file', r)
    for line in re.findall(r'fs-client: (.* us)$', r.text, re.M):
        print('#', line)
tap.done()
