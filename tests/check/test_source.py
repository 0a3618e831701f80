#!/usr/bin/env python3
"""What `make check` says about the sources: the walls between the parts, the verifier's size, formatting."""
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
os.chdir(ROOT)
sys.path.insert(0, 'tests/boot')
import tap  # noqa: E402

FREESTANDING = {'stdint.h', 'stddef.h', 'stdbool.h', 'stdarg.h', 'limits.h', 'stdalign.h', 'stdnoreturn.h'}
ANY = re.compile('')
VERIFIER_LINES = 1500


def sources(*folders):
    found = []
    for folder in folders:
        found += glob.glob(folder + '/**/*.[chS]', recursive=True) + glob.glob(folder + '/**/*.def', recursive=True)
    return sorted(set(found))


def wall(name, files, quoted, angle=FREESTANDING, third_party=()):
    """Each #include "x" must match the expression `quoted`, each <x> be in `angle` (None: any) or begin with one of `third_party`."""
    bad = []
    for path in files:
        with open(path) as f:
            for number, line in enumerate(f, 1):
                m = re.match(r'\s*#\s*include\s*(.*)', line)
                if not m:
                    continue
                local = re.match(r'"([^"]+)"', m[1])
                system = re.match(r'<([^>]+)>', m[1])
                if local and re.fullmatch(quoted, local[1]) and os.path.exists(local[1]):
                    continue
                if system and (angle is None or system[1] in angle or system[1].startswith(third_party)):
                    continue
                bad.append(f'{path}:{number}: {line.strip()}')
    if not files:
        tap.skip(name, 'no sources')
    else:
        tap.ok(not bad, name, '\n'.join(bad))


def without(files, *prefixes):
    return [f for f in files if not f.startswith(prefixes)]


JIT = r'sfi-jit/(?!host/).*'
wall('sfi-jit includes nothing of the kernel, the loader or Linux', without(sources('sfi-jit'), 'sfi-jit/host/'), JIT)
wall('the verifier includes only sfi.h and its own files', sources('sfi-jit/verify'),
     r'sfi-jit/(sfi\.h|verify/.*)')
wall('the rest of sfi-jit does not look into the verifier, but for its interface',
     without(sources('sfi-jit'), 'sfi-jit/host/', 'sfi-jit/verify/'), r'sfi-jit/(?!host/|verify/(?!verify\.h)).*')
wall('the loader includes nothing of the kernel', without(sources('loader'), 'loader/tools/'), JIT + '|loader/(?!tools/).*')
wall('the image tools include only the formats that they write or check', sources('loader/tools'),
     r'loader/(tools|pack)/.*|loader/manifest\.h|sasos/run/config\.h', None)
wall('the kernel is freestanding', sources('sasos'), JIT + r'|sasos/.*|loader/(?!tools/).*|efi/bootinfo\.h')
wall('the boot application sees only the address map of the kernel', sources('efi', 'tests/boot/stub'),
     r'efi/.*|sasos/layout\.h')
LIBC = FREESTANDING | {'string.h', 'stdlib.h', 'stdio.h', 'math.h', 'errno.h', 'assert.h', 'ctype.h', 'time.h', 'unistd.h'}
wall('the SDK shares only the font, the table and numbers of kernel calls with the kernel', sources('drivers/sdk'),
     r'drivers/sdk/.*|sasos/(run/(hostcall\.def|abi\.h)|lib/font\.def)')
THIRD_PARTY = {'apps/lwip': ('lwip/', 'netif/'), 'apps/ext4': ('ext2fs/', 'sys/')}  # whose sources a module is built with
for folder in sorted(glob.glob('drivers/*/') + glob.glob('apps/*/') + glob.glob('tests/modules/*/')):
    folder = folder.rstrip('/')
    if os.path.exists(folder + '/main.c') and not os.path.exists(folder + '/manifest'):
        wall(f'{folder} is a WASI program: it sees the C library and itself', sources(folder), rf'{folder}/.*', None)
    elif folder != 'drivers/sdk' and sources(folder):
        wall(f'{folder} sees only the SDK', sources(folder), rf'drivers/sdk/.*|{folder}/.*', LIBC, THIRD_PARTY.get(folder, ()))

lines = {f: sum(1 for _ in open(f)) for f in sources('sfi-jit/verify') if not f.endswith('.def')}
total = sum(lines.values())
tap.ok(total <= VERIFIER_LINES, f'the verifier has at most {VERIFIER_LINES} lines without its tables ({total})', str(lines))

tests = subprocess.run(['git', 'ls-files', '-s', 'tests/'], capture_output=True, text=True).stdout.split('\n')
idle = [t for t in tests if re.search(r'/test_[^/.]*\.(py|sh)$', t) and not t.startswith('100755')]
tap.ok(not idle, 'every test can be executed: tests/run passes over others', '\n'.join(idle))
tracked = subprocess.run(['git', 'ls-files', '*.c', '*.h'], capture_output=True, text=True).stdout.split()
files = [f for f in tracked if os.path.exists(f)] or sources('.')
done = subprocess.run(['clang-format', '--dry-run', '-Werror', *[f for f in files if f.endswith(('.c', '.h'))]],
                      capture_output=True, text=True)
unformatted = sorted(set(re.findall(r'^(\S+?):\d+:\d+: error', done.stderr, re.M)))
tap.ok(done.returncode == 0, 'every source is formatted (make format does it)', '\n'.join(unformatted) or done.stderr)

bare = [f for f in files if not open(f).readline().startswith(('//', '/*'))]
tap.ok(not bare, 'every source starts with its contract', '\n'.join(bare))
tap.done()
