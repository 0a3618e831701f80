#!/usr/bin/env python3
"""The WebAssembly specification's suite inside the booted kernel (tests/boot/spec): one boot a group of tests/spec/suite.py.

The kernel of the test runs everything twice, so that it can see whether the second time left anything behind. It must come to the
same number of checks as sfi-spec does with the same scripts."""
import json
import os
import re
import subprocess
import sys
import tempfile

import qemu
import tap

sys.path.insert(0, os.path.join(qemu.ROOT, 'tests', 'spec'))
import suite  # noqa: E402

KERNEL = os.path.join(qemu.BUILD, 'boot', 'spec.elf')
# Each assertion but the last is wrong about the module; and what wast2json does not let through.
WRONG = '''
(module
  (func (export "one") (result i32) (i32.const 1))
  (func (export "nan") (result f32) (f32.const nan:0x200000))
  (func (export "two") (result v128) (v128.const i32x4 1 2 3 4))
  (func (export "deep") (call 3)))
(assert_return (invoke "one") (i32.const 2))
(assert_return (invoke "nan") (f32.const nan:canonical))
(assert_return (invoke "two") (v128.const i32x4 1 2 3 5))
(assert_return (invoke "deep"))
(assert_trap (invoke "one") "unreachable")
(assert_trap (invoke "deep") "unreachable")
(assert_exhaustion (invoke "one") "call stack exhausted")
(assert_invalid (module binary "\\00asm\\01\\00\\00\\00") "type mismatch")
(assert_malformed (module binary "\\00asm\\01\\00\\00\\00") "magic header")
(assert_malformed (module binary "\\00asm\\01\\00\\00\\00\\05\\04\\01\\01\\02\\01") "malformed limits")
(assert_unlinkable (module (import "spectest" "print_i32" (func (param i32)))) "incompatible")
(assert_return (invoke "one") (i32.const 1))
(module (import "nobody" "f" (func)))
'''
ONE = {'type': 'i32', 'value': '1'}
MORE = [
    {'type': 'assert_return', 'line': 100, 'action': {'type': 'invoke', 'field': 'one', 'args': []}, 'expected': [{'type': 'i64', 'value': '1'}]},
    {'type': 'assert_return', 'line': 101, 'action': {'type': 'invoke', 'field': 'one', 'args': []}, 'expected': []},
    {'type': 'assert_return', 'line': 102, 'action': {'type': 'invoke', 'field': 'one', 'args': []}, 'expected': [ONE, ONE]},
    {'type': 'assert_return', 'line': 103, 'action': {'type': 'invoke', 'field': 'one', 'args': [ONE]}, 'expected': [ONE]},
    {'type': 'action', 'line': 104, 'action': {'type': 'invoke', 'field': 'none', 'args': []}},
    {'type': 'action', 'line': 105, 'action': {'type': 'invoke', 'module': 'nobody', 'field': 'one', 'args': []}},
    {'type': 'assert_nothing', 'line': 106},
]
RIGHT = 2  # the first module and the last assertion of the text


def boot(stream):
    return qemu.boot(kernel=KERNEL, pack=stream, config='spec', disk=None, timeout=80)


def stream_of(paths, folder):
    path = os.path.join(folder, 'stream')
    done = subprocess.run([suite.TOOL, '--save', path, *paths], capture_output=True, text=True)
    if not tap.ok(done.returncode == 0, f'{len(paths)} scripts become a stream', done.stderr):
        return b''
    with open(path, 'rb') as f:
        return f.read()


def counts(text):
    found = re.search(r'^(\d+) passed, (\d+) failed$', text, re.M)
    return found and (int(found[1]), int(found[2]))


total = [0, 0]


def group(name, paths, folder):
    r = boot(stream_of(paths, folder))
    said = '\n'.join(re.findall(r'^BAD .*', r.text, re.M)[:20]) or r
    hosted = counts(subprocess.run([suite.TOOL, '--quiet', *paths], capture_output=True, text=True).stdout)
    guest = counts(r.text)
    for k, n in enumerate(guest or (0, 1)):
        total[k] += n
    tap.ok(r.ok and guest and guest[1] == 0, f'{name} in the guest: {guest and guest[0]} checks in {r.seconds:.1f} s', f'{said}\n{r.why}')
    tap.same(guest, hosted, f'{name}: as many as in a process')


def wrong(folder):
    source, script = (os.path.join(folder, 'wrong' + end) for end in ('.wast', '.json'))
    with open(source, 'w') as f:
        f.write(WRONG)
    said = suite.convert(source, script)
    if not tap.ok(not said, 'the script of mistakes converts', said):
        return
    with open(script) as f:
        tree = json.load(f)
    last = tree['commands'].pop()  # the module that does not load: no other command would find one after it
    tree['commands'] += MORE + [last]
    with open(script, 'w') as f:
        json.dump(tree, f)
    stream = stream_of([script], folder)
    r = boot(stream)
    hosted = subprocess.run([suite.TOOL, script], capture_output=True, text=True)
    lines = re.findall(r'^BAD (.*)', r.text, re.M)
    want = [line.replace(': FAILED', '') for line in hosted.stdout.splitlines()[:-1] if ': FAILED: ' in line]
    mistakes = len(tree['commands']) - RIGHT
    tap.ok(r.status == 35 and counts(r.text) == (RIGHT, mistakes), f'{mistakes} mistakes are found', r)
    tap.same(lines, want, 'and told as in a process')
    r = boot(stream[:-1])
    tap.ok(r.status == 35, 'a stream that breaks off is a failure', r)
    tap.has(r, '^BAD not a stream of commands$', 'with a sentence')


with tempfile.TemporaryDirectory(prefix='sasos-') as folder:
    wrong(folder)
with suite.scripts() as found:
    for name, paths in found.items():
        with tempfile.TemporaryDirectory(prefix='sasos-') as folder:
            group(name, paths, folder)
print(f'# count checks {total[0]}\n# count failed {total[1]}')
if not os.path.exists(suite.ARCHIVE):
    tap.skip('the conformance suite in the guest', suite.MISSING)
tap.done()
