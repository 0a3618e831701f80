"""mechanisms.py — what is there all the time, or goes wrong once: the fence against DMA, interrupts, preemption, restarts, in the guest."""
import os
import re
import shlex

import peers
from common import OUT, Failed
from parts.guest import COUNT_PLUGIN, COUNTED, DRIVERS, KERNEL, LOAD, SIDES, WARM_UP, boot, disk, times
from peers import qemu

PASSES = 3  # of all cells in one boot
CELLS = ('read:rand:4096:32:3000', 'read:rand:4096:1:600', 'read:rand:65536:8:300')
KILLER, CALLER, CALLEE = (os.path.abspath(f'{OUT}/modules/{m}.wasm') for m in ('killer', 'caller', 'callee'))
TEXT = '''All in the guest, emulated unless the accelerator above says otherwise. The fence: the same driver module on the same machine with and without an
IOMMU; without one, NVMe is a device that the configuration trusts, so that nothing stands between the two, and virtio has its rings checked by the kernel, which no
configuration can leave out. Interrupts and preemption: guest instructions, counted by a QEMU
plugin on the shortest of all their ways. Restart: a driver that is killed, until it is ready again and its clients go on.'''
WHY_FENCE = ('the emulated device pays for it: QEMU looks up every address of a device in software, where an IOMMU has a cache; the processor\'s own part is the instructions '
             'of the same table')
WHY_RESTART = 'emulated, on a host that did other things too'
WHY_POLL = ('each interrupt first looks into the IOMMU\'s registers whether DMA was blocked, since a device reports success for that too: some 80 instructions, which '
            'are the more, the fewer requests an interrupt brings')
WITHOUT = {'virtio-blk': 'shadow', 'nvme': 'trusted'}  # an IOMMU


def fence_boot(driver, how, cells, qemu_args=()):
    device, cold, grants = DRIVERS[driver]
    if how == 'trusted':
        grants = re.sub(r'(pci \S+)', r'\1 trusted', grants)
    config = (f'sasos 1\nmodule {driver}\n{grants}  memory 2M\nmodule load blkload\n  connect blk {driver} 9M\n  memory 2M\n'
              + ''.join(f'  arg {c}\n' for c in cells) + f'start {driver}\nrun load\n')
    with disk() as path:
        r = qemu.boot(config=config, modules=[driver, LOAD], kernel=None if how == 'shadow' else KERNEL, disk=path, writable=True, disk_device=device,
                      cold=cold, timeout=240, iommu=qemu.IOMMU if how == 'fenced' else None, qemu_args=list(qemu_args))
    if not r.ok:
        raise Failed(f'{driver}, {how}: {r.why}\n{r.text[-500:]}')
    return r.text, r.command


def fence_counts(results, term, driver, sides):
    """{how: [instructions a request, by depth]}, and the invalidations that 8,000 more requests have brought."""
    names, found, flushes = [f'read:rand:4096:{d}:{COUNTED}' for d in (32, 1)], {}, []
    for how in sides:
        term.progress(f'{driver}, {how}: counting instructions')
        kernel = os.path.join(qemu.BUILD, 'kernel', 'kernel.elf') if how == 'shadow' else KERNEL
        text, _ = fence_boot(driver, how, [WARM_UP] + names, peers.counting(COUNT_PLUGIN, '', kernel))
        found[how] = [c[0] / COUNTED for c in peers.counted(text, names)]
    for cells in (names, names * 3):
        said = re.search(r'iommu: (\d+) maps, (\d+) unmaps, (\d+) invalidations', fence_boot(driver, 'fenced', cells)[0])
        flushes.append(int(said[3]))
    per_request = (flushes[1] - flushes[0]) / (4 * COUNTED)
    return found, results.metric(f'mechanisms.fence.{driver}.invalidations', per_request, 'invalidations a request', most=0)


def fence(results, term, section, driver, rounds):
    sides, other = ('fenced', WITHOUT[driver]), WITHOUT[driver]
    got = {how: {c: [] for c in CELLS} for how in sides}
    for r in range(rounds):
        for how in (sides if r % 2 == 0 else sides[::-1]):
            term.progress(f'{driver}, {how}: round {r + 1} of {rounds}')
            text, command = fence_boot(driver, how, [WARM_UP, *CELLS * PASSES])
            if r == 0:
                section.commands.append(f'{driver}, {how}: ' + shlex.join(command))
            for cell, us in times(text, CELLS).items():
                if cell in got[how]:
                    got[how][cell].append(us)
    counts, flushes = fence_counts(results, term, driver, sides)
    head = [driver, 'bytes', 'depth', *sides, 'throughput ×']
    title = f'{driver}: with an IOMMU, and without one'
    term.title(title, head)
    rows, least = [], 0.98 if other == 'trusted' else None
    for cell in CELLS:
        op, pattern, size, depth, _ = cell.split(':')
        key = f'mechanisms.fence.{driver}.{size}.{depth}'
        us = [results.metric(f'{key}.{how}', got[how][cell], 'µs a request') for how in sides]
        ratio = results.metric(key + '.throughput', [b / a for a, b in zip(got['fenced'][cell], got[other][cell])], '× ' + other, 'higher', least=least, note=WHY_FENCE)
        rows.append([f'{op} {pattern}, µs', int(size), int(depth), *us, ratio])
    for k, depth in enumerate((32, 1)):
        key = f'mechanisms.fence.{driver}.instructions.{depth}'
        n = [results.metric(f'{key}.{how}', counts[how][k], 'instructions a request') for how in sides]
        ratio = results.metric(key + '.ratio', counts[other][k] / counts['fenced'][k], '× ' + other, 'higher', least=least, note=WHY_POLL)
        rows.append(['read rand, instructions', 4096, depth, *n, ratio])
    rows.append(['invalidations a request', None, None, flushes, None, None])
    for row in rows:
        term.row(row)
    section.table(title, head, rows, 'throughput ×: the second\'s time ÷ fenced time, of the two runs of one round; of instructions the same. fenced: by the IOMMU. trusted: by nothing. '
                  'shadow: the driver\'s rings checked and copied by the kernel. Invalidations: of 8,000 more requests in one boot than in another.')


