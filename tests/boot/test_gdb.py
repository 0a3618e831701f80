#!/usr/bin/env python3
"""make gdb: the kernel's symbols, those of modules once they are loaded, and unwinding through a module's frames."""
import os
import re
import subprocess
import tempfile

import qemu
import tap

SCRIPT = '''
hbreak on_trap if address != 0
continue
delete
sasos domains
sasos modules
info symbol frame->rip
hbreak virtio_blk.driver_event
continue
backtrace 2
stepi 4
echo inside\\n
backtrace 2
'''
# The first fault is that of "outside"; the driver of the demonstration runs again later on.
EXPECTED = [
    (r'kernel_main \(bootinfo_pa=', 'it stops at the kernel\'s first line'),
    (r'Breakpoint 2, on_trap', 'a breakpoint in the kernel'),
    (r'^outside: running, window 0x20\w+$', 'domains'),
    (r'^virtio-blk: \d+ functions at 0xffffffffe', 'modules'),
    (r'^outside\.app_main \+ \d+ in section \.text', 'the place of the fault by name'),
    (r'^#0  0x\w+ in virtio_blk\.driver_event \(\)\n#1  0x\w+ in ldr_enter', 'unwinding from a function\'s first instruction'),
    (r'^inside\n#0  0x\w+ in virtio_blk\.driver_event \(\)\n#1  0x\w+ in ldr_enter', 'and from behind it, its frame made'),
]
with tempfile.NamedTemporaryFile('w', suffix='.gdb') as f:
    f.write(SCRIPT)
    f.flush()
    done = subprocess.run([os.path.join(qemu.ROOT, 'tests', 'boot', 'qemu.py'), 'gdb', '--script', f.name], capture_output=True, text=True, timeout=180)
said = '\n'.join(line for line in done.stdout.splitlines() if not line.startswith('['))  # without the console
for pattern, what in EXPECTED:
    tap.ok(re.search(pattern, said, re.M), what, said + done.stderr)
tap.done()
