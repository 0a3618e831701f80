#!/usr/bin/env python3
"""Mistakes in the configuration: the line, what is wrong, what is expected; nothing is started."""
import qemu
import tap

CASES = [
    ('', r'the configuration is empty; its first line must be: sasos 1'),
    ('sasos 2\n', r'line 1: the first line must be: sasos 1'),
    ('sasos 1\n', r'nothing to do: there is no start or run line'),
    ('sasos 1\n\n# x\nmodul a\n', r'line 4: unknown key; known are: module'),
    ('sasos 1\nmemory 2M\n', r'line 2: a grant must stand below a module line'),
    ('sasos 1\nmodule a\n memory 3G\n', r'line 3: expected: memory SIZE'),
    ('sasos 1\nmodule a\n memory 2M\n share 101\n', r'line 4: expected: share PERCENT of a CPU, from 1 to 100'),
    ('sasos 1\nmodule a\n share 0\n', r'line 3: expected: share PERCENT of a CPU, from 1 to 100'),
    ('sasos 1\nmodule a\n handles 0\n', r'line 3: expected: handles N, from 1 to 65536'),
    ('sasos 1\nmodule a\n handles 65537\n', r'line 3: expected: handles N'),
    ('sasos 1\ntrace all\n', r'line 2: expected nothing behind this word'),
    ('sasos 1\nmodule a\n pci 1af4-1042\n', r'line 3: expected: pci VENDOR:DEVICE'),
    ('sasos 1\nmodule a\n pci class 01\n', r'line 3: expected: pci VENDOR:DEVICE'),
    ('sasos 1\nmodule a\nmodule a\n', r'line 3: this module is described already'),
    ('sasos 1\nmodule a\n connect blk b 4M\n', r'line 3: connect names a module that is not described above'),
    ('sasos 1\nrun a\n', r'line 2: no module of that name is described above'),
    ('sasos 1\nmodule a\nrun a expect luck\n', r'line 3: expected nothing more, or: expect ok'),
    (b'sasos 1\nmodule \xff\n', r'line 2: more than 16 words, an open quote, or bytes that are not plain text'),
]
for config, sentence in CASES:
    r = qemu.boot(config=config, modules=[], disk=None, timeout=30)
    tap.ok(not r.ok and r.status == 35, f'{config!r}: the machine ends with failure', r)
    tap.has(r, sentence, f'{config!r}: a clear sentence')
tap.done()
