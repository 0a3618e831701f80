#!/usr/bin/env python3
"""What `make check` says about what was built: the kernel image, and that a second make has nothing to do."""
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
os.chdir(ROOT)
sys.path.insert(0, 'tests/boot')
import tap  # noqa: E402

KERNEL = 'build/kernel/kernel.elf'
# Neither has a place in a kernel whose modules run in ring 0 with it: swapgs and sysret because of what goes wrong between
# them and an interrupt, a write of ss because it holds off interrupts for one instruction.
FORBIDDEN = {
    'swapgs': r'\tswapgs',
    'sysret': r'\tsysret',
    'mov ss': r'\tmov\w*\t[^\n]*, %ss$',
    'pop ss': r'\tpop\w*\t%ss$',
}


def output(*command, env=None):
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout


if os.path.exists(KERNEL):
    segments = re.findall(r'^\s+LOAD\s.*?0x[0-9a-f]+ 0x[0-9a-f]+ ([R ][W ][E ])', output('llvm-readelf', '-lW', KERNEL), re.M)
    tap.ok(segments and not any('W' in s and 'E' in s for s in segments),
           'no segment of the kernel is writable and executable', str(segments))
    tap.ok(any('E' in s for s in segments), 'the kernel has code')
    code = output('llvm-objdump', '-d', '--no-show-raw-insn', KERNEL)
    for name, pattern in FORBIDDEN.items():
        found = re.search(pattern, code, re.M)
        tap.ok(not found, f'no {name} in the kernel', found and code[max(0, found.start() - 300):found.end()])
    # ESC-063: a module trains the predictor at the kernel's own privilege level, so the kernel has no indirect branch but inside
    # retpolines, which end in ret.
    found = re.search(r'^.*\t(jmp|call)q?\t\*.*$', code, re.M)
    tap.ok(not found and '__llvm_retpoline' in code, 'no indirect branch in the kernel', found and code[max(0, found.start() - 300):found.end()])
    # A wrong compiler flag would show here. Only the loader's assembly, which runs on behalf of modules, uses their vector registers.
    crossing = set(re.findall(r'\bt (\w+)$', output('llvm-nm', *glob.glob('build/o/kernel/loader/*.S.o')), re.M | re.I))
    vector = [f for f in re.split(r'^[0-9a-f]+ <', code, flags=re.M)
              if re.search(r'%[xyz]mm\d', f) and f.split('>')[0] not in crossing]
    tap.ok(not vector, 'the kernel itself uses no vector registers', '\n'.join(f[:300] for f in vector[:5]))
else:
    tap.skip('the kernel image', 'not built')

env = {k: v for k, v in os.environ.items() if not k.startswith('MAKE') and k != 'MFLAGS'}
again = subprocess.run(['make', '--no-print-directory', '-n', 'all'], capture_output=True, text=True, env=env)
tap.ok('Nothing to be done' in again.stdout and again.returncode == 0, 'a second make has nothing to do',
       again.stdout[:2000] + again.stderr)
tap.done()
