#!/usr/bin/env python3
"""Containment: each kind of misbehaviour ends its own domain, is attributed, and the system goes on."""
import os
import subprocess
import tempfile

import qemu
import tap

# module, what the configuration expects, what the report must say
CASES = [
    ('bad-load', 'trap memory', r'bad-load: trapped: .*out of bounds memory access.*app_main'),
    ('bad-load-far', 'trap memory', r'bad-load-far: trapped: .*out of bounds memory access'),
    ('bad-store', 'trap memory', r'bad-store: trapped: .*out of bounds memory access'),
    ('bad-stack', 'trap stack', r'bad-stack: trapped: .*call stack exhausted.*down'),
    ('bad-divide', 'trap divide', r'bad-divide: trapped: .*integer divide by zero'),
    ('bad-unreachable', 'trap unreachable', r'bad-unreachable: trapped: .*unreachable.*deep'),
    ('bad-indirect', 'trap signature', r'bad-indirect: trapped: .*indirect call type mismatch'),
    ('bad-indirect-null', 'trap null', r'bad-indirect-null: trapped: .*uninitialized element'),
    ('bad-loop', 'budget', r'bad-loop: killed: computed for more than its budget of 200 ms.*app_main'),
    ('bad-types', 'refused', r'refused: bad-types: .*type mismatch'),
    ('bad-greedy', 'refused', r'refused: bad-greedy asks for DMA pages \(KiB\) 65536, but the configuration \(module at line \d+\) grants 1024'),
    ('truncated', 'refused', r'refused: truncated: malformed module'),
    ('missing', 'refused', r'refused: there is no module missing\.wasm in this image'),
]


def module(name):
    if name == 'truncated':
        with open(qemu.find_module('digest'), 'rb') as f:
            return ('truncated', f.read()[:-900])
    return name


def config(cases):
    text = 'sasos 1\nmodule good-exit\n'
    for name, _, _ in cases:
        text += f'module {name}\n dma 1M\n budget 1000\n'
    for name, expected, _ in cases:
        text += f'run {name} expect {expected}\nrun good-exit\n'
    return text


modules = [module(name) for name, _, _ in CASES if name != 'missing'] + ['good-exit']
r = qemu.boot(config=config(CASES), modules=modules, disk=None, timeout=90)
tap.ok(r.ok, 'every step ended as expected', r)
for name, expected, report in CASES:
    tap.has(r, report, f'{name}: contained and attributed')
tap.same(r.text.count('good-exit: still alive'), len(CASES), 'after each of them another module runs')
tap.lacks(r, 'panic', 'no panic')

# A server that dies on its client's thread: the client gets an error and goes on, the server's end is told, it can live again.
server = '''sasos 1
module bad-server
module poke-client
 connect srv bad-server 4K
start bad-server
run poke-client
run poke-client expect refused
start bad-server
run poke-client
stop bad-server expect trap unreachable
'''
r = qemu.boot(config=server, modules=['bad-server', 'poke-client'], disk=None)
tap.ok(r.ok, 'the client of a server that dies gets an error and goes on', r)
tap.same(r.text.count('bad-server: trapped: unreachable in bad-server, function poke'), 2, 'the server is told of, once a death')
tap.has(r, r'poke-client is connected to bad-server, which is not running', 'a dead server gets no clients')

# A server that computes for ever on its client's thread: it is the one that is killed, and its client goes on.
r = qemu.boot(config='''sasos 1
module loop-server
module poke-client
 connect srv loop-server 4K
start loop-server
run poke-client
stop loop-server expect budget
''', modules=['loop-server', 'poke-client'], disk=None)
tap.ok(r.ok, 'a server that does not return to its client is killed, its client is not', r)
tap.has(r, r'loop-server: killed: computed for more than its budget of 200 ms.*function poke', 'and it is told which')

# DMA pages are whole pages, zeroed, with nothing else on them: the second run gets the frames that the first one has filled.
r = qemu.boot(config='sasos 1\nmodule dma-pages\n dma 64K\nrun dma-pages\nrun dma-pages\nrun dma-pages\n', modules=['dma-pages'], disk=None)
tap.ok(r.ok, 'pages for a device hold nothing of anybody else', r)

r = qemu.boot(config='sasos 1\nmodule dma-pages\n dma 64K\n handles 5\n arg 5\nrun dma-pages\nrun dma-pages\n', modules=['dma-pages'], disk=None)
tap.ok(r.ok, 'allocations end with the handles granted, in each life anew', r)

# More clients than the server says that it can serve.
r = qemu.boot(config='''sasos 1
module bad-server
module poke-client
 connect srv bad-server 4K
module good-exit
 connect srv bad-server 4K
start bad-server expect refused
''', modules=['bad-server', 'poke-client', 'good-exit'], disk=None)
tap.ok(r.ok, 'a server with too many clients is refused', r)
tap.has(r, 'refused: bad-server can serve 1 clients, but the configuration connects 2', 'with a sentence')

# Kernel calls without grants and with bad arguments answer with their errors.
r = qemu.boot(config='sasos 1\nmodule abi-calls\n arg one\nrun abi-calls expect exit 7\n', modules=['abi-calls'], disk=None)
tap.ok(r.ok, 'each refused kernel call gives its documented error', r)
tap.has(r, r'abi-calls: bell \? and\?line', 'control characters do not reach the log')

# The same modules where nothing bad is expected: the exit status must say so.
r = qemu.boot(config='sasos 1\nmodule bad-load\nrun bad-load\n', modules=['bad-load'], disk=None)
tap.ok(not r.ok and r.status == 35, 'an unexpected trap fails the run', r)
tap.has(r, r'line 3: run bad-load: this was not expected', 'and names the line')
# Compiled code that comes with a module: of another module, with a bit of its code changed, and as it should be.
with tempfile.TemporaryDirectory() as folder:
    def build(name, edit=lambda code: code):
        code = os.path.join(folder, name + '.code')
        subprocess.run([os.path.join(qemu.BUILD, 'host', 'sfi-compile'), qemu.find_module(name), code], check=True)
        with open(code, 'rb') as f:
            data = f.read()
        with open(code, 'wb') as f:
            f.write(edit(data))
        return code

    def other(code):
        with open(build('bad-load'), 'rb') as f:
            return f.read()

    def halt(code):  # ud2 becomes hlt; nop
        at = code.rindex(b'\x0f\x0b')
        return code[:at] + b'\xf4\x90' + code[at + 2:]

    r = qemu.boot(config='sasos 1\nmodule good-exit\nmodule bad-store\nmodule bad-unreachable\nrun good-exit\nrun bad-store expect refused\n'
                  'run bad-unreachable expect refused\n', disk=None,
                  modules=['good-exit', 'bad-store', 'bad-unreachable', build('good-exit'), build('bad-store', other), build('bad-unreachable', halt)])
    tap.ok(r.ok and 'good-exit: still alive' in r.text, 'code that comes with a module runs', r)
    tap.has(r, r'good-exit: \d+ bytes of WebAssembly, validated, verified and linked', 'without compiling')
    tap.has(r, r'refused: bad-store: .*another module', 'code of another module is refused')
    tap.has(r, r'refused: bad-unreachable: .*rejected by the verifier', 'changed code is rejected by the verifier')
tap.done()
