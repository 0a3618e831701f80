#!/usr/bin/env python3
"""Random modules: sfi-run must compute what wabt's interpreter computes, and the compiler's own checks must hold between its passes.

Each module has some functions of random types and bodies (operators of all four number types, loads and stores, nested blocks, loops with a
bound, switches, direct and indirect calls, more live values than registers) and one export that calls them with constants and mixes their
results, or traps. NaNs are replaced by 0 before their bits can be seen, as those are not determined.
RANDOM_MODULES=first:count runs other modules than the usual ones; a module that fails is kept in /tmp and named.
"""
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
import tap  # noqa: E402

TYPES = ['i32', 'i64', 'f32', 'f64']
INTS = {
    'i32': [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 31, 32, 63, 100, 127, 128, 255, 256, 65535, 65536, 0x7fffffff,
            -1, -2, -128, -129, -0x80000000, 12345678],
    'i64': [0, 1, 2, 3, 8, 31, 32, 63, 64, 127, 128, 255, 65535, 0xffffffff, 0x7fffffff, 0x80000000, -1, -2,
            -0x80000000, -0x80000001, 0x7fffffffffffffff, -0x8000000000000000, 0x123456789abcdef0],
}
FLOATS = ['0', '-0', '1', '-1', '0.5', '-0.5', '1.5', '2.5', 'nan', 'inf', '-inf', '1e10', '-1e10', '4294967296',
          '2147483647', '2147483648', '-2147483648', '-2147483649', '9223372036854775808',
          '-9223372036854775808', '18446744073709551616', '1e-40', '3.7', '-0.9', '16777217']
BINARY = ['add', 'sub', 'mul', 'and', 'or', 'xor', 'shl', 'shr_s', 'shr_u', 'rotl', 'rotr', 'add', 'sub', 'and', 'shl']
COMPARE = ['eq', 'ne', 'lt_s', 'lt_u', 'gt_s', 'gt_u', 'le_s', 'le_u', 'ge_s', 'ge_u']


