#!/usr/bin/env python3
"""Every oracle still fires: campaigns against verifiers that are known to be bad, and a JIT that is.

Each case takes a check out of a copy of the verifier (or the allow-list, the layout, a kernel call, the JIT), links a campaign with it, and
demands that the oracle it is meant for reports a violation. The same campaigns find nothing with the verifier as it is (test_fuzz.py).
Disks are judged by what their image holds (O10): images that are not as they should be are made here.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, '..', '..'))
BUILD = os.path.join(ROOT, 'build', 'fuzz', 'bad')
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
import fuzz  # noqa: E402
import tap  # noqa: E402
import zones  # noqa: E402

HOSTCALL, SYSTEM, DEVICES = 'sasos/run/hostcall.c', 'sasos/run/call_system.c', 'sasos/run/call_device.c'
INFO, DEVICE, CAPS = 'sasos/run/info.c', 'sasos/run/device.c', 'sasos/dev/pci_caps.c'
INTEGERS, VECTORS = 'sfi-jit/x64/lower_int.c', 'sfi-jit/x64/lower_simd.c'
LAYOUT = 'sfi-jit/sfi.h'
VERIFY, DECODE, ROWS = 'verify.c', 'decode.c', 'insns.def'
SANITISE = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all']

# name, oracle, campaign, options, [(file, what is there, what comes there)]
CASES = [
    ('a length that is wrong', 'O1', 'rows', ['--items', '400'],
     [(ROWS, 'INSN(test_ri, GRP, NP, D(GF7, 0), 1, 01, REG, NO, R, NO, 32, 0)',
       'INSN(test_ri, GRP, NP, D(GF7, 0), 1, 01, REG, NO, R, NO, 16, 0)')]),
    ('an opcode too many (rdtsc)', 'O2', 'enum', ['--items', '600'],
     [(ROWS, 'INSN(cdq,', 'INSN(bad, 0F, NP, 0x31, 1, 0, PLAIN, NO, NO, NO, NO, AD)\nINSN(cdq,'),
      (ROWS, '#ifdef SHAPE_PLAIN', '#ifdef SHAPE_PLAIN\nSHAPE_PLAIN(0F, 0x31, 1)')]),
    ('rsp unguarded', 'O2', 'rows', ['--items', '100'],
     [(VERIFY, 'if (insn.named & 1u << SFI_RSP) return SFI_RULE_RSP;', '')]),
    ('a width that is half of it', 'O2', 'rows', ['--items', '700'],
     [(ROWS, 'OP2(vmovddup, V1, F2, 0x12, LD8)', 'OP2(vmovddup, V1, F2, 0x12, LD4)')]),
    ('dirty indices, seen by the policy', 'O2', 'blocks', ['--items', '600'],
     [(VERIFY, 'return SFI_RULE_MEM_DIRTY;', 'return SFI_RULE_NONE;')]),
    ('labels inside instructions', 'O2', 'blocks', ['--items', '600'],
     [(VERIFY, 'if (s->label_at < s->at + length) return SFI_RULE_LABEL_PLACE;',
       'while (s->label_at < s->at + length) next_label(s);')]),
    ('a byte of the call template', 'O2', 'templates', ['--items', '900'],
     [(VERIFY, 'load32(p + 1) != SFI_TABLE_ROWS - 1 ||', '')]),
    ('edges unchecked, seen by execution', 'O3', 'templates', ['--items', '1500', '--without', 'O2'],
     [(VERIFY, 'return clean & ~edge->have ? edge->unmet : SFI_RULE_NONE;', 'return SFI_RULE_NONE;')]),
    ('dirty indices, seen by execution', 'O3', 'templates', ['--items', '1500', '--without', 'O2'],
     [(VERIFY, 'return SFI_RULE_MEM_DIRTY;', 'return SFI_RULE_NONE;')]),
    ('the frame unchecked, seen by execution', 'O3', 'templates', ['--items', '1500', '--without', 'O2'],
     [(VERIFY, 'return SFI_RULE_MEM_FRAME;', 'return SFI_RULE_NONE;')]),
    ('calls of anything, seen by execution', 'O3', 'templates', ['--items', '1500', '--without', 'O2'],
     [(VERIFY, 'if (place->entry == 0) return edge->missing;', 'if (place->entry == 0) return SFI_RULE_NONE;')]),
    ('a written register called read', 'O4', 'rows', ['--items', '700'],
     [(ROWS, 'INSN(popcnt_r, 0F, F3, 0xb8, 1, 01, REG, W, R, NO, NO, 0)',
       'INSN(popcnt_r, 0F, F3, 0xb8, 1, 01, REG, R, R, NO, NO, 0)')]),
    ('setcc called zero-extending', 'O4', 'rows', ['--items', '700'],
     [(ROWS, 'INSN(setcc, 0F, NP, 0x90, 16, 0, REG, NO, C, NO, NO, 000)',
       'INSN(setcc, 0F, NP, 0x90, 16, 0, REG, NO, W, NO, NO, 000)')]),
    ('a step outside the code', 'ASan', 'tables', ['--items', '6000'],
     [(VERIFY, 'if (code->size - at >= SFI_INSN_BYTES) return code->bytes + at;', 'return code->bytes + at;')]),
    ('labels searched beyond their end', 'ASan', 'tables', ['--items', '6000'],
     [(VERIFY, 's->label < s->code->labels ? s->code->label[s->label].offset : NEVER', 's->code->label[s->label].offset')]),
    ('half of the guard behind the window', 'O5', 'lemmas', [],
     [(LAYOUT, '#define SFI_SLOT_SHIFT 34', '#define SFI_SLOT_SHIFT 33'),
      (LAYOUT, '_Static_assert(SFI_WINDOW_OFFSET + SFI_WINDOW_SIZE + (1ull << 31) + 16 <= SFI_SLOT_SIZE,', '_Static_assert(1,'),
      (LAYOUT, '_Static_assert(SFI_SLOT_SIZE - SFI_WINDOW_OFFSET - SFI_WINDOW_SIZE >= (4ull << 30) + (64u << 10),', '_Static_assert(1,')]),
    ('a rotation the wrong way', 'O6', 'wasm', ['--items', '2'], [(INTEGERS, 'i->op == IR_ROTL ? MOP_ROL', 'i->op == IR_ROTL ? MOP_ROR')]),
    ('a vector instruction for another', 'O6', 'wasm', ['--items', '4'], [(VECTORS, 'ROW(V128_XOR, VPXOR', 'ROW(V128_XOR, VPOR')]),
    ('a line read twice', 'O7', 'calls', ['--items', '2000'],
     [(HOSTCALL, 'line[length] = 0;', 'line[length] = 0;\n    memcpy(line, text, length);')]),
    ('control characters in the log', 'O7', 'calls', ['--items', '2000'],
     [(HOSTCALL, "line[i] = '?';", '(void)0;')]),
    ('a module\'s text used where it lies', 'ASan', 'calls', ['--items', '2000'],
     [(SYSTEM, 'con_write(chunk, length);', 'con_write(text + at, length);')]),
    ('the last port of several', 'O8', 'calls', ['--items', '90000'],
     [(DEVICES, 'port + (uint64_t)bytes - 1 <=', 'port <=')]),
    ('registers left in the window', 'O8', 'calls', ['--items', '2000'],
     [(DEVICE, 'if (d->device_next) slot_unmap(slot, SFI_DEVICE_BASE, d->device_next);', '')]),
    ('the header of configuration space', 'O8', 'calls', ['--items', '90000'],
     [(CAPS, 'if (offset < CONFIG_HEADER_SIZE || offset', 'if (offset')]),
    ('the stack in what is told', 'O9', 'calls', ['--items', '90000'],
     [(INFO, 'struct sasos_dom_info out = {.state = SASOS_NOT_LOADED};', 'struct sasos_dom_info out;')]),
]
# Rows of the catalogue that a case is a check of.
ROWS_OF = {
    'a length that is wrong': ['ESC-046'],
    'an opcode too many (rdtsc)': ['ESC-054'],
    'rsp unguarded': ['ESC-039'],
    'a byte of the call template': ['ESC-040'],
    'labels inside instructions': ['ESC-052'],
    'setcc called zero-extending': ['ESC-055'],
    'half of the guard behind the window': ['ESC-041'],
    'a line read twice': ['ESC-029'],
}


def edited(number, edits):
    """The folder with the changed sources, or None."""
    folder = os.path.join(BUILD, str(number))
    texts = {}
    for name, old, new in edits:
        if name not in texts:
            with open(os.path.join(ROOT, name)) as f:
                texts[name] = f.read()
        if old not in texts[name]:
            return None
        texts[name] = texts[name].replace(old, new)
    for name, text in texts.items():
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        with open(os.path.join(folder, name), 'w') as f:
            f.write(text)
    return folder


def build_wasm(number, edits):
    """The generator of modules with a changed JIT, which the verifier accepts and which computes nonsense."""
    folder, program = edited(number, edits), os.path.join(BUILD, f'{number}.wasm')
    if not folder:
        return None
    subprocess.run(['clang', '-std=gnu17', '-D_GNU_SOURCE', '-w', '-O1', '-I.', '-fuse-ld=lld', '-o', program,
                    'build/o/host/tests/fuzz/camp_wasmgen.c.o', *(os.path.join(folder, name) for name, _, _ in edits),
                    'build/o/libfuzz.a', 'build/o/libhost.a', '-Wl,--as-needed', '-lm', '-lZydis', '-lcapstone'], cwd=ROOT, check=True)
    return program


def build_calls(number, edits):
    """Calls with changed sources of the kernel."""
    folder, program = edited(number, edits), os.path.join(BUILD, f'{number}.calls')
    if not folder:
        return None
    flags = ['-std=gnu17', '-D_GNU_SOURCE', '-w', '-O1', '-g', '-I', folder, '-I.', *SANITISE]
    objects = [f'build/o/test/tests/fuzz/{n}.c.o' for n in ('camp_calls', 'fuzz', 'wgen')]
    subprocess.run(['clang', *flags, '-fuse-ld=lld', '-o', program, 'tests/fuzz/calls/kernel.c', *objects, 'build/o/libtest.a',
                    '-Wl,--as-needed', '-lm', '-lZydis', '-lcapstone'], cwd=ROOT, check=True)
    return program


def build(number, campaign, edits, sanitised):
    """The campaign with the changed verifier: its path, or None if a text is not there."""
    if campaign == 'lemmas':
        return edited(number, edits)
    if campaign in ('calls', 'wasm'):
        return (build_calls if campaign == 'calls' else build_wasm)(number, edits)
    folder = os.path.join(BUILD, str(number), 'sfi-jit', 'verify')
    os.makedirs(folder, exist_ok=True)
    for name in (VERIFY, DECODE, ROWS):
        with open(os.path.join(ROOT, 'sfi-jit', 'verify', name)) as f:
            text = f.read()
        for file, old, new in edits:
            if file == name:
                if text.count(old) < 1:
                    return None
                text = text.replace(old, new)
        with open(os.path.join(folder, name), 'w') as f:
            f.write(text)
    flags = ['-std=gnu17', '-D_GNU_SOURCE', '-w', '-O1', '-I', os.path.join(BUILD, str(number)), '-I.', *(SANITISE if sanitised else [])]
    objects = []
    for name in (VERIFY, DECODE):
        objects.append(os.path.join(folder, name + '.o'))
        subprocess.run(['clang', *flags, '-c', os.path.join(folder, name), '-o', objects[-1]], cwd=ROOT, check=True)
    program = os.path.join(BUILD, f'{number}.{campaign}')
    variant = 'test' if sanitised else 'host'
    if sanitised:
        parts = [f'build/o/test/tests/fuzz/{n}.o' for n in ('block.c', 'fuzz.c', 'judge.c', 'exec.c', 'exec_enter.S')]
        parts.append('build/o/libtest.a')
    else:
        parts = ['build/o/libfuzz.a', 'build/o/libhost.a']
    subprocess.run(['clang', '-fuse-ld=lld', *(SANITISE if sanitised else []), '-o', program,
                    f'build/o/{variant}/tests/fuzz/camp_{campaign}.c.o', *objects, *parts, '-Wl,--as-needed', '-lm', '-lZydis',
                    '-lcapstone'], cwd=ROOT, check=True)
    return program


def fires(program, options, oracle):
    """Whether that oracle reported something, and what it or else the campaign said."""
    if program.endswith('.wasm'):
        options, program = ['--generator', program, *options], os.path.join(HERE, 'camp_wasm.py')
    if oracle == 'O5':
        options, program = [program], os.path.join(HERE, 'lemmas', 'test_lemmas.py')
    process = subprocess.Popen(['timeout', '200', program, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors='replace')
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith('not ok' if oracle == 'O5' else f'violation {oracle} ') or (oracle == 'ASan' and 'AddressSanitizer' in line):
            process.kill()
            process.communicate()
            return True, line
    process.wait()
    return False, ''.join(said[-10:])


def disks():
    """A sector of an image that is torn, misdirected, stale or lost is seen (O10)."""
    def hash_of(*sectors):
        with tempfile.NamedTemporaryFile() as f:
            f.write(b''.join(sectors))
            f.flush()
            return zones.image_hash(f.name, len(sectors))
    first, last, other = zones.content(0, 6), zones.content(0, 7), zones.content(1, 7)
    good = hash_of(last, other)
    tap.ok(good is not None and good == hash_of(last, other), 'O10 is content with a disk as it should be')
    for name, sector in (('torn', last[:256] + first[256:]), ('misdirected', other), ('stale', first), ('lost', bytes(512))):
        tap.ok(hash_of(sector, other) != good, f'O10 fires in kill: a sector that is {name}')


def main():
    shutil.rmtree(BUILD, ignore_errors=True)  # of other cases
    fired = []
    for number, (name, oracle, campaign, options, edits) in enumerate(CASES):
        program = build(number, campaign, edits, oracle == 'ASan')
        if not program:
            tap.ok(False, f'{oracle} {name}', 'the verifier has no such text any more')
            continue
        good, said = fires(program, options, oracle)
        tap.ok(good, f'{oracle} fires in {campaign}: {name}', said)
        fired += [{'row': row, 'file': edits[0][0], 'old': edits[0][1], 'new': edits[0][2], 'failed': f'{oracle} fires in {campaign}'}
                  for row in ROWS_OF.get(name, ()) if good]
        if good and oracle == 'O9':
            tap.ok(not fuzz.coincidence([program], said), 'and again where addresses are others: it is not taken for a coincidence')
        if os.path.isfile(program):
            os.remove(program)
    with open(os.path.join(ROOT, 'build', 'fuzz', 'oracles.json'), 'w') as f:
        json.dump(fired, f, indent=1)
    disks()
    tap.done()


main()
