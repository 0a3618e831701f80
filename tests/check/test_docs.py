#!/usr/bin/env python3
"""The reference pages say what the sources say: every kernel call, error and configuration key, and nothing that is not there."""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, '..', 'boot')]
import tap

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))


def read(path):
    with open(path) as f:
        return f.read()


abi = read('docs/abi.md')
calls = re.findall(r'^X\((\w+), (\w+), \((.*?)\), "[^"]*", "(.*)"\)$', read('sasos/run/hostcall.def'), re.M)
want = [f'| `{r} {n}` | `{p}` | {text} |' for r, n, p, text in calls]
tap.same(re.findall(r'^\| `u?int\d+_t .*', abi, re.M), want, 'docs/abi.md has exactly the rows of hostcall.def')
errors = [f'| `{n}` | {v} | {text} |' for n, v, text in
          re.findall(r'X\((E_\w+), (-\d+), "([^"]*)"\)', read('sasos/run/abi.h'))]
tap.ok(len(errors) > 5, 'errors were found')
tap.same(re.findall(r'^\| `E_.*', abi, re.M), errors, 'docs/abi.md has exactly the errors of abi.h')

configuration = read('docs/configuration.md')
keys = re.findall(r'\{"([\w-]+)", key_\w+\}', read('sasos/run/config.c'))
tap.ok(len(keys) > 18, 'configuration keys were found', keys)
for key in keys:
    tap.has(configuration, rf'^\| `{key}[ `]', f'docs/configuration.md explains {key}')
for key in re.findall(r'\{"([\w-]+)", SFI_TRAP_', read('sasos/run/config.c')):
    tap.has(configuration, rf'`{key}`', f'docs/configuration.md names trap {key}')
for key in re.findall(r'\{"(\w+)", "expected', read('loader/manifest.c')):
    tap.has(configuration, rf'^\| .*`{key}', f'docs/configuration.md explains {key} of the manifest')

# The README's numbers of lines may lag behind by a tenth; its output is a real run's.
import trusted

readme = read('README.md')
shown = dict(re.findall(r'^\| \**([^|*]+?)\** \| \**([\d,]+)\** \|', readme, re.M))
for row in trusted.table()[2:]:
    name, count = re.match(r'\| \**([^|*]+?)\** \| \**([\d,]+)', row).groups()
    have, want = int(shown.get(name, '0').replace(',', '')), int(count.replace(',', ''))
    tap.ok(abs(have - want) <= want / 10, f'README: lines of {name}', f'README {have}, sources {want}: tests/check/trusted.py')
for path in re.findall(r'`((?:sasos|sfi-jit|loader|drivers|apps|efi|bench|tests|docs)/[\w./-]*)`', readme):
    tap.ok(os.path.exists(path), f'README: {path} is there')
for verb in re.findall(r'^make (\w+)', readme, re.M):
    tap.has(read('Makefile'), rf"^\t@echo 'make {verb} ", f'README: make {verb} is in make help')
tap.done()
