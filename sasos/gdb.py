"""gdb.py — what gdb needs to know of a running SASOS: the functions of its modules, and how to unwind through them. `make gdb` loads it.

  sasos modules     finds the loaded modules and their functions: NAME.FUNCTION are symbols from then on ('-' in a name is '_') (break, disassemble, backtrace)
  sasos domains     name, state and window of each domain

Module code has no frame pointers and no unwind tables, but the verifier's rules say where everything is: a function's one frame size is
in the side table, and its first instruction makes the frame (sfi-jit/sfi.h). What is read here is the kernel's own
bookkeeping, by its debug information.
"""
import os
import struct
import tempfile

import gdb
from gdb.unwinder import Unwinder, register_unwinder

folder = tempfile.TemporaryDirectory(prefix='sasos-gdb-')
loaded = {}  # address of a block: (instance's address, path of its symbol file)
functions = []  # (start, end, frame size) of every function of the loaded modules


def field(value, *path):
    for name in path:
        value = value[name]
    return value


def text_of(name):
    """A struct wasm_name."""
    length = min(int(name['length']), 200)
    return bytes(gdb.selected_inferior().read_memory(int(name['text']), length)).decode(errors='replace') if length else ''


def instances():
    i = gdb.parse_and_eval("'loader/store.c'::instances")
    while int(i):
        yield i.dereference()
        i = i['next']


def functions_of(inst):
    """(name, start, size, frame) of each compiled function; start is an offset in the block."""
    module, code = inst['m'], inst['code']['jit']['sfi']
    imported = int(module['imported_funcs'])
    exported = {int(module['export'][i]['index']): text_of(module['export'][i]['name'])
                for i in range(int(module['exports'])) if int(module['export'][i]['kind']) == 0}
    for i in range(int(code['funcs'])):
        f = code['func'][i]
        name = text_of(module['func'][imported + i]['debug_name']) or exported.get(imported + i) or f'func[{imported + i}]'
        yield name, int(f['start']), int(f['size']), int(f['frame'])


def symbol_file(path, base, size, symbols):
    """An ELF file that says nothing but names and addresses (System V ABI, chapter 4)."""
    names, table = b'\0', bytes(24)
    for name, start, length in symbols:
        table += struct.pack('<IBBHQQ', len(names), 0x12, 0, 1, base + start, length)  # global function in section 1
        names += name.encode() + b'\0'
    sections = b'\0.text\0.symtab\0.strtab\0.shstrtab\0'
    at_table, at_names = 64, 64 + len(table)
    at_sections = at_names + len(names)
    at_headers = (at_sections + len(sections) + 7) & ~7

    def header(name, kind, flags, address, offset, length, link=0, info=0, entry=0):
        return struct.pack('<IIQQQQIIQQ', sections.find(name), kind, flags, address, offset, length, link, info, 8, entry)

    elf = b'\x7fELF\2\1\1' + bytes(9) + struct.pack('<HHIQQQIHHHHHH', 2, 62, 1, base, 0, at_headers, 0, 64, 0, 0, 64, 5, 4)
    elf += table + names + sections
    elf += bytes(at_headers - len(elf)) + bytes(64)
    elf += header(b'.text', 8, 6, base, 0, size) + header(b'.symtab', 2, 0, 0, at_table, len(table), 3, 1, 24)
    elf += header(b'.strtab', 3, 0, 0, at_names, len(names)) + header(b'.shstrtab', 3, 0, 0, at_sections, len(sections))
    with open(path, 'wb') as f:
        f.write(elf)


def load_modules():
    found = {int(field(i, 'block', 'rx')): i for i in instances() if int(field(i, 'block', 'rx'))}
    for base in [b for b in loaded if b not in found or int(found[b].address) != loaded[b][0]]:
        gdb.execute(f'remove-symbol-file {loaded.pop(base)[1]}', to_string=True)
    functions[:] = []
    for base, inst in found.items():
        module, symbols = inst['name'].string(), []
        prefix = module.replace('-', '_')  # '-' and ':' have a meaning in gdb's places
        for name, start, size, frame in functions_of(inst):
            symbols.append((f'{prefix}.{name}', start, size))
            functions.append((base + start, base + start + size, frame))
        if base not in loaded:
            path = os.path.join(folder.name, f'{module}-{base:x}')
            symbol_file(path, base, int(field(inst, 'block', 'size')), symbols)
            gdb.execute(f'add-symbol-file {path}', to_string=True)
            loaded[base] = (int(inst.address), path)
        print(f'{module}: {len(symbols)} functions at {base:#x}')
    gdb.invalidate_cached_frames()


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class ModuleUnwinder(Unwinder):
    def __init__(self):
        super().__init__('sasos-modules')

    def __call__(self, pending):
        pc, sp = int(pending.read_register('rip')), int(pending.read_register('rsp'))
        for start, end, frame in functions:
            if start <= pc < end:
                break
        else:
            return None
        code = bytes(gdb.selected_inferior().read_memory(pc, 1))
        returns = sp if pc == start or code == b'\xc3' else sp + frame  # the frame is not made yet, or gone
        word = gdb.lookup_type('unsigned long')
        info = pending.create_unwind_info(FrameId(gdb.Value(returns + 8).cast(word), gdb.Value(start).cast(word)))
        info.add_saved_register('rip', gdb.Value(returns).cast(word.pointer()).dereference())
        info.add_saved_register('rsp', gdb.Value(returns + 8).cast(word))
        return info


class Sasos(gdb.Command):
    """sasos modules | sasos domains"""

    def __init__(self):
        super().__init__('sasos', gdb.COMMAND_DATA, prefix=True)


class Modules(gdb.Command):
    """Loads the symbols of the modules that are in the machine now."""

    def __init__(self):
        super().__init__('sasos modules', gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        load_modules()


class Domains(gdb.Command):
    """Name, state and window of each domain."""

    def __init__(self):
        super().__init__('sasos domains', gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        doms = gdb.parse_and_eval("'sasos/run/domain.c'::doms")
        for i in range(int(gdb.parse_and_eval("'sasos/run/domain.c'::config")['modules'])):
            d = doms[i]
            window = int(d['inst']['window']) if int(d['inst']) else 0
            state = str(d['state'].cast(gdb.lookup_type('enum dom_state')))  # _Atomic has no names
            print(f"{field(d, 'config', 'name').string()}: {state.removeprefix('DOM_').lower()}, window {window:#x}")


register_unwinder(None, ModuleUnwinder(), replace=True)
Sasos()
Modules()
Domains()
