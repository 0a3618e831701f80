#!/usr/bin/env python3
"""Kernel calls with their grants, libraries on their clients' threads, programs without a manifest.

SEQUENCES=7000 in the environment: only calls at random, so many sequences of ten in each of three lives."""
import os
import re
import subprocess
import tempfile

import qemu
import tap

SEQUENCES = os.environ.get('SEQUENCES')
GRANTS = """sasos 1
trace
module abi-grants
  arg one
  arg "two words # not a comment"
  arg ""
  env HOME=/
  env "GREETING=good morning"
  blob words.txt
  clock
  console
  entropy
  entropy-source
  observe
run abi-grants
"""
LIBRARY = """sasos 1
module lib-wait
module first lib-client
  connect lib lib-wait 4K
  arg use
module second lib-client
  connect lib lib-wait 4K
  arg sleep
start lib-wait
run first expect exit 33
start second
stop second
run first expect exit 33
start second
stop lib-wait
"""
PROGRAM = b"""(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $deep (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (i32.load8_u (i32.const 0))))
      (else (i32.const 5))))
  (func (export "_start") (call $proc_exit (call $deep (i32.const DEPTH)))))
"""
RUN = """sasos 1
module lib-wait
module command prog
  program
  connect wasi_snapshot_preview1 lib-wait 4K
start lib-wait
run command expect """


FUZZ = """sasos 1
module abi-fuzz
  pci 1234:11e8
  dma 64K
  irq 1
  budget 30000
  arg one
  env NAME=value
  port 2e8-2ef
  clock
  console
  entropy
  entropy-source
  observe
  control
  framebuffer
module abi-calls
  arg one
""" + 'start abi-fuzz\nstop abi-fuzz\n' * 3 + 'run abi-calls expect exit 7\n'


def check_random(sequences):
    """Kernel calls with arguments at random, sequences of ten, by a driver with a device and every grant, in three lives."""
    r = qemu.boot(config=FUZZ.replace('arg one', f'arg {sequences}', 1), modules=['abi-fuzz', 'abi-calls'], disk=None, timeout=60 + sequences // 100,
                  devices=['pcie-root-port,id=rp,chassis=1'], hot=['edu,bus=rp'])
    tap.ok(r.ok, 'a driver whose kernel calls are random comes through, and leaves nothing', r)
    print(f'# count guest-sequences {3 * sequences}')


def wat(folder, name, text):
    path = os.path.join(folder, name)
    subprocess.run(['wat2wasm', '-', '-o', path], input=text, check=True)
    return path


if SEQUENCES:
    check_random(int(SEQUENCES))
    tap.done()
with tempfile.TemporaryDirectory() as folder:
    words = os.path.join(folder, 'words.txt')
    with open(words, 'w') as f:
        f.write('abcdefghijklmnopqrstuvwxyz')
    r = qemu.boot(config=GRANTS, modules=['abi-grants', 'good-exit', words], disk=None)
    tap.ok(r.ok, 'every granted call does what its row says', r)
    tap.has(r, r'^raw text \\$', 'console text comes out as it is')
    r = qemu.boot(config=GRANTS.replace('run abi-grants', 'run abi-grants expect refused'), modules=['abi-grants'], disk=None)
    tap.ok(r.ok, 'a granted file that is not in the image refuses its module', r)

    r = qemu.boot(config=LIBRARY, modules=['lib-wait', 'lib-client'], disk=None)
    tap.ok(r.ok, 'a library waits on its clients\' threads, reaches their memory, ends one; a client that sleeps in it can be stopped', r)
    tap.has(r, r'second: stopped', 'the sleeping client is stopped')
    tap.has(r, r'second: ended with status -111', 'a client that sleeps in a library that is stopped gets E_DEAD')

    program = wat(folder, 'prog.wasm', PROGRAM.replace(b'DEPTH', b'10000'))
    r = qemu.boot(config=RUN + 'exit 5\n', modules=['lib-wait', program], disk=None)
    tap.ok(r.ok, 'a program without a manifest runs on its large stack and ends by a library\'s call', r)
    program = wat(folder, 'prog.wasm', b'(module (func (export "_start")))')
    r = qemu.boot(config=RUN + 'ok\n', modules=['lib-wait', program], disk=None)
    tap.ok(r.ok, 'a program that returns has ended with status 0', r)
    program = wat(folder, 'prog.wasm', b'(module (func (export "main")))')
    r = qemu.boot(config=RUN + 'refused\n', modules=['lib-wait', program], disk=None)
    tap.ok(r.ok, 'a program without _start is refused', r)
    tap.has(r, r'refused: command must export _start\(\)', 'with a sentence')
    program = wat(folder, 'prog.wasm', b'(module (import "sasos1" "log" (func (param i32 i32) (result i64))) (func (export "_start")))')
    r = qemu.boot(config=RUN + 'refused\n', modules=['lib-wait', program], disk=None)
    tap.ok(r.ok, 'a program that imports with another type is refused', r)

