#!/usr/bin/env python3
"""Mutation of the verifier's checks (oracle O11): each condition of verify.c and decode.c removed, negated, thinned or off by
one, each effect on the proof state left out, columns of the allow-list's rows loosened.

  tests/fuzz/mutants/mutants.py [--jobs N] [--only TEXT] [--all] [--list]

Writes build/fuzz/mutants.json.

All mutants are compiled into one copy of the sources, as expressions that ask for the number of the mutant; so a mutant
costs a process, not a build. It is killed by the first test of the chain that fails, dies, or takes too long: the corpus
and properties of test_verify, the rows and the templates campaigns, random blocks, encodings, hostile tables. Survivors have to be in
survivors.txt, each with the reason why it accepts and rejects what the original does; those are run with --all only, as they
take the longest.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, '..', '..', '..'))
BUILD = os.path.join(ROOT, 'build', 'fuzz', 'mutants')
RESULT = os.path.join(ROOT, 'build', 'fuzz', 'mutants.json')
SURVIVORS = os.path.join(HERE, 'survivors.txt')
SOURCES = ('sfi-jit/verify/verify.c', 'sfi-jit/verify/decode.c')
ROW_EVERY = 5  # of the rows' mutants, which all are checked alike
UNKNOWN = 'unknown opcodes accepted'

# What notices: name, program, arguments, seconds of CPU (several times what the original needs).
CHAIN = [
    ('test_verify', 'test_verify', [], 5),
    ('corpus', 'corpus.asan', [], 30),  # under ASan: steps outside that change no verdict
    ('rows', 'rows', ['--items', '600'], 30),
    ('templates', 'templates', ['--items', '1500'], 30),
    ('blocks', 'blocks', ['--items', '200'], 30),
    ('enum', 'enum', ['--items', '700'], 30),
    ('tables', 'tables', ['--items', '6000'], 30),
]


class Mutants:
    """Numbers the mutants of one text after the other: list of (number, file, line, function, source line, change)."""

    def __init__(self):
        self.all = []

    def add(self, file, line, source, change):
        self.all.append({'number': len(self.all) + 1, 'file': file, 'line': line, 'source': source, 'change': change})
        return len(self.all)


def matching(text, at):
    """Index of the parenthesis that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        depth += {'(': 1, ')': -1}.get(text[i], 0)
        if depth == 0:
            return i
    raise ValueError(text[at:at + 60])


def clauses(text, operator):
    """(start, end) of the operands of a top-level && or ||, or nothing if there is only one."""
    depth, start, found = 0, 0, []
    for i, c in enumerate(text):
        depth += {'(': 1, ')': -1, '[': 1, ']': -1}.get(c, 0)
        if depth == 0 and text.startswith(operator, i):
            found.append((start, i))
            start = i + len(operator)
    return found + [(start, len(text))] if found else []


def thinned(text):
    """Texts of the condition with one operand of && or || left out, at any depth of parentheses."""
    for operator, neutral in ((' || ', '0'), (' && ', '1')):
        for start, end in clauses(text, operator):
            yield text[:start] + neutral + text[end:], f'without "{text[start:end].strip()}"'
            inner = text[start:end]
            for changed, what in thinned(inner):
                yield text[:start] + '(' + changed + ')' + text[end:], what
        if clauses(text, operator):
            return
    if text.startswith('(') and matching(text, 0) == len(text) - 1:
        for changed, what in thinned(text[1:-1]):
            yield '(' + changed + ')', what


SWAPS = {'<': '<=', '<=': '<', '>': '>=', '>=': '>', '==': '!=', '!=': '=='}


def variants(text, is_loop):
    if not is_loop:
        yield '0', 'always false'
        yield '1', 'always true'
    yield from thinned(text)
    for m in re.finditer(r' (<=|>=|==|!=|<|>) ', text):
        yield text[:m.start(1)] + SWAPS[m[1]] + text[m.end(1):], f'"{m[1]}" to "{SWAPS[m[1]]}" at {m.start(1)}'
    for m in re.finditer(r' ([+-]) ', text):
        other = '-' if m[1] == '+' else '+'
        yield text[:m.start(1)] + other + text[m.end(1):], f'"{m[1]}" to "{other}" at {m.start(1)}'
    for m in re.finditer(r'(?<![\w.>])(\d+|0x[0-9a-f]+)(u?)\b', text):
        yield text[:m.start()] + f'({m[0]} + 1)' + text[m.end():], f'{m[0]} plus 1 at {m.start()}'


