#!/usr/bin/env python3
"""The one place that knows QEMU's command line: used by `make run`, `make demo` and every boot test.

As a program:   tests/boot/qemu.py run [--port N]          boots the default appliance, its page at http://localhost:8080
                tests/boot/qemu.py demo [--disk PATH]      boots build/sasos.img; exit status 0 = all went well
As a module:    r = qemu.boot(modules=['virtio-blk', 'hash'], config='...', timeout=30)
                r.text (serial output), r.ok, r.why (a sentence), r.status, r.seconds

The kernel ends a run by writing 0x10 to port 0xf4 (isa-debug-exit), which makes QEMU exit with 33: all well. Every other end
(another value, a power-off without a verdict, a triple fault, a time-out, the firmware's shell) is a failure with a sentence.

A boot normally restores a migration snapshot of the booted firmware in which the stub (tests/boot/stub) waits for a boot image:
0.1 s instead of 4 s. Snapshots are made when first needed, one for each set of machine arguments, in build/snap/.
With cold=True the machine starts from reset and reads the image from an ESP on a GPT disk, as a real one does.

The user's disk is never changed unless writable=True: QEMU keeps the writes to itself.
ACCEL=tcg|kvm forces the accelerator. SMP=n: the number of CPUs, where a test does not ask for one (default 1; make run and demo: 2).
"""
import argparse
import contextlib
import ctypes
import fcntl
import functools
import hashlib
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
import tty

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
BUILD = os.path.join(ROOT, 'build')
QEMU = 'qemu-system-x86_64'
OVMF_CODE = '/usr/share/OVMF/OVMF_CODE_4M.fd'
OVMF_VARS = '/usr/share/OVMF/OVMF_VARS_4M.fd'
DISK_MIB = 64
STATUS_WELL = 33  # 0x10 << 1 | 1
# What can be seen on the console when a boot image was refused; waiting any longer is useless.
HOPELESS = {
    rb'Shell>': 'the firmware did not find a boot image and went to its shell',
    rb'Access Denied': 'the firmware refused the boot image (Secure Boot)',
    rb'STUB-FAILED.*\n': 'the boot application returned to the test stub',
    rb'No bootable option': 'the firmware found nothing to boot',
    rb'What to do: .*\n': 'the boot application cannot boot this',
}
ESCAPES = re.compile(rb'\x1b\[[0-9;=?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[c=>]|[\0\r]')


class Failure(Exception):
    """The harness itself could not do its work; the text is a sentence."""


@functools.lru_cache(None)
def accelerator():
    """('tcg' or 'kvm', the reason)."""
    forced = os.environ.get('ACCEL')
    if forced:
        if forced not in ('tcg', 'kvm'):
            raise Failure(f'ACCEL={forced}: expected tcg or kvm')
        return forced, 'forced by ACCEL'
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        return 'tcg', 'no access to /dev/kvm'
    with open('/proc/cpuinfo') as f:
        if not re.search(r'^flags\s*:.*\b(vmx|svm)\b', f.read(), re.M):
            return 'tcg', '/dev/kvm is there, but the CPU has no vmx or svm'
    return 'kvm', '/dev/kvm and vmx or svm are there'


def machine_args(memory, smp, cpu, iommu, devices):
    """All that makes the machine what it is; a snapshot fits exactly one such list."""
    accel, _ = accelerator()
    args = ['-machine', 'q35' + (',kernel-irqchip=split' if accel == 'kvm' else ''),
            '-accel', accel, '-cpu', cpu, '-m', str(memory), '-smp', str(smp),
            '-nodefaults', '-nic', 'none', '-display', 'none', '-serial', 'stdio',
            '-boot', 'menu=off,strict=on', '-no-reboot',
            '-device', 'isa-debug-exit,iobase=0xf4,iosize=4']
    # The boot disk is on the chipset's AHCI, so that the only virtio-blk device is the user's disk.
    for device in [iommu, 'ide-hd,drive=boot,bootindex=0', *devices]:
        args += ['-device', device] if device else []
    return args


