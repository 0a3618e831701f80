"""programs.py — the programs of the WASI test set: tests/wasi/NAME.c, and what their first comments say (see check.h)."""
import glob
import os
import re
import shlex

FOLDER = os.path.dirname(os.path.abspath(__file__))


class Program:
    def __init__(self, path):
        self.name = os.path.basename(path)[:-2]
        with open(path) as f:
            text = f.read()
        self.said = [re.match(r'// ([a-z-]+): (.*)', line) for line in text[:text.find('\n#')].splitlines()]
        self.said = [(m[1], m[2]) for m in self.said if m]
        unknown = {key for key, _ in self.said} - {'args', 'env', 'files', 'data', 'observe', 'network', 'terminal', 'no-entropy', 'exit', 'trap', 'stdout'}
        assert not unknown, f'{path}: {unknown}'
        self.args = shlex.split(self.one('args') or '')
        self.env = self.every('env')
        self.files, self.data = bool(self.one('files')), bool(self.one('data'))
        self.observe = bool(self.one('observe'))
        self.network, self.terminal = bool(self.one('network')), bool(self.one('terminal'))
        self.entropy = not self.one('no-entropy')
        self.exit, self.trap = int(self.one('exit') or 0), self.one('trap')
        self.stdout = self.every('stdout')
        self.what = text.splitlines()[0].split('— ')[1].rstrip('.')

    def every(self, key):
        return [value for k, value in self.said if k == key]

    def one(self, key):
        return (self.every(key) or [None])[0]

    def printed(self, output):
        """Whether the lines that it must print are there, in their order."""
        lines = iter(output.splitlines())
        return all(any(line == wanted for line in lines) for wanted in self.stdout)


def programs():
    return [Program(path) for path in sorted(glob.glob(os.path.join(FOLDER, '*.c')))]