def symbol(name):
    return peers.symbol(KERNEL, name)


def path(text, what):
    m = re.search(r'path: times=(\d+) least=(\d+) mean=(\d+)', text)
    if not m:
        raise Failed(f'the counting plugin has not seen {what}')
    return int(m[2]), int(m[1])


def interrupts(results, term, section, rows, driver, boots):
    """From the kernel's handling of the device's interrupt to the driver's first instruction."""
    for side in SIDES[:2]:
        term.progress(f'{driver}, {side}: from interrupt to driver')
        to = 'ldr_enter' if side == 'sandboxed' else driver.replace('-', '_') + '_driver_event'
        plugin = ['-plugin', f'{COUNT_PLUGIN},from={symbol("irq_dispatch")},to={symbol(to)}', '-d', 'plugin']
        found = [path(boot(side, driver, ['read:rand:4096:1:1000'], plugin)[0], 'an interrupt') for _ in range(boots)]
        what = 'the driver' if side == 'sandboxed' else 'its native twin'
        least = results.metric(f'mechanisms.interrupt.{driver}.{side}', [f[0] for f in found], 'instructions, the shortest way')
        rows.append([f'{driver}: from interrupt to {what}', least, sum(f[1] for f in found)])
        term.row(rows[-1])


def preemption(results, term, section, rows):
    """Two applications that compute, on one CPU: the timer takes it from one and gives it to the other."""
    text = 'sasos 1\nmodule callee\n  memory 2M\n'
    for n in 'ab':
        text += f'module {n} caller\n  connect callee callee 4K\n  memory 2M\n  arg call:20000000\n'
    text += 'start callee\nstart a\nrun b\n'
    for key, via, what in (('tick', '', 'a timer interrupt that changes nothing'), ('switch', f',via={symbol("sched_requeue")}', 'a timer interrupt that preempts')):
        term.progress(what)
        plugin = f'{COUNT_PLUGIN},from={symbol("irq_dispatch")},to={symbol("frame_resume")}{via}'
        r = qemu.boot(config=text, modules=[CALLER, CALLEE], kernel=KERNEL, disk=None, qemu_args=['-plugin', plugin, '-d', 'plugin'], timeout=60)
        if not r.ok:
            raise Failed(f'{r.why}\n{r.text[-500:]}')
        least, times_seen = path(r.text, what)
        rows.append([what, results.metric(f'mechanisms.preemption.{key}', least, 'instructions, the shortest way'), times_seen])
        term.row(rows[-1])


def restarts(results, term, section, times_each):
    """Drivers that are killed: until they are ready again."""
    head = ['killed, until it is ready again', 'ms', 'reset, ms', 'rest, ms', 'times']
    term.title('Restart (emulated)', head)
    rows = []
    for driver, (device, cold, grants) in DRIVERS.items():
        term.progress(f'{driver}: killed {times_each} times')
        config = (f'sasos 1\nmodule {driver}\n{grants}  memory 2M\n  restart on-fault 20 1\nmodule killer\n  memory 1M\n  control\n  arg {driver}\n'
                  f'  arg {times_each}\nstart {driver}\nrun killer\n')
        r = qemu.boot(config=config, modules=[driver, KILLER], disk_device=device, cold=cold, timeout=90)
        found = re.findall(r'ready (\d+) us after the end of the one before \((\d+) us of it', r.text)
        if not r.ok or len(found) != times_each:
            raise Failed(f'{driver}: {len(found)} restarts: {r.why}\n{r.text[-400:]}')
        whole, reset = ([int(f[k]) / 1e3 for f in found] for k in (0, 1))
        key = f'mechanisms.restart.{driver}'
        rest = results.metric(key + '.rest', [a - b for a, b in zip(whole, reset)], 'ms', most=10, note=WHY_RESTART)
        rows.append([driver, results.metric(key, whole, 'ms'), results.metric(key + '.reset', reset, 'ms'), rest, len(found)])
        term.row(rows[-1])
    section.table('Restart', head, rows, 'Device silenced and reset, fence rebuilt, memory as new, driver started; its clients keep their channels. reset: what the device takes. rest: '
                  'without that, and without the pause that the configuration may ask for.')


def measure(results, term, quick):
    section = results.section('mechanisms', 'Fence, interrupts, preemption, restarts', TEXT)
    for driver in WITHOUT:
        with results.attempt(f'{driver}: with and without an IOMMU', term):
            fence(results, term, section, driver, 1 if quick else 3)
    head = ['', 'instructions', 'seen']
    rows = []
    term.title('Interrupts and preemption', head)
    section.table('Interrupts and preemption', head, rows, 'From the kernel\'s handling of an interrupt on: finding the domain, looking for blocked DMA, waking and switching to its '
                  'thread, entering it. Compiled code has nothing in it for preemption: no checks, no counters; what is preempted has its registers saved and pays when its slice of 4 ms is over.')
    for driver in DRIVERS if not quick else ['virtio-blk']:
        with results.attempt(f'{driver}: interrupts', term):
            interrupts(results, term, section, rows, driver, 1 if quick or driver == 'nvme' else 3)
    with results.attempt('preemption', term):
        preemption(results, term, section, rows)
    with results.attempt('restarts', term):
        restarts(results, term, section, 5)
