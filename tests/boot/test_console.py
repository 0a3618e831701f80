#!/usr/bin/env python3
"""The operator's console at a serial line: what it shows, what it does, how it edits; and that without grants it does nothing."""
import os
import re
import tempfile

import qemu
import tap
import wire

CONFIG = '''sasos 1
module uart
 port 2f8-2ff
 isa-irq 3
 arg 2f8
 restart on-fault
module virtio-blk
 pci 1af4:1042
 pci 1af4:1001
 irq 1
 dma 64K
 memory 2M
 restart on-fault
module good-exit
module console
 connect tty uart 16K
GRANTS
start uart
start virtio-blk
run console
'''
MODULES = ['uart', 'virtio-blk', 'good-exit', 'console']
SERIAL = ['isa-serial,chardev=c0,index=1']


class Operator:
    def __init__(self, folder, grants):
        self.line = wire.Line(folder)
        self.run = wire.Background(config=CONFIG.replace('GRANTS', grants), modules=MODULES, devices=SERIAL, chardevs=[self.line.chardev], timeout=120)
        self.line.connect()
        self.greeting = self.answer('')

    def answer(self, keys, end=b'\rsasos> \x1b[K'):
        """What comes until the next prompt, or another end."""
        if keys:
            self.line.socket.sendall(keys.encode('latin-1'))
        got = self.line.read(lambda g: g.endswith(end), 60)
        return qemu.clean(got)


with tempfile.TemporaryDirectory() as folder:
    o = Operator(folder, ' observe\n control\n')
    tap.ok('`help` lists' in o.greeting, 'it greets', o.greeting)
    for keys, patterns, what in [
            ('help\r', [r'domains +all modules', r'poweroff +stops everything', r'Tab completes'], 'help'),
            ('domains\r', [r'^virtio-blk +driver +running +1 +0 +\d+\.\d{3} +\d+K +\d+K +0:\d+\.0 1af4:1042$', r'^good-exit +\S+ +not loaded'], 'domains'),
            ('show virtio-blk\r', [r'virtio-blk \(virtio-blk\.wasm\), a driver: running', r'memory +\d+K of 2048K', r'DMA pages +\d+K of 64K',
                                   r'device +0:\d+\.0, 1af4:1042, \d+ interrupts', r'handles +[1-9]\d* of 256',
                                   r's of CPU, last on CPU 0', r'lives +1, of which 0'], 'show'),
            ('devices\r', [r'1af4:1042 +held by virtio-blk'], 'devices'),
            ('memory\r', [r'\d+ MiB, \d+ MiB free'], 'memory'),
            ('system\r', [r'1 CPUs, under a hypervisor', r'DMA is fenced \(VT-d\), as a self-test proved'], 'system'),
            ('log 1\r', [r'run: run console$'], 'log'),
            ('faults\r', [r'No module has failed\.'], 'faults: none'),
            ('rings\r', [r'^SERVER +CLIENT +PAGES', r'^uart +console +4 +1, 1$'], 'rings'),
            ('trace\r', [r'The trace is off\.'], 'trace: off'),
            ('trace nonsense\r', [r'usage: trace \[on\|off\|dump\]'], 'a wrong word'),
            ('start good-exit\r', [r'starting good-exit'], 'start'),
            ('nonsense\r', [r'There is no command nonsense; `help` lists them\.'], 'a wrong command'),
            ('show\r', [r'usage: show NAME'], 'a missing word'),
            ('memory x\r', [r'usage: memory'], 'a word too many'),
            ('kill nobody\r', [r'There is no module nobody'], 'a wrong name'),
            ('meX\x7fm\t\r', [r'\d+ MiB free'], 'editing and completion'),
            ('\x1b[A\x1b[A\r', [r'There is no module nobody'], 'history'),
            ('sh\tvir\t\r', [r'virtio-blk\.wasm'], 'completion of a name')]:
        got = o.answer(keys)
        tap.ok(all(re.search(p, got, re.M) for p in patterns), what, got)
    got = o.answer('s\t', b'\rsasos> s\x1b[K')
    tap.ok(re.search(r'^show.*^system.*^start.*^stop', got, re.M | re.S), 'completion with several answers', got)
    o.answer('\x15')  # takes the line back
    tap.ok(o.run.wait_for('good-exit: still alive'), 'what was started runs')
    tap.ok('tracing' in o.answer('trace on\r'), 'trace on')
    got = o.answer('kill virtio-blk\r')
    tap.ok('killing virtio-blk' in got and o.run.wait_for('virtio-blk: killed'), 'kill', got)
    tap.ok(o.run.wait_for('virtio-blk: life 2, ready') and 'not tracing' in o.answer('trace off\r') and 'is off' in o.answer('trace\r'), 'trace off')
    got = o.answer('trace dump\r')
    for what in (r'virtio-blk +kill 7', r'virtio-blk +end 1', r'virtio-blk +revoke \d+', r'virtio-blk +begin 2', r'virtio-blk +grant 0x80000000, 8192',
                 r'virtio-blk +ready 2', r'uart +wake on CPU 0', r'uart +sleep', r'virtio-blk +wake on CPU 0'):
        tap.ok(re.search(rf'^\d+ us  CPU 0 +{what}', got, re.M), f'the trace: {what}', got[-6000:])
    for _ in range(100):
        got = o.answer('show virtio-blk\r')
        if 'a driver: running' in got and 'lives       2' in got:
            break
    tap.ok('lives       2, of which 1 ended by a fault' in got, 'it lives again', got)
    got = o.answer('faults\r')
    tap.ok(re.search(r'^virtio-blk: 1; the last: ', got, re.M), 'faults: one', got)
    o.line.socket.sendall(b'poweroff\r')
    r = o.run.result()
    tap.ok(r.ok and 'virtio-blk: stopped' in r.text, 'poweroff stops everything and switches the machine off', r)

with tempfile.TemporaryDirectory() as folder:
    o = Operator(folder, ' observe\n')
    got = o.answer('kill virtio-blk\r')
    tap.ok('may only look' in got, 'without the grant `control` it only looks', got)
    o.line.socket.close()
    o.run.machine.process.kill()
    o.run.result()
tap.done()
