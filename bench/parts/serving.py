"""serving.py — what the parts http and tcp share: the two machines that serve, on one QEMU command line.

    for wire, text in wires():                    'user': behind QEMU's user-mode network; 'tap': a tap device of this host, if there can be one
        with Machine('sandboxed', wire) as m:     m.at(80) is where its port 80 is reached        m.stop(): QEMU ends; its output
"""
import contextlib
import io
import os
import re
import shlex
import signal
import socket
import sys
import tarfile
import tempfile
import time

import peers
from common import BUILD, OUT, Failed
from peers import qemu

sys.path.insert(0, os.path.join(os.path.dirname(qemu.__file__)))
import tapdev  # noqa: E402
from wire import Background, network_config  # noqa: E402

SIDES = ('sandboxed', 'linux')
SINK, SOURCE, WEB = 9, 19, 80
FILE = '/1k'
DEVICE = 'virtio-net-pci,netdev=n0,iommu_platform=on,disable-legacy=on,romfile='
STREAM = os.path.abspath(os.path.join(OUT, 'stream.wasm'))
STATUS = '/api/status'  # where a count of instructions begins and ends
CONFIG = f'''module wasi1 wasi
  connect sock lwip 512K
  memory 4M
  console
  entropy
  observe
  blob site.tar
  env SASOS_FILES=site.tar
  env SASOS_LISTEN=tcp:{WEB}
module httpd
  program
  connect wasi_snapshot_preview1 wasi1 4K
  memory 64M
module wasi2 wasi
  connect sock lwip 512K
  memory 4M
  console
  env SASOS_LISTEN=tcp:{SINK},tcp:{SOURCE}
module stream
  program
  connect wasi_snapshot_preview1 wasi2 4K
  memory 2M
start virtio-net
start lwip
start wasi1
start wasi2
start stream
run httpd
'''


def site(path):
    """The archive of the one file that is asked for."""
    with tarfile.open(path, 'w', format=tarfile.USTAR_FORMAT) as t:
        info = tarfile.TarInfo(FILE[1:])
        info.size = 1024
        t.addfile(info, io.BytesIO(b'0123456789abcde\n' * 64))


def wires():
    """Each wire that can be had here, while the measurements on it are made: (name, None), or (name, why it cannot)."""
    yield 'user', None
    if not os.environ.get('QUICK'):
        with tapdev.inside() as why:
            yield 'tap', why


