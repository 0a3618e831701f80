#!/usr/bin/env python3
"""The terminal drivers: bytes go both ways, whole and in order, more at once than any buffer holds."""
import os
import random
import re
import tempfile

import qemu
import tap
import wire


def echo(name, driver, grants, device, patterns=(), **machine):
    config = f'sasos 1\nmodule {driver}\n{grants} restart on-fault\nmodule tty-echo\n connect tty {driver} 12K\n arg echo\n arg {driver}\n control\nstart {driver}\nrun tty-echo\n'
    with tempfile.TemporaryDirectory() as folder:
        line = wire.Line(folder)
        run = wire.Background(config=config, modules=[driver, 'tty-echo'], disk=None, devices=device, chardevs=[line.chardev], **machine)
        line.connect()
        if not tap.same(line.read(lambda got: b'ready\r\n' in got).partition(b'ready')[1], b'ready', f'{name}: the guest is heard'):
            line.socket.close()
            print(run.result())
            return
        for size, window in ((1, 1), (100, 100), (40000, 4000)):
            sent = bytes(b & 0x7f | 0x80 for b in random.Random(size).randbytes(size))
            got = b''
            for at in range(0, size, window):
                line.socket.sendall(sent[at:at + window])
                got += line.read(lambda g: len(g) >= len(sent[at:at + window]))
            tap.ok(got == sent, f'{name}: {size} bytes come back as they were', f'{len(got)} came back')
        line.socket.sendall(b'\rk')
        tap.ok(b'again' in line.read(lambda g: b'again\r\n' in g), f'{name}: the next life of the driver is heard')
        line.socket.sendall(b'and on')
        tap.same(line.read(lambda g: len(g) >= 6)[-6:], b'and on', f'{name}: it goes on')
        line.socket.sendall(b'\rq')
        r = run.result()
        tap.ok(r.ok, f'{name}: ends well', r)
        tap.has(r, r'tty-echo: 40111 bytes came, 0 were lost', f'{name}: none were lost')
        for p in patterns:
            tap.has(r, p, f'{name}: says so')


VIRTIO = ['virtio-serial-pci,iommu_platform=on,disable-legacy=on,max_ports=1', 'virtconsole,chardev=c0']
echo('virtio-console', 'virtio-console', ' pci 1af4:1043\n irq 1\n dma 32K\n', VIRTIO, ['virtio-console: a console'])
echo('uart', 'uart', ' port 2f8-2ff\n isa-irq 3\n arg 2f8\n', ['isa-serial,chardev=c0,index=1'], ['uart: 16550 at port 2f8, 115200 baud'])
r = qemu.boot(config='sasos 1\nmodule uart\n port 2f8-2ff\n isa-irq 3\n arg 2f8\nstart uart expect refused\n', modules=['uart'], disk=None)
tap.has(r, 'uart: there is no UART at port 2f8', 'uart: an empty port is found out')

# What is typed, as QEMU's names of the keys, and what the client must get.
TYPED = [
    (['a'], b'a'), (['shift', 'a'], b'A'), (['ctrl', 'c'], b'\x03'), (['alt', 'x'], b'\x1bx'), (['1'], b'1'),
    (['shift', '1'], b'!'), (['spc'], b' '), (['ret'], b'\r'), (['backspace'], b'\x7f'), (['tab'], b'\t'), (['up'], b'\x1b[A'),
    (['shift', 'left'], b'\x1b[D'), (['delete'], b'\x1b[3~'), (['f1'], b'\x1bOP'), (['f12'], b'\x1b[24~'), (['kp_7'], b'7'),
    (['kp_enter'], b'\r'), (['shift', 'slash'], b'?'), (['caps_lock'], b''), (['b'], b'B'), (['caps_lock'], b''), (['pause'], b''),
    (['z'], b'z')]
LIVES = [(['ret'], b'\r'), (['k'], b'k')]  # kills the driver, which then is another one
AFTER = [(['shift', 'h'], b'H'), (['ret'], b'\r'), (['q'], b'q')]
with tempfile.TemporaryDirectory() as folder:
    control = os.path.join(folder, 'qmp')
    run = wire.Background(config='sasos 1\nmodule ps2\n port 60-60\n port 64-64\n isa-irq 1\n restart on-fault\nmodule tty-echo\n connect tty ps2 12K\n arg print\n arg ps2\n control\n'
                                 'start ps2\nrun tty-echo\n', modules=['ps2', 'tty-echo'], disk=None,
                          qemu_args=['-qmp', f'unix:{control},server=on,wait=off'])
    def press(keys):
        for key, down in [(key, down) for names, _ in keys for down in (True, False) for key in (names if down else reversed(names))]:
            keyboard.call('input-send-event', events=[{'type': 'key', 'data': {'down': down, 'key': {'type': 'qcode', 'data': key}}}])

    want = b''.join(w for _, w in TYPED + LIVES + AFTER)
    if run.wait_for('tty-echo: ready'):
        keyboard = qemu.Qmp(control)
        press(TYPED)
        press(LIVES)
        if run.wait_for('tty-echo: again'):
            try:
                press(AFTER)
            except (ValueError, OSError):
                pass  # after the last key the guest ends, and QEMU with it
    r = run.result()
    tap.ok(r.ok, 'ps2: ends well', r)
    got = bytes.fromhex(''.join(re.findall(r'tty-echo: got ([0-9a-f]*)$', r.text, re.M)))
    tap.same(got, want, 'ps2: keys arrive as characters and sequences, in the next life of the driver too')
    tap.has(r, 'ps2: a keyboard, scan codes of set 1', 'ps2: says so')
tap.done()
