"""network.py — a network driver in the guest: the module, its native twin and Linux send frames on one QEMU command line."""
import contextlib
import os
import shlex
import socket

import peers
from common import Failed
from parts.guest import COUNT_PLUGIN, KERNEL, PASSES, SIDES, WHY, times
from parts.hosted import NET_LOAD
from peers import qemu

DEVICE = 'virtio-net-pci,netdev=n0,iommu_platform=on,disable-legacy=on,romfile='
GRANTS = '  pci 1af4:1041\n  irq 2\n  dma 128K\n  memory 2M\n'
TEXT = '''virtio-net in QEMU, sending frames in batches of 32 into a UDP socket that nobody reads: the system with its module, with the driver's native twin, and Debian's
Linux from a packet socket that goes round the queueing disciplines (sendmmsg, one call a batch). Time is that of an emulated machine; instructions are
counted by a QEMU plugin between the load generator's two looks at the clock.'''
FRAMES = 8000
HEAD = ['64-byte frames' , 'instructions', 'µs a frame']


@contextlib.contextmanager
def wire():
    """A -netdev value (without its id) whose frames end in a socket that is never read."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        sink.bind(('127.0.0.1', 0))
        own.bind(('127.0.0.1', 0))
        port = own.getsockname()[1]
        own.close()  # QEMU binds it
        yield ('dgram,local.type=inet,local.host=127.0.0.1,local.port=%d,remote.type=inet,remote.host=127.0.0.1,remote.port=%d'
               % (port, sink.getsockname()[1]))


def boot(side, cells, count=()):
    """(output, command) of a run; `count`: QEMU's arguments for counting."""
    with wire() as netdev:
        if side == 'linux':
            return peers.boot('virtio-net', DEVICE, None, cells, ['-netdev', netdev.replace('dgram,', 'dgram,id=n0,', 1), *count])
        name = 'native' if side == 'native' else 'virtio-net'
        args = ''.join(f'  arg {c}\n' for c in cells)
        config = (f'sasos 1\nmodule {name} virtio-net\n{GRANTS}module netload\n  connect net {name} 1M\n  memory 2M\n{args}'
                  f'start {name}\nrun netload\n')
        r = qemu.boot(config=config, modules=['virtio-net', os.path.abspath(NET_LOAD)], kernel=KERNEL, disk=None, devices=[DEVICE], netdevs=[netdev],
                      qemu_args=list(count), timeout=120)
        if not r.ok:
            raise Failed(f'{side}: {r.why}\n{r.text[-500:]}')
        return r.text, r.command


def measure(results, term, quick):
    section = results.section('network', 'A network driver in the guest', TEXT)
    results.machine.update(qemu=qemu.qemu_version().splitlines()[0], accelerator=qemu.accelerator()[0], linux_peer=peers.kernel()[2])
    cell, us, rows = f'tx:64:32:{FRAMES}', {side: [] for side in SIDES}, []
    for r in range(2 if quick else 5):
        for side in SIDES if r % 2 == 0 else SIDES[::-1]:
            term.progress(f'virtio-net, {side}: round {r + 1}')
            text, command = boot(side, [cell] * PASSES)
            if r == 0:
                section.commands.append(f'{side}: ' + shlex.join(command))
            us[side].append(times(text, [cell])[cell])
    term.title('virtio-net in the guest: sending 64 bytes, batches of 32', HEAD)
    for side in SIDES:
        term.progress(f'virtio-net, {side}: counting instructions')
        text, _ = boot(side, [cell], peers.counting(COUNT_PLUGIN, side, KERNEL))
        count = results.metric(f'network.virtio-net.tx.{side}.instructions', peers.counted(text, [cell])[0][0] / FRAMES, 'instructions')
        rows.append([side, count, results.metric(f'network.virtio-net.tx.{side}', us[side], 'µs a frame')])
        term.row(rows[-1])
    ratio = results.metric('network.virtio-net.tx.instructions-against-linux', rows[0][1]['value'] / rows[2][1]['value'], '× Linux', most=1 / 3)
    results.metric('network.virtio-net.tx.against-linux', [b / a for a, b in zip(us['sandboxed'], us['linux'])], '× Linux', 'higher', least=1, note=WHY)
    rows.append(['sandboxed over Linux', ratio, None])
    term.row(rows[-1])
    section.table('Sending 64 bytes', HEAD, rows)
    section.chart('bars', 'Guest instructions a frame sent', 'instructions', items=[{'label': r[0], 'value': r[1]['value']} for r in rows[:3]])