def mutate_condition(mutants, file, line, source, text, is_loop=False):
    result = text
    for changed, what in variants(text, is_loop):
        number = mutants.add(file, line, source, what)
        result = f'(sfi_mutant == {number} ? ({changed}) : ({result}))'
    return result


def blank_comments(text):
    return re.sub(r'//[^\n]*', lambda m: ' ' * len(m[0]), text)


def schemata(mutants, path):
    """The source with all mutants inside."""
    with open(os.path.join(ROOT, path)) as f:
        text = f.read()
    plain = blank_comments(text)
    lines = text.split('\n')
    edits = []  # (start, end, new text)

    def at(position):
        line = plain.count('\n', 0, position)
        return line + 1, lines[line].strip().split(' //')[0].rstrip()

    start = text.rindex('\nstatic', 0, text.index(' load32(const uint8_t *p) {'))  # data before, code behind
    for m in re.finditer(r'\b(if|while) \(', plain):
        if m.start() < start:
            continue
        close = matching(plain, m.end() - 1)
        edits.append((m.end(), close, mutate_condition(mutants, path, *at(m.start()), plain[m.end():close], m[1] == 'while')))
    for m in re.finditer(r'\breturn ([^;{}]*?);', plain):
        if m.start() < start:
            continue
        value = m[1]
        question = re.search(r' \? ', value)
        if question and 'NULL' not in value:
            edits.append((m.start(1), m.start(1) + question.start(),
                          mutate_condition(mutants, path, *at(m.start()), value[:question.start()])))
        elif re.search(r' (&&|\|\||==|!=|<|>|<=|>=) ', value) and '(s->' not in value:
            edits.append((m.start(1), m.end(1), mutate_condition(mutants, path, *at(m.start()), value)))
    state = r'(?:s->(?:clean|live|table_at)|\*?used|all|out->(?:dirtied|named|zeroed|width|reads|writes|atomic))'
    for m in re.finditer(r'(?:(?<=\n)[ ]*|(?<=\) )|(?<=: ))(' + state + r' [|&]?= [^;]*;)', plain):
        if m.start() < start:
            continue
        number = mutants.add(path, *at(m.start()), f'left out: {" ".join(m[1].split())}')
        edits.append((m.start(1), m.end(1), f'{{ if (sfi_mutant != {number}) {{ {m[1]} }} }}'))
    if path.endswith('decode.c'):
        # No row: the length that the foreign decoder gives.
        where = plain.index('return length ? length : -SFI_RULE_OPCODE;')
        number = mutants.add(path, *at(where), UNKNOWN)
        edits.append((where, where, f'if (sfi_mutant == {number}) {{ length = (int)sfi_mutant_length(start); }}\n    '))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def row_code(mutants):
    """C code for sfi_mutate_rows() and the mutants' numbers, from the rows of insns.def."""
    body = []
    with open(os.path.join(ROOT, 'sfi-jit/verify/insns.def')) as f:
        found = re.findall(r'^INSN\((\w+), (\w+), (\w+), [^\n]*?, (\w+), (\w+), (\w+), (\w+), (\w+), (\w+)\)', f.read(), re.MULTILINE)
    turn, loose = 0, {'32N': '32', '16N': '16', '64N': 'NO'}
    for name, table, _, form, reg, rm, vvvv, imm, flags in found:
        cases = []
        if reg == 'W':
            cases.append((f'rows[ROW_{name}].reg = KIND_R', 'reg: W to R'))
        if rm == 'W':
            cases.append((f'rows[ROW_{name}].rm = KIND_R', 'rm: W to R'))
        if rm in ('C', 'U'):
            cases.append((f'rows[ROW_{name}].rm = KIND_W', f'rm: {rm} to W'))
        if reg in ('C', 'U'):
            cases.append((f'rows[ROW_{name}].reg = KIND_W', f'reg: {reg} to W'))
        if vvvv == 'W':
            cases.append((f'rows[ROW_{name}].vvvv = KIND_R', 'vvvv: W to R'))
        if vvvv == 'NO' and table[0] == 'V':
            cases.append((f'rows[ROW_{name}].vvvv = KIND_X', 'vvvv: NO to X'))
        if form == 'MEM' and rm[:2] in ('ST', 'RW'):
            cases.append((f'rows[ROW_{name}].rm &= ~MEM_ST, rows[ROW_{name}].rm |= MEM_LD', f'rm: {rm} to LD'))
        width = rm[2:]
        if form == 'MEM' and width in ('2', '4', '8', '16'):
            cases.append((f'rows[ROW_{name}].rm -= {int(width) // 2}', f'rm: {rm} to half the width'))
        if form == 'MEM' and width == 'V':
            cases.append((f'rows[ROW_{name}].rm &= ~MEM_BY_W', f'rm: {rm} to 4 bytes'))
        if flags != '0':
            cases.append((f'rows[ROW_{name}].flags = 0', f'flags: {flags} to 0'))
        if imm in ('32N', '16N', '64N'):
            cases.append((f'rows[ROW_{name}].imm = IMM_{loose[imm]}', f'imm: {imm} loosened'))
        for code, what in cases:
            turn += 1
            if turn % ROW_EVERY:
                continue
            number = mutants.add('sfi-jit/verify/insns.def', 0, name, what)
            body.append(f'    case {number}: {code}; break;')
    return 'void sfi_mutate_rows(void) {\n    switch (sfi_mutant) {\n' + '\n'.join(body) + '\n    }\n}\n'


