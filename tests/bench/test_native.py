#!/usr/bin/env python3
"""Native twins: they run in the bench kernel, they do what the module does, and the kernel that is shipped has no trace of them."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'boot'))
import qemu  # noqa: E402
import tap  # noqa: E402

GRANTS = '  pci 1af4:1042\n  irq 1\n  dma 64K\n  memory 2M\n'
CELLS = ('verify:rand:4096:32:300', 'verify:rand:512:1:100', 'read:seq:65536:8:100')
LOAD = os.path.abspath('build/bench/modules/blkload.wasm')


def config(name):
    cells = ''.join(f'  arg {c}\n' for c in CELLS)
    return (f'sasos 1\nmodule {name} virtio-blk\n{GRANTS}module load blkload\n  connect blk {name} 9M\n  memory 2M\n{cells}'
            f'start {name}\nrun load\n')


def symbols(path):
    return subprocess.run(['llvm-nm', path], capture_output=True, text=True, check=True).stdout


for side, name in (('sandboxed', 'virtio-blk'), ('native', 'native')):
    r = qemu.boot(config=config(name), modules=['virtio-blk', LOAD], kernel=os.path.abspath('build/bench/kernel.elf'))
    tap.ok(r.ok and len(re.findall(r'cell \S+ ns=\d+ errors=0', r.text)) == len(CELLS), f'{side}: data come back', r)
tap.ok('virtio_blk_driver_event' in symbols('build/bench/kernel.elf'), 'the bench kernel has the twins')
for kernel in ('build/kernel/kernel.elf', 'build/kernel/kernel.boot.elf'):
    found = re.search(r'.*(virtio_blk_|nvme_|native_|__wrap|__real|sasos_).*', symbols(kernel))
    tap.ok(not found, f'{kernel} has none', found and found[0])
r = qemu.boot(config=config('native'), modules=['virtio-blk', LOAD])
tap.ok(r.ok, 'the kernel that is shipped runs an instance of that name as every other', r)
tap.done()
