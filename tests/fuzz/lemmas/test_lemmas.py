#!/usr/bin/env python3
"""The lemmas of *.smt2 in Z3 (oracle O5): one test point each. A lemma must have no counterexample; a negative one, which
leaves a check out, must have one. Constants come from sfi.h as the compiler sees them, or from that below the folder that is
named (test_oracles.py has a bad one). All together take less than 5 s on a quiet CPU.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, '..', '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
import tap  # noqa: E402

FOLDER = sys.argv[1] if len(sys.argv) > 1 else ROOT

CONSTANTS = ['SFI_WINDOW_OFFSET', 'SFI_SLOT_SIZE', 'SFI_SLOT_SHIFT', 'SFI_FRAME_MAX', 'SFI_STACK_GUARD', 'SFI_CTX_GLOBALS',
             'SFI_CTX_RESULTS', 'SFI_CTX_WORDS', 'SFI_CTX_MEM_PAGES', 'SFI_CTX_PRIVATE', 'SFI_TABLES_MAX', 'SFI_TABLE_ROWS',
             'SFI_TABLE_STRIDE', 'SFI_CODE_MAX', 'SFI_TABLE_ENTRIES(0)']


def constants():
    """SMT-LIB definitions of sfi.h's constants, from an object file."""
    text = '#include <sfi-jit/sfi.h>\nconst uint64_t values[] = {' + ', '.join(CONSTANTS) + '};\n'
    made = subprocess.run(['clang', '-std=gnu17', '-I', FOLDER, '-I', ROOT, '-x', 'c', '-S', '-o', '-', '-'], input=text, capture_output=True,
                          text=True, check=True)
    numbers = [int(n, 0) for n in re.findall(r'\.quad\s+(\S+)', made.stdout)]
    assert len(numbers) == len(CONSTANTS), made.stdout
    names = [re.sub(r'\((\d)\)', r'_\1', c) for c in CONSTANTS]
    return ''.join(f'(define-fun {n} () (_ BitVec 64) #x{v:016x})\n' for n, v in zip(names, numbers))


def lemmas():
    for path in sorted(glob.glob(HERE + '/*.smt2')):
        with open(path) as f:
            parts = re.split(r'^; (lemma|negative): (\S+).*$', f.read(), flags=re.MULTILINE)
        for kind, name, body in zip(parts[1::3], parts[2::3], parts[3::3]):
            yield kind, name, body


if not shutil.which('z3'):
    tap.skip_all('no z3')
head = '(set-logic QF_BV)\n' + constants()
found = list(lemmas())
script = ''.join(f'(reset)\n{head}{body}\n(check-sat-using qfbv)\n' for _, _, body in found)
began = time.monotonic()
before = os.times()
run = subprocess.run(['z3', '-in', '-T:60'], input=script, capture_output=True, text=True)
after = os.times()
answers = run.stdout.split('\n')[:-1]
for i, (kind, name, _) in enumerate(found):
    got = answers[i] if i < len(answers) else 'nothing'
    tap.ok(got == ('unsat' if kind == 'lemma' else 'sat'), f'{kind} {name}', got)
tap.ok(len(answers) == len(found) and run.returncode == 0, 'z3 answered each', run.stdout[-500:] + run.stderr)
spent = after.children_user + after.children_system - before.children_user - before.children_system
print(f'# {spent:.2f} s of CPU')
tap.done()
