"""terminal.py — the tables that make bench prints while it runs, and its progress line."""
import sys

RED, PLAIN = '\x1b[31m', '\x1b[0m'


def text(cell):
    """A cell: a number, a string, or {'value': x, 'met': bool or None}."""
    if isinstance(cell, dict):
        return text(cell['value']) + ('' if cell.get('met') in (True, None) else '!')
    if isinstance(cell, float):
        return f'{cell:.0f}' if abs(cell) >= 1000 else f'{cell:.1f}' if abs(cell) >= 10 else f'{cell:.2f}'
    return '-' if cell is None else str(cell)


class Terminal:
    def __init__(self, out=sys.stdout, err=sys.stderr):
        self.out, self.err = out, err
        self.live, self.colour = err.isatty(), out.isatty()
        self.widths = []

    def progress(self, what):
        if self.live:
            self.err.write('\r\x1b[K' + what)
            self.err.flush()

    def line(self, what=''):
        self.progress('')
        print(what, file=self.out, flush=True)

    def title(self, what, head):
        self.line()
        self.line(what)
        self.widths = [max(len(h) + 2, 11) for h in head]
        self.widths[0] = max(self.widths[0], 40 if len(head) < 6 else 24)
        self.line(''.join(h.ljust(w) if not i else h.rjust(w) for i, (h, w) in enumerate(zip(head, self.widths))))

    def row(self, cells):
        parts = []
        for i, (c, w) in enumerate(zip(cells, self.widths)):
            shown = text(c)
            padded = shown.ljust(w) if not i else shown.rjust(w)
            missed = isinstance(c, dict) and c.get('met') is False
            parts.append(RED + padded + PLAIN if missed and self.colour else padded)
        self.line(''.join(parts))