def drive_args(boot_image, disk, readonly, writable):
    args = ['-drive', f'if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}',
            '-drive', f'if=pflash,format=raw,unit=1,snapshot=on,file={OVMF_VARS}',
            '-drive', f'if=none,id=boot,format=raw,snapshot=on,file={quote(boot_image)}']
    if disk:
        mode = 'readonly=on' if readonly else 'snapshot=off' if writable else 'snapshot=on'
        args += ['-drive', f'if=none,id=disk,format=raw,{mode},file={quote(disk)}']
    return args


def quote(path):
    return path.replace(',', ',,')  # QEMU's option syntax


IOMMUS = {'intel': 'intel-iommu,intremap=on,caching-mode=on,aw-bits=48', 'amd': 'amd-iommu,intremap=on', 'none': None}
IOMMU = IOMMUS['intel']  # QEMU migrates only this one: with the others, cold=True
DISK_DEVICE = 'virtio-blk-pci,drive=disk,iommu_platform=on,disable-legacy=on'


def default_disk():
    """build/disk.img: 64 MiB of fixed pseudo-random bytes, made when first asked for."""
    path = os.path.join(BUILD, 'disk.img')
    if not os.path.exists(path):
        os.makedirs(BUILD, exist_ok=True)
        tmp = f'{path}.{os.getpid()}.tmp'
        rng = random.Random('SASOS')
        with open(tmp, 'wb') as f:
            for _ in range(DISK_MIB):
                f.write(rng.randbytes(1 << 20))
        os.replace(tmp, path)
    return path


class Result:
    def __init__(self, text, status, why, seconds, command):
        self.text, self.status, self.why = text, status, why
        self.seconds, self.command = seconds, command
        self.ok = status == STATUS_WELL and not why

    def __str__(self):
        return f'{self.text}\n[{self.why or "all well"}; {self.seconds:.1f} s]'


def verdict(status):
    if status == STATUS_WELL:
        return ''
    if status == 0:
        return 'the machine went off without saying that all went well'
    if status < 0:
        return f'QEMU was killed by signal {-status}'
    if status == 1:
        return 'QEMU failed'
    return f'the system reported failure {status >> 1:#x} (QEMU exit status {status})'


def die_with_parent():
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Machine:
    """One running QEMU. Always used as a context manager: nothing outlives it."""

    def __init__(self, args, echo=False, own_session=False, terminal=False):
        self.command = [QEMU] + args
        self.echo = echo
        self.own_session = own_session or terminal
        self.terminal = terminal
        self.raw = b''
        self.started = time.monotonic()
        self.process = None

    def __enter__(self):
        if not shutil.which(QEMU):
            raise Failure(f'{QEMU} is not installed (make deps installs it)')
        for path in (OVMF_CODE, OVMF_VARS):
            if not os.path.exists(path):
                raise Failure(f'{path} is not there (package ovmf; make deps installs it)')
        # What QEMU itself says (it comments on each blocked DMA) is not the console's: a person sees it only on failure.
        stderr = subprocess.STDOUT if not self.echo else open(os.path.join(BUILD, 'qemu.log'), 'w')
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=stderr, preexec_fn=die_with_parent, start_new_session=self.own_session)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    def type(self, keys):
        """Sends bytes to the serial line, if that is QEMU's standard input. What QEMU does not take any more is dropped."""
        with contextlib.suppress(OSError):
            self.process.stdin.write(keys)
            self.process.stdin.flush()

    def read_until(self, wanted, timeout):
        """Reads output until `wanted` (bytes or None) shows up, QEMU ends, or it is hopeless. Returns '' or why."""
        deadline = self.started + timeout
        printed = 0
        out = self.process.stdout.fileno()
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return f'timed out after {timeout} s'
            if not select.select([out], [], [], left)[0]:
                continue
            chunk = os.read(out, 65536)
            self.raw += chunk
            if self.terminal:
                sys.stdout.buffer.write(chunk)
                sys.stdout.flush()
            elif self.echo:
                # An escape sequence may be cut off at the end of a chunk: show whole lines only.
                end = self.raw.rfind(b'\n') + 1 if chunk else len(self.raw)
                sys.stdout.write(clean(self.raw[printed:end]))
                sys.stdout.flush()
                printed = max(printed, end)
            if not chunk:
                self.process.wait()
                return ''
            if wanted and wanted in self.raw:
                return ''
            for sign, why in HOPELESS.items():
                if re.search(sign, self.raw):
                    return why

    @property
    def text(self):
        return clean(self.raw)


