#!/usr/bin/env python3
"""efi/appliance: what it makes boots by the line that it gives, is the same each time, says what is in it, and under Secure Boot
starts only signed and unchanged.
"""
import os
import re
import shlex
import shutil
import socket
import struct
import subprocess
import tempfile

import qemu
import tap

APPLIANCE = os.path.join(qemu.ROOT, 'efi', 'appliance')
PROGRAM = os.path.join(qemu.BUILD, 'wasi', 'args.wasm')
ARGUMENTS = ['--args', 'one "two words" ""', '--env', 'A=1']
EXIT = ['-device', 'isa-debug-exit,iobase=0xf4,iosize=4']
# Debian's test keys, enrolled in its test variables.
KEYS = '/usr/share/ovmf/PkKek-1-snakeoil'
SECURE = ['-machine', 'q35,smm=on', '-accel', 'tcg', '-cpu', 'max', '-m', '256', '-smp', '1', '-nodefaults', '-nic', 'none', '-display', 'none', '-serial', 'stdio',
          '-global', 'driver=cfi.pflash01,property=secure,value=on', '-global', 'ICH9-LPC.disable_s3=1', '-no-reboot', '-device', qemu.IOMMU,
          '-drive', 'if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd',
          '-drive', 'if=pflash,format=raw,unit=1,snapshot=on,file=/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd', *EXIT]


def make(*arguments):
    return subprocess.run([APPLIANCE, 'make', *arguments], capture_output=True, text=True, cwd=qemu.ROOT)


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def machine(arguments, timeout=90):
    """What the console said, and QEMU's status."""
    with qemu.Machine(arguments) as m:
        why = m.read_until(None, timeout)
        return m.text + f'[{why}]', m.process.poll()


def secure(image):
    return machine(SECURE + ['-drive', f'if=none,id=d,format=raw,snapshot=on,file={image}', '-device', 'virtio-blk-pci,drive=d,bootindex=0,disable-legacy=on,iommu_platform=on'])