# The second serial port by port and line grants, with the lines remapped by the IOMMU and without.
PORTS = """sasos 1
module port-driver
  port 2f8-2ff
  isa-irq 3
start port-driver expect EXPECT
"""
for name, iommu in (('remapped', qemu.IOMMU), ('without an IOMMU', None)):
    r = qemu.boot(config=PORTS.replace('EXPECT', 'refused'), modules=['port-driver'], disk=None, iommu=iommu)
    tap.ok(r.ok, f'{name}: a driver that asks for more lines than are granted is refused', r)
    r = qemu.boot(config=PORTS.replace('isa-irq 3', 'isa-irq 3\n isa-irq 7').replace('EXPECT', 'exit 7'), modules=['port-driver'],
                  disk=None, iommu=iommu, devices=['isa-serial,chardev=c0,index=1'], chardevs=['null'])
    tap.ok(r.ok, f'{name}: ports and interrupt line are the driver\'s, and no others', r)
r = qemu.boot(config=PORTS.replace('isa-irq 3', 'isa-irq 3\n isa-irq 7').replace('EXPECT', 'exit 7'), modules=['port-driver'], disk=None,
              iommu=qemu.IOMMUS['amd'], cold=True, devices=['isa-serial,chardev=c0,index=1'], chardevs=['null'])
tap.ok(r.ok, 'AMD-Vi: the same', r)
r = qemu.boot(config='sasos 1\nmodule good-exit\n port 600-60f\nrun good-exit expect refused\n', modules=['good-exit'], disk=None)
tap.ok(r.ok, 'ports that switch this machine off cannot be granted', r)

# Orders: start, kill, restart, stop, and the machine's end; the policy's limit.
r = qemu.boot(config="""sasos 1
module server lib-wait
  restart on-fault 3 1
module client lib-client
  connect lib server 4K
  arg sleep
module controller
  control
  observe
run controller
""", modules=['lib-wait', 'lib-client', 'controller'], disk=None)
tap.ok(r.ok, 'orders are carried out, and a faulty module is given up in the end', r)
tap.has(r, r'server: failed 4 times within a minute: it is not started again', 'with a sentence')
tap.has(r, r'refused: client is connected to server, which is not running', 'a client without its server is not started')

# The orderly end by a step, and a quota for the log.
r = qemu.boot(config="""sasos 1
module server lib-wait
module listener lib-client
  connect lib server 4K
  log 50
  arg listen
start server
start listener
stop listener
start listener
""", modules=['lib-wait', 'lib-client'], disk=None)
tap.ok(r.ok, 'an application that waits for the order to stop ends by itself', r)
tap.same(r.text.count('listener: ended with status 0'), 2, 'by a step, and when the machine goes off')
lines = r.text.count('listener: too much')
tap.ok(500 <= lines < 3000, 'the log has no more lines of a domain than its quota', lines)

# That module knows every call.
with open(os.path.join(qemu.ROOT, 'sasos/run/hostcall.def')) as f:
    rows = set(re.findall(r'^X\(\w+, (\w+),', f.read(), re.M)) - {'exit'}
with open(os.path.join(qemu.ROOT, 'tests/modules/abi-fuzz/abi-fuzz.c')) as f:
    tap.same(sorted(rows - set(re.findall(r'sasos_(\w+)\(', f.read()))), [], 'every call is tried at random')
check_random(2000)
tap.done()