@contextlib.contextmanager
def keyboard(machine, control):
    """Keys go to the machine, unseen and at once; Ctrl-C presses its power button, and once more ends QEMU."""
    pressed = []

    def interrupt(*_):
        pressed.append(True)
        print('\r\nswitching off; Ctrl-C again pulls the plug\r', flush=True)
        if len(pressed) > 1:
            machine.process.kill()
        else:
            threading.Thread(target=lambda: Qmp(control).call('system_powerdown'), daemon=True).start()  # not from a handler

    def forward():
        while keys := os.read(sys.stdin.fileno(), 4096):
            machine.type(keys)

    before = signal.signal(signal.SIGINT, interrupt)
    if not sys.stdin.isatty():
        yield
        signal.signal(signal.SIGINT, before)
        return
    settings = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        threading.Thread(target=forward, daemon=True).start()
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)
        signal.signal(signal.SIGINT, before)


def clean(raw):
    return ESCAPES.sub(b'', raw).decode('ascii', 'replace')


class Qmp:
    def __init__(self, path, timeout=10):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise Failure('QEMU does not answer on its control socket')
                time.sleep(0.01)
        self.file = self.socket.makefile('r')
        self.file.readline()
        self.call('qmp_capabilities')

    def call(self, command, **arguments):
        self.socket.sendall(json.dumps({'execute': command, 'arguments': arguments}).encode())
        while True:
            answer = json.loads(self.file.readline())
            if 'error' in answer:
                raise Failure(f'{command}: {answer["error"]["desc"]}')
            if 'return' in answer:
                return answer['return']


def file_id(path):
    s = os.stat(path)
    return f'{path} {s.st_size} {s.st_mtime_ns}'


@functools.lru_cache(None)
def qemu_version():
    return subprocess.run([QEMU, '--version'], capture_output=True, text=True, check=True).stdout


