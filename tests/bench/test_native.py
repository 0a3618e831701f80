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
    found = re.search(r'.*(virtio_blk_|nvme_|native_|rings_|__wrap|__real|sasos_).*', symbols(kernel))
    tap.ok(not found, f'{kernel} has none', found and found[0])
r = qemu.boot(config=config('native'), modules=['virtio-blk', LOAD])
tap.ok(r.ok, 'the kernel that is shipped runs an instance of that name as every other', r)

# ---- rings and page tables (bench/rings): the kernel goes on afterwards, and so does what has run before ----
modules = [os.path.abspath(f'build/bench/modules/{m}.wasm') for m in ('caller', 'callee')]
calls = ('sasos 1\nmodule callee\n  memory 2M\nmodule caller\n  connect callee callee 4K\n  memory 2M\n  arg null:100\n  arg buffer:100\n'
         'module rings callee\n  memory 2M\nstart callee\nrun caller\nstart rings\nrun caller\n')
r = qemu.boot(config=calls, modules=modules, kernel=os.path.abspath('build/bench/kernel.elf'), disk=None)
tap.same(re.findall(r'rings: (\S+) calls=\d+ cycles=[1-9]', r.text), ['plain', 'syscall', 'int', 'cr3', 'call'], 'rings and page tables, without PCID')
tap.ok(r.ok and len(re.findall(r'cell (?:null|buffer):100 ns=\d+ errors=0', r.text)) == 4, 'and calls between domains before and after', r)
done = subprocess.run(['build/bench/rings', 'build/bench/rings.bin', '1'], capture_output=True, text=True)
tap.ok(done.returncode in (0, 3) and (done.stderr.startswith('rings: ') or '"call"' in done.stdout), 'in a virtual machine of our own, or the reason why not', done)
tap.done()
