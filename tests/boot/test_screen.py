#!/usr/bin/env python3
"""The framebuffer console: what a program writes is on the screen, by a picture of it that QEMU makes."""
import os
import re
import tempfile

import qemu
import tap
import wire

CONFIG = '''sasos 1
module fbcon
  framebuffer
  restart on-fault
module tty-print
  connect tty fbcon 12K
  arg fbcon
  control
start fbcon
run tty-print
'''
CHARACTERS = ''.join(map(chr, range(32, 127)))


class Picture:
    """A PPM file."""

    def __init__(self, path):
        with open(path, 'rb') as f:
            data = f.read()
        m = re.match(rb'P6\s+(\d+)\s+(\d+)\s+255\s', data)
        self.width, self.height, self.data = int(m[1]), int(m[2]), data[m.end():]

    def pixel(self, x, y):
        at = 3 * (y * self.width + x)
        return tuple(self.data[at:at + 3])

    def cell(self, column, row):
        """The points of a cell that are not of its corner's colour."""
        x, y = 8 * column, 16 * row
        paper = self.pixel(x, y)
        return tuple(self.pixel(x + i % 8, y + i // 8) != paper for i in range(128))

    def colours(self, column, row):
        return {self.pixel(8 * column + i % 8, 16 * row + i // 8) for i in range(128)}


with tempfile.TemporaryDirectory() as folder:
    control, picture = os.path.join(folder, 'qmp'), os.path.join(folder, 'picture')
    run = wire.Background(config=CONFIG, modules=['fbcon', 'tty-print'], disk=None, devices=['VGA,romfile='],
                          qemu_args=['-qmp', f'unix:{control},server=on,wait=off'])
    if tap.ok(run.wait_for('tty-print: shown'), 'the terminal takes what is written'):
        monitor = qemu.Qmp(control)
        monitor.call('screendump', filename=picture)
        monitor.call('quit')
        p = Picture(picture)
        # The first line has every character once: that is the key to the rest.
        glyphs = [p.cell(i, 0) for i in range(95)]
        tap.same(len(set(glyphs)), 95, 'all characters look different')
        key = dict(zip(glyphs, CHARACTERS))
        read = ''.join(key.get(p.cell(c, 2), '\0') for c in range(p.width // 8)).rstrip()
        tap.same(read, '    SASOS draws this. red on blue', 'a line reads as it was written')
        tap.same(p.colours(23, 2), {(0xaa, 0, 0), (0, 0, 0xaa)}, 'in its colours')
        blank = all(key.get(p.cell(c, r)) == ' ' for r in range(3, p.height // 16) for c in range(p.width // 8))
        tap.ok(blank, 'what was there before is gone')
    r = run.result()
    tap.same(len(re.findall('fbcon: .* on a screen of', r.text)), 2, 'all that by its second life: the first was killed')
    tap.has(r, rf'fbcon: {1280 // 8} columns, {800 // 16} rows', 'it says how large it is')

r = qemu.boot(config=CONFIG.replace('  framebuffer\n', '').replace('start fbcon', 'start fbcon expect refused')[:-len('run tty-print\n')],
              modules=['fbcon', 'tty-print'], disk=None, devices=['VGA,romfile='])
tap.has(r, 'fbcon: there is no screen, it is not granted', 'without the grant there is no screen')
tap.done()