def snapshot(args, drives):
    """The path of the snapshot that fits these machine arguments; made if it is not there yet."""
    with open(os.path.join(BUILD, 'boot', 'stub.efi'), 'rb') as f:
        key = repr((args, qemu_version(), file_id(OVMF_CODE), file_id(OVMF_VARS), f.read()))
    folder = os.path.join(BUILD, 'snap')
    path = os.path.join(folder, hashlib.sha256(key.encode()).hexdigest()[:16])
    os.makedirs(folder, exist_ok=True)
    with open(path + '.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests that run side by side share the work
        if not os.path.exists(path):
            make_snapshot(args + drives, path)
    return path


def make_snapshot(args, path):
    with tempfile.TemporaryDirectory() as folder:
        control = os.path.join(folder, 'qmp')
        with Machine(args + ['-qmp', f'unix:{control},server=on,wait=off']) as m:
            why = m.read_until(b'STUB-READY', 120)
            if why or b'STUB-READY' not in m.raw:
                raise Failure(f'no snapshot: {why or "QEMU ended"}\n{m.text}')
            qmp = Qmp(control)
            # Not stopped first: the paused state would be restored too.
            qmp.call('migrate-set-parameters', **{'max-bandwidth': 10 ** 11})
            qmp.call('migrate', uri=f"exec:cat > '{path}.tmp'")
            deadline = time.monotonic() + 60
            while (state := qmp.call('query-migrate').get('status')) != 'completed':
                if state == 'failed' or time.monotonic() > deadline:
                    raise Failure(f'no snapshot: migration {state}')
                time.sleep(0.02)
            qmp.call('quit')
    os.replace(path + '.tmp', path)


def plug(qmp, devices):
    deadline = time.monotonic() + 30
    while qmp.call('query-status')['status'] == 'inmigrate':
        if time.monotonic() > deadline:
            raise Failure('the snapshot is not restored within 30 s')
        time.sleep(0.01)
    for device in devices:
        driver, *properties = device.split(',')
        values = dict(p.split('=', 1) for p in properties)
        numbers = {k: int(v, 0) for k, v in values.items() if re.fullmatch(r'0x[0-9a-f]+|[1-9]\d*|0', v)}
        qmp.call('device_add', driver=driver, **{**values, **{k: n for k, n in numbers.items() if k != 'serial'}})
    qmp.call('cont')


def tool(name, *args):
    done = subprocess.run([os.path.join(BUILD, 'host', name), *args], capture_output=True, text=True)
    if done.returncode:
        raise Failure(done.stderr.strip() or f'{name} failed')


def find_module(name):
    for folder in ('modules', 'testmod'):
        path = os.path.join(BUILD, folder, name + '.wasm')
        if os.path.exists(path):
            return path
    raise Failure(f'no module {name} in build/modules or build/testmod')


def make_image(folder, config=None, modules=None, kernel=None, pack=None):
    """A boot image (PE) of its own parts in `folder`; None = what build/boot/BOOTX64.EFI has."""
    b = functools.partial(os.path.join, BUILD)
    if config is None and modules is None and kernel is None and pack is None:
        return b('boot', 'BOOTX64.EFI')
    config_path = b('..', os.environ.get('CONF', 'apps/demo.conf'))
    if config is not None:
        config_path = os.path.join(folder, 'config')
        with open(config_path, 'wb') as f:
            f.write(config if isinstance(config, bytes) else config.encode())
    pack_path = b('boot', 'modules.pack')
    if pack is not None:
        pack_path = os.path.join(folder, 'pack')
        with open(pack_path, 'wb') as f:
            f.write(pack)
    elif modules is not None:
        paths = []
        for m in modules:
            if isinstance(m, tuple):  # (name, bytes)
                paths.append(os.path.join(folder, m[0] + '.wasm'))
                with open(paths[-1], 'wb') as f:
                    f.write(m[1])
            else:
                paths.append(m if os.sep in m else find_module(m))
        pack_path = os.path.join(folder, 'pack')
        tool('sasos-pack', pack_path, *paths)
    image = os.path.join(folder, 'BOOTX64.EFI')
    tool('sasos-mkboot', image, b('boot', 'boot.efi'), f'.modules={pack_path}', f'.config={config_path}',
         f'.kernel={kernel or b("kernel", "kernel.boot.elf")}')
    return image


def boot(config=None, modules=None, kernel=None, pack=None, image=None, disk='default', readonly=False, writable=False,
         disk_device=DISK_DEVICE, devices=(), netdevs=(), chardevs=(), qemu_args=(), memory=512, smp=None, cpu='max', iommu=IOMMU, cold=False,
         hot=(), timeout=60, echo=False, started=None, own_session=False, terminal=False):
    """Boots the system once and returns a Result.

    config      the appliance's configuration, str or bytes
    modules     what the image carries: names (looked up in build/modules, then build/testmod), paths,
                or (name, bytes); pack: the bytes of a whole pack instead
    kernel      path of another kernel ELF
    image       path of a whole boot image, instead of all these
    disk        path of a raw disk image; 'default': default_disk(); None: no disk device
    readonly, writable   the disk refuses writes; writes reach the file (otherwise they are dropped)
    disk_device the -device value of the disk (its drive's id is disk), None: it is in hot; iommu: that of the IOMMU, None: there is none
    cpu, smp    -cpu and -smp (None: SMP of the environment); memory: MiB
    devices     more -device values; qemu_args: more arguments, which are not part of the snapshot's machine
    netdevs     -netdev values without their ids, which are n0, n1, …: a device names one by netdev=n0
    chardevs    -chardev values without their ids, which are c0, c1, …: a device names one by chardev=c0
    hot         -device values that are plugged in before the snapshot goes on: for devices that QEMU does not migrate (edu, nvme). Their
                bus is a root port of `devices`; a disk's drive is disk, with disk_device=None
    started     is called with the Machine when it runs: for who watches from another thread
    own_session the terminal's Ctrl-C does not reach QEMU
    terminal    the machine has this terminal, keys included; Ctrl-C switches it off in order
    cold        from reset through the ESP, instead of from a snapshot
    """
    if disk == 'default':
        disk = default_disk()
    smp = smp or int(os.environ.get('SMP', 1))
    args = machine_args(memory, smp, cpu, iommu, ([disk_device] if disk and disk_device else []) + list(devices))
    if readonly:
        args += ['-name', 'readonly-disk']  # a snapshot of its own: the device's features differ
    wires = [w for i, value in enumerate(netdevs) for w in ('-netdev', value.replace(',', f',id=n{i},', 1))]
    # In the snapshot each is a hub of its own: any network can take its place.
    hubs = [w for i in range(len(netdevs)) for w in ('-netdev', f'hubport,id=n{i},hubid={i}')]
    wires += [w for i, value in enumerate(chardevs) for w in ('-chardev', re.sub(r'(?=,|$)', f',id=c{i}', value, count=1))]
    hubs += [w for i in range(len(chardevs)) for w in ('-chardev', f'null,id=c{i}')]
    with tempfile.TemporaryDirectory(prefix='sasos-') as folder:
        if not image:
            image = make_image(folder, config, modules, kernel, pack)
        if cold:
            gpt = os.path.join(BUILD, 'sasos.img')
            if image != os.path.join(BUILD, 'boot', 'BOOTX64.EFI'):
                gpt, fat = os.path.join(folder, 'sasos.img'), os.path.join(folder, 'esp.fat')
                subprocess.run([os.path.join(ROOT, 'efi', 'mkesp'), fat, image], check=True)
                tool('sasos-mkimage', gpt, fat)
            args += drive_args(gpt, disk, readonly, writable)
        else:
            drives = drive_args(os.path.join(BUILD, 'boot', 'stub.img'), disk, readonly, writable)
            snap = snapshot(args, drives + hubs)
            args += drives + ['-incoming', f"exec:cat '{snap}'", '-fw_cfg', f'name=opt/kernel,file={quote(image)}']
        control = os.path.join(folder, 'qmp')
        if hot or terminal:
            args += [*(['-S'] if hot else []), '-qmp', f'unix:{control},server=on,wait=off']
        with Machine(args + wires + list(qemu_args), echo, own_session, terminal) as m:
            if hot:
                plug(Qmp(control), hot)
            if started:
                started(m)
            with keyboard(m, control) if terminal else contextlib.nullcontext():
                why = m.read_until(None, timeout)
            status = m.process.poll()
            refused = re.search(r'^SASOS cannot boot: .*', m.text, re.M)
            if refused:
                why = refused[0]
            elif not why:
                why = verdict(status)
            seconds = time.monotonic() - m.started
            text = m.text
            if not cold:  # what the stub said before the snapshot was taken is not there, but its last line may be
                text = text.replace('STUB-READY\n', '', 1)
            return Result(text, status, why, seconds, m.command)


def host_digest(disk):
    """SHA-256 of a disk image as a guest sees it: whole sectors."""
    digest = hashlib.sha256()
    with open(disk, 'rb') as f:
        while block := f.read(1 << 20):
            digest.update(block)
    digest.update(bytes(-os.path.getsize(disk) % 512))
    return digest.hexdigest()


def demo(options):
    disk = options.disk or default_disk()
    if not os.path.isfile(disk):
        raise Failure(f'{disk} is not a file')
    accel, reason = accelerator()
    print(f'accelerator: {accel} ({reason})')
    print(f'disk: {disk} ({os.path.getsize(disk)} bytes; what is written to it is dropped)')
    if os.path.getsize(disk) % 512:
        print('the file is no multiple of 512 bytes: the guest sees zeros up to the next one')
    print(f'started: {QEMU} with build/sasos.img', flush=True)
    timeout = options.timeout or 300 + (os.path.getsize(disk) >> 20)
    r = boot(disk=os.path.abspath(disk), cold=True, smp=int(os.environ.get('SMP', 2)), timeout=timeout, echo=True, iommu=IOMMUS[options.iommu])
    print()
    digests = set(re.findall(r'sha256 ([0-9a-f]{64})$', r.text, re.M))
    if digests and digests == {host_digest(disk)}:
        print('the digest is the one that the host finds')
    elif digests:
        r.ok, r.why = False, f'the host finds another digest: {host_digest(disk)}'
    print(f'{"all went well" if r.ok else "FAILED: " + r.why} ({r.seconds:.1f} s)')
    with open(os.path.join(BUILD, 'qemu.log')) as f:
        said = f.read()
    if said and not r.ok:
        print(f'QEMU itself said (build/qemu.log):\n{said[-2000:]}')
    return 0 if r.ok else 1


def data_disk():
    """build/web.disk: an ext4 file system of 64 MiB, made when first asked for and kept."""
    path = os.path.join(BUILD, 'web.disk')
    if not os.path.exists(path):
        with open(path + '.tmp', 'wb') as f:
            f.truncate(64 << 20)
        subprocess.run(['mke2fs', '-q', '-F', '-t', 'ext4', path + '.tmp'], check=True)
        os.replace(path + '.tmp', path)
    return path


def run(options):
    """The default appliance with its page at a port of this machine, until it is switched off or interrupted."""
    disk = options.disk or data_disk()
    with open(os.path.join(ROOT, 'apps', 'web.conf')) as f:
        config = f.read()
    modules = re.findall(r'^module (\S+) *(?:#.*)?$', config, re.M)
    ready = functools.partial(os.path.join, BUILD, 'modules')  # .code: compiled before, verified again
    print(f'disk: {disk} (an ext4 file system; what is written to it stays)')
    print(f'the page: http://localhost:{options.port}/', flush=True)
    print('This terminal is the machine\'s console (`help`); Ctrl-C switches it off.', flush=True)
    r = boot(config=config, modules=modules + [ready(m + '.code') for m in modules] + [ready('httpd.tar')], disk=os.path.abspath(disk), writable=True,
             cold=True, devices=['virtio-net-pci,netdev=n0,iommu_platform=on,disable-legacy=on,romfile='], memory=int(os.environ.get("MEMORY", 256)), smp=int(os.environ.get('SMP', 2)),
             netdevs=[f'user,hostfwd=tcp:127.0.0.1:{options.port}-:80'], iommu=IOMMUS[options.iommu], timeout=10 ** 9, echo=True, terminal=True)
    print(f'\n{"switched off" if r.ok else r.why}')
    return 0 if r.ok else 1


def debug(options):
    """The machine under gdb, stopped at the kernel's first instruction in C. --script: commands instead of a person; returns the Result too."""
    if not shutil.which('gdb'):
        raise Failure('gdb is not installed: apt-get install gdb')
    disk = options.disk or default_disk()
    with tempfile.TemporaryDirectory(prefix='sasos-') as folder:
        control = os.path.join(folder, 'gdb')
        command = ['gdb', '-q', '-ex', 'set confirm off', '-ex', f'source {ROOT}/sasos/gdb.py', '-ex', f'target remote {control}',
                   '-ex', 'thbreak kernel_main', '-ex', 'continue', os.path.join(BUILD, 'kernel', 'kernel.elf')]
        command += ['-batch', '-x', options.script] if options.script else []

        def started(machine):
            def watch():
                deadline = time.monotonic() + 10
                while not os.path.exists(control) and time.monotonic() < deadline:
                    time.sleep(0.01)
                subprocess.run(command, stdin=None if not options.script else subprocess.DEVNULL)
                machine.process.kill()
            threading.Thread(target=watch, daemon=True).start()

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is gdb's
        boot(disk=os.path.abspath(disk), iommu=IOMMUS[options.iommu], timeout=10 ** 9, echo=True, started=started, own_session=True,
             qemu_args=['-S', '-gdb', f'unix:path={control},server=on,wait=off'])
    return 0


def main():
    parser = argparse.ArgumentParser(description='Boots SASOS in QEMU.')
    verbs = parser.add_subparsers(dest='verb', required=True)
    p = verbs.add_parser('demo', help='boot build/sasos.img, the demonstration')
    p.add_argument('--disk', help='a raw disk image (default: build/disk.img, generated)')
    p.add_argument('--iommu', choices=IOMMUS, default='intel', help='the DMA fence of the machine (default: intel)')
    p.add_argument('--timeout', type=float, help='seconds (default: 300, and one for each MiB of the disk)')
    p.set_defaults(do=demo)
    p = verbs.add_parser('run', help='the default appliance, its page at a local port')
    p.add_argument('--disk', help='a disk with an ext4 file system (default: build/web.disk, generated)')
    p.add_argument('--port', type=int, default=8080)
    p.add_argument('--iommu', choices=IOMMUS, default='intel')
    p.set_defaults(do=run)
    p = verbs.add_parser('gdb', help='the same under gdb')
    p.add_argument('--disk')
    p.add_argument('--iommu', choices=['intel', 'none'], default='intel')
    p.add_argument('--script', help='a file of gdb commands, run instead of asking')
    p.set_defaults(do=debug)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return options.do(options)
    except Failure as e:
        print(f'qemu.py: {e}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\ninterrupted')
        return 130


if __name__ == '__main__':
    sys.exit(main())
