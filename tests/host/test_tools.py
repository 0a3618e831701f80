#!/usr/bin/env python3
"""The image tools: sasos-manifest, sasos-pack, sasos-mkboot, sasos-mkimage, efi/mkesp; good input, and each refusal by its text."""
import os
import struct
import subprocess
import sys
import tempfile
import zlib

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
import tap  # noqa: E402

folder = tempfile.TemporaryDirectory()
os.chdir(folder.name)


def write(name, content):
    with open(name, 'wb') as f:
        f.write(content)
    return name


def read(name):
    with open(name, 'rb') as f:
        return f.read()


def tool(name, *args):
    return subprocess.run([os.path.join(ROOT, 'build', 'host', name), *args], capture_output=True, text=True)


def refuses(name, text, tool_name, *args):
    done = tool(tool_name, *args)
    tap.ok(done.returncode == 1 and text in done.stderr, f'{tool_name} refuses {name}', done)


# sasos-manifest
WASM = b'\0asm\1\0\0\0'
TYPES = b'\1\4\1\x60\0\0'
manifest = write('manifest', b'name blk\nmemory 2\n')
tool('sasos-manifest', write('good.wasm', WASM + TYPES), manifest, 'out.wasm')
section = b'\x0esasos.manifest' + read(manifest)
tap.same(read('out.wasm'), WASM + TYPES + b'\0' + bytes([len(section)]) + section, 'the manifest is the last section')
long = b'key ' + b'v' * 300 + b'\n'
tool('sasos-manifest', 'good.wasm', write('long', long), 'out2.wasm')
tap.ok(read('out2.wasm').endswith(b'\0' + bytes([0xc0, 0x02]) + b'\x0esasos.manifest' + long), 'a length of two bytes')
refuses('a second manifest', 'already', 'sasos-manifest', 'out.wasm', manifest, 'x')
for name, module, text in [
    ('an empty file', b'', 'not a WebAssembly'),
    ('another version', b'\0asm\2\0\0\0', 'not a WebAssembly'),
    ('a component', b'\0asm\x0d\0\1\0', 'not a WebAssembly'),
    ('half a section header', WASM + b'\1', 'ends inside'),
    ('a long section', WASM + b'\1\5\0', 'longer than the file'),
    ('a bad length', WASM + b'\1' + b'\xff' * 5, 'bad LEB128'),
    ('a length of 33 bits', WASM + b'\1\xff\xff\xff\xff\x1f', 'bad LEB128'),
    ('a custom section with a long name', WASM + b'\0\2\5a', "name is longer"),
]:
    refuses(name, text, 'sasos-manifest', write('bad.wasm', module), manifest, 'x')
for name, content, text in [
    ('an empty manifest', b'', 'empty'),
    ('an unfinished line', b'name x', 'does not end'),
    ('a control character', b'name\tx\n', 'line 1 has'),
    ('a byte that is not ASCII', b'ok ok\nname \xc3\xa4\n', 'line 2 has'),
    ('a huge manifest', b'a b\n' * 20000, 'longer'),
]:
    refuses(name, text, 'sasos-manifest', 'good.wasm', write('bad', content), 'x')
tap.ok(not os.path.exists('x'), 'a refusal writes nothing')

# sasos-pack: the format itself is test_pack.c's
refuses('a name in capitals', 'only a-z', 'sasos-pack', 'x', write('BLK.wasm', b''))
refuses('a long name', 'longer than 47', 'sasos-pack', 'x', write('n' * 43 + '.wasm', b''))
os.mkdir('d')
refuses('two modules of one name', 'same name', 'sasos-pack', 'x', 'good.wasm', write('d/good.wasm', b''))
refuses('a file that is not there', 'cannot open', 'sasos-pack', 'x', 'nowhere.wasm')

# sasos-mkboot
BASE = os.path.join(ROOT, 'build', 'boot', 'boot.efi')
if os.path.exists(BASE):
    write('blob', b'B' * 5000)
    write('none', b'')
    done = tool('sasos-mkboot', 'out.efi', BASE, '.kernel=blob', '.modules=none', '.config=manifest')
    tap.same(done.returncode, 0, 'sasos-mkboot')
    image = read('out.efi')
    pe = struct.unpack_from('<I', image, 60)[0]
    count, opt_size = struct.unpack_from('<H', image, pe + 6)[0], struct.unpack_from('<H', image, pe + 20)[0]
    size_of_image = struct.unpack_from('<I', image, pe + 24 + 56)[0]
    rows = [struct.unpack_from('<8sIIII', image, pe + 24 + opt_size + 40 * i) for i in range(count)]
    added = {n.rstrip(b'\0'): image[at:at + size] for n, size, _, _, at in rows}
    tap.ok(added[b'.kernel'] == b'B' * 5000 and added[b'.modules'] == b'' and added[b'.config'] == read(manifest),
           'sections hold the files, byte for byte, with their exact size')
    ends = [va + max(size, 1) for _, size, va, _, _ in rows]
    tap.ok(all(rows[i + 1][2] >= ends[i] and rows[i + 1][2] % 4096 == 0 for i in range(count - 1))
           and ends[-1] <= size_of_image < ends[-1] + 4096, 'sections do not overlap and the image holds them')
    refuses('a second section of the name', 'already', 'sasos-mkboot', 'x', 'out.efi', '.config=blob')
    refuses('a long section name', '1 to 8', 'sasos-mkboot', 'x', BASE, '.toolongname=blob')
    refuses('an argument without a file', 'expected', 'sasos-mkboot', 'x', BASE, '.config')
    refuses('too many sections', 'no room', 'sasos-mkboot', 'x', BASE, *[f'.s{i}=none' for i in range(40)])
    original = read(BASE)
    refuses('a truncated image', 'not a PE32+', 'sasos-mkboot', 'x', write('bad.efi', original[:200]), '.a=none')
    refuses('something else', 'not a PE32+', 'sasos-mkboot', 'x', 'blob', '.a=none')