def run(command, **options):
    return subprocess.run(command, cwd=ROOT, **options)


FLAGS = ['-std=gnu17', '-D_GNU_SOURCE', '-w', '-O1', '-I.']
SANITISE = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all']


def build(mutants):
    """Compiles the mutants and links the programs of the chain with them."""
    os.makedirs(BUILD, exist_ok=True)
    head = 'extern int sfi_mutant;\nunsigned sfi_mutant_length(const unsigned char *);\n'
    texts = {path: head + schemata(mutants, path) for path in SOURCES}
    decode = SOURCES[1]
    texts[decode] = texts[decode].replace('static const struct row rows', 'static struct row rows') + row_code(mutants)
    objects = []
    for path, text in texts.items():
        copy = os.path.join(BUILD, os.path.basename(path))
        with open(copy, 'w') as f:
            f.write(text)
        objects.append((copy, copy + '.o'))
    objects.append((os.path.join(HERE, 'runtime.c'), os.path.join(BUILD, 'runtime.o')))
    tests = ['test_verify']
    helpers = ['verify_case', 'verify_rows', 'verify_policy', 'verify_stub']
    sources = [(f'tests/host/{n}.c', os.path.join(BUILD, n + '.o')) for n in tests + helpers] + objects
    sources += [(os.path.join(HERE, 'corpus.c'), os.path.join(BUILD, 'corpus.o'))]
    sources = [(s, o, []) for s, o in sources] + [(s, o + '.asan', SANITISE) for s, o in objects]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda s: run(['clang', *FLAGS, *s[2], '-c', s[0], '-o', s[1]], check=True), sources))
    ours = [o for _, o in objects]
    parts = [os.path.join(BUILD, n + '.o') for n in helpers]
    for program in tests + ['corpus']:
        run(['clang', '-fuse-ld=lld', '-o', os.path.join(BUILD, program), os.path.join(BUILD, program + '.o'), *parts, *ours,
             '-Wl,--as-needed', '-lcmocka', '-lZydis'], check=True)
    for campaign in ('rows', 'templates', 'blocks', 'enum'):
        run(['clang', '-fuse-ld=lld', '-o', os.path.join(BUILD, campaign), f'build/o/host/tests/fuzz/camp_{campaign}.c.o', *ours,
             'build/o/libfuzz.a', 'build/o/libhost.a', '-lm', '-lZydis', '-lcapstone'], check=True)
    run(['clang', '-fuse-ld=lld', *SANITISE, '-o', os.path.join(BUILD, 'corpus.asan'), os.path.join(BUILD, 'corpus.o'), *parts,
         *(o + '.asan' for o in ours), '-Wl,--as-needed', '-lZydis'], check=True)
    parts = [f'build/o/test/tests/fuzz/{n}.o' for n in ('camp_tables.c', 'block.c', 'fuzz.c', 'judge.c', 'exec.c', 'exec_enter.S')]
    run(['clang', '-fuse-ld=lld', *SANITISE, '-o', os.path.join(BUILD, 'tables'), *parts, *(o + '.asan' for o in ours),
         'build/o/libtest.a', '-Wl,--as-needed', '-lm', '-lZydis', '-lcapstone'], check=True)


