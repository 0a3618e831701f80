"""smoke.py — what the tests of Lua and SQLite share: the archive with their scripts, and what the SQL must print."""
import io
import os
import sqlite3
import tarfile

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'programs')
SCRIPTS = ('smoke.lua', 'smoke.sql')


def read(name):
    with open(os.path.join(FOLDER, name)) as f:
        return f.read()


def archive(path):
    with tarfile.open(path, 'w', format=tarfile.USTAR_FORMAT) as tar:
        for name in SCRIPTS:
            data = read(name).encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def shown(value):
    return '' if value is None else f'{value!r}' if isinstance(value, float) else str(value)


def expected_sql():
    """The rows that Python's SQLite gives for the script, as the program prints them."""
    db = sqlite3.connect(':memory:', isolation_level=None)
    out, statement = '', ''
    for line in read('smoke.sql').splitlines(True):
        statement += line
        if sqlite3.complete_statement(statement):
            out += ''.join('|'.join(map(shown, row)) + '\n' for row in db.execute(statement))
            statement = ''
    return out
