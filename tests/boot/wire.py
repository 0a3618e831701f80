"""wire.py — the other end of a guest's network cable, for tests: one UDP datagram on the loopback interface is one Ethernet frame.

    with wire.Wire() as w:
        run = wire.Background(config=..., modules=..., devices=['virtio-net-pci,netdev=n0,...'], netdevs=[w.netdev])
        w.send(frame); frame = w.receive(5)       None: nothing came for 5 s
        result = run.result()                     as of qemu.boot()

No root, no tap device, no user-mode stack between. The kernel's socket buffers bound what is on the way: keep a window, as Wire.echo() does.
"""
import os
import select
import socket
import struct
import threading
import time

import qemu

GUEST = bytes.fromhex('525400123456')
HOST = bytes.fromhex('525400abcdef')
BROADCAST = b'\xff' * 6
UNFENCED = {'iommu': None}  # a machine without an IOMMU
VIRTIO = f'virtio-net-pci,netdev=n0,mac={GUEST.hex(":")},iommu_platform=on,disable-legacy=on,romfile='
E1000E = f'e1000e,netdev=n0,mac={GUEST.hex(":")},romfile='


class Wire:
    knocks = 0

    def __enter__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self.socket.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
        self.socket.bind(('127.0.0.1', 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:  # a free port for QEMU
            other.bind(('127.0.0.1', 0))
            self.guest = other.getsockname()
        mine = self.socket.getsockname()[1]
        self.netdev = ('dgram,local.type=inet,local.host=127.0.0.1,local.port=%d,'
                       'remote.type=inet,remote.host=127.0.0.1,remote.port=%d' % (self.guest[1], mine))
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, frame):
        try:
            self.socket.sendto(frame, self.guest)
        except ConnectionRefusedError:  # QEMU is not there yet, or not any more
            pass

    def receive(self, timeout):
        while select.select([self.socket], [], [], timeout)[0]:
            try:
                return self.socket.recv(65536)
            except ConnectionRefusedError:
                continue
        return None

    def knock(self, frame, timeout=60):
        """Sends the frame, its last four bytes a number of this call's, until it comes back: the guest has done all that was sent before.
        What else comes back is dropped."""
        self.knocks += 1
        mark = self.knocks.to_bytes(4, 'big')
        for _ in range(timeout * 20):
            self.send(frame[:-4] + mark)
            while (answer := self.receive(0.05)) is not None:
                if answer.endswith(mark):
                    while self.receive(0.3):
                        pass
                    return True
        return False

    def echo(self, frames, answer, window=32, timeout=5):
        """Sends all the frames, at most `window` without answer. The answers, until all have come or none for `timeout` seconds."""
        got, sent = [], 0
        while len(got) < len(frames):
            while sent < len(frames) and sent - len(got) < window:
                self.send(frames[sent])
                sent += 1
            frame = self.receive(timeout)
            if frame is None:
                break
            if answer(frame):
                got.append(frame)
        return got


class Line:
    """The host's end of a guest's serial line: a socket that QEMU connects to."""

    def __init__(self, folder):
        self.path = os.path.join(folder, 'line')
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(1)
        self.server.settimeout(60)
        self.chardev = f'socket,path={self.path}'
        self.got = b''

    def connect(self):
        self.socket, _ = self.server.accept()

    def read(self, enough, timeout=30):
        """Reads until enough(what came since the last time) or time is over; what came."""
        end = time.monotonic() + timeout
        while not enough(self.got) and select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]:
            data = self.socket.recv(65536)
            if not data:
                break
            self.got += data
        got, self.got = self.got, b''
        return got


def receive(s, n):
    """Up to n bytes of a stream: fewer at its end."""
    got = b''
    while len(got) < n:
        part = s.recv(1 << 18)
        if not part:
            break
        got += part
    return got


class Background(threading.Thread):
    """qemu.boot() on a thread of its own."""

    def __init__(self, **arguments):
        super().__init__(daemon=True)
        self.arguments, self.failure, self.value, self.machine = arguments, None, None, None
        self.start()

    def run(self):
        try:
            self.value = qemu.boot(started=self.watch, **self.arguments)
        except BaseException as e:  # told to whoever asks for the result
            self.failure = e

    def watch(self, machine):
        self.machine = machine

    def wait_for(self, text):
        """True when the guest has said it, False if it ended without."""
        while self.is_alive() and not (self.machine and text in self.machine.text):
            time.sleep(0.02)
        return bool(self.machine) and text in self.machine.text

    def result(self):
        self.join()
        if self.failure:
            raise self.failure
        return self.value


def ethernet(kind, payload, to=GUEST, source=HOST):
    return to + source + struct.pack('>H', kind) + payload


def network_config(driver='virtio-net', ids=('1af4:1041',), args='', restart=''):
    """Driver and stack; other modules and the steps follow. args: more lines for the stack; restart: a line for both."""
    grants = ''.join(f'  pci {i}\n' for i in ids)
    return f'''sasos 1
module {driver}
{grants}  irq 8
  dma 512K
  memory 2M
{restart}
module lwip
  connect net {driver} 8M
  memory 32M
  entropy
{args}
{restart}
'''


def stack_config(driver, ids, args='', restart=''):
    """The same and the tests' client of the stack, which may set the clock."""
    return network_config(driver, ids, '  clock\n' + args, restart) + '''module sock-echo
  connect sock lwip 512K
  observe
  control
  memory 4M
'''


# ---- Packets, as little of each protocol as tests need ----
def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f'>{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip4(protocol, payload, source, to, ident=1, fragment=0):
    head = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(payload), ident, fragment, 64, protocol, 0, source, to)
    return head[:10] + struct.pack('>H', checksum(head)) + head[12:] + payload


def ip6(protocol, payload, source, to, hops=255):
    return struct.pack('>IHBB16s16s', 6 << 28, len(payload), protocol, hops, source, to) + payload


def with_sum(payload, at, protocol, source, to):
    """The payload with its checksum, over the pseudo header of either family, at offset `at`."""
    payload = payload[:at] + b'\0\0' + payload[at + 2:]
    pseudo = source + to + (struct.pack('>IHH', len(payload), 0, protocol) if len(to) == 16 else
                            struct.pack('>HH', protocol, len(payload)))
    return payload[:at] + struct.pack('>H', checksum(pseudo + payload) or 0xffff) + payload[at + 2:]


def udp(source, to, source_port, to_port, data):
    return with_sum(struct.pack('>HHHH', source_port, to_port, 8 + len(data), 0) + data, 6, 17, source, to)


def tcp(source, to, source_port, to_port, seq, ack, flags, data=b'', window=65535):
    return with_sum(struct.pack('>HHIIBBHHH', source_port, to_port, seq, ack, 0x50, flags, window, 0, 0) + data, 16, 6, source, to)


def echo4(data, ident=7, seq=1):
    body = struct.pack('>BBHHH', 8, 0, 0, ident, seq) + data
    return body[:2] + struct.pack('>H', checksum(body)) + body[4:]
