"""crossings.py — what one call costs: inside a module, between two, into the host, as Linux processes do it, and through rings and page tables."""
import json
import os
import re
import subprocess

import peers
from common import OUT, Failed, run
from peers import qemu

TEXT = '''Time-stamp cycles of one call, in loops of 50,000, the empty loop subtracted. Sandboxed and native are the same two C files (bench/apps/caller and
callee) as modules and as native code. A crossing switches to another domain's window, with its monitor taken, a record of the caller pushed, and everything undone on
return. With a buffer: the caller names it by its place in their channel, the callee checks that and writes to it. The Linux figures are two processes on one CPU that hand over one byte
through pipes, or one word by futex: to and fro, so two switches of page tables and rings; a microkernel's call is of that kind, though a good one is
several times faster than these. What such a call must cost at least is measured by itself: two processes in ring 3, a kernel in ring 0 that does nothing but to
switch between them, without any check, message or scheduling (bench/rings).'''
ROWS = {  # what: (label, bar)
    'local': ('a small function of the module (inlined)', None),
    'call': ('a function of the module (called)', None),
    'indirect': ('through a table, two targets in turn', None),
    'null': ('a function of another domain', 40),
    'buffer': ('with a buffer by reference, checked', 60),
    'touch': ('with 64 bytes by reference, answered', None),
    'kernel': ('a kernel call that does nothing', None),
    'enter': ('the kernel calls a domain (an event)', None),
}
LINUX = {'syscall': 'Linux: a system call', 'pipe': 'Linux: a process and back, pipes',
         'futex': 'Linux: a process and back, futex'}
RINGS = {  # of bench/rings/rings.h
    'plain': 'a call in ring 0',
    'syscall': 'ring 3 to 0 and back: syscall, sysret',
    'int': 'ring 3 to 0 and back: int, iretq',
    'cr3': 'one switch of page tables',
    'cr3-pcid': 'one switch of page tables, PCID',
    'call': 'a process and back: 2 syscalls, 2 switches',
    'call-pcid': 'a process and back, PCID',
}
NOTE = 'the machine was busy: the CPU\'s other work slows the two locked instructions of a crossing'
PROGRAM, KERNEL, COUNT_PLUGIN = OUT + '/crossings', os.path.abspath(OUT + '/kernel.elf'), os.path.abspath(OUT + '/count.so')
MODULES = [os.path.abspath(f'{OUT}/modules/{m}.wasm') for m in ('caller', 'callee')]
GUEST = ('nothing', 'call', 'indirect', 'null', 'buffer', 'touch', 'kernel')  # of bench/apps/caller
GUEST_CALLS = 20000


def hosted(results, section, term, quick):
    command = [PROGRAM, *MODULES, '9' if quick else '31']
    section.commands.append(' '.join(command))
    got = json.loads(run(command))
    head = ['cycles a call', 'sandboxed', 'native']
    rows, items = [], []
    term.title('Crossings on this CPU', head)
    for key, (label, most) in ROWS.items():
        m = results.metric(f'crossings.{key}.sandboxed', got['sandboxed.' + key], 'cycles', most=most, note=NOTE)
        n = results.metric(f'crossings.{key}.native', got['native.' + key], 'cycles')
        rows.append([label, m, n])
        items += [{'label': key, 'series': k, **{f: x[f] for f in ('value', 'lo', 'hi')}} for k, x in enumerate((m, n))]
    for key, label in LINUX.items():
        rows.append([label, None, results.metric('crossings.linux.' + key, got['linux.' + key], 'cycles')])
    for r in rows:
        term.row(r)
    section.table('Cycles a call', head, rows)
    section.chart('bars', 'Calls', 'cycles', 'Bars are medians, lines the middle half of the rounds.', series=['sandboxed', 'native'], items=items)


def virtual_machine(results, section, term, quick):
    """Rings and page tables on this CPU, in a virtual machine of our own. {kind: metric}, empty where KVM has none."""
    command = [OUT + '/rings', OUT + '/rings.bin', '9' if quick else '31']
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 3:
        why = done.stderr.strip().removeprefix('rings: ')
        kind = 'kvm_pvm, which runs a guest without the processor\'s virtualization' if os.path.exists('/sys/module/kvm_pvm') else 'no KVM in hardware'
        section.notes.append(f'Rings and page tables in cycles of this CPU need KVM in hardware; here there is {kind} ({why}). On a machine that has it, this section shows them.')
        term.line('rings and page tables on this CPU: not measured: ' + why)
        return {}
    if done.returncode:
        raise Failed(done.stderr.strip())
    section.commands.append(' '.join(command))
    got = json.loads(done.stdout)
    if not got['hardware']:
        section.notes.append(f'Rings and page tables were measured with {got["kvm"]}, which is not the processor\'s virtualization: those cycles are that program\'s.')
        return {}
    head = ['in a virtual machine', 'cycles']
    term.title(f'Rings and page tables on this CPU ({got["kvm"]})', head)
    found = {k: results.metric(f'crossings.rings.{k}', got['cycles'][k], 'cycles') for k in RINGS if k in got['cycles']}
    rows = [[RINGS[k], m] for k, m in found.items()]
    for r in rows:
        term.row(r)
    section.table(f'Rings and page tables on this CPU ({got["kvm"]})', head, rows, 'Not counted: what the switch makes the caches and predictors forget, and every '
                  'mitigation of speculation that a kernel adds.')
    return found


