"""boot.py — from reset to work: the timeline of a cold boot, what a module costs at its start, and how large everything is."""
import contextlib
import glob
import os
import re
import socket
import statistics
import subprocess
import sys
import threading
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
MODULE_TRIES = 5
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


class Watch:
    """Looks at the appliance from outside while it boots: host times of its lines, of the first frame on its network and of the first HTTP reply. The reply ends
    the machine."""

    def __init__(self, wire, port):
        self.wire, self.port = wire, port
        self.found, self.threads = {}, []

    def started(self, machine):
        self.machine = machine
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self.first_frame, self.read)]
        for t in self.threads:
            t.start()

    def first_frame(self):
        with contextlib.suppress(OSError):
            self.wire.recv(2000)
            self.found['frame'] = time.monotonic()

    def read(self):
        seen, entry = 0, None
        while self.machine.process.poll() is None:
            text, now = self.machine.text, time.monotonic()
            for line in text[seen:text.rfind('\n') + 1].splitlines():
                stamp = re.match(r'\[ *(\d+\.\d+)\]', line)
                if stamp:  # no line is seen before it is written: the earliest says best when the kernel was entered
                    entry = min(now - float(stamp[1]), entry or now)
                if line == 'httpd: ready':
                    self.found['ready'] = now
            seen = text.rfind('\n') + 1
            self.found['entry'] = entry
            if 'ready' in self.found and 'by DHCP' in text:
                break
            time.sleep(0.001)
        while self.machine.process.poll() is None and not self.reply():
            time.sleep(0.002)
        self.machine.process.kill()

    def reply(self):
        with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', self.port), 10) as s:
            s.sendall(b'GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n')
            if s.recv(12) == b'HTTP/1.1 200':
                self.found['reply'] = time.monotonic()
        return 'reply' in self.found


def serving(results, section, term, count):
    """The default appliance, until it has answered an HTTP request: where the time goes since the firmware handed over."""
    stamps, names = {}, re.findall(r'^module (\S+) *(?:#.*)?$', config := open('apps/web.conf').read(), re.M)
    ready = [os.path.join(qemu.BUILD, 'modules', f) for f in [*(n + '.code' for n in names), 'httpd.tar']]
    for i in range(count):
        term.progress(f'appliance: boot {i + 1} of {count}')
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire, socket.socket() as s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            for x in (wire, s, own):
                x.bind(('127.0.0.1', 0))
            watch, local = Watch(wire, s.getsockname()[1]), own.getsockname()[1]
            s.close()
            own.close()
            netdevs = ['hubport,hubid=1', f'user,ipv6=off,hostfwd=tcp:127.0.0.1:{watch.port}-:80', 'hubport,hubid=1,netdev=n1',
                       f'dgram,local.type=inet,local.host=127.0.0.1,local.port={local},remote.type=inet,remote.host=127.0.0.1,remote.port={wire.getsockname()[1]}',
                       'hubport,hubid=1,netdev=n3']
            r = qemu.boot(config=config, modules=names + ready, disk=qemu.data_disk(), cold=True, netdevs=netdevs, started=watch.started, timeout=90,
                          devices=['virtio-net-pci,netdev=n0,iommu_platform=on,disable-legacy=on,romfile='])
            for t in watch.threads:
                t.join(5)
        if len(watch.found) != 4:
            raise Failed(f'the appliance has not answered: {r.why}\n{r.text[-500:]}')
        for label, ms in appliance_marks(r.text, watch.found):
            stamps.setdefault(label, []).append(ms)
    section.commands.append(' '.join(r.command))
    head = ['since the firmware handed over', 'ms']
    term.title('The default appliance, to its first HTTP reply', head)
    rows, items, last = [], [], 0.0
    for label, values in stamps.items():
        m = results.metric('boot.appliance.' + re.sub(r'\W+', '-', label), values, 'ms')
        rows.append([label, m])
        items.append({'label': label, 'start': last, 'end': m['value']})
        last = m['value']
        term.row(rows[-1])
    section.table('The default appliance', head, rows, 'The first packet is the one that asks for an address; the reply comes through all of it: driver, network stack, WASI\'s calls, program.')
    section.chart('timeline', 'The default appliance, from the firmware on', 'milliseconds', items=items)