with tempfile.TemporaryDirectory() as folder:
    def at(name):
        return os.path.join(folder, name)

    shutil.copyfile(PROGRAM, at('program.wasm'))  # it looks at its own name
    ARGUMENTS += ['--app', at('program.wasm')]
    first, second = make(*ARGUMENTS, '--out', at('a/args')), make(*ARGUMENTS, '--out', at('b/args'))
    made = sorted(os.listdir(at('a'))) if first.returncode == 0 else []
    tap.ok(made == ['args.conf', 'args.img', 'args.qcow2', 'args.txt', 'args.xml'], 'image, qcow2, libvirt domain, notes and configuration', first)
    tap.ok(made and all(read(at('a/' + n)) == read(at('b/' + n)) for n in made if n != 'args.xml'), 'equal input gives equal bytes', second)
    tap.ok(made and os.path.getsize(at('a/args.img')) <= 4 << 20, 'the image is 4 MiB at most')
    notes = read(at('a/args.txt')).decode()
    line = shlex.split(re.search(r'^  qemu-system-x86_64 (.*)$', notes, re.M)[1].replace('args.qcow2', at('a/args.qcow2')))
    text, status = machine(line + EXIT)
    tap.ok(status == qemu.STATUS_WELL and 'program|one|two words||' in text, 'the line in the notes boots it, with the arguments', text)
    shown = subprocess.run([APPLIANCE, 'verify', at('a/args.img')], capture_output=True, text=True)
    tap.ok(shown.returncode == 0 and all(d in shown.stdout for d in re.findall(r'^  (\w{64})  (?!args.img)', notes, re.M)) and 'signature    none' in shown.stdout,
           'verify: the hashes of the notes, no signature', shown)

    # A server with files, data and a network, by the line in its notes, but for the port on this side.
    web = make('--app', os.path.join(qemu.BUILD, 'modules', 'httpd.wasm'), '--files', os.path.join(qemu.ROOT, 'apps', 'httpd', 'site'), '--data', '16M',
               '--listen', 'tcp:8080', '--syslog', '10.0.2.2:9', '--out', at('web'))
    tap.ok(web.returncode == 0, 'an appliance with files, data and network', web)
    def check_data(image, what):
        """Its second partition, cut out, is a file system in order."""
        whole = read(image)
        first, last = struct.unpack_from('<QQ', whole, 1024 + 128 + 32)
        with open(at('data'), 'wb') as data:
            data.write(whole[first * 512:(last + 1) * 512])
        checked = subprocess.run(['/sbin/e2fsck', '-fn', at('data')], capture_output=True, text=True)
        tap.ok(checked.returncode == 0, what, checked)

    def is_up(line, port, what):
        """Boots it, asks for the page, and ends it by Ctrl-C; what was said."""
        with qemu.Machine(shlex.split(line)) as m:
            why = m.read_until(b'httpd: ready', 120)
            reply = ''
            if not why:
                with socket.create_connection(('127.0.0.1', port), 30) as s:
                    s.sendall(b'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
                    s.settimeout(30)
                    while part := s.recv(65536):
                        reply += part.decode(errors='replace')
            tap.ok(reply.startswith('HTTP/1.1 200 ') and '<title>' in reply, what, m.text + f'[{why}]' + reply)
            m.type(b'\x03')
            why = m.read_until(None, 120)
            tap.ok(re.search(r'httpd: ended with status 130\b(.*\n)+.*run: ext4: stopped\n(.*\n)+.*: power off$', m.text, re.M) and not why,
                   'Ctrl-C at its terminal ends the program, and the machine in order', m.text + f'[{why}]')
            return m.text

    check_data(at('web.img'), 'the data partition is a clean ext4 file system')
    shown = subprocess.run([APPLIANCE, 'verify', at('web.img')], capture_output=True, text=True)
    disk = re.search(r'^virtio-blk \(.*?(?=^\S)', shown.stdout, re.M | re.S)
    tap.ok(disk and all(re.search(grant, disk[0]) for grant in (r'memory +asks \d+, granted 2097152', r'dma +asks \d+, granted 65536', r'pci +1af4:1042')),
           'verify: what the disk driver asks for and is granted', shown)
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    line = re.search(r'^  qemu-system-x86_64 (.*)$', read(at('web.txt')).decode(), re.M)[1].replace('web.qcow2', at('web.qcow2'))
    line = line.replace('127.0.0.1:8080-', f'127.0.0.1:{port}-')
    unfenced = re.sub(r' -device intel-iommu\S*|,iommu_platform=on', '', line)  # as most clouds are
    is_up(line, port, 'it boots and answers')
    is_up(unfenced, port, 'so it does without an IOMMU')
    subprocess.run(['qemu-img', 'convert', '-O', 'raw', at('web.qcow2'), at('web.img')], check=True)
    grown = subprocess.run([APPLIANCE, 'grow', at('web.img'), '40M'], capture_output=True, text=True)
    tap.ok(grown.returncode == 0, 'more room for its data', grown)
    text = is_up(unfenced.replace('format=qcow2', 'format=raw').replace('web.qcow2', 'web.img'), port, 'it boots as before')
    tap.has(text, 'ext4: 40960 KiB', 'and has that room')
    check_data(at('web.img'), 'a clean file system again')
    again = subprocess.run([APPLIANCE, 'grow', at('web.img'), '40M'], capture_output=True, text=True)
    tap.ok(again.returncode == 1 and 'has 40960 KiB already' in again.stderr, 'refused: to grow to what it is', again)

    # Its keys go to the program where that is asked for.
    typed = make('--app', os.path.join(qemu.BUILD, 'wasi', 'typed.wasm'), '--stdin', 'console', '--out', at('typed'))
    tap.ok(typed.returncode == 0, 'a program that reads what is typed', typed)
    line = re.search(r'^  qemu-system-x86_64 (.*)$', read(at('typed.txt')).decode(), re.M)[1].replace('typed.qcow2', at('typed.qcow2'))
    with qemu.Machine(shlex.split(line) + EXIT) as m:
        why = m.read_until(b'ready', 90)
        m.type(b'a line\rquit\r')
        why = why or m.read_until(None, 90)
        tap.ok(not why and m.process.poll() == qemu.STATUS_WELL and 'got 7:' + b'a line\n'.hex() in m.text, 'gets it', m.text + f'[{why}]')

    for arguments, message in [
            ([], r'which program\? APP='),
            (['--app', at('nothing')], r'the program .*: No such file'),
            (['--app', __file__], r'is not a WebAssembly module'),
            (['--app', PROGRAM, '--listen', 'udp:1'], r'LISTEN=udp:1: expected tcp:PORT'),
            (['--app', PROGRAM, '--data', '5X'], r'DATA=5X: expected a size'),
            (['--app', PROGRAM, '--env', 'X'], r'ENV: X: expected NAME=VALUE'),
            (['--app', PROGRAM, '--syslog', 'host:x'], r'SYSLOG=host:x: expected HOST or HOST:PORT'),
            (['--app', PROGRAM, '--stdin', 'tty'], r'STDIN=tty: expected console'),
            (['--app', PROGRAM, '--args', '"'], r'ARGS=": No closing quotation'),
            (['--app', PROGRAM, '--files', at('nowhere')], r'FILES=.*: not a folder'),
            (['--app', PROGRAM, '--sign', 'key'], r'SIGN=key: expected KEY,CERTIFICATE')]:
        wrong = make(*arguments, '--out', at('wrong'))
        tap.ok(wrong.returncode == 1 and re.fullmatch(r'appliance: ' + r'.*' + message + r'.*\n', wrong.stderr), 'refused: ' + ' '.join(arguments), wrong)
    with open(at('bad.conf'), 'w') as f:
        f.write('sasos 1\nmodule nobody\nstart nobody\n')
    wrong = make('--config', at('bad.conf'), '--out', at('wrong'))
    tap.ok(wrong.returncode == 1 and 'line 2 of the configuration: there is no module nobody.wasm' in wrong.stderr, 'refused: a module that is nowhere, with its line', wrong)

    subprocess.run(['openssl', 'rsa', '-in', KEYS + '.key', '-passin', 'pass:snakeoil', '-out', at('key')], check=True, capture_output=True)
    signed = make(*ARGUMENTS, '--out', at('signed'), '--sign', at('key') + ',' + KEYS + '.pem')
    shown = subprocess.run([APPLIANCE, 'verify', at('signed.img')], capture_output=True, text=True)
    tap.ok(signed.returncode == 0 and re.search(r'^signature    .*SnakeOil', shown.stdout, re.M), 'verify: who signed', shown)
    text, status = secure(at('signed.img'))
    tap.ok(status == qemu.STATUS_WELL, 'Secure Boot: signed, it boots', text)
    text, status = secure(at('a/args.img'))
    tap.ok(status != qemu.STATUS_WELL and 'SASOS' not in text and 'refused the boot image' in text, 'Secure Boot: unsigned, it is refused', text)
    # One bit of the configuration, found in the image as the firmware will read it.
    data = bytearray(read(at('signed.img')))
    config = data.find(read(at('signed.conf'))[:512])
    tap.ok(config > 0, 'the configuration lies in the image')
    data[config + 10] ^= 1
    shutil.copyfile(at('signed.img'), at('tampered.img'))
    with open(at('tampered.img'), 'r+b') as f:
        f.write(data)
    text, status = secure(at('tampered.img'))
    tap.ok(status != qemu.STATUS_WELL and 'SASOS' not in text and 'refused the boot image' in text, 'Secure Boot: one bit changed, it is refused', text)
tap.done()
