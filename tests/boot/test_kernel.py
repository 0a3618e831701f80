#!/usr/bin/env python3
"""The kernel's core, tested from inside by tests/boot/ktest; and the machines that it runs on, or refuses with a sentence."""
import os
import re

import qemu
import tap

KTEST = os.path.join(qemu.BUILD, 'boot', 'ktest.elf')
CORE_POINTS = 53
CPU_POINTS = 15


def boot(test, **more):
    return qemu.boot(kernel=KTEST, modules=[], config=test, disk=None, timeout=60, **more)


def points(r, name, wanted):
    good, bad = re.findall(r'^ok (.*)', r.text, re.M), re.findall(r'^BAD (.*)', r.text, re.M)
    tap.ok(r.ok and not bad and len(good) == wanted and '\ndone\n' in r.text, f'{name}: {len(good)} of {wanted} points', r)


def core(name, **more):
    r = boot('core', **more)
    points(r, name, CORE_POINTS)
    return r


def cpus(n):
    r = boot('cpus', smp=n)
    points(r, f'on {n} CPUs: wake-ups, locks, timers, translations, kills', CPU_POINTS)
    tap.has(r, rf'^cpus {n}$', f'{n} CPUs run')


def stops_all(test, n):
    r = boot(test, smp=n)
    before, *after = r.text.split('PANIC: ')
    tap.ok(r.status == 35 and len(after) == 1 and 'has had enough' in after[0] and 'chatter' not in after[0],
           f'{test}, {n} CPUs: one report, and nothing else after it', r)


def panics(test, *patterns):
    r = boot(test)
    missing = [p for p in patterns if not re.search(p, r.text, re.M)]
    tap.ok(r.status == 35 and not missing, f'panic: {test}', f'missing {missing} in\n{r}')


def otherwise(test, change):
    """On a machine whose arguments were changed."""
    args = qemu.machine_args
    qemu.machine_args = lambda *a: change(args(*a))
    r = boot(test)
    qemu.machine_args = args
    return r


def without_debug_exit(args):
    at = next(i for i, x in enumerate(args) if x.startswith('isa-debug-exit'))
    return args[:at - 1] + args[at + 1:]


def main():
    core('512 MiB')
    core('96 MiB, a screen', memory=96, devices=['VGA'])
    core('5 GiB, two CPUs', memory=5120, smp=2)
    core('four CPUs', smp=4)
    for n in 1, 2, 4:
        cpus(n)
    stops_all('panic-one', 2)
    stops_all('panic-all', 4)
    r = core('no HPET', devices=['pcie-root-port'], cold=True, qemu_args=['-machine', 'hpet=off'])
    tap.has(r, 'by ACPI PM timer', 'without an HPET the PM timer calibrates')

    frame = r'^  from f{8}8[0-9a-f]{7} test_thread\+0x'
    panics('assert', r'ktest\.c:\d+: assertion failed: frame_total\(\) == 0', r'^  at   f{8}8[0-9a-f]{7} deep_assert\+0x', frame)
    panics('trace', frame, rf'^  trace \d+ us, CPU 0, module {4195 & 7}: grant {4195:x} 1000$')
    panics('null', r'^PANIC: #PF page fault: read at 0000000000000008 \(not mapped\)', r'^  thread test$',
           r'^  at   f{8}8[0-9a-f]{7} deep_read\+0x', frame, r'^  rdi [0-9a-f]{16}.*|^  rsi .* rdi 0000000000000008 ')
    panics('text', r'write at f{8}8[0-9a-f]{7} \(protected\)')
    panics('rodata', r'write at f{8}8[0-9a-f]{7} \(protected\)')
    panics('execute', r'execution at ffffa[0-9a-f]{11} \(protected\)')
    panics('unclaimed', r'read at 0000200100000000 \(not mapped\)', frame)
    panics('nested', r'#PF page fault while another one was being handled: read at 0000000000000008', r' hook_faults\+0x')
    panics('irq-fault', r'read at 0000200100000000', r' irq_dispatch\+0x')
    panics('overflow', r'write at ffffa[0-9a-f]{11} \(not mapped, a stack guard\)', r' overflow\+0x')
    panics('double-free', r'frame [0-9a-f]+ is freed twice')
    panics('bad-free', r'heap\.c:\d+: assertion failed')
    panics('guard', r'a guard of the slot with window 200100000000 is mapped at 200200000000')
    panics('refuse', r'^SASOS cannot run here: a sentence$')
    r = boot('reboot')
    tap.ok(r.status == 0 and 'nothing happened' not in r.text, 'a reboot resets the machine', r)

    r = otherwise('off', without_debug_exit)
    tap.ok(r.status == 0 and 'halted' not in r.text, 'without the debug port ACPI switches the machine off', r)

    r = otherwise('core', lambda args: ['qemu64' if x == 'max' else x for x in args])
    tap.ok(r.status == 35, 'a processor without what is needed is refused', r)
    tap.has(r, r'^SASOS cannot run here: the processor lacks.* SSE4\.1.* AVX.* BMI2', 'and the sentence says what it lacks')


if __name__ == '__main__':
    main()
    tap.done()
