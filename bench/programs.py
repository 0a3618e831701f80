"""programs.py — the large programs of make bench-jit: Lua and SQLite, from Debian's source packages.

The sources come through .ci/source when they are first needed; nothing of them is in this repository. Lua is its interpreter, running
bench/programs/bench.lua. SQLite is the amalgamation with SQLite's own speedtest1.c, on a database in memory. Both are built from the
same sources with the same flags for this machine and for WASI (wasi-libc); bench/programs/ has what a machine without files, processes
and longjmp needs, used by both builds.
Each round runs each column once; the whole output must be the same.
"""
import json
import os
import re
import subprocess

import common
from common import Failed, has, make, run

FOLDER = os.path.join(common.OUT, 'programs')
PORT = 'bench/programs'
COLUMNS = ('native', 'sfi', 'v8')
FLAGS = ['-O2', '-std=gnu99', '-w']
WASM = ['--target=wasm32-wasi', '-mbulk-memory', '-msign-ext', '-mnontrapping-fptoint', '-ftls-model=local-exec',
        '-isystem', PORT + '/wasi', '-D_WASI_EMULATED_SIGNAL', '-D_WASI_EMULATED_PROCESS_CLOCKS', '-Wl,-z,stack-size=1048576',
        '-Wl,--stack-first', '-Wl,--strip-debug']
SIMD = ['-msimd128']
WASM_LIBS = ['-lm', '-lwasi-emulated-signal', '-lwasi-emulated-process-clocks']
SQLITE = ['-DSQLITE_OS_OTHER=1', '-DSQLITE_THREADSAFE=0', '-DSQLITE_OMIT_LOAD_EXTENSION', '-DSQLITE_TEMP_STORE=3',
          '-DSQLITE_DEFAULT_MEMSTATUS=0', '-DSQLITE_OMIT_WAL']
WASI_LIBC = has('/usr/lib/wasm32-wasi/libc.a', '/usr/lib/llvm-14/lib/clang/14.0.6/lib/wasi/libclang_rt.builtins-wasm32.a')


def fetch(package, progress):
    """The folder of the package's upstream sources."""
    progress(f'the sources of {package}')
    return run(['.ci/source', package]).strip()


class Program:
    name = ''
    arguments = []
    stdin = os.devnull

    def __init__(self, simd):
        self.simd = SIMD[:simd]

    def file(self, name):
        return os.path.join(FOLDER, self.name, name)

    def prepare(self, progress):
        sources, flags = self.sources(progress)
        port = [os.path.join(PORT, f) for f in os.listdir(PORT) if f.endswith(('.c', '.h'))]
        progress(f'compiling {self.name} for this machine (once)')
        make(self.file('native'), ['clang', *FLAGS, *flags, '-o', self.file('native'), *sources, '-lm'], *port)
        progress(f'compiling {self.name} for WASI (once)')
        named = self.file('named.wasm')
        make(named, ['clang', *FLAGS, *WASM, *self.simd, *flags, '-o', named, *sources, *WASM_LIBS], *port)
        make(self.file('program.wasm'), ['wasm-strip', named, '-o', self.file('program.wasm')], named)

    def command(self, column):
        wasm = self.file('program.wasm')
        return {  # COLUMNS
            'native': [self.file('native'), *self.arguments],
            'sfi': [common.RUN, wasm, '--wasi', *self.arguments],
            'v8': ['node', *common.V8, '--no-warnings', 'bench/node_wasi.js', wasm, *self.arguments],
        }[column]

    def text_of_both(self):
        """Bytes of code, of sfi-jit and native, of the functions that both programs have: the native one's libc is elsewhere."""
        listed = run([os.path.join(common.BUILD, 'host', 'sfi-dump'), self.file('named.wasm')])
        ours = {m[1]: int(m[2]) for m in re.finditer(r'^func \d+ (\S+): at [0-9a-f]+, (\d+) bytes', listed, re.M)}
        symbols = run(['llvm-nm', '-S', '--defined-only', self.file('native')])
        native = {m[2]: int(m[1], 16) for m in re.finditer(r'^[0-9a-f]+ ([0-9a-f]+) [tT] (\S+)$', symbols, re.M)}
        both = ours.keys() & native.keys()
        return sum(ours[f] for f in both), sum(native[f] for f in both)


class Lua(Program):
    name = 'lua'
    arguments = ['-']
    stdin = PORT + '/bench.lua'

    def sources(self, progress):
        src = os.path.join(fetch('lua5.4', progress), 'src')
        return ([os.path.join(src, f) for f in sorted(os.listdir(src)) if f.endswith('.c') and f != 'luac.c'],
                ['-include', PORT + '/lua_port.h'])


class Sqlite(Program):
    name = 'sqlite'
    arguments = ['--memdb', '--size', '20', '--verify']

    def sources(self, progress):
        src = fetch('sqlite3', progress)
        build = os.path.join(src, 'bld')
        if not os.path.exists(os.path.join(build, 'sqlite3.c')):
            missing = has('tclsh')
            if missing:
                raise Failed('tclsh is not installed: SQLite is assembled with it (apt-get install tcl)')
            progress('assembling sqlite3.c')
            os.makedirs(build, exist_ok=True)
            run(['make', '-f', '../main.mk', 'TOP=..', 'BCC=clang -O1', 'TCC=clang', 'NAWK=awk', 'TCLSH_CMD=tclsh', 'sqlite3.c'], cwd=build,
                env={k: v for k, v in os.environ.items() if not k.startswith('MAKE')})
        return [os.path.join(build, 'sqlite3.c'), os.path.join(src, 'test', 'speedtest1.c'), PORT + '/sqlite_vfs.c'], \
            [*SQLITE, '-I' + build]


PROGRAMS = [Lua, Sqlite]


def run_once(p, column):
    """(seconds of CPU time, output, what a runner measured besides)."""
    with open(p.stdin) as stdin:
        before = common.cpu_of_children()
        try:
            done = subprocess.run(p.command(column), stdin=stdin, capture_output=True, text=True, timeout=common.TIME_LIMIT)
        except subprocess.TimeoutExpired:
            raise Failed(f'no end after {common.TIME_LIMIT} s') from None
        spent = common.cpu_of_children() - before
    said = done.stderr.strip().splitlines()
    if done.returncode:
        raise Failed(said[-1] if said else f'status {done.returncode}')
    if column == 'native':
        return spent * 1e3, done.stdout, {}
    more = json.loads(said[-1])
    return more['ns'][0] / 1e6, done.stdout, more


def measure(p, columns, rounds, progress):
    """As common.measure() for kernels: {column: {'times': …} or {'failed': …}}."""
    results = {c: {'times': []} for c in columns}
    try:
        if WASI_LIBC:
            raise Failed(WASI_LIBC + ': apt-get install wasi-libc libclang-rt-14-dev-wasm32')
        p.prepare(progress)
    except Failed as e:
        return {c: {'failed': str(e)} for c in columns}
    outputs = {}
    for r in range(rounds):
        for c in columns[r % len(columns):] + columns[:r % len(columns)]:
            if 'failed' in results[c]:
                continue
            progress(f'{p.name}: round {r + 1} of {rounds}, {c}')
            try:
                ms, output, more = run_once(p, c)
            except Failed as e:
                results[c] = {'failed': str(e)}
                continue
            if outputs.setdefault('native', output) != output:
                results[c] = {'failed': 'its output differs from that of the first column'}
                continue
            results[c] = common.merge(results[c], ms, more)
    if 'text_bytes' in results.get('sfi', {}):
        results['sfi']['text_bytes'], results['sfi']['native_text'] = p.text_of_both()
    return results
