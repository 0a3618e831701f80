#!/usr/bin/env python3
"""Mutation test of the verifier: takes each of its checks out, one at a time, and demands that a test notices.

  tests/verify/mutate.py [--jobs N] [REGEX]    only those whose "FILE:LINE: CHANGE" matches

A mutant is sfi-jit/verify/{verify,decode}.c with one condition made false, one operator or number changed; or insns.def
with one column of one row loosened. It is killed if test_verify, test_verify_zydis or test_verify_cpu (built with ASan)
fails, or if it does not compile. Prints the survivors and "N killed, M survived".
Survivors are either equivalent (say why in EQUIVALENT) or a missing test. Takes minutes: not part of make test.
"""
import concurrent.futures
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
TESTS = ['test_verify', 'test_verify_cpu', 'test_verify_zydis']
ROW_SAMPLE = 60  # of the 600 rows, which all are checked alike

# (line as it is, what was changed): mutants that accept and reject the same as the original, and why.
EQUIVALENT = {
    ('if (code->size - at >= SFI_INSN_BYTES) return code->bytes + at;', 'check removed'),  # then they are copied
}


def line_mutants(path):
    """(line number, new text) for each way in which one line can be wrong."""
    with open(os.path.join(ROOT, path)) as f:
        lines = f.read().split('\n')
    swaps = [(' < ', ' <= '), (' <= ', ' < '), (' > ', ' >= '), (' >= ', ' > '), (' == ', ' != '), (' != ', ' == '),
             (' && ', ' || '), (' || ', ' && '), (' + ', ' - ')]
    for i, line in enumerate(lines):
        if line.startswith(('#', '//', 'static const', 'enum')) or line.strip().startswith('//'):
            continue
        code = line.split(' //')[0]
        m = re.match(r'(\s*(?:} else )?(?:else )?if )\((.*)\) return (.*);$', code)
        if m:
            yield i, f'{m[1]}(0 && ({m[2]})) return {m[3]};', 'check removed'
        m = re.match(r'(\s*)return (.*) \? (SFI_RULE_\w+) : (.*);$', code)
        if m:
            yield i, f'{m[1]}return (void)({m[2]}), {m[4] if "NONE" in m[4] else m[3]};', 'check removed'
        for old, new in swaps:
            at = code.find(old)
            while at >= 0 and 'for (' not in code:
                yield i, code[:at] + new + code[at + len(old):], f'{old.strip()} at {at} to {new.strip()}'
                at = code.find(old, at + 1)
        if re.match(r'\s*s->clean = 0;', code):
            yield i, ';', 'removed'
        if re.match(r'\s*out->(dirtied|named|zeroed) \|=.*;$', code):
            yield i, ';', 'removed'


def row_mutants(path):
    with open(os.path.join(ROOT, path)) as f:
        lines = f.read().split('\n')
    rng = random.Random(1)
    found = []
    for i, line in enumerate(lines):
        if not line.startswith(('INSN(', '    INSN(')):
            continue
        for old, new in [('LDV', 'LD4'), ('STV', 'LDV'), ('RWV', 'LDV'), ('LD4', 'LD2'), ('LD8', 'LD4'), ('LD16', 'LD8'),
                         ('ST16', 'ST8'), ('ST8', 'ST4'), ('ST4', 'ST2'), (' W,', ' R,'), (' C,', ' W,'), (' U,', ' W,'),
                         (' B,', ' R,'), (' NO, NO, 0)', ' X, NO, 0)'), ('LOCKED', 'LOCK'), ('ATOMIC', '0'), ('32N', '32')]:
            if old in line:
                found.append((i, line.replace(old, new, 1), f'{old.strip()} to {new.strip()}'))
    return rng.sample(found, min(ROW_SAMPLE, len(found)))


FLAGS = ['-std=gnu17', '-D_GNU_SOURCE', '-w', '-Werror=initializer-overrides', '-O1', '-I.', '-fsanitize=address']
# What a test is made of. decode.c and verify_rows.c include insns.def.
SOURCES = ['sfi-jit/verify/verify.c', 'sfi-jit/verify/decode.c', 'tests/host/verify_rows.c', 'tests/host/verify_case.c',
           'tests/host/verify_policy.c', 'tests/host/verify_stub.c',
           *(f'tests/host/{test}.c' for test in TESTS)]
LIBRARY = SOURCES[:6]


def object_of(folder, source):
    return os.path.join(folder, os.path.basename(source) + '.o')


def build(root, out, sources):
    """Compiles sources of the tree `root` into `out`. False if one does not compile."""
    for source in sources:
        if subprocess.run(['clang', *FLAGS, '-c', source, '-o', object_of(out, source)], cwd=root, capture_output=True).returncode:
            return False
    return True


def try_mutant(path, number, text, whole):
    """The test that noticed, or None. `whole` has the objects of the original."""
    with tempfile.TemporaryDirectory() as work:
        for folder in ('sfi-jit/verify', 'tests/host'):
            shutil.copytree(os.path.join(ROOT, folder), os.path.join(work, folder))
        shutil.copy(os.path.join(ROOT, 'sfi-jit/sfi.h'), os.path.join(work, 'sfi-jit/sfi.h'))
        os.symlink(os.path.join(ROOT, 'tests/verify'), os.path.join(work, 'tests/verify'))
        with open(os.path.join(work, path)) as f:
            lines = f.read().split('\n')
        lines[number] = text
        with open(os.path.join(work, path), 'w') as f:
            f.write('\n'.join(lines))
        changed = [path] if path.endswith('.c') else ['sfi-jit/verify/decode.c', 'tests/host/verify_rows.c']
        if not build(work, work, changed):
            return 'compiler'
        for test in TESTS:
            parts = [object_of(work if s in changed else whole, s) for s in [f'tests/host/{test}.c', *LIBRARY]]
            subprocess.run(['clang', '-fuse-ld=lld', '-fsanitize=address', *parts, '-lcmocka', '-lZydis', '-o', test], cwd=work, check=True)
            try:
                if subprocess.run([f'./{test}'], cwd=work, capture_output=True, timeout=120).returncode:
                    return test
            except subprocess.TimeoutExpired:
                return test
    return None


def main():
    arguments = sys.argv[1:]
    jobs = 2
    if arguments[:1] == ['--jobs']:
        jobs, arguments = int(arguments[1]), arguments[2:]
    mutants = []
    for path in ('sfi-jit/verify/verify.c', 'sfi-jit/verify/decode.c'):
        mutants += [(path, *m) for m in line_mutants(path)]
    mutants += [('sfi-jit/verify/insns.def', *m) for m in row_mutants('sfi-jit/verify/insns.def')]
    mutants = [m for m in mutants if not arguments or re.search(arguments[0], f'{m[0]}:{m[1] + 1}: {m[3]}')]
    killed, survived, equivalent = 0, 0, 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool, tempfile.TemporaryDirectory() as whole:
        if not build(ROOT, whole, SOURCES):
            sys.exit('the tests do not compile')
        for (path, number, text, what), by in zip(mutants, pool.map(lambda m: try_mutant(*m[:3], whole), mutants)):
            with open(os.path.join(ROOT, path)) as f:
                line = f.read().split('\n')[number].strip()
            if by:
                killed += 1
            elif (line, what) in EQUIVALENT:
                equivalent += 1
            else:
                survived += 1
                print(f'{path}:{number + 1}: {what}: {line}', flush=True)
    print(f'{killed} killed, {survived} survived, {equivalent} equivalent')
    return 1 if survived else 0


if __name__ == '__main__':
    sys.exit(main())
