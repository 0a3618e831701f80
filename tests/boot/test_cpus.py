#!/usr/bin/env python3
"""Domains on several CPUs: two that compute run at the same time; the whole demonstration; a kill across CPUs; shares of a CPU."""
import re
import tempfile

import qemu
import tap

# A driver's computation keeps every application from its CPU. So what an application gets done meanwhile it did on another one.
BUSY = '''sasos 1
module hog
{hog}module busy
 arg 500
{busy}start hog
run busy
'''


def windows(r, name):
    return [(int(a), int(b)) for a, b in re.findall(rf'{name}: window (\d+) (\d+)', r.text)]


def overlap(r):
    """Microseconds in which both had a CPU."""
    return sum(max(0, min(b, d) - max(a, c)) for a, b in windows(r, 'hog') for c, d in windows(r, 'busy'))


def busy(smp, hog='', busy=''):
    r = qemu.boot(config=BUSY.format(hog=hog, busy=busy), modules=['hog', 'busy'], disk=None, smp=smp)
    where = ', '.join(x.strip() or 'anywhere' for x in (hog, busy))
    tap.ok(r.ok and windows(r, 'hog') and windows(r, 'busy'), f'two that compute, {smp} CPUs: {where}', r)
    return r


r = busy(2, ' cpu 0\n', ' cpu 1\n')
tap.ok(overlap(r) > 0, 'on two CPUs they compute at the same time', r)
r = busy(2)
tap.ok(overlap(r) > 0, 'and without being told where', r)
r = busy(2, ' cpu 1\n', ' cpu 1\n')
tap.same(overlap(r), 0, 'on one of two CPUs they do not')
r = busy(1, ' cpu 0\n', ' cpu 1\n')
tap.same(overlap(r), 0, 'nor on a machine with one CPU')
tap.has(r, 'busy: there is no CPU 1 here; it runs on any', 'which is said')

# Both compute all the time, on one CPU: without shares they would do about the same in the same time. With them one does six times what the
# other does; twice is asked for, since the host's other work makes some milliseconds worth less than others.
SHARES = '''sasos 1
module low busy
 arg 800
 share 10
module high busy
 arg 1000
 share 60
start low
run high
'''
for smp in (1, 2):
    r = qemu.boot(config=SHARES.replace(' share', ' cpu 0\n share'), modules=['busy'], disk=None, smp=smp)
    work = {m[1]: int(m[2]) for m in re.finditer(r'(low|high): work (\d+)', r.text)}
    tap.ok(r.ok and len(work) == 2, f'two that have shares of one CPU, {smp} CPUs: both come to their end', r)
    tap.ok(0 < 2 * work.get('low', 0) < work.get('high', 0), 'a tenth of a CPU is less than half of three fifths', str(work))
    tap.ok(len(windows(r, 'low')) > 4, 'it is kept from its CPU again and again', str(windows(r, 'low')))
r = qemu.boot(config='''sasos 1
module low busy
 arg 9999999
 share 1
start low
stop low
start low
stop low
''', modules=['busy'], disk=None)
tap.ok(r.ok, 'one that has had its share can be stopped', r)

# It has had its hundredth within 2 ms of a life and then stands still; killed after 20 ms on average. Were its end to wait for its share, it would
# live once in each tenth of a second, but for the lives that end within those 2 ms.
r = qemu.boot(config='''sasos 1
module low busy
 arg 9999999
 share 1
 restart on-fault 1000 0
 chaos 20000 24
module wait busy
 arg 1500
start low
run wait
stop low
''', modules=['busy'], disk=None)
tenths = [int(t) // 100000 for t in (m[1] + m[2] for m in re.finditer(r'\[ *(\d+)\.(\d{6})\] run: low: life \d+, ready', r.text))]
tap.ok(r.ok and len(tenths) > 10, 'one that has had its share is killed, again and again', r)
tap.ok(sum(a == b for a, b in zip(tenths, tenths[1:])) >= 6, 'and lives again before its share does', str(tenths))

# A driver for each of two disks, each with a CPU of its own, both under load at once. The trace says where each of them ran.
QUEUES = '''sasos 1
trace
module first virtio-blk
 pci 1af4:1042
 irq 1
 dma 64K
 memory 2M
 cpu 0
module second virtio-blk
 pci 1af4:1042
 irq 1
 dma 64K
 memory 2M
 cpu 1
module check blk-check
 connect blk first 4M
 arg 500
 cpu 0
module check-second blk-check
 connect blk second 4M
 arg 500
 cpu 1
module cpu-watch
 observe
start first
start second
start check
start check-second
run cpu-watch
'''
with tempfile.NamedTemporaryFile() as disk:
    disk.truncate(12 << 20)
    r = qemu.boot(config=QUEUES, modules=['virtio-blk', 'blk-check', 'cpu-watch'], disk=disk.name, smp=2, cold=True,
                  devices=[qemu.DISK_DEVICE.replace('drive=disk', 'drive=more')],
                  qemu_args=['-drive', f'if=none,id=more,format=raw,snapshot=on,file.locking=off,file={disk.name}'])
tap.ok(r.ok, 'two disks, each with a driver and a client on a CPU of its own', r)
tap.same(len(re.findall(r'(?:check|check-second): ended with status 0', r.text)), 2, 'all requests of both are answered, right')
for name, cpu in ('first', 0), ('second', 1):
    tap.has(r, rf'cpu-watch: {name}: on CPUs {1 << cpu}, woken on {1 << cpu}, last on {cpu}$', f'the {name} driver ran on CPU {cpu} alone')

r = qemu.boot(smp=2, timeout=120)
tap.ok(r.ok, 'the demonstration on two CPUs', r)
tap.same(re.findall(r'digest: sha256 ([0-9a-f]{64})$', r.text, re.M), [qemu.host_digest(qemu.default_disk())] * 2,
         'twice the digest that the host has')
tap.lacks(r, r'does not hold|still alive|PANIC', 'neither attack got through')

# The endless loop and who stops it are on different CPUs; forty lives, so that a race would show.
loops = ''.join('start loop\nstop loop\nstart server\nrun client\nstop server expect budget\n' for _ in range(8))
r = qemu.boot(config='''sasos 1
module loop busy
 cpu 1
 arg 9999999
module server loop-server
 budget 200
 cpu 1
module client poke-client
 connect srv server 4K
 cpu 0
''' + loops, modules=['busy', 'loop-server', 'poke-client'], disk=None, smp=2, timeout=60)
tap.ok(r.ok, 'loops on another CPU are stopped, and servers that do not return are killed, eight times', r)
tap.done()
