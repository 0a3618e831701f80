#!/usr/bin/env python3
"""The reference pages say what the sources say: every kernel call, error and configuration key, and nothing that is not there."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'boot'))
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
keys = re.findall(r'\{"(\w+)", key_\w+\}', read('sasos/run/config.c'))
tap.ok(len(keys) == 7, 'configuration keys were found', keys)
for key in keys:
    tap.has(configuration, rf'^\| `{key} ', f'docs/configuration.md explains {key}')
for key in re.findall(r'\{"([\w-]+)", SFI_TRAP_', read('sasos/run/config.c')):
    tap.has(configuration, rf'`{key}`', f'docs/configuration.md names trap {key}')
for key in re.findall(r'\{"(\w+)", "expected', read('loader/manifest.c')):
    tap.has(configuration, rf'^\| .*`{key}', f'docs/configuration.md explains {key} of the manifest')
tap.done()