class Module:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.big = seed % 3 == 0  # many locals and long bodies
        self.funcs = []  # (parameters, result)
        self.globals = [self.r.choice(TYPES) for _ in range(4)] + TYPES

    def const(self, t):
        if t[0] == 'f':
            return f'({t}.const {self.r.choice(FLOATS)})'
        v = self.r.choice(INTS[t]) if self.r.random() < 0.7 else self.r.getrandbits(int(t[1:]))
        return f'({t}.const {v})'

    def leaf(self, t):
        r = self.r
        known = [i for i, x in enumerate(self.locals) if x == t]
        if known and r.random() < 0.75:
            return f'(local.get {r.choice(known)})'
        if r.random() < 0.2:
            return f'(global.get {r.choice([i for i, x in enumerate(self.globals) if x == t])})'
        return self.const(t)

    def address(self, depth):
        if self.r.random() < 0.8:
            return f'(i32.and {self.expr("i32", depth)} (i32.const 0xfff8))'
        return f'(i32.const {self.r.randrange(60000)})'

    def call(self, t, depth):
        known = [(i, p) for i, (p, q) in enumerate(self.funcs) if q == t]
        if not known or self.calls == 6:
            return self.leaf(t)
        self.calls += 1
        i, params = self.r.choice(known)
        args = ' '.join(self.expr(x, depth) for x in params)
        if self.r.random() < 0.3:
            return f'(call_indirect (type $T{i}) {args} (i32.const {i}))'
        return f'(call $f{i} {args})'

    def switch(self, t, depth):
        r, n = self.r, self.r.choice([1, 2, 3, 6, 9])
        blocks = ''.join(f'(block $q{k} ' for k in range(n))
        targets = ' '.join(f'$q{r.randrange(n)}' for _ in range(n + r.randrange(3)))
        ends = ' '.join(f') (br $v {self.leaf(t)})' for _ in range(n - 1))
        index = f'(i32.and {self.expr("i32", depth)} (i32.const 15))'
        return f'(block $v (result {t}) {blocks} (br_table {targets} {index}) {ends} ) {self.expr(t, depth)})'

    def expr(self, t, depth):
        r = self.r
        if depth <= 0 or r.random() < 0.1:
            return self.leaf(t)
        depth -= 1
        kind = r.random()
        if kind < 0.06:
            return f'(select {self.expr(t, depth)} {self.expr(t, depth)} {self.expr("i32", depth)})'
        if kind < 0.10:
            return self.call(t, depth)
        if kind < 0.14:
            return (f'(if (result {t}) {self.expr("i32", depth)} (then {self.expr(t, depth)})'
                    f' (else {self.expr(t, depth)}))')
        if kind < 0.17 and t in self.locals:
            i = r.choice([i for i, x in enumerate(self.locals) if x == t])
            return f'(local.tee {i} {self.expr(t, depth)})'
        if kind < 0.20:
            return self.switch(t, depth)
        return self.int_expr(t, depth) if t[0] == 'i' else self.float_expr(t, depth)

    def int_expr(self, t, depth):
        r, kind = self.r, self.r.randrange(9)
        if kind <= 3:
            return f'({t}.{r.choice(BINARY)} {self.expr(t, depth)} {self.expr(t, depth)})'
        if kind == 4:
            op = r.choice(['div_s', 'div_u', 'rem_s', 'rem_u'])
            divisor = self.expr(t, depth)
            if r.random() < 0.95:  # mostly no trap
                mask = f'({t}.and {divisor} ({t}.const 0x7fff))' if op == 'div_s' else divisor
                divisor = f'({t}.or {mask} ({t}.const 1))'
            return f'({t}.{op} {self.expr(t, depth)} {divisor})'
        if kind == 5:
            ops = ['clz', 'ctz', 'popcnt', 'extend8_s', 'extend16_s', 'eqz']
            op = r.choice(ops[:5] + (['extend32_s'] if t == 'i64' else ['eqz']))
            return f'({t}.{op} {self.expr(t, depth)})'
        if kind == 6:
            ops = ['load8_s', 'load8_u', 'load16_s', 'load16_u', 'load']
            op = r.choice(ops + (['load32_s', 'load32_u'] if t == 'i64' else []))
            return f'({t}.{op} offset={r.choice([0, 0, 0, 1, 4, 100, 1000])} {self.address(depth)})'
        if kind == 7 and t == 'i64':
            return f'(i64.extend_i32_{r.choice("su")} {self.expr("i32", depth)})'
        if kind == 7:
            u = r.choice(TYPES)
            if r.random() < 0.25:
                return r.choice([f'(i32.wrap_i64 {self.expr("i64", depth)})', f'(i64.eqz {self.expr("i64", depth)})'])
            op = r.choice(COMPARE if u[0] == 'i' else ['eq', 'ne', 'lt', 'gt', 'le', 'ge'])
            return f'({u}.{op} {self.expr(u, depth)} {self.expr(u, depth)})'
        f = r.choice(['f32', 'f64'])
        if f[1:] == t[1:] and r.random() < 0.4:
            return f'({t}.reinterpret_{f} (call $number_{f} {self.expr(f, depth)}))'
        sat = '' if r.random() < 0.02 else 'sat_'
        return f'({t}.trunc_{sat}{f}_{r.choice("su")} {self.expr(f, depth)})'

    def float_expr(self, t, depth):
        r, kind = self.r, self.r.randrange(6)
        if kind <= 1:
            op = r.choice(['add', 'sub', 'mul', 'div', 'min', 'max'])
            return f'({t}.{op} {self.expr(t, depth)} {self.expr(t, depth)})'
        if kind == 2:
            op = r.choice(['abs', 'neg', 'sqrt', 'ceil', 'floor', 'trunc', 'nearest'])
            return f'({t}.{op} {self.expr(t, depth)})'
        if kind == 3:
            i = r.choice(['i32', 'i64'])
            return f'({t}.convert_{i}_{r.choice("su")} {self.expr(i, depth)})'
        if kind == 4:
            return f'({t}.copysign {self.expr(t, depth)} (call $number_{t} {self.expr(t, depth)}))'
        if r.random() < 0.3:
            return f'({t}.load {self.address(depth)})'
        if r.random() < 0.5:
            return (f'(f32.demote_f64 {self.expr("f64", depth)})' if t == 'f32'
                    else f'(f64.promote_f32 {self.expr("f32", depth)})')
        return f'({t}.reinterpret_i{t[1:]} {self.expr("i" + t[1:], depth)})'

    def statement(self, depth):
        r, kind = self.r, self.r.random()
        if kind < 0.4 or depth <= 0:
            i = r.randrange(len(self.locals))
            return f'(local.set {i} {self.expr(self.locals[i], 3)})'
        if kind < 0.55:
            t = r.choice(TYPES)
            if t[0] == 'f':
                return f'({t}.store {self.address(2)} (call $number_{t} {self.expr(t, 2)}))'
            op = r.choice(['store8', 'store16', 'store'] + (['store32'] if t == 'i64' else []))
            return f'({t}.{op} offset={r.choice([0, 0, 3, 64])} {self.address(2)} {self.expr(t, 2)})'
        if kind < 0.62:
            i = r.randrange(len(self.globals))
            return f'(global.set {i} {self.expr(self.globals[i], 2)})'
        if kind < 0.78:
            return f'(if {self.expr("i32", 2)} (then {self.body(depth - 1)}) (else {self.body(depth - 1)}))'
        if kind < 0.85 or self.loops == 3:
            return f'(block {self.body(depth - 1)} (br_if 0 {self.expr("i32", 2)}) {self.body(depth - 1)})'
        i = len(self.locals) + self.loops  # a local of its own counts down
        self.loops += 1
        body = self.body(depth - 1)
        self.loops -= 1
        return (f'(local.set {i} (i32.const {r.randrange(1, 6)})) (loop {body}'
                f' (br_if 0 (local.tee {i} (i32.sub (local.get {i}) (i32.const 1)))))')

    def body(self, depth):
        low, high = (2, 6) if self.big else (1, 4)
        return ' '.join(self.statement(depth) for _ in range(self.r.randrange(low, high)))

    def function(self, i):
        r = self.r
        params = [r.choice(TYPES) for _ in range(r.choice([0, 1, 2, 3, 4, 8, 12]))]
        result = r.choice(TYPES)
        low, high = (10, 40) if self.big else (1, 10)
        variables = [r.choice(TYPES) for _ in range(r.randrange(low, high))]
        self.locals, self.calls, self.loops = params + variables, 0, 0
        head = ''.join(f'(param {x})' for x in params) + f'(result {result})'
        text = f'(type $T{i} (func {head}))\n(func $f{i} {head} (local {" ".join(variables)} i32 i32 i32)\n'
        text += f'{self.body(3)} {self.expr(result, 4)})'
        self.funcs.append((params, result))
        return text

    def text(self):
        r, n = self.r, self.r.randrange(2, 7)
        out = ['(module (memory 2) (table 32 funcref)']
        out += [f'(global (mut {t}) {self.const(t)})' for t in self.globals]
        for t in ('f32', 'f64'):
            out.append(f'(func $number_{t} (param {t}) (result {t})'
                       f' (select (local.get 0) ({t}.const 0) ({t}.eq (local.get 0) (local.get 0))))')
        out += [self.function(i) for i in range(n)]
        out.append(f'(elem (i32.const 0) {" ".join(f"$f{i}" for i in range(n))})')
        out.append('(func (export "run") (result i64) (local i64)')
        for _ in range(6):
            i = r.randrange(n)
            params, result = self.funcs[i]
            value = f'(call $f{i} {" ".join(self.const(x) for x in params)})'
            if result[0] == 'f':
                value = f'(i{result[1:]}.reinterpret_{result} (call $number_{result} {value}))'
            if result[1:] == '32':
                value = f'(i64.extend_i32_u {value})'
            out.append(f'(local.set 0 (i64.add (i64.mul (local.get 0) (i64.const 1000003)) {value}))')
        return '\n'.join(out + ['(local.get 0)))'])


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def tool(name, *args):
    return run(os.path.join(ROOT, 'build', 'host', name), *args)


