#!/usr/bin/env python3
"""Prints the README's table of trusted code from the sources. tests/check/test_docs.py compares; `trusted.py` alone shows it."""
import glob
import os

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
PARTS = [
    ('the verifier', ['sfi-jit/verify/*.[ch]'], 'decides what machine code may run'),
    ('its tables and the contract', ['sfi-jit/verify/*.def', 'sfi-jit/sfi.h'], 'the allow-list, the rejections, the rules'),
    ('loader', ['loader/*.[chS]', 'loader/pack/*.[ch]'], 'links only what was verified, crosses between domains, resolves traps'),
    ('kernel: processor and memory', ['sasos/*.[ch]', 'sasos/arch/*.[chS]', 'sasos/mem/*.[ch]', 'sasos/lib/*.[ch]'], 'page tables, traps, clock, console'),
    ('kernel: devices and IOMMU', ['sasos/dev/*.[ch]'], 'ACPI, PCI, interrupts, VT-d, AMD-Vi'),
    ('kernel: domains', ['sasos/run/*.[ch]', 'sasos/run/*.def'], 'threads, grants, kernel calls, channels, ends'),
    ('boot application', ['efi/*.[ch]'], 'loads the kernel'),
]


def lines(patterns):
    total = 0
    for path in sorted(p for pattern in patterns for p in glob.glob(pattern)):
        with open(path) as f:
            total += sum(1 for _ in f)
    return total


def table():
    rows = [(name, lines(patterns), what) for name, patterns, what in PARTS]
    out = ['| part | lines | what it decides |', '|---|---|---|']
    out += [f'| {name} | {n:,} | {what} |' for name, n, what in rows]
    out.append(f'| **together** | **{sum(n for _, n, _ in rows):,}** | comments included |')
    return out


if __name__ == '__main__':
    print('\n'.join(table()))
