#!/usr/bin/env python3
"""The lives of driver, stack and client: connections outlive the driver; what dies with the stack or the client is given back, and the next life starts over.
KILLS=200 in the environment: that many kills of the driver at random instants, under a stream, and nothing else."""
import os
import random
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
import tapdev  # noqa: E402
import wire  # noqa: E402
from net_guest import ORDERS, OWN, SOURCE, ECHO, Direct, Guest, check_streams  # noqa: E402


def check_lives(name, device, driver, ids, kind=Guest, **machine):
    """The driver is killed under load: streams pause, and go on. The client, then the stack are killed: what comes next starts over."""
    g = kind(device, driver, ids, restart='  restart on-fault 100 1\n', steps='run sock-echo expect trap unreachable\nrun sock-echo\n', **machine)
    if not tap.ok(g.up(), f'{name}: up'):
        print(g.background.result())
        return
    n, kills, got, bad = 6000000, 0, 0, False
    with g.connect(SOURCE) as s, g.connect(ECHO) as other:
        s.sendall(b'%d\n' % n)
        other.sendall(b'before')
        while got < n:
            part = s.recv(1 << 16)
            if not part:
                break
            bad |= part != (bytes(range(256)) * (len(part) // 256 + 2))[got % 256:got % 256 + len(part)]
            got += len(part)
            if got > (kills + 1) * n // 6 and kills < 5:
                kills += 1
                g.datagram(ORDERS, b'k' + driver.encode(), 0.1)  # the answer is lost with the driver
        fine = tap.ok(got == n and not bad, f'{name}: {n} bytes come in order while the driver dies {kills} times', f'{got} bytes, wrong: {bad}')
        other.sendall(b' and after')
        tap.same(wire.receive(other, 16), b'before and after', f'{name}: another connection lives on')
    g.datagram(ORDERS, b'x', 0.1)
    tap.ok(g.up() and g.order(b's') == str(OWN), f'{name}: after the death of the client its ports are free for the next')
    g.datagram(ORDERS, b'klwip', 0.1)
    tap.ok(g.up(), f'{name}: after the death of the stack its client starts over')
    check_streams(g, f'{name}, next life')
    g.order(b'q')
    r = g.background.result()
    tap.ok(r.ok and fine, f'{name}: ends well', r)
    tap.has(r, 'lwip: the network driver is back', f'{name}: the stack has noticed')


def check_kills(kills):
    """The driver is killed again and again while bytes stream, on another CPU: all of them come, in order."""
    g = Guest(wire.VIRTIO, 'virtio-net', ['1af4:1041'], restart='  restart on-fault 1000000 0\n', timeout=60 + kills, smp=2)
    most, got, ordered, good = 4 << 20, 0, time.monotonic(), g.up()

    def killed():
        return g.background.machine.text.count('virtio-net: killed by order')
    while good and killed() < kills:
        with g.connect(SOURCE) as s:
            s.settimeout(30)  # what was lost is sent again later and later
            s.sendall(b'%d\n' % most)
            n = 0
            while good and n < most:
                part = s.recv(1 << 16)
                good = part and part == (bytes(range(256)) * (len(part) // 256 + 2))[n % 256:n % 256 + len(part)]
                n += len(part)
                if time.monotonic() > ordered and killed() < kills:
                    g.datagram(ORDERS, b'kvirtio-net', 0.001)  # the answer is lost with the driver
                    ordered = time.monotonic() + random.uniform(0.01, 0.08)
            got += n
    tap.ok(good, f'{got} bytes come in order while the driver is killed {killed()} times')
    g.up()
    g.order(b'q')
    r = g.background.result()
    tap.ok(r.ok, 'ends well', r)
    times = sorted(int(t) - int(d) for t, d in re.findall(r'virtio-net: life \d+, ready (\d+) us after the end of the one before \((\d+) us of it', r.text))
    print(f'# count net-kills {len(times)}')
    if times:
        print(f'# count net-p50-us {times[len(times) // 2]}\n# count net-p99-us {times[len(times) * 99 // 100]}')


if 'KILLS' in os.environ:
    check_kills(int(os.environ['KILLS']))
    tap.done()
check_lives('virtio-net', wire.VIRTIO, 'virtio-net', ['1af4:1041'])
check_lives('virtio-net behind shadow rings', wire.VIRTIO.replace('iommu_platform=on,', ''), 'virtio-net', ['1af4:1041'], **wire.UNFENCED)
check_lives('e1000e', wire.E1000E, 'e1000e', ['8086:10d3'])
why = tapdev.namespace()
if why:
    print(f'# not on a tap device, where frames are cut up by the device: {why}')
else:
    check_lives('virtio-net with long frames', wire.VIRTIO, 'virtio-net', ['1af4:1041'], Direct, args=f'  arg {tapdev.GUEST}/24\n')
tap.done()
