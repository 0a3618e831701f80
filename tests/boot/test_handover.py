#!/usr/bin/env python3
"""The boot application: what it hands to a kernel (checked by the probe kernel), and what it refuses."""
import os
import re
import struct
import tempfile
import time

import qemu
import tap

PROBE = os.path.join(qemu.BUILD, 'boot', 'probe.elf')
BASE = os.path.join(qemu.BUILD, 'boot', 'boot.efi')
CONFIG = 'key value\nunusual: \\ [x]\n'


def facts(r):
    return {k: int(v, 16) for k, v in re.findall(r'^([a-z-]+) 0x([0-9a-f]+)$', r.text, re.M)}


def promises(r, name):
    good = re.findall(r'^ok (.*)', r.text, re.M)
    bad = re.findall(r'^BAD (.*)', r.text, re.M)
    tap.ok(r.ok and len(good) == 23 and not bad, f'{name}: each promise is kept ({len(good)} of 23)', r)
    tap.ok(f'config [{CONFIG}]' in r.text, f'{name}: the configuration arrives byte for byte', r)
    tap.ok(abs(facts(r).get('unix-time', 0) - time.time()) < 86400, f'{name}: the time is right to a day', r)


def handover():
    given = dict(kernel=PROBE, modules=[], config=CONFIG)
    warm = qemu.boot(**given)
    promises(warm, 'LoadImage')
    tap.ok(facts(warm).get('fb-base') == 0, 'no framebuffer where there is no screen', warm)
    tap.ok(90 * 256 < facts(warm).get('free-pages', 0) < 512 * 256, 'most of 512 MiB is free', warm)
    cold = qemu.boot(**given, cold=True, memory=5120, devices=['VGA'])
    promises(cold, 'ESP, 5 GiB, VGA')
    f = facts(cold)
    tap.ok(f.get('fb-base') and f['fb-pitch'] >= f['fb-width'] * 4 and f['fb-height'] >= 480, 'a framebuffer', cold)
    tap.ok(f.get('free-pages', 0) > 4 << 18, 'memory above 4 GiB is free', cold)
    tap.same(facts(qemu.boot(**given, memory=256)).get('modules-size'), 32, 'an empty pack, in 256 MiB')


def refused(name, image, sentence):
    r = qemu.boot(image=image, timeout=30)
    tap.ok(not r.ok and re.search(sentence, r.why) and 'What to do: ' in r.text, f'refused: {name}', r)


def changed(elf, offset, format, value):
    """The probe with one field changed."""
    elf = bytearray(elf)
    struct.pack_into(format, elf, offset, value)
    return bytes(elf)


def refusals():
    with open(PROBE, 'rb') as f:
        elf = f.read()
    phoff, = struct.unpack_from('<Q', elf, 32)
    second = phoff + 56  # the second program header
    flags, offset, vaddr, filesz, memsz = phoff + 4, second + 8, second + 16, second + 32, second + 40
    no_elf, outside, where = 'not an x86-64 ELF', 'lie[s]? outside its file', 'not where kernels go'
    kernels = [
        ('an empty kernel', b'', no_elf),
        ('half an ELF header', elf[:40], no_elf),
        ('a 32-bit kernel', changed(elf, 4, 'B', 1), no_elf),
        ('a kernel for another machine', changed(elf, 18, '<H', 183), no_elf),
        ('program headers outside the file', changed(elf, 32, '<Q', len(elf) - 8 & ~7), outside),
        ('program headers at the end of the address space', changed(elf, 32, '<Q', 2 ** 64 - 8), outside),
        ('a truncated kernel', elf[:phoff + 56 * 3], outside),
        ('a segment from behind the file', changed(elf, offset, '<Q', 2 ** 64 - 4096), outside),
        ('a segment with more bytes than memory', changed(elf, memsz, '<Q', 1), outside),
        ('a huge segment', changed(elf, memsz, '<Q', 2 ** 64 - 1), where),
        ('a segment in the low half', changed(elf, vaddr, '<Q', 0x100000), where),
        ('a segment on the first one', changed(elf, vaddr, '<Q', 0xffffffff80000000), where),
        ('a segment behind the gigabyte', changed(elf, vaddr, '<Q', 0xffffffffc0000000), where),
        ('a segment off its page', changed(elf, vaddr, '<Q', 0xffffffff80008010), where),
        ('writable text', changed(elf, flags, '<I', 7), 'writable and executable'),
        ('an entry point in data', changed(elf, 24, '<Q', struct.unpack_from('<Q', elf, vaddr)[0]), 'entry point'),
    ]
    with tempfile.TemporaryDirectory() as folder:
        image, kernel = os.path.join(folder, 'x.efi'), os.path.join(folder, 'kernel')
        for name, content, sentence in kernels:
            with open(kernel, 'wb') as f:
                f.write(content)
            qemu.tool('sasos-mkboot', image, BASE, f'.kernel={kernel}', '.modules=/etc/hostname', '.config=/etc/hostname')
            refused(name, image, sentence)
        qemu.tool('sasos-mkboot', image, BASE, f'.kernel={PROBE}', '.modules=/etc/hostname')
        refused('an image without a configuration', image, 'lacks one of')
        no_nx = qemu.boot(kernel=PROBE, modules=[], config=CONFIG, cpu='max,nx=off')
        tap.ok('no-execute' in no_nx.why, 'refused: a CPU without no-execute pages', no_nx)
        cold = qemu.boot(image=image, cold=True)
        tap.ok(not cold.ok and 'lacks one of' in cold.why, 'the same from the ESP', cold)


handover()
refusals()
tap.done()
