"""crossings.py — what one call costs on this CPU: inside a module, between two, into the host, and how Linux processes do it."""
import json

from common import OUT, run

TEXT = '''Time-stamp cycles of one call, in loops of 50,000, the empty loop subtracted. Sandboxed and native are the same two C files (bench/apps/caller and
callee) as modules and as native code. A crossing switches to another domain's window, with its monitor taken, a record of the caller pushed, and everything undone on
return. The Linux figures are two processes on one CPU that hand over one byte through pipes, or one word by futex: to and fro, so two switches of page tables
and rings; a microkernel's call is of that kind, though a good one is several times faster than these.'''
ROWS = {  # what: (label, sandboxed key, native key)
    'local': 'a small function of the module (inlined)',
    'indirect': 'through a table, two targets in turn',
    'null': 'a function of another domain',
    'touch': 'with 64 bytes by reference, answered',
    'kernel': 'a kernel call that does nothing',
    'enter': 'the kernel calls a domain (an event)',
}
LINUX = {'syscall': 'Linux: a system call', 'pipe': 'Linux: a process and back, pipes',
         'futex': 'Linux: a process and back, futex'}
PROGRAM = OUT + '/crossings'


def measure(results, term, quick):
    section = results.section('crossings', 'Crossing costs', TEXT)
    command = [PROGRAM, OUT + '/modules/caller.wasm', OUT + '/modules/callee.wasm', '9' if quick else '31']
    section.commands.append(' '.join(command))
    got = json.loads(run(command))
    head = ['cycles a call', 'sandboxed', 'native']
    rows, items = [], []
    term.title('Crossings on this CPU', head)
    for key, label in ROWS.items():
        most = 40 if key == 'null' else None
        note = 'the machine was busy: the CPU\'s other work slows the two locked instructions of a crossing' if most else ''
        m = results.metric(f'crossings.{key}.sandboxed', got['sandboxed.' + key], 'cycles', most=most, note=note)
        n = results.metric(f'crossings.{key}.native', got['native.' + key], 'cycles')
        rows.append([label, m, n])
        items += [{'label': key, 'series': k, **{f: x[f] for f in ('value', 'lo', 'hi')}} for k, x in enumerate((m, n))]
    for key, label in LINUX.items():
        rows.append([label, None, results.metric('crossings.linux.' + key, got['linux.' + key], 'cycles')])
    for r in rows:
        term.row(r)
    section.table('Cycles a call', head, rows)
    section.chart('bars', 'Calls', 'cycles', 'Bars are medians, lines the middle half of the rounds.', series=['sandboxed', 'native'], items=items)
    section.chart('bars', 'A call of another domain, against Linux', 'cycles', items=[
        {'label': 'crossing, null', 'value': results.metrics['crossings.null.sandboxed']['value']},
        *({'label': label.replace('Linux: ', ''), 'value': results.metrics['crossings.linux.' + key]['value']} for key, label in LINUX.items())])