def boot(mark):
    """Both of them in the bench kernel: its output; instructions are counted where `mark` is called."""
    cells = ''.join(f'  arg {g}:{GUEST_CALLS}\n' for g in GUEST)
    config = ('sasos 1\nmodule callee\n  memory 2M\nmodule caller\n  connect callee callee 4K\n  memory 2M\n' + cells +
              'module rings callee\n  memory 2M\nstart callee\nrun caller\nstart rings\n')
    plugin = ['-plugin', f'{COUNT_PLUGIN},mark={peers.symbol(KERNEL, mark)}', '-d', 'plugin'] if mark else []
    r = qemu.boot(config=config, modules=MODULES, kernel=KERNEL, disk=None, qemu_args=plugin, timeout=60)
    if not r.ok:
        raise Failed(f'{r.why}\n{r.text[-500:]}')
    return r.text, r.command


def emulated(results, section, term, quick):
    """Guest instructions and emulated time, of crossings and of rings in the same kernel."""
    term.progress('crossings, rings and page tables in the bench kernel')
    rounds, hz = 2 if quick else 5, results.machine['tsc_hz']
    ns = {}
    for i in range(rounds):
        text, command = boot(None)
        if not i:
            section.commands.append(' '.join(command))
        for name, n, value in re.findall(r'cell (\S+):(\d+) ns=(\d+)', text):
            ns.setdefault(name, []).append(int(value) / int(n))
        for name, n, cycles in re.findall(r'rings: (\S+) calls=(\d+) cycles=(\d+)', text):
            ns.setdefault('rings.' + name, []).append(int(cycles) / int(n) / hz * 1e9)
    kinds = [k for k in RINGS if 'rings.' + k in ns]
    count = {g: c[0] / GUEST_CALLS for g, c in zip(GUEST, peers.counted(boot('hc_time_ns')[0], GUEST))}
    text = boot('rings_clock')[0]
    calls = int(re.search(r'rings: \S+ calls=(\d+)', text)[1])
    count.update({'rings.' + k: c[0] / calls for k, c in zip(kinds, peers.counted(text, kinds))})
    empty = count.pop('nothing')
    head = ['in the bench kernel, emulated', 'instructions', 'ns']
    term.title(f'Crossings, rings and page tables ({results.machine["accelerator"]})', head)
    rows = []
    for g in [*GUEST[1:], *('rings.' + k for k in kinds)]:
        less = 0 if g.startswith('rings.') else empty
        label = RINGS[g[6:]] if less == 0 else ROWS[g][0]
        time = [v - (0 if less == 0 else min(ns['nothing'])) for v in ns[g]]
        key = f'crossings.guest.{g}'
        rows.append([label, results.metric(key + '.instructions', count[g] - less, 'instructions'), results.metric(key, time, 'ns')])
        term.row(rows[-1])
    section.table('In the bench kernel, emulated', head, rows, 'QEMU does each instruction in about the same time, but what a switch of page tables makes it forget it has to '
                  'look up again, as a processor has: the times are no processor\'s, the instructions are exact.')


def measure(results, term, quick):
    section = results.section('crossings', 'Crossing costs', TEXT)
    with results.attempt('crossings on this CPU', term):
        on_this_cpu(results, section, term, quick)
    with results.attempt('crossings in the bench kernel', term):
        emulated(results, section, term, quick)


def on_this_cpu(results, section, term, quick):
    hosted(results, section, term, quick)
    rings = {}
    with results.attempt('rings and page tables on this CPU', term):
        rings = virtual_machine(results, section, term, quick)
    value = lambda name: results.metrics['crossings.' + name]['value']  # noqa: E731
    section.chart('bars', 'A call of another domain, against other ways', 'cycles', items=[
        {'label': 'crossing, null', 'value': value('null.sandboxed')}, {'label': 'crossing, with a buffer', 'value': value('buffer.sandboxed')},
        *({'label': RINGS[k], 'value': m['value']} for k, m in rings.items() if k in ('syscall', 'call', 'call-pcid')),
        *({'label': label.replace('Linux: ', ''), 'value': value('linux.' + key)} for key, label in LINUX.items())])
