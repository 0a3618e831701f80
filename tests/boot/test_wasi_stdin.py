#!/usr/bin/env python3
"""A WASI program at a terminal: lines that are edited, bytes as they come, the end of input, Ctrl-C, and the next life of the terminal's driver."""
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
module uart2 uart
  port 3e8-3ef
  isa-irq 5
  arg 3e8
module virtio-console
  pci 1af4:1043
  irq 1
  dma 32K
module wasi1 wasi
  connect tty uart 16K
  observe
  control
module lines typed
  program
  connect wasi_snapshot_preview1 wasi1 4K
module wasi2 wasi
  connect tty virtio-console 16K
  env SASOS_STDIN=raw
module bytes typed
  program
  connect wasi_snapshot_preview1 wasi2 4K
module wasi3 wasi
  connect tty uart2 16K
  env SASOS_STDIN=none
  env SLEEP=yes
module nothing typed
  program
  connect wasi_snapshot_preview1 wasi3 4K
start uart
start uart2
start virtio-console
start wasi1
start wasi2
start wasi3
run lines expect exit 130
run lines expect exit 130
run lines
run bytes
run nothing expect exit 130
'''
DEVICES = ['isa-serial,chardev=c0,index=1', 'virtio-serial-pci,iommu_platform=on,disable-legacy=on,max_ports=1', 'virtconsole,chardev=c1',
           'isa-serial,chardev=c2,iobase=0x3e8,irq=5,index=2']


def hex_of(text):
    return f'got {len(text)}:{text.hex()}'.encode()


class Terminal:
    def __init__(self, folder, name):
        os.mkdir(os.path.join(folder, name))
        self.line = wire.Line(os.path.join(folder, name))

    def keys(self, keys, wanted, what):
        """Types, and reads until the program or the terminal has said what is wanted."""
        self.line.socket.sendall(keys)
        got = self.line.read(lambda g: wanted in g)
        tap.ok(wanted in got, what, got)
        return got


def check_lines(t):
    t.keys(b'', b'ready\r\n', 'it starts')
    got = t.keys(b'hello\r', hex_of(b'hello\n') + b'\r\n', 'a line')
    tap.ok(got.startswith(b'hello\r\n'), 'which is shown while it is typed', got)
    t.keys(b'abX\x7fc\n', hex_of(b'abc\n') + b'\r\n', 'Backspace')
    t.keys(b'caf\xc3\xa9\b\xc3\xa8\x01\x7f!\r', hex_of(b'caf\xc3\xa8!\n') + b'\r\n', 'characters of two bytes, and control characters, are taken back whole')
    t.keys(b'forget this\x15kept\r', hex_of(b'kept\n') + b'\r\n', 'Ctrl-U')
    t.keys(b'one two  \x17three\r', hex_of(b'one three\n') + b'\r\n', 'Ctrl-W')
    t.keys(b'no end\x04', hex_of(b'no end') + b'\r\n', 'Ctrl-D passes on what is there')
    t.keys(b'\x04', b'got 0:\r\n', 'and is the end of input at the begin of a line')
    got = t.keys(b'1\r2\r3\r', hex_of(b'3\n') + b'\r\n', 'input goes on behind it')
    tap.ok(hex_of(b'1\n') in got and hex_of(b'2\n') in got, 'lines that are typed ahead come one by one', got)
    shown = b''
    for _ in range(41):  # more at once, and what is shown of it would have no room
        t.line.socket.sendall(b'x' * 100)
        shown += t.line.read(lambda g: len(g) >= 100)
    tap.same((shown.count(b'x'), shown.count(b'\a')), (4095, 5), 'a line that is too long: the bell')
    t.keys(b'\r', b'got 1:0a\r\n', 'and what there was room for')
    t.keys(b'nonblock\r', b'nothing yet', 'without waiting: EAGAIN')
    t.keys(b'poll\r', b'waiting', 'poll() waits')
    t.keys(b'typed', b'typed', 'half a line is not enough for it')
    t.keys(b'\r', hex_of(b'typed\n') + b'\r\n', 'a whole one is')
    t.keys(b'kill\r', hex_of(b'kill\n') + b'\r\n', 'the driver is killed')


def heard(t):
    """Empty lines until one is answered: what is typed before somebody listens to a new life of the driver is lost."""
    return any(t.line.socket.sendall(b'\r') or b'got 1:0a\r\n' in t.line.read(lambda g: b'got 1:0a\r\n' in g, 0.5) for _ in range(60))


def check(run, first, second, third):
    check_lines(first)
    if not tap.ok(run.wait_for('uart: life 2'), 'and comes back'):
        return
    tap.ok(heard(first), 'the program listens to it')
    first.keys(b'again\r', hex_of(b'again\n') + b'\r\n', 'lines go on')
    first.keys(b'half a line\x03', b'^C\r\nready\r\n', 'Ctrl-C ends a program that reads')
    first.keys(b'sleep\r', hex_of(b'sleep\n') + b'\r\n', 'the next one begins with nothing typed')
    first.keys(b'\x03', b'^C\r\nready\r\n', 'Ctrl-C ends a program that sleeps')
    first.keys(b'quit\r', hex_of(b'quit\n') + b'\r\n', 'it ends by itself')
    second.keys(b'', b'ready\n', 'raw: it starts')
    came = b''
    for at in range(0, 256, 32):
        second.line.socket.sendall(bytes(range(at, at + 32)))
        while len(came) < at + 32 and (got := second.line.read(lambda g: g.endswith(b'\n'))):
            came += b''.join(bytes.fromhex(part.decode()) for part in re.findall(rb'got \d+:(\w+)\n', got))
    tap.same(came, bytes(range(256)), 'raw: bytes as they come')
    second.keys(b'quit', hex_of(b'quit') + b'\n', 'raw: no end of a line is waited for')
    third.keys(b'', b'got 0:\r\n', 'none: input is at its end')
    third.keys(b'keys\r\x04\x03', b'^C\r\n', 'none: nothing has a meaning but Ctrl-C')


with tempfile.TemporaryDirectory() as folder:
    ends = [Terminal(folder, n) for n in 'abc']
    run = wire.Background(config=CONFIG, modules=['uart', 'virtio-console', 'wasi', os.path.join(qemu.BUILD, 'wasi', 'typed.wasm')], disk=None,
                          devices=DEVICES, chardevs=[e.line.chardev for e in ends], timeout=60)
    for e in ends:
        e.line.connect()
    check(run, *ends)
    r = run.result()
    tap.ok(r.ok, 'all end as expected', r)
    r = qemu.boot(config='sasos 1\nmodule wasi\n  env SASOS_STDIN=cooked\nstart wasi\n', modules=['wasi'], disk=None)
    tap.has(r, r'wasi: expected: SASOS_STDIN=console, raw or none', 'a word that is none of them')
tap.done()
