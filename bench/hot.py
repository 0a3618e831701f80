"""hot.py — bench/jit.py --hot KERNEL: where the time goes, in native code and in sfi-jit's, instruction by instruction.

Both programs run under the sampling of bench/profile.c; the samples are put on the disassembly (objdump of the native program,
sfi-dump --asm of the module). Printed are the stretches of code that hold most of the samples: innermost loops, found as
backward jumps, widest coverage first. What is printed is all there is to see: no tool besides these is needed.
"""
import os
import re
import subprocess
import sys

from common import BUILD, RUN

SHOWN = 0.85  # of the samples
MOST_LINES = 120
MARGIN = 8  # instructions shown around one with samples


def text_of(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip() or f'{command[0]} failed')
    return done.stdout


def samples_of(command, path):
    """Runs it under the profiler: ({offset: count}, how many samples lie outside)."""
    text_of(command + ['--profile', path])
    lines = [line.split() for line in open(path)]
    return {int(a, 16): int(b) for a, b in lines[:-1]}, int(lines[-1][1])


def instructions(listing):
    """[(offset, text, headings)] of a disassembly by objdump, with or without the bytes; sfi-dump's labels stay in their place."""
    found, before, labels = [], [], {}
    for line in listing.splitlines():
        label = re.match(r'\s*label ([0-9a-f]+) clean:(.*)', line)
        insn = None if line.endswith('int3') else re.match(r'\s*([0-9a-f]+):\t(?:[0-9a-f ]+\t)?([a-z].*)', line)
        if label:
            labels[int(label[1], 16)] = f'label, clean:{label[2]}'
        elif insn:
            found.append((int(insn[1], 16), re.sub(r'\s+', ' ', insn[2].strip()), before))
            before = []
        elif re.match(r'(func \d+|[0-9a-f]+ <)', line):
            before = before + [line.strip()]
    return [(o, t, b + ([labels[o]] if o in labels else [])) for o, t, b in found]


def loops(insns):
    """Innermost ranges [first, last] of indices: from a backward jump's target to it."""
    at = {offset: i for i, (offset, _, _) in enumerate(insns)}
    ranges = set()
    for i, (_, text, _) in enumerate(insns):
        m = re.match(r'j\w+ (?:0x)?([0-9a-f]+)\b', text)
        if m and at.get(int(m[1], 16), i + 1) <= i:
            ranges.add((at[int(m[1], 16)], i))
    inner = [r for r in ranges if not any(q != r and r[0] <= q[0] and q[1] <= r[1] for q in ranges)]
    return sorted(inner)


def stretches(insns, samples):
    """[(share, first, last)]: the innermost loops, then the rest, function by function, by their share of the samples."""
    offsets = [o for o, _, _ in insns]
    weight = [0] * len(insns)
    for offset, count in samples.items():
        # The sample is the instruction that waits; where it lies between two, it is the one before.
        low, high = 0, len(offsets)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if offsets[middle] <= offset else (low, middle)
        if low:
            weight[low - 1] += count
    total = sum(weight) or 1
    result, taken = [], set()
    for first, last in loops(insns):
        taken.update(range(first, last + 1))
        result.append((sum(weight[first:last + 1]) / total, first, last))
    run = None
    for i in range(len(insns) + 1):
        outside = i < len(insns) and i not in taken
        if outside and run is None:
            run = i
        if run is not None and (not outside or insns[i][2]):
            heavy = [j for j in range(run, i) if weight[j]]
            if heavy:
                result.append((sum(weight[run:i]) / total, max(run, heavy[0] - 4), min(i - 1, heavy[-1] + 4)))
            run = i if outside else None
    return sorted(result, reverse=True), weight, total


def print_hot(title, insns, counted):
    samples, outside = counted
    parts, weight, total = stretches(insns, samples)
    print(f'==== {title}: {total} samples, {outside} outside (libc, functions of the host)')
    shown = lines = 0
    for share, first, last in parts:
        if shown >= SHOWN or share < 0.02 or lines > MOST_LINES:
            break
        shown += share
        lines += last - first + 1
        print(f'---- {share:.0%} of the samples, {last - first + 1} instructions')
        skipped = 0
        for i in range(first, last + 1):
            if not any(weight[max(first, i - MARGIN):i + MARGIN + 1]):
                skipped += 1
                continue
            if skipped:
                print(f'          … {skipped} instructions without samples')
                skipped = 0
            offset, text, before = insns[i]
            for b in before:
                print(f'            {b}')
            print(f'  {weight[i] / total:6.1%}  {offset:6x}  {text}' if weight[i] else f'          {offset:6x}  {text}')
        if skipped:
            print(f'          … {skipped} instructions without samples')
    print(f'     ({1 - shown:.0%} elsewhere)\n')


def show(kernel, calls):
    program, wasm = kernel.native(), kernel.wasm()
    native = samples_of([program, kernel.size, calls], kernel.file('native.profile'))
    sfi = samples_of([RUN, wasm, kernel.size, calls], kernel.file('sfi.profile'))
    listing = text_of(['objdump', '-d', '-M', 'intel', '--no-show-raw-insn', program])
    print_hot(f'{kernel.name}, native', instructions(listing), native)
    listing = text_of([os.path.join(BUILD, 'host', 'sfi-dump'), '--asm', wasm])
    print_hot(f'{kernel.name}, sfi-jit', instructions(listing), sfi)
