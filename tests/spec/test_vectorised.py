#!/usr/bin/env python3
"""What clang makes of C with -msimd128 and -mtail-call computes what the same C computes natively: the benchmark's kernels that
vectorise, with little work each."""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
import tap  # noqa: E402

KERNELS = 'base64 bignum chacha checksum covariance crc32 dct fannkuch fft fir matrix16 nbody packets search sha256 state'.split()
COMMON = ['clang', '-O2', '-std=c99', '-fno-math-errno', '-I' + ROOT]
WASM = ['--target=wasm32', '-mbulk-memory', '-msign-ext', '-mnontrapping-fptoint', '-msimd128', '-mtail-call', '-nostdlib', '-Wl,--no-entry',
        '-Wl,--export=kernel', '-Wl,--stack-first', '-Wl,-z,stack-size=1048576']
MAIN = '''#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
uint64_t kernel(uint32_t n);
int main(int argc, char **argv) { return argc != 2 || printf("%lld\\n", (long long)kernel((uint32_t)atoi(argv[1]))) < 0; }
'''


def says(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else f'status {done.returncode}: {done.stderr}'


with tempfile.TemporaryDirectory() as folder:
    main, native, wasm = (os.path.join(folder, name) for name in ('main.c', 'native', 'kernel.wasm'))
    with open(main, 'w') as f:
        f.write(MAIN)
    for name in KERNELS:
        source = os.path.join(ROOT, 'bench', 'kernels', name + '.c')
        with open(source) as f:
            n = int(re.search(r'^// Size: n = (\d+)$', f.read(), re.M)[1]) // 20 + 3
        said = says(*COMMON, '-o', native, source, main, '-lm') + says(*COMMON, *WASM, '-o', wasm, source)
        want = says(native, str(n))
        got = says(os.path.join(ROOT, 'build', 'host', 'sfi-run'), wasm, '--invoke', 'kernel', str(n))
        tap.ok(re.fullmatch(r'-?\d+\n', want) and got == want, f'{name}: {want.strip()}', f'{said}got {got}')
tap.done()