def difference(seed, folder):
    """None, or what is wrong with the module of that seed."""
    path = os.path.join(folder, f'{seed}.wat')
    wasm = os.path.join(folder, f'{seed}.wasm')
    with open(path, 'w') as f:
        f.write(Module(seed).text())
    done = run('wat2wasm', path, '-o', wasm)
    if done.returncode:
        return f'wat2wasm: {done.stderr}'
    done = tool('sfi-dump', '--check', wasm)
    if done.returncode:
        return done.stdout[-300:] + done.stderr
    want = re.search(r'=> (?:error: |i64:)(.*)', run('wasm-interp', '--run-all-exports', wasm).stdout).group(1)
    done = tool('sfi-run', wasm, '--invoke', 'run')
    trap = re.search(r'trap: (.*?) in ', done.stderr)
    have = trap.group(1) if trap else str(int(done.stdout) % 2**64)
    return None if have == want else f'got {have}, want {want}'


if not shutil.which('wasm-interp'):
    tap.skip_all('wasm-interp (package wabt) is not installed')
first, count = map(int, os.environ.get('RANDOM_MODULES', '0:120').split(':'))
with tempfile.TemporaryDirectory() as folder:
    wrong = []
    for seed in range(first, first + count):
        what = difference(seed, folder)
        if what:
            shutil.copy(os.path.join(folder, f'{seed}.wat'), f'/tmp/random-{seed}.wat')
            wrong.append(f'/tmp/random-{seed}.wat: {what}')
    tap.ok(not wrong, f'{count} random modules compute what the interpreter computes', '\n'.join(wrong))
tap.done()