def appliance_marks(text, found):
    """[(label, milliseconds since the firmware handed over)], in order."""
    def at(pattern):
        m = re.search(r'\[ *(\d+\.\d+)\] ' + pattern, text)
        if not m:
            raise Failed(f'the appliance has not said "{pattern}"')
        return float(m[1]) * 1e3
    loader = int(re.search(r'firmware and loader (\d+) ms', text)[1])
    host = lambda what: (found[what] - found['entry']) * 1e3  # noqa: E731
    marks = [('kernel entered', 0.0), ('devices silenced and fenced', at('main: firmware and loader')), ('first module runs', at('main: entry to first module')),
             ('network driver ready', at('virtio-net: .*queues')), ('first packet', host('frame')), ('address by DHCP', at('lwip: address .* by DHCP')),
             ('server ready', host('ready')), ('first HTTP reply', host('reply'))]
    return sorted(((label, ms + loader) for label, ms in marks), key=lambda m: m[1])


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
    """What compiler and verifier take for each module, on this CPU: the fastest of some times."""
    head = ['module', 'bytes', 'machine code', 'compiled, ms', 'verified, ms']
    rows, spent = [], [0.0, 0.0]
    term.title('Modules', head)
    for path in sorted(glob.glob('build/modules/*.wasm')):
        best = None
        for _ in range(MODULE_TRIES):
            said = subprocess.run(['build/host/sfi-dump', path], capture_output=True, text=True)
            m = re.search(r'^(\d+) bytes of code from (\d+) .*parsed in ([\d.]+) ms, compiled in ([\d.]+) ms.*verified in ([\d.]+) ms', said.stdout, re.M)
            if not m:
                raise Failed(f'sfi-dump {path}: {said.stderr.strip()}')
            now = (float(m[3]) + float(m[4]), float(m[5]))
            best = now if not best else tuple(map(min, best, now))
        name = os.path.basename(path)[:-5]
        spent = [a + b for a, b in zip(spent, best)]
        rows.append([name, int(m[2]), int(m[1]), results.metric(f'boot.compile.{name}', best[0], 'ms'), results.metric(f'boot.verify.{name}', best[1], 'ms')])
        term.row(rows[-1])
    rows.append(['all', sum(r[1] for r in rows), sum(r[2] for r in rows), results.metric('boot.compile', spent[0], 'ms'), results.metric('boot.verify', spent[1], 'ms')])
    term.row(rows[-1])
    section.table('Modules, compiled and verified on this CPU', head, rows, 'compiled: decoded, validated and compiled, which an image may have had done when it was made. verified: at every '
                  'load, before the code can run, whoever compiled it.')


def sizes(results, section, term, used):
    lines = sum(trusted.lines(patterns) for _, patterns, _ in trusted.PARTS)
    found = {'boot image (kernel, modules, configuration)': ('image', os.path.getsize('build/boot/BOOTX64.EFI') / 1024, 'KiB'),
             'kernel, compiler and verifier in it: text': ('text', common.text_size('build/kernel/kernel.elf') / 1024, 'KiB'),
             'lines of code that are trusted': ('trusted-lines', lines, 'lines')}
    if used:
        found[f'memory in use after the start, of {used[1]} MiB'] = ('memory', used[0], 'MiB')
    head = ['', 'size', 'unit']
    term.title('Sizes', head)
    rows = [[label, results.metric('size.' + name, value, unit), unit] for label, (name, value, unit) in found.items()]
    if peers.linux()[0]:
        rows.append(['Debian\'s cloud kernel alone, compressed', os.path.getsize(peers.kernel()[0]) / 1024, 'KiB'])
    for r in rows:
        term.row(r)
    section.table('Sizes', head, rows)


def measure(results, term, quick):
    section = results.section('boot', 'Start-up and sizes', TEXT)
    used = None
    with results.attempt('cold boot', term):
        used = boots(results, section, term, 1 if quick else 3)
    with results.attempt('boot to the first HTTP reply', term):
        serving(results, section, term, 1 if quick else 5)
    if peers.linux()[0]:
        with results.attempt('boot of Linux', term):
            linux(results, section, term, 1 if quick else 2)
    with results.attempt('modules', term):
        modules(results, section, term)
    with results.attempt('sizes', term):
        sizes(results, section, term, used)
