#!/usr/bin/env python3
"""The power button: the machine goes off in order, applications and libraries finish first, clients before what they use."""
import os
import re
import tempfile

import qemu
import tap
import wire

CONFIG = '''sasos 1
module stop-lib
module stop-app
 connect lib stop-lib 4K
start stop-lib
run stop-app
'''

for smp in (1, 2):
    with tempfile.TemporaryDirectory() as folder:
        control = os.path.join(folder, 'qmp')
        run = wire.Background(config=CONFIG, modules=['stop-lib', 'stop-app'], disk=None, smp=smp, qemu_args=['-qmp', f'unix:{control},server=on,wait=off'])
        if run.wait_for('stop-app: waiting'):
            qemu.Qmp(control).call('system_powerdown')
        r = run.result()
        tap.ok(r.ok, f'{smp} CPUs: it goes off, and all is well', r)
        order = re.findall(r'(the power button was pressed|stop-app: event 20000: finishing|stop-lib: touched 2 times, finishing|power off)$', r.text, re.M)
        tap.same(order, ['the power button was pressed', 'stop-app: event 20000: finishing', 'stop-lib: touched 2 times, finishing', 'power off'],
                 f'{smp} CPUs: the application finishes, then the library')
tap.done()
