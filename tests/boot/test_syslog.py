#!/usr/bin/env python3
"""apps/syslog: every line of the system log reaches the host that the configuration names, as RFC 5424 has it, from before the network was up on."""
import datetime
import re
import time

import packets
import tap
import wire

MESSAGE = re.compile(rb'<(\d+)>1 (\S+) box (\S+) - - - (.*)', re.S)


def config(args):
    return wire.network_config(args='  arg 192.0.2.2/24\n  arg dns=192.0.2.1\n  restart on-fault') + f'''module syslog
  connect sock lwip 64K
  observe
{args}
module bad-divide
start virtio-net
start lwip
start syslog
run bad-divide expect trap divide
stop syslog
'''


def check(args, port):
    with wire.Wire() as w:
        run = wire.Background(config=config(args), modules=['virtio-net', 'lwip', 'syslog', 'bad-divide'], disk=None, devices=[wire.VIRTIO], netdevs=[w.netdev], timeout=60)
        p, got = packets.Peer(w), []
        p.found = packets.ME
        f, alive = None, True
        while alive or f:  # what it sent may be read after its end
            alive = run.is_alive()
            f = p.next(0.2)
            if f and f[12:14] == b'\x08\0' and f[23] == 17 and f[36:38] == port.to_bytes(2, 'big'):
                got.append(MESSAGE.fullmatch(f[42:14 + int.from_bytes(f[16:18], 'big')]))
        r = run.result()
    tap.ok(r.ok, 'the guest ends well', r)
    if not tap.ok(got and all(got), 'messages come, all of the form', got[:3]):
        return
    marks = {b'131': 'error: ', b'132': 'warning: ', b'134': ''}
    told = [f'{m[3].decode()}: {marks[m[1]]}{m[4].decode()}' for m in got]
    said = re.findall(r'^\[ *\d+\.\d{6}\] (.*)$', r.text, re.M)
    tap.same(told, said[:len(told)], 'every line, once and in order')
    tap.ok(any('bad-divide: trapped' in line for line in told) and told[-1].endswith('stop syslog'), 'up to its own end', told[-3:])
    times = [datetime.datetime.fromisoformat(m[2].decode().replace('Z', '+00:00')).timestamp() for m in got]
    tap.ok(times == sorted(times) and abs(times[-1] - time.time()) < 60, 'with the time of each', (times[0], times[-1]))


check('  arg 192.0.2.1\n  arg 514\n  arg box', 514)
check('  arg loghost.example\n  arg 5514\n  arg box', 5514)
tap.done()
