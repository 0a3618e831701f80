"""peers.py — the Linux peer: Debian's cloud kernel, fetched once and only unpacked, booted on the same QEMU line with its own drivers.

`kernel()` finds or fetches it (build/bench/linux); `boot()` runs bench/linux/init.c as its only program.
"""
import functools
import glob
import os
import re
import sys

import common
from common import Failed, run

sys.path.insert(0, os.path.join(common.ROOT, 'tests', 'boot'))
import qemu  # noqa: E402

BOOTS = 3  # tries
FOLDER = os.path.join(common.OUT, 'linux')
STREAM = 'bench/programs/stream.c'
APPEND = 'console=ttyS0 quiet panic=-1 intel_iommu=on iommu.strict=1'
MODULES = {  # in the order in which they are needed; NVMe is built in
    'virtio-blk': ['virtio/virtio_ring', 'virtio/virtio', 'virtio/virtio_pci_modern_dev', 'virtio/virtio_pci_legacy_dev', 'virtio/virtio_pci',
                   'block/virtio_blk'],
    'nvme': [],
}
MODULES['virtio-net'] = MODULES['virtio-blk'][:5] + ['../net/core/failover', 'net/net_failover', 'net/virtio_net']
DEVICE = {'virtio-blk': '/dev/vda', 'nvme': '/dev/nvme0n1', 'virtio-net': 'eth0'}


def kernel():
    """(vmlinuz, the folder of its modules' drivers, its version)."""
    found = glob.glob(FOLDER + '/root/boot/vmlinuz-*')
    if not found:
        os.makedirs(FOLDER, exist_ok=True)
        depends = run(['apt-cache', 'depends', 'linux-image-cloud-amd64'])
        name = re.search(r'Depends: (linux-image-\S+)', depends)
        if not name:
            raise Failed('apt-cache knows no linux-image-cloud-amd64 (apt-get update?)')
        run(['apt-get', '-q', '-o', 'APT::Sandbox::User=', 'download', name[1]], cwd=FOLDER)
        for deb in glob.glob(FOLDER + '/*.deb'):
            run(['dpkg-deb', '-x', deb, FOLDER + '/root'])
        found = glob.glob(FOLDER + '/root/boot/vmlinuz-*')
    version = found[0].split('vmlinuz-')[1]
    return found[0], f'{FOLDER}/root/lib/modules/{version}/kernel/drivers', version


@functools.lru_cache(None)
def linux():
    """(the version of Linux, None), or (None, why there is none to compare with)."""
    try:
        return kernel()[2], None
    except (Failed, OSError) as e:
        return None, f'not installed: {e}'


def sides(*all_of_them):
    """These, without a peer that is not here."""
    return tuple(s for s in all_of_them if s != 'linux' or linux()[0])


def cpio(files):
    """An initramfs: [(name, mode, bytes)]."""
    out = b''
    for n, (name, mode, data) in enumerate(files + [('TRAILER!!!', 0, b'')]):
        fields = (n + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b'070701' + ''.join(f'{f:08x}' for f in fields).encode() + name.encode() + b'\0'
        out += head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
    return out


def initramfs(driver, cells, more):
    path = os.path.join(FOLDER, f'{driver}{"-more" if more else ""}.cpio')
    drivers = kernel()[1]
    names = MODULES[driver]
    files = [('dev', 0o40755, b''), ('init', 0o100755, open(program(), 'rb').read()),
             ('modules', 0o100644, ''.join(f'/{os.path.basename(m)}.ko\n' for m in names).encode()),
             ('cells', 0o100644, ''.join(f'{DEVICE[driver]} {c}\n' for c in cells).encode())]
    files += [(os.path.basename(m) + '.ko', 0o100644, open(f'{drivers}/{m}.ko', 'rb').read()) for m in names]
    files += [(name, 0o100644, data) for name, data in more.items()]
    with open(path, 'wb') as f:
        f.write(cpio(files))
    return path


def program():
    path, sources = os.path.join(FOLDER, 'init'), ['bench/linux/init.c', 'bench/linux/frames.c', 'bench/linux/serve.c']
    flags = ['clang', '-O2', '-static', '-fno-pie', '-no-pie', '-Wall', '-Wextra']
    stream = common.make(path + '-stream.o', [*flags, '-Dmain=stream_main', '-c', '-o', path + '-stream.o', STREAM], STREAM)
    return common.make(path, [*flags, '-o', path, *sources, stream], *sources, 'bench/linux/init.h', stream)


def symbol(path, name):
    """The address of a symbol, as the counting plugin takes it."""
    m = re.search(rf'^([0-9a-f]+) \w {name}$', run(['llvm-nm', path]), re.M)
    if not m:
        raise Failed(f'{path} has no {name}')
    return '0x' + m[1]


def counting(plugin, side, kernel_path, call='hc_time_ns'):
    """QEMU's arguments for counting instructions: marked where the load generator looks at the clock (or makes another kernel call), which it does
    around each cell."""
    where = symbol(program(), 'now') if side == 'linux' else symbol(kernel_path, call)
    return ['-plugin', f'{plugin},mark={where}', '-d', 'plugin']


def counted(text, cells):
    """[(instructions, those in sandboxed code)] of each cell."""
    marks = [(int(a), int(b)) for a, b in re.findall(r'mark: (\d+) (\d+)', text)][-2 * len(cells):]
    if len(marks) != 2 * len(cells):
        raise Failed('this QEMU does not run the counting plugin')
    return [(after[0] - before[0], after[1] - before[1]) for before, after in zip(marks[::2], marks[1::2])]


def arguments(driver, device, disk, cells, qemu_args=(), iommu=qemu.IOMMU, more=None):
    """QEMU's arguments for Linux with this device (and a disk image for it, or None) and these cells; `more`: {name: bytes} for its initramfs."""
    vmlinuz, _, _ = kernel()
    args = [a for a in qemu.machine_args(512, 1, 'max', iommu, [device])]
    boot_disk = args.index('ide-hd,drive=boot,bootindex=0')  # it has no boot disk: the kernel is given to QEMU
    del args[boot_disk - 1:boot_disk + 1]
    args += qemu.drive_args('', disk, readonly=False, writable=True)[6:] if disk else []
    args += ['-kernel', vmlinuz, '-initrd', initramfs(driver, cells, more or {}), '-append', APPEND if iommu else APPEND.split(' intel')[0], *qemu_args]
    return args


def boot(driver, device, disk, cells, qemu_args=(), iommu=qemu.IOMMU, timeout=240):
    """Boots Linux as arguments() says and runs the cells. Its output, and the command."""
    args = arguments(driver, device, disk, cells, qemu_args, iommu)
    for attempt in range(BOOTS):
        with qemu.Machine(args) as m:
            why = m.read_until(None, timeout)
            if not why and 'init: done' in m.text:
                return m.text, m.command
            started = 'init: started' in m.text
        if started:  # before that, a busy host may make Linux's check of the emulated timer fail
            break
    raise Failed(f'Linux: {why or m.text[-300:]}')
