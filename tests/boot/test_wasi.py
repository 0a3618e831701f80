#!/usr/bin/env python3
"""The WASI test set in the guest: unmodified commands, each with an instance of the personality, many in one boot."""
import os
import re
import sys
import tempfile

import qemu
import tap

sys.path.append(os.path.join(qemu.ROOT, 'tests', 'wasi'))
import files  # noqa: E402
import programs  # noqa: E402

PROGRAMS_A_BOOT = 16  # a configuration has at most 32 modules


def configuration(chosen):
    modules, steps = [], []
    for p in chosen:
        modules.append(f'module wasi-{p.name} wasi\n  memory 4M\n  console')
        modules += [f'  arg "{a}"' for a in p.args] + [f'  env "{e}"' for e in p.env]
        if p.entropy:
            modules.append('  entropy')
        if p.observe:
            modules.append('  observe')
        if p.files:
            modules.append('  blob files.tar\n  env SASOS_FILES=files.tar')
        modules.append(f'module {p.name}\n  program\n  memory 8M\n  connect wasi_snapshot_preview1 wasi-{p.name} 4K')
        expect = f'trap {p.trap}' if p.trap else f'exit {p.exit}'
        steps += [f'start wasi-{p.name}', f'run {p.name} expect {expect}', f'stop wasi-{p.name}']
    return 'sasos 1\n' + '\n'.join(modules + steps) + '\n'


def run(chosen, archive):
    wasm = [os.path.join(qemu.BUILD, 'wasi', p.name + '.wasm') for p in chosen]
    r = qemu.boot(config=configuration(chosen), modules=['wasi', archive, *wasm], disk=None)
    tap.ok(r.ok, f'{len(chosen)} programs: all end as expected', r)
    for p in chosen:
        part = re.search(rf'run {p.name}$(.*?)^[^\n]*run: stop ', r.text, re.M | re.S)
        text = part[1] if part else ''
        tap.ok(part and 'FAILED' not in text and p.printed(text), f'{p.name}: {p.what}', text[-3000:])


every = [p for p in programs.programs() if not (p.data or p.network or p.terminal)]
with tempfile.TemporaryDirectory() as folder:
    archive = os.path.join(folder, 'files.tar')
    with open(archive, 'wb') as f:
        f.write(files.archive())
    for i in range(0, len(every), PROGRAMS_A_BOOT):
        run(every[i:i + PROGRAMS_A_BOOT], archive)
tap.done()
