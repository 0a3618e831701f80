#!/usr/bin/env python3
"""Each row of the catalogue that is not about the verifier, with the check behind it taken out: what shows the row must fail then.

  tests/escape/undone.py [ROW...]      writes build/fuzz/undone.json: row, file, old, new, and the point that failed (or null)

undone.txt names the changes; each is made in a copy of the tree below build/fuzz/undone, where what depends on it is built again and run.
Rows about the verifier are in tests/fuzz/mutants. Two copies work side by side. A change that does not apply or does not build, and
a test that passes in spite of it, are failures.
"""
import glob
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
COPIES = os.path.join(ROOT, 'build', 'fuzz', 'undone')
RESULT = os.path.join(ROOT, 'build', 'fuzz', 'undone.json')
WORKERS = 2
WASI = [f'build/wasi/{os.path.basename(p)[:-2]}.wasm' for p in glob.glob(os.path.join(ROOT, 'tests', 'wasi', '*.c'))]
NEEDLESS = ('./.git', './build/fuzz/*/*', './build/sasos.img', './build/disk.img', './build/bench', './build/src')


def rows():
    with open(os.path.join(HERE, 'undone.txt')) as f:
        for line in f:
            if line.strip() and not line.startswith('#'):
                parts = [p.strip() for p in re.split(r' @(?= |$)', line.rstrip('\n'))]
                assert len(parts) == 6, line
                yield dict(zip(('row', 'file', 'old', 'new', 'test', 'point'), (p.replace('\\n', '\n') for p in parts)))


def make_copy(number):
    """Times are kept: nothing is built again but what a change asks for."""
    folder = os.path.join(COPIES, str(number))
    os.makedirs(folder)
    excluded = ' '.join(f"--exclude='{e}'" for e in NEEDLESS)
    subprocess.run(f"tar {excluded} -cf - . | tar -xf - -C '{folder}'", shell=True, cwd=ROOT, check=True)
    return folder


def environment():
    """Without the jobs of a make above, but with its variables."""
    env = {k: v for k, v in os.environ.items() if k not in ('MAKELEVEL', 'MFLAGS', 'TIME', 'SEED', 'ONLY')}
    env['MAKEFLAGS'] = env.get('MAKEFLAGS', '').partition(' -- ')[2]
    return env


def points(text):
    """Names of the test points that failed."""
    return re.findall(r'^(?:not ok \d+ - |BAD |violation )(.*)$', text, re.MULTILINE)


def run(folder, test):
    """(what was built and how that went, what the test said and its status)"""
    kind, _, rest = test.partition(' ')
    targets = {'unit': [f'build/test/{rest}'], 'ktest': ['build/boot/ktest.elf'], 'catalogue': ['build/host/sfi-run'],
               'image': ['build/kernel/kernel.elf'], 'boot': ['build/kernel/kernel.boot.elf'], 'wasi': ['build/test/wasi-bed', 'build/modules/wasi.wasm', *WASI], 'script': []}[kind]
    command = {'unit': [f'build/test/{rest}'], 'ktest': [sys.executable, 'tests/escape/undone.py', '--ktest', *rest.split()],
               'catalogue': ['tests/escape/test_escape.py'], 'image': ['tests/check/test_image.py'], 'boot': [rest], 'wasi': ['tests/wasi/test_wasi.py'], 'script': [rest]}[kind]
    env = {**environment(), 'CMOCKA_MESSAGE_OUTPUT': 'TAP'}
    if targets:
        made = subprocess.run(['make', '--no-print-directory', f'CURDIR={ROOT}', *targets], cwd=folder, env=env, capture_output=True, text=True,
                              errors='replace')
        if made.returncode:
            return None, made.stdout[-500:] + made.stderr[-1500:]
    try:
        said = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, errors='replace', timeout=90)
    except subprocess.TimeoutExpired:
        return 1, 'violation it does not end'
    return said.returncode, said.stdout + said.stderr


def undo(folder, change):
    """The point that failed; None and why not."""
    path = os.path.join(folder, change['file'])
    with open(path) as f:
        text = f.read()
    if text.count(change['old']) != 1:
        return None, f'"{change["old"]}" does not stand once in {change["file"]}'
    with open(path, 'w') as f:
        f.write(text.replace(change['old'], change['new']))
    status, said = run(folder, change['test'])
    with open(path, 'w') as f:  # with a time of now: what was built from the other is old
        f.write(text)
    if status is None:
        return None, 'does not build: ' + said
    failed = [p for p in points(said) if change['point'] in p]
    if not failed and status and change['point'] in said and re.search(r'ERROR: AddressSanitizer|runtime error|runtime failed|signal|panic', said):
        failed = [next(line for line in said.splitlines() if re.search(r'ERROR: AddressSanitizer|runtime error|runtime failed|signal|panic', line))[:120]]
    return (failed[0][:120], '') if failed else (None, 'nothing fails: ' + said[-1500:])


def ktest(config, kind='vtd'):
    """A boot of the kernel's own tests, with the machine that test_attack.py gives them."""
    import qemu
    more = {'attack': dict(devices=['virtio-rng-pci,iommu_platform=on,disable-legacy=on'])}.get(config, {})
    if config == 'attack' and kind == 'vtd':
        more = dict(iommu=qemu.IOMMU + ',device-iotlb=on', disk_device='pcie-root-port,id=rp,chassis=1',
                    devices=[qemu.DISK_DEVICE + ',bus=rp,ats=on', *more['devices']])
    elif kind == 'amd':
        more.update(iommu=qemu.IOMMUS['amd'], cold=True)
    r = qemu.boot(kernel=os.path.join(qemu.BUILD, 'boot', 'ktest.elf'), modules=[], config=config, timeout=60, **more)
    print(r.text)
    if '\ndone\n' not in r.text:
        print(f'BAD the machine does not come to the end of its tests: {r.why}')
    return 0 if r.ok else 1


def main():
    if sys.argv[1:2] == ['--ktest']:
        return ktest(*sys.argv[2:])
    wanted = [c for c in rows() if not sys.argv[1:] or c['row'] in sys.argv[1:]]
    shutil.rmtree(COPIES, ignore_errors=True)
    work, lock, number = queue.Queue(), threading.Lock(), [0]
    for change in wanted:
        work.put(change)
    env_copies = [make_copy(0)]
    for k in range(1, WORKERS):
        env_copies.append(make_copy(k))

    def worker(folder):
        while True:
            try:
                change = work.get_nowait()
            except queue.Empty:
                return
            change['failed'], why = undo(folder, change)
            with lock:
                number[0] += 1
                good = change['failed']
                print(f'{"ok" if good else "not ok"} {number[0]} - {change["row"]} without "{change["old"][:60]}": {change["failed"] or ""}'
                      .replace('\n', ' '), flush=True)
                if not good:
                    print(''.join(f'# {line}\n' for line in why.splitlines()[-25:]), end='', flush=True)
    threads = [threading.Thread(target=worker, args=(folder,)) for folder in env_copies]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    shutil.rmtree(COPIES, ignore_errors=True)
    if not sys.argv[1:]:
        with open(RESULT, 'w') as f:
            json.dump(wanted, f, indent=1)
    print(f'1..{len(wanted)}')
    return 0 if all(c['failed'] for c in wanted) else 1


if __name__ == '__main__':
    sys.exit(main())
