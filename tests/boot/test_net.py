#!/usr/bin/env python3
"""The network drivers: every frame arrives once, whole and in order, at all sizes and in batches; what cannot be is refused."""
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
import wire  # noqa: E402

KIND = 0x88b5


def config(driver, ids, args=''):
    grants = ''.join(f'  pci {i}\n' for i in ids)
    return f'''sasos 1
module {driver}
{grants}  irq 8
  dma 512K
  memory 2M
module net-echo
  connect net {driver} 1M
  memory 2M
{args}
start {driver}
run net-echo
'''


def frame(order, number, size):
    body = order + number.to_bytes(4, 'big')
    rest = random.Random(number).randbytes(max(0, size - 14 - len(body)))
    return wire.ethernet(KIND, body + rest)


def returned(f):
    return f[6:12] + f[:6] + f[12:]


def ours(f):
    return f[12:14] == KIND.to_bytes(2, 'big') and f[14:15] != b'k'


def same_frames(got, sent):
    """The device pads short frames, so they are compared as far as they went."""
    return len(got) == len(sent) and all(g[:len(s)] == returned(s) for g, s in zip(got, sent))


def exercise(name, driver, ids, device, args='', count=2000, **machine):
    with wire.Wire() as w:
        run = wire.Background(config=config(driver, ids, args), modules=[driver, 'net-echo'], disk=None,
                              devices=[device], netdevs=[w.netdev], **machine)
        if not tap.ok(w.knock(frame(b'k', 0, 60)), f'{name}: the guest echoes'):
            print(run.result())
            return
        rng = random.Random(name)
        sizes = [60, 61, 64, 1513, 1514] + [rng.randrange(60, 1515) for _ in range(count)]
        sent = [frame(b'e', n, s) for n, s in enumerate(sizes)]
        got = w.echo(sent, ours)
        tap.ok(same_frames(got, sent), f'{name}: {len(sent)} frames of all sizes come back, whole and in order',
               f'{len(got)} came back')
        # More at once than there are buffers posted or descriptors: what is lost is lost as a whole, and it goes on.
        for n in range(600):
            w.send(frame(b'e', n, 200))
        while w.receive(0.5):
            pass
        w.send(wire.ethernet(KIND, b'b'))  # a fragment outside the channel, and what was in flight is lost
        w.send(wire.ethernet(0x1234, os.urandom(46)))
        w.knock(frame(b'k', 0, 60))
        w.send(wire.ethernet(KIND, b'a'))
        w.knock(frame(b'k', 0, 60))
        sent = [frame(b'e', n, 300) for n in range(200)]
        tap.ok(same_frames(w.echo(sent, ours), sent), f'{name}: it works after a refusal and after it is attached again')
        w.send(frame(b'q', 0, 60))
        r = run.result()
        tap.ok(r.ok, f'{name}: ends well', r)
        tap.has(r, 'made a frame that cannot be sent', f'{name}: a fragment outside the channel is refused')


VIRTIO = ('virtio-net', ['1af4:1041'])
exercise('virtio-net', *VIRTIO, wire.VIRTIO)
exercise('virtio-net, fragments, no event index, no mergeable buffers', *VIRTIO,
         wire.VIRTIO + ',event_idx=off,mrg_rxbuf=off', '  arg split', 200)
exercise('virtio-net behind shadow rings', *VIRTIO, wire.VIRTIO.replace('iommu_platform=on,', ''), **wire.UNFENCED)
exercise('e1000e, trusted without a fence', 'e1000e', ['8086:10d3 trusted'], wire.E1000E, '', 200, **wire.UNFENCED)
exercise('e1000e', 'e1000e', ['8086:10d3'], wire.E1000E)
exercise('e1000e, fragments', 'e1000e', ['8086:10d3'], wire.E1000E, '  arg split', 200)
tap.done()
