#!/usr/bin/env python3
"""Coverage of the verifier by its tests, with llvm-cov: lines and branches of verify.c and decode.c.

  tests/fuzz/coverage.py     writes build/fuzz/coverage.json and prints what was never taken

The corpus and properties of test_verify, hostile tables and random blocks run on an instrumented verifier.
"""
import json
import os
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
BUILD = os.path.join(ROOT, 'build', 'fuzz', 'coverage')
RESULT = os.path.join(ROOT, 'build', 'fuzz', 'coverage.json')
SOURCES = ['sfi-jit/verify/verify.c', 'sfi-jit/verify/decode.c']
INSTRUMENT = ['-fprofile-instr-generate', '-fcoverage-mapping']


def run(command, **options):
    return subprocess.run(command, cwd=ROOT, check=True, **options)


def main():
    os.makedirs(BUILD, exist_ok=True)
    objects = []
    for path in SOURCES:
        objects.append(os.path.join(BUILD, os.path.basename(path) + '.o'))
        run(['clang', '-std=gnu17', '-O1', '-g', '-w', '-I.', *INSTRUMENT, '-c', path, '-o', objects[-1]])
    parts = {}
    for name, path in (('test_verify', 'tests/host/test_verify.c'), ('tables', 'tests/fuzz/camp_tables.c'),
                       ('blocks', 'tests/fuzz/camp_blocks.c')):
        parts[name] = os.path.join(BUILD, name + '.o')
        run(['clang', '-std=gnu17', '-D_GNU_SOURCE', '-O1', '-w', '-I.', '-c', path, '-o', parts[name]])
    programs = {'test_verify': [], 'tables': ['--items', '20000'], 'blocks': ['--items', '50']}
    profiles = []
    for name, arguments in programs.items():
        program = os.path.join(BUILD, name)
        run(['clang', '-fuse-ld=lld', *INSTRUMENT, '-o', program, parts[name], *objects, 'build/o/libfuzz.a', 'build/o/libhost.a',
             '-Wl,--as-needed', '-lm', '-lZydis', '-lcapstone', '-lcmocka'])
        profiles.append(program + '.profraw')
        run([program, *arguments], env={**os.environ, 'LLVM_PROFILE_FILE': profiles[-1]}, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
    merged = os.path.join(BUILD, 'all.profdata')
    run(['llvm-profdata', 'merge', '-o', merged, *profiles])
    cov = ['llvm-cov', 'export', os.path.join(BUILD, 'test_verify'), '-instr-profile=' + merged, *SOURCES]
    data = json.loads(run(cov, capture_output=True, text=True).stdout)['data'][0]
    result, never = {}, []
    for file in data['files']:
        name = os.path.relpath(file['filename'], ROOT) if os.path.isabs(file['filename']) else file['filename']
        summary = file['summary']
        result[name] = {k: [summary[k]['covered'], summary[k]['count']] for k in ('lines', 'branches', 'functions')}
        # [line, column, end line, end column, times true, times false, …]
        with open(os.path.join(ROOT, name)) as f:
            lines = f.read().split('\n')
        # The default that a switch over an enumeration does not have counts as a branch: it is none.
        branches = [b for b in file['branches'] if 'switch (' not in lines[b[0] - 1][:b[1]]]
        result[name]['branches'] = [sum((b[4] > 0) + (b[5] > 0) for b in branches), 2 * len(branches)]
        never += [f'{name}:{b[0]}:{b[1]}: never {"true" if not b[4] else "false"}: {lines[b[0] - 1].strip()}' for b in branches
                  if not b[4] or not b[5]]
    with open(RESULT, 'w') as f:
        json.dump({'files': result, 'never': never}, f, indent=1)
    for name, kinds in result.items():
        print(name, ', '.join(f'{a}/{b} {k}' for k, (a, b) in kinds.items()))
    print('\n'.join(never))
    return 0


if __name__ == '__main__':
    sys.exit(main())