class Machine:
    answers = None  # {name in the Linux peer's initramfs: what our server answers}

    def __init__(self, side, wire, qemu_args=()):
        self.side, self.wire, self.qemu_args, self.port, self.command = side, wire, list(qemu_args), {}, []
        if wire == 'tap':
            self.netdev = tapdev.NETDEV
            return
        for guest in (WEB, SINK, SOURCE):
            with socket.socket() as s:
                s.bind(('127.0.0.1', 0))
                self.port[guest] = s.getsockname()[1]
        self.netdev = 'user,ipv6=off' + ''.join(f',hostfwd=tcp:127.0.0.1:{h}-:{g}' for g, h in self.port.items())

    def at(self, port):
        return (tapdev.GUEST, port) if self.wire == 'tap' else ('127.0.0.1', self.port[port])

    def __enter__(self):
        if self.side == 'linux':
            self.start_linux()
        else:
            self.start_ours()
        return self

    def start_ours(self):
        self.folder = tempfile.TemporaryDirectory(prefix='sasos-')
        archive = os.path.join(self.folder.name, 'site.tar')
        site(archive)
        modules = ['virtio-net', 'lwip', 'wasi', 'httpd']
        self.run = Background(config=network_config(args=f'  arg {tapdev.GUEST}/24' if self.wire == 'tap' else '') + CONFIG, disk=None, devices=[DEVICE], netdevs=[self.netdev], qemu_args=self.qemu_args, timeout=600,
                                   modules=modules + [STREAM, archive] + [os.path.join(qemu.BUILD, 'modules', m + '.code') for m in modules])
        if not all(self.run.wait_for(sign) for sign in ('httpd: ready', 'stream: ready', 'lwip: address')):
            raise Failed(f'the system does not serve: {self.run.result()}')
        self.process, self.command = self.run.machine.process, self.run.machine.command
        if not Machine.answers:
            Machine.answers = {'keep': self.ask('keep-alive'), 'close': self.ask('close')}

    def start_linux(self):
        if not Machine.answers:
            with Machine('sandboxed', self.wire):
                pass
        address = tapdev.GUEST if self.wire == 'tap' else '10.0.2.15'
        args = peers.arguments('virtio-net', DEVICE, None, [f'serve:{address}'], ['-netdev', self.netdev.replace(',', ',id=n0,', 1), *self.qemu_args],
                               more=Machine.answers)
        for attempt in range(peers.BOOTS):
            self.machine = qemu.Machine(args)
            self.machine.__enter__()
            self.process, self.command = self.machine.process, self.machine.command
            why = self.machine.read_until(b'init: serving', 120)
            if 'init: serving' in self.machine.text:
                return self.wait()
            self.machine.__exit__()
        raise Failed(f'Linux: {why or self.machine.text[-300:]}')

    def wait(self):
        """Until the guest is reached: the first question for its address may come too early."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.ask('close')
            except OSError as e:
                if time.monotonic() > deadline:
                    raise Failed(f'{self.side}: not reached: {e}') from None
                time.sleep(0.05)

    def ask(self, connection, path=FILE):
        """What the server answers, whole."""
        with socket.create_connection(self.at(WEB), 20) as s:
            s.settimeout(20)
            s.sendall(f'GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: {connection}\r\n\r\n'.encode())
            got = b''
            while not (m := re.search(rb'Content-Length: (\d+)\r\n(?:.*\r\n)*?\r\n', got)) or len(got) < m.end() + int(m[1]):
                part = s.recv(65536)
                if not part:
                    raise Failed(f'{self.side}: an answer ends early: {got[:200]}')
                got += part
            return got

    def stop(self):
        """Ends QEMU as a person would, so that its plugin prints; what it and the guest have said."""
        self.process.send_signal(signal.SIGTERM)
        if self.side == 'linux':
            self.machine.read_until(None, 10 + time.monotonic() - self.machine.started)
            return self.machine.text
        return self.run.result().text

    def __exit__(self, *_):
        if self.side == 'linux':
            self.machine.__exit__()
            return
        if self.run.machine:
            self.run.machine.process.kill()
        self.run.join()
        self.folder.cleanup()

    def shell(self):
        return shlex.join(self.command)


def counted(text, measurements):
    """[(instructions, those in sandboxed code)] of the measurements, before and after each of which STATUS was asked for; that reaches the marked place once."""
    marks = [(int(a), int(b)) for a, b in re.findall(r'mark: (\d+) (\d+)', text)][-2 * measurements:]
    if len(marks) < 2 * measurements:
        raise Failed('this QEMU does not run the counting plugin')
    return [(after[0] - before[0], after[1] - before[1]) for before, after in zip(marks[::2], marks[1::2])]


def counting(side):
    plugin = os.path.abspath(os.path.join(OUT, 'count.so'))
    elf, name = (peers.program(), 'now') if side == 'linux' else (os.path.join(BUILD, 'kernel', 'kernel.elf'), 'hc_sys_info')
    return ['-plugin', f'{plugin},mark={peers.symbol(elf, name)}', '-d', 'plugin']


def each_round(term, what, wire, count, section):
    """Each side's machine in each round, in an order that changes: (side, machine). The first round's command lines go to the section."""
    sides = peers.sides(*SIDES)
    for r in range(count):
        for side in sides if r % 2 == 0 else sides[::-1]:
            term.progress(f'{what}, {wire}, {side}: round {r + 1} of {count}')
            with Machine(side, wire) as m:
                yield side, m
                if r == 0:
                    section.commands.append(f'{side}: ' + m.shell())