else:
    tap.skip('sasos-mkboot', 'no boot application built')

# sasos-mkimage, efi/mkesp
mkesp = os.path.join(ROOT, 'efi', 'mkesp')
subprocess.run([mkesp, 'esp.fat', 'blob'], check=True)
subprocess.run([mkesp, 'esp2.fat', 'blob'], check=True)
tap.ok(read('esp.fat') == read('esp2.fat'), 'efi/mkesp gives equal bytes for equal input')
copied = subprocess.run(['mtype', '-i', 'esp.fat', '::/EFI/BOOT/BOOTX64.EFI'], capture_output=True).stdout
tap.ok(copied == b'B' * 5000, 'the boot image is where firmware looks for it')
tool('sasos-mkimage', 'disk.img', 'esp.fat')
disk = read('disk.img')
blocks = len(disk) // 512


def header(lba):
    h = bytearray(disk[lba * 512:lba * 512 + 92])
    crc, = struct.unpack_from('<I', h, 16)
    struct.pack_into('<I', h, 16, 0)
    _, _, own, other, first, last = struct.unpack_from('<IIQQQQ', h, 16)
    table, n, size, table_crc = struct.unpack_from('<QIII', h, 72)
    good = (h[:8] == b'EFI PART' and zlib.crc32(h) == crc and own == lba
            and zlib.crc32(disk[table * 512:table * 512 + n * size]) == table_crc)
    return good, other, first, last, table


good, backup, first, last, table = header(1)
tap.ok(good and backup == blocks - 1, 'the primary GPT', header(1))
good, primary, *rest, backup_table = header(blocks - 1)
tap.ok(good and primary == 1 and rest == [first, last], 'the backup GPT, in the last block', header(blocks - 1))
tap.ok(table + 32 <= first and last < backup_table and backup_table + 32 <= blocks - 1, 'nothing overlaps the tables')
start, end = struct.unpack_from('<QQ', disk, table * 512 + 32)
tap.ok(first <= start and end <= last and disk[start * 512:(end + 1) * 512] == read('esp.fat'), 'the partition is the ESP')
tap.same(struct.unpack_from('<BxxxII', disk, 450), (0xee, 1, blocks - 1), 'the protective MBR')
refuses('what is not a file system', 'not a FAT', 'sasos-mkimage', 'x', 'blob')

# sasos-config: the kernel's parsers, with file and line.
CONFIG_TOOL = os.path.join(ROOT, 'build', 'host', 'sasos-config')


def config_tool(text, *modules):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'x.conf')
        with open(path, 'w') as f:
            f.write(text)
        done = subprocess.run([CONFIG_TOOL, path, *modules], capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr.replace(folder + '/', '')


BLK, DIGEST = (os.path.join(ROOT, 'build', 'modules', m + '.wasm') for m in ('virtio-blk', 'digest'))
with open(os.path.join(ROOT, 'apps', 'demo.conf')) as f:
    demo = f.read()
status, out, err = config_tool(demo, BLK, DIGEST)
tap.ok(status == 0 and not err, 'sasos-config: the demonstration is right', err)
tap.has(out, r'dma +asks 65536, granted 65536', 'sasos-config: shows what is asked beside what is granted')
status, out, err = config_tool('sasos 1\nmodule a\n program\n share 20\nrun a\n')
tap.has(out, r'share +20% of a CPU', 'sasos-config: shows a share of a CPU')
status, out, err = config_tool('sasos 1\nmodule a\n memory 3G\n')
tap.ok(status == 1 and err.startswith('x.conf:3: expected: memory SIZE'), 'sasos-config: a mistake has file and line', err)
status, out, err = config_tool(demo.replace('dma 64K', 'dma 4K', 1).replace('connect blk', 'connect disk'), BLK, DIGEST)
tap.ok(status == 1 and 'asks for dma 65536, but is granted 4096' in err and 'imports blk.blk_submit, and nothing' in err,
       'sasos-config: requests that are not granted', err)
tap.done()
