#!/usr/bin/env python3
"""ESC-017, trusted code miscompiled: the verifier built by two compilers, at several levels and with its own mistakes trapped, says
the same about a million blocks (tests/fuzz/mutants/verdicts.c). Whoever miscompiles it would have to do so twice, alike.
"""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
import tap  # noqa: E402

SOURCES = ['tests/fuzz/mutants/verdicts.c', 'tests/host/verify_case.c']
VERIFIER = ['sfi-jit/verify/verify.c', 'sfi-jit/verify/decode.c']
BUILDS = ['clang -O2', 'clang -O0', 'clang -O3 -march=native', 'gcc -O2', 'gcc -O0', 'gcc -O3 -fno-strict-aliasing -ftrapv']


def verdicts(folder, compiler, edit=lambda text: text):
    program = os.path.join(folder, 'verdicts')
    sources = list(SOURCES)
    for path in VERIFIER:
        with open(os.path.join(ROOT, path)) as f:
            text = edit(f.read())
        sources.append(os.path.join(folder, os.path.basename(path)))
        with open(sources[-1], 'w') as f:
            f.write(text)
    command = [*compiler.split(), '-std=gnu17', '-w', '-D_GNU_SOURCE', '-I.', '-o', program, *sources]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if made.returncode:
        return made.stderr
    return subprocess.run([program, '1000'], cwd=ROOT, capture_output=True, text=True, timeout=120).stdout.strip()


with tempfile.TemporaryDirectory() as folder:
    first = verdicts(folder, BUILDS[0])
    tap.ok(first.count(' ') == 4, f'{BUILDS[0]}: {first}', first)
    for build in BUILDS[1:]:
        other = verdicts(folder, build)
        tap.ok(other == first, f'{build}: the same verdicts', f'{first}\n{other}')
    # One comparison that a compiler gets wrong is seen.
    wrong = verdicts(folder, BUILDS[0], lambda text: text.replace('at % SFI_BUNDLE + length > SFI_BUNDLE', 'at % SFI_BUNDLE + length >= SFI_BUNDLE'))
    tap.ok(wrong.count(' ') == 4 and wrong != first, 'a miscompiled comparison is seen', wrong)
tap.done()
