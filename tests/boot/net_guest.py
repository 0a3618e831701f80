"""net_guest.py — for tests of the network: a guest that runs sock-echo behind QEMU's user-mode network, one that runs a WASI program, and checks
that several of them make."""
import os
import random
import select
import socket
import time

import qemu
import tap
import tapdev
import wire

ECHO, PAGE, DISCARD, SOURCE, MUTE, ORDERS = 7, 80, 9, 19, 99, 99
OWN = 8  # sockets that sock-echo has without clients: those that listen, and two for datagrams


class Guest:
    """A guest that runs sock-echo behind QEMU's user-mode network, its ports forwarded from free ones here."""

    address = '127.0.0.1'

    def __init__(self, device, driver, ids, restart='', args='', steps='run sock-echo\n', timeout=100, **machine):
        self.tcp, self.udp = {}, {}
        netdev = self.netdev()
        self.background = wire.Background(
            config=wire.stack_config(driver, ids, args, restart) + f'start {driver}\nstart lwip\n{steps}',
            modules=[driver, 'lwip', 'sock-echo'], disk=None, devices=[device], netdevs=[netdev], timeout=timeout, **machine)

    def netdev(self):
        def free(kind):
            while True:  # below the ports that the system gives to anybody who asks, so that nobody takes it before QEMU
                port = random.SystemRandom().randrange(10000, 32000)
                with socket.socket(socket.AF_INET, kind) as s:
                    try:
                        s.bind(('127.0.0.1', port))
                        return port
                    except OSError:
                        continue

        self.tcp = {p: free(socket.SOCK_STREAM) for p in (ECHO, PAGE, DISCARD, SOURCE, MUTE)}
        self.udp = {p: free(socket.SOCK_DGRAM) for p in (ECHO, ORDERS)}
        return 'user,ipv6=off' + ''.join(f',hostfwd=tcp:127.0.0.1:{h}-:{g}' for g, h in self.tcp.items()) + \
            ''.join(f',hostfwd=udp:127.0.0.1:{h}-:{g}' for g, h in self.udp.items())

    def datagram(self, port, data, timeout=5.0):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(timeout)
            try:
                s.sendto(data, (self.address, self.udp.get(port, port)))
                return s.recv(65536)
            except (TimeoutError, OSError):
                return None

    def up(self):
        return any(self.datagram(ECHO, b'up', 0.2) == b'up' or time.sleep(0.02) for _ in range(200))

    def connect(self, port):
        s = socket.create_connection((self.address, self.tcp.get(port, port)), 10)
        s.settimeout(10)
        return s

    def order(self, text, tries=3):
        for _ in range(tries):
            answer = self.datagram(ORDERS, text)
            if answer:
                return answer[:-1].strip().decode()
        return None


PROGRAM = '''module wasi1 wasi
  connect sock lwip 512K
  memory 4M
  console
  entropy
GRANTS
module PROGRAM
  program
  connect wasi_snapshot_preview1 wasi1 4K
  memory 64M
start virtio-net
start lwip
STEPS
'''
HTTPD_TAR = os.path.join(qemu.BUILD, 'modules', 'httpd.tar')
HTTPD = ('httpd', '  observe\n  blob httpd.tar\n  env SASOS_FILES=httpd.tar\n  env SASOS_LISTEN=tcp:80', [os.path.join(qemu.BUILD, 'modules', 'httpd.wasm'), HTTPD_TAR])


class Program:
    """A guest that runs a WASI program with sockets: its ports forwarded from free ones here, or on a wire (netdev).
    stack: more lines for lwip. steps: in place of running the program once."""

    def __init__(self, program, grants, modules, ports=(), steps=None, netdev=None, stack='', timeout=100):
        self.port = {}
        for port in ports:
            with socket.socket() as s:
                s.bind(('127.0.0.1', 0))
                self.port[port] = s.getsockname()[1]
        forwards = ''.join(f',hostfwd=tcp:127.0.0.1:{h}-:{g}' for g, h in self.port.items())
        config = PROGRAM.replace('STEPS', 'start wasi1\n' + (steps or f'run {program}\n'))
        config = wire.network_config(args=stack) + config.replace('GRANTS', grants).replace('PROGRAM', program)
        self.run = wire.Background(config=config, modules=['virtio-net', 'lwip', 'wasi', *modules], disk=None, devices=[wire.VIRTIO],
                                   netdevs=[netdev or 'user,ipv6=off' + forwards], timeout=timeout)

    def connect(self, port):
        s = socket.create_connection(('127.0.0.1', self.port[port]), 20)
        s.settimeout(20)
        return s

    def end(self):
        """Pulls the plug; what was said on the console."""
        text = self.run.machine.text if self.run.machine else ''
        if self.run.machine:
            self.run.machine.process.kill()
        self.run.join()
        return text


class Direct(Guest):
    """Behind the tap device, with an address of its own: no ports are forwarded."""
    address = tapdev.GUEST

    def netdev(self):
        return tapdev.NETDEV


def check_streams(g, name):
    data = os.urandom(300000)
    with g.connect(ECHO) as s:
        s.setblocking(False)
        sent, got = 0, b''
        while len(got) < len(data):
            readable, writable, _ = select.select([s], [s] if sent < len(data) else [], [], 10)
            if not readable and not writable:
                break
            if writable:
                sent += s.send(data[sent:sent + 65536])
            if readable:
                got += s.recv(65536)
        tap.ok(got == data, f'{name}: {len(data)} bytes are echoed', f'{len(got)} came back')
        s.setblocking(True)
        s.shutdown(socket.SHUT_WR)
        tap.same(s.recv(10), b'', f'{name}: the end of the stream is seen and answered')
    n = 4000000
    with g.connect(SOURCE) as s:
        s.sendall(b'%d\n' % n)
        tap.ok(wire.receive(s, n + 1) == bytes(range(256)) * (n // 256), f'{name}: {n} bytes come from the guest, in order')
    with g.connect(DISCARD) as s:
        s.sendall(bytes(n))
        s.shutdown(socket.SHUT_WR)
        tap.same(wire.receive(s, 100), b'%d\n' % n, f'{name}: {n} bytes go to the guest')
