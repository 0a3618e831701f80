"""files.py — the archive that programs of the WASI test set see at /, made from nothing, with fixed times and order."""
import io
import tarfile

TIME = 1700000000


def archive():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.USTAR_FORMAT) as tar:
        def add(name, data=None, kind=tarfile.REGTYPE, link=''):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mtime = kind, link, TIME
            info.size = len(data or b'')
            tar.addfile(info, io.BytesIO(data or b''))
        add('./', kind=tarfile.DIRTYPE)
        add('hello.txt', b'Hello, files!\n')
        add('hard', kind=tarfile.LNKTYPE, link='hello.txt')
        add('empty')
        add('deep/er/big.bin', bytes((i * 7 + i // 256) & 255 for i in range(200001)))  # its directories are not listed
        add('deep/up', kind=tarfile.SYMTYPE, link='../hello.txt')
        for name, target in (('link', 'deep/er/big.bin'), ('dirlink', 'deep'), ('loop', 'loop'), ('ping', 'pong'), ('pong', 'ping'),
                             ('dangling', 'nowhere'), ('absolute', '/hello.txt'), ('outside', '../x')):
            add(name, kind=tarfile.SYMTYPE, link=target)
        add('n' * 100, b'a long name')
        add('many/', kind=tarfile.DIRTYPE)
        for i in range(1000):
            add(f'many/file-{i:04}', b'%d' % i)
    return out.getvalue()
