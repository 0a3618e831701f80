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

DRIVERS = {  # name: (the -device value, grants, sides: Debian's cloud kernel has no e1000e)
    'virtio-net': ('virtio-net-pci,netdev=n0,iommu_platform=on,disable-legacy=on,romfile=', '  pci 1af4:1041\n  irq 2\n  dma 128K\n  memory 2M\n', SIDES),
    'e1000e': ('e1000e,netdev=n0,romfile=', '  pci 8086:10d3\n  irq 2\n  dma 64K\n  memory 2M\n', SIDES[:2]),
}
TEXT = '''virtio-net and an emulated Intel e1000e in QEMU, sending frames in batches of 32 into a UDP socket that nobody reads: the system with its module, with the driver's native twin, and Debian's
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


def boot(driver, side, cells, count=()):
    """(output, command) of a run; `count`: QEMU's arguments for counting."""
    device, grants, _ = DRIVERS[driver]
    with wire() as netdev:
        if side == 'linux':
            return peers.boot(driver, device, None, cells, ['-netdev', netdev.replace('dgram,', 'dgram,id=n0,', 1), *count])
        name = 'native' if side == 'native' else driver
        args = ''.join(f'  arg {c}\n' for c in cells)
        config = (f'sasos 1\nmodule {name} {driver}\n{grants}module netload\n  connect net {name} 1M\n  memory 2M\n{args}'
                  f'start {name}\nrun netload\n')
        r = qemu.boot(config=config, modules=[driver, os.path.abspath(NET_LOAD)], kernel=KERNEL, disk=None, devices=[device], netdevs=[netdev],
                      qemu_args=list(count), timeout=120)
        if not r.ok:
            raise Failed(f'{side}: {r.why}\n{r.text[-500:]}')
        return r.text, r.command


def measure_driver(results, term, section, driver, rounds):
    sides = DRIVERS[driver][2]
    cell, us, rows = f'tx:64:32:{FRAMES}', {side: [] for side in sides}, []
    for r in range(rounds):
        for side in sides if r % 2 == 0 else sides[::-1]:
            term.progress(f'{driver}, {side}: round {r + 1}')
            text, command = boot(driver, side, [cell] * PASSES)
            if r == 0:
                section.commands.append(f'{side}: ' + shlex.join(command))
            us[side].append(times(text, [cell])[cell])
    term.title(f'{driver} in the guest: sending 64 bytes, batches of 32', HEAD)
    count = {}
    for side in sides:
        term.progress(f'{driver}, {side}: counting instructions')
        text, _ = boot(driver, side, [cell], peers.counting(COUNT_PLUGIN, side, KERNEL))
        count[side] = results.metric(f'network.{driver}.tx.{side}.instructions', peers.counted(text, [cell])[0][0] / FRAMES, 'instructions')
        rows.append([side, count[side], results.metric(f'network.{driver}.tx.{side}', us[side], 'µs a frame')])
        term.row(rows[-1])
    section.chart('bars', f'{driver}: guest instructions a frame sent', 'instructions', items=[{'label': r[0], 'value': r[1]['value']} for r in rows])
    if 'linux' in sides:
        ratio = results.metric(f'network.{driver}.tx.instructions-against-linux', count['sandboxed']['value'] / count['linux']['value'], '× Linux', most=1 / 3)
        results.metric(f'network.{driver}.tx.against-linux', [b / a for a, b in zip(us['sandboxed'], us['linux'])], '× Linux', 'higher', least=1, note=WHY)
        rows.append(['sandboxed over Linux', ratio, None])
        term.row(rows[-1])
    section.table(f'{driver}: sending 64 bytes', HEAD, rows)


def measure(results, term, quick):
    section = results.section('network', 'Network drivers in the guest', TEXT)
    results.machine.update(qemu=qemu.qemu_version().splitlines()[0], accelerator=qemu.accelerator()[0], linux_peer=peers.kernel()[2])
    for driver in DRIVERS:
        measure_driver(results, term, section, driver, 2 if quick else 5)
