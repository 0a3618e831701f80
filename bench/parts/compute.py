"""compute.py — compiled code itself: kernels and programs against native code, V8 and wasm2c, and without one mechanism or another (bench/jit.py)."""
import json
import os
import re
import subprocess
import sys

import jit
from common import OUT, Failed

COLUMNS = {'scalar': 'native without vectors', 'sfi': 'sfi-jit', 'v8': 'V8', 'wasm2c': 'wasm2c'}
ABLATIONS = {'unmasked': 'masks', 'unbundled': 'bundles', 'bare': 'masks and bundles', 'checks': 'explicit checks in place of guard regions'}
QUICK_ONLY = 'ring,packets,interp,json,chacha,lz,sort,matmul,queens,calls'  # of every group
TEXT = '''make bench-jit's kernels (37 in 7 groups) and programs (Lua, SQLite), each built once by clang for this machine and once for wasm32; one wasm file goes to every
column. CPU time over that of native code, geometric means of the medians. The lower table takes one mechanism away from the compiler (never from the verifier
of what is shipped: a tool of bench/ only) and shows what the whole costs more with it; the last line puts comparisons where guard regions are.'''
WHY = 'small functions that call each other pay most: each entry and each return begins a bundle'


def fetch(results, quick, term):
    """bench/jit.py's results; its own table goes to build/bench/jit.txt."""
    env = {k: v for k, v in os.environ.items() if k not in ('ONLY', 'QUICK')}
    env['COLUMNS'] = ','.join(['native', *COLUMNS, *ABLATIONS])
    if quick:
        env['ONLY'] = QUICK_ONLY
    if os.path.exists(OUT + '/jit.json'):
        os.remove(OUT + '/jit.json')  # what a run that fails has not made is not there
    command = [sys.executable, 'bench/jit.py', '--rounds', '2' if quick else '3']
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as p, open(OUT + '/jit.txt', 'w') as log:
        for line in p.stdout:
            log.write(line)
            term.progress('compute: ' + line[:60].strip())
    if p.returncode:
        with results.attempt('compute: some kernels or programs', term):
            raise Failed(f'bench/jit.py ended with status {p.returncode}: {OUT}/jit.txt')
    with open(OUT + '/jit.json') as f:
        return json.load(f), ' '.join(f'{k}={env[k]}' for k in ('ONLY', 'COLUMNS') if k in env) + ' ' + ' '.join(command[1:])


def measure(results, term, quick):
    section = results.section('compute', 'Compiled code', TEXT + (' This quick run has a few kernels of each group; bars are held against all of them only.' if quick else ''))
    for column, label in COLUMNS.items():
        _, absent, description = jit.COLUMNS[column]
        if absent:
            section.notes.append(f'{label}: {absent}')
            term.line(section.notes[-1])
        else:
            section.commands.append(f'{label}: {description}')
    got, command = fetch(results, quick, term)
    section.commands.append(command)
    head = ['CPU time × native', *COLUMNS.values()]
    term.title('Compiled code, × native', head)
    rows, items = [], []
    for group, means in got['means'].items():
        if group in ('ablation', 'fastest'):
            continue
        row = ['all' if group == 'all' else group]
        for k, (column, label) in enumerate(COLUMNS.items()):
            value = means.get(column)
            bar = 1.15 if (group, column) == ('all', 'sfi') and not quick else None
            row.append(results.metric(f'compute.{group}.{column}', value, '× native', most=bar) if value else None)
            if value and column != 'scalar':
                items.append({'label': group, 'series': k - 1, 'value': value})
        rows.append(row)
        term.row(row)
    section.table('Means by group', head, rows)
    section.chart('bars', 'Compiled code', '× native CPU time', series=[v for c, v in COLUMNS.items() if c != 'scalar'], items=items)
    for name, p in got['programs'].items():
        if p['ratios'].get('sfi'):
            results.metric(f'compute.{name}.sfi', p['ratios']['sfi'][0], '× native')
            section.notes.append(f"{name}: {p['ratios']['sfi'][0]:.2f} × native" + (f", V8 {p['ratios']['v8'][0]:.2f} ×" if p['ratios'].get('v8') else '') + '.')
    ablation = {c: m for c, m in got['means'].get('ablation', {}).items() if c in ABLATIONS and m}
    head = ['mechanism', 'costs %']
    term.title('What each mechanism costs, CPU time of all kernels', head)
    rows = []
    for column, value in ablation.items():
        most = 5 if column == 'bare' and not quick else None
        rows.append([ABLATIONS[column], results.metric(f'compute.cost.{re.sub("bare", "both", column)}', 100 * (value - 1), '%', most=most, note=WHY)])
        term.row(rows[-1])
    speeds = got.get('speeds', {})
    if speeds:
        rows.append(['verifying: once a load, of compiling', results.metric('compute.cost.verifying', 100 * speeds['verify_share'], '% of compiling')])
        term.row(rows[-1])
    if rows:
        section.table('What each mechanism costs', head, rows, 'Of CPU time, but for the last line, which is paid when a module is loaded and never again.')
        section.chart('bars', 'What each mechanism costs', '% of CPU time', items=[{'label': r[0], 'value': r[1]['value']} for r in rows if r[0] in ABLATIONS.values()])
    for key, unit in (('compile_mb_s', 'MB/s'), ('verify_mb_s', 'MB/s'), ('code_ratio', '× native')):
        if speeds.get(key):
            results.metric('compute.' + key, speeds[key], unit, 'lower' if key == 'code_ratio' else 'higher')
    if speeds:
        section.notes.append(f"Decoding, validating and compiling: {speeds['compile_mb_s']:.1f} MB of wasm a second; verifying: {speeds['verify_mb_s']:.0f} MB of machine "
                             f"code a second; code is {speeds['code_ratio']:.2f} × as large as native, {speeds['padding']:.1%} of it padding.")
        term.line(section.notes[-1])
