#!/usr/bin/env python3
"""The reference pages say what the sources say: every kernel call, error and configuration key, and nothing that is not there."""
import os
import re
import subprocess
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

# A code block behind the line `PATH`: is that file; the examples' pages have them.
for page in 'docs/write-a-driver.md', 'docs/write-an-application.md':
    blocks = re.findall(r'^`([^`]+)`:\n\n```\w*\n(.*?)^```$', read(page), re.M | re.S)
    tap.ok(len(blocks) >= 3, f'{page}: sources were found')
    for path, text in blocks:
        tap.same(text, read(path), f'{page}: {path} is that file')

# docs/limits.md: each number with the constants' names, as they are in the sources.
sources = subprocess.run(['git', 'grep', '-hE', r'^#define [A-Z0-9_]+ +[0-9]+u?\b', '--', '*.h', '*.c'], capture_output=True, text=True).stdout
constants = {}
for name, value in re.findall(r'^#define (\w+) +(\d+)u?(?= *(?://.*)?$)', sources, re.M):
    constants.setdefault(name, set()).add(int(value))
rows = re.findall(r'^\| ([^|]*) \| ([\d,; ]+) \| ([^|]*) \|', read('docs/limits.md'), re.M)
for what, values, names in rows:
    numbers = [int(v.replace(',', '')) for v in re.findall(r'[\d,]+', values)]
    known = [n for n in re.findall(r'`([A-Z0-9_]+)`', names) if n in constants]
    tap.ok(all(constants[n] & set(numbers) for n in known), f'docs/limits.md: {what}', [(n, constants[n]) for n in known])
tap.ok(len(rows) > 30, 'docs/limits.md: rows were found')

options = re.search(r'^OPTIONS = \((.*)\)$', read('efi/appliance'), re.M)[1]
tap.same(sorted(re.findall(r'^\| `([A-Z]+)=', read('docs/appliance.md'), re.M)), sorted(re.findall(r'\w+', options.upper())),
         'docs/appliance.md has exactly the variables of efi/appliance')
for name in sorted(re.findall(r'\w+', options.upper())):
    tap.has(read('Makefile'), rf'^\t@echo .*\b{name}=', f'make help names {name}')
for page in sorted(os.listdir('docs')):
    text = read('docs/' + page)
    for target in re.findall(r'\]\(([\w.-]+)(?:#[\w-]+)?\)', text):
        tap.ok(os.path.exists('docs/' + target), f'docs/{page}: {target} is there')
    tap.ok(f'docs/{page}' in readme, f'README: names docs/{page}')
tap.done()