def listen(program, arguments, seconds, number):
    """True if the program noticed: it said so, failed, died or did not come to its end."""
    env = {**os.environ, 'SFI_MUTANT': str(number), 'CMOCKA_MESSAGE_OUTPUT': 'TAP'}
    process = subprocess.Popen(['prlimit', f'--cpu={seconds}', os.path.join(BUILD, program), *arguments], cwd=ROOT, env=env,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors='replace')
    for line in process.stdout:
        if line.startswith(('not ok', 'violation')):
            process.terminate()
            process.communicate()
            return True
    return process.wait() != 0


def try_mutant(number):
    """Which of the chain noticed, or None."""
    return next((name for name, program, arguments, seconds in CHAIN if listen(program, arguments, seconds, number)), None)


def failing_cases(number):
    """Names of the corpus cases that the mutant gets wrong."""
    env = {**os.environ, 'SFI_MUTANT': str(number)}
    said = run([os.path.join(BUILD, 'corpus')], env=env, capture_output=True, text=True)
    return said.stdout.split()


def read_survivors():
    """{(source line, change): reason}."""
    found = {}
    with open(SURVIVORS) as f:
        for line in f:
            parts = [p.strip() for p in line.rstrip('\n').split(' @ ')]
            if len(parts) == 3 and not line.startswith('#'):
                found[parts[0], parts[1]] = parts[2]
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--only', default='')
    parser.add_argument('--all', action='store_true')
    parser.add_argument('--list', action='store_true')
    o = parser.parse_args()
    mutants = Mutants()
    build(mutants)
    chosen = [m for m in mutants.all if o.only in f'{m["file"]}:{m["line"]}: {m["source"]}: {m["change"]}']
    if o.list:
        for m in chosen:
            print(m)
        return 0
    if listen('test_verify', [], 30, 0) or failing_cases(0):
        sys.exit('the original fails')
    explained = read_survivors()
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        def judge(m):
            why = explained.get((m['source'], m['change']))
            return why, None if why and not o.all else try_mutant(m['number']), failing_cases(m['number'])

        for m, (why, by, cases) in zip(chosen, pool.map(judge, chosen)):
            m['by'], m['cases'], m['why'] = by, cases, why if not by else None
            if why and by:
                print(f'explained, but killed by {by}: {m["source"]} @ {m["change"]}', flush=True)
            if not by and not m['why']:
                print(f'{m["file"]}:{m["line"]}: {m["source"]} @ {m["change"]} @', flush=True)
    killed = sum(1 for m in chosen if m['by'])
    equivalent = sum(1 for m in chosen if m['why'])
    with open(RESULT, 'w') as f:
        json.dump({'mutants': chosen, 'killed': killed, 'explained': equivalent,
                   'survived': len(chosen) - killed - equivalent}, f, indent=1)
    print(f'{len(chosen)} mutants, {killed} killed, {equivalent} explained, {len(chosen) - killed - equivalent} survived')
    return 0 if killed + equivalent == len(chosen) else 1


if __name__ == '__main__':
    sys.exit(main())
