"""boot.py — from reset to work: the timeline of a cold boot, what a module costs at its start, and how large everything is."""
import glob
import os
import re
import statistics
import subprocess
import sys
import time

import common
import peers
from common import Failed, run
from peers import qemu

sys.path.insert(0, os.path.join(common.ROOT, 'tests', 'check'))
import trusted  # noqa: E402

LOAD = os.path.abspath(os.path.join(common.OUT, 'modules', 'blkload.wasm'))
CONFIG = '''sasos 1
module virtio-blk
  pci 1af4:1042
  irq 1
  dma 64K
  memory 2M
module blkload
  connect blk virtio-blk 64K
  memory 2M
  arg read:seq:512:1:1
start virtio-blk
run blkload
'''
TEXT = '''Cold boots from reset, of a machine with a firmware, an IOMMU and a disk; then one block is read through the driver. In emulation the firmware takes
most of it. The kernel's own time counts from its entry, and includes probing every device, turning translation on and proving by a blocked DMA
that it works. A module's time is for all of: validating, compiling, verifying, linking.'''
MARKS = (  # (label, pattern of the line, group 1 or None for the line's own time stamp)
    ('kernel entry to devices silenced and fenced', r'\[ *(\d+\.\d+)\] main: firmware and loader'),
    ('configuration read, first module compiled', r'\[ *(\d+\.\d+)\] run: virtio-blk: \d+ bytes of WebAssembly'),
    ('driver ready', r'\[ *(\d+\.\d+)\] virtio-blk: \d+ sectors'),
    ('application compiled', r'\[ *(\d+\.\d+)\] run: blkload: \d+ bytes of WebAssembly'),
    ('first block read', r'\[ *(\d+\.\d+)\] blkload: cell'),
)


def timeline(text):
    """[(label, milliseconds since the kernel's entry)]."""
    out = []
    for label, pattern in MARKS:
        m = re.search(pattern, text)
        if not m:
            raise Failed(f'no line for "{label}"')
        out.append((label, float(m[1]) * 1e3))
    return out


def boots(results, section, term, count):
    stamps, firmware, free = {}, [], []
    for i in range(count):
        term.progress(f'cold boot {i + 1} of {count}')
        r = qemu.boot(config=CONFIG, modules=['virtio-blk', LOAD], cold=True, timeout=90)
        if not r.ok:
            raise Failed(r.why)
        marks = timeline(r.text)
        for label, ms in marks:
            stamps.setdefault(label, []).append(ms)
        firmware.append(r.seconds * 1e3 - marks[-1][1])
        free.append([int(x) for x in re.search(r'mem: (\d+) of (\d+) MiB free', r.text).groups()])
    section.commands.append(' '.join(r.command))
    rows, items, last = [], [], 0.0
    key = {label: re.sub(r'\W+', '-', label) for label, _ in MARKS}
    head = ['since the kernel\'s entry', 'ms']
    term.title('Cold boot, one block read', head)
    for label, values in stamps.items():
        m = results.metric('boot.' + key[label], values, 'ms')
        rows.append([label, m])
        items.append({'label': label.split(' to ')[-1], 'start': last, 'end': m['value']})
        last = m['value']
        term.row(rows[-1])
    rows.append(['QEMU, firmware, boot application, switching off', results.metric('boot.firmware', firmware, 'ms')])
    term.row(rows[-1])
    section.table('Cold boot', head, rows)
    section.chart('timeline', 'From the kernel\'s entry', 'milliseconds', items=items)
    return free[-1][1] - free[-1][0], free[-1][1]


def linux(results, section, term, count):
    ready, wall = [], []
    for i in range(count):
        term.progress(f'Linux: boot {i + 1} of {count}')
        started = time.monotonic()
        text, command = peers.boot('virtio-blk', qemu.DISK_DEVICE, qemu.default_disk(), ['read:seq:512:1:1'])
        wall.append((time.monotonic() - started) * 1e3)
        ready.append(float(re.search(r'init: started at (\d+) ms', text)[1]))
    section.commands.append('Linux: ' + ' '.join(command))
    m = results.metric('boot.linux.init', ready, 'ms')
    section.notes.append(f'Debian\'s cloud kernel on this machine starts its first program {m["value"]:.0f} ms after its entry; without UEFI firmware, since '
                         f'QEMU loads it: {statistics.median(wall) / 1e3:.1f} s from start to power-off.')
    term.line(f'Linux starts its first program {m["value"]:.0f} ms after its entry')


def modules(results, section, term):
    """What the compiler takes for each module, on this CPU."""
    head = ['module', 'bytes', 'machine code', 'parse, compile ms']
    rows = []
    term.title('Modules', head)
    for path in sorted(glob.glob('build/modules/*.wasm')):
        said = subprocess.run(['build/host/sfi-dump', path], capture_output=True, text=True)
        m = re.search(r'^(\d+) bytes of code from (\d+) .*parsed in ([\d.]+) ms, compiled in ([\d.]+) ms', said.stdout, re.M)
        if m:
            name = os.path.basename(path)[:-5]
            rows.append([name, int(m[2]), int(m[1]), results.metric(f'boot.compile.{name}', float(m[3]) + float(m[4]), 'ms')])
            term.row(rows[-1])
    section.table('Modules, compiled on this CPU', head, rows)


def sizes(results, section, term, used, total):
    lines = sum(trusted.lines(patterns) for _, patterns, _ in trusted.PARTS)
    found = {'boot image (kernel, modules, configuration)': ('image', os.path.getsize('build/boot/BOOTX64.EFI') / 1024, 'KiB'),
             'kernel, compiler and verifier in it: text': ('text', common.text_size('build/kernel/kernel.elf') / 1024, 'KiB'),
             f'memory in use after the start, of {total} MiB': ('memory', used, 'MiB'),
             'lines of code that are trusted': ('trusted-lines', lines, 'lines')}
    linux_size = os.path.getsize(peers.kernel()[0]) / 1024
    head = ['', 'size', 'unit']
    term.title('Sizes', head)
    rows = [[label, results.metric('size.' + name, value, unit), unit] for label, (name, value, unit) in found.items()]
    rows.append(['Debian\'s cloud kernel alone, compressed', linux_size, 'KiB'])
    for r in rows:
        term.row(r)
    section.table('Sizes', head, rows)


def measure(results, term, quick):
    section = results.section('boot', 'Start-up and sizes', TEXT)
    results.machine.update(qemu=run([qemu.QEMU, '--version']).splitlines()[0], accelerator=qemu.accelerator()[0], linux_peer=peers.kernel()[2])
    used, total = boots(results, section, term, 1 if quick else 5)
    linux(results, section, term, 1 if quick else 3)
    modules(results, section, term)
    sizes(results, section, term, used, total)
