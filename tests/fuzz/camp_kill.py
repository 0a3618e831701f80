#!/usr/bin/env python3
"""kill — a block driver is killed at random instants under load, in the guest (tests/boot/test_kill.py on virtio-blk).

An item is a kill. Each machine sees CHUNK of them; then the disk's image is compared with what its client says that it wrote. The instants
come from the guest's own randomness: a failure is not repeated by its seed. Options and output as in fuzz.h.
"""
import os
import subprocess
import sys
import time

import camp

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
CHUNK = 500


def machine(kills):
    """What the test said; None if all of it held."""
    run = subprocess.run([sys.executable, os.path.join(ROOT, 'tests', 'boot', 'test_kill.py')], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, errors='replace', cwd=ROOT,
                         env={**os.environ, 'KILLS': str(kills), 'KILLED': 'virtio-blk'})
    good = run.returncode == 0 and '\nok ' in '\n' + run.stdout and '\nnot ok' not in '\n' + run.stdout
    return None if good else run.stdout


def main():
    o = camp.options()
    end = time.monotonic() + (o.seconds or float('inf'))
    share = sys.maxsize if o.items is None else (o.items + o.shards - 1 - o.shard) // o.shards
    done, failed = 0, None
    while done < share and time.monotonic() < end and not failed:
        kills = min(CHUNK, share - done)
        failed = machine(kills)
        done += kills
        print(f'progress next={o.start + done * o.shards} tried={done} executed={done}', flush=True)
    if failed:
        path = os.path.join(o.repro, f'kill-{o.shard}.txt')
        with open(path, 'w') as f:
            f.write(failed)
        print(f'violation O6 item={o.start} file={path} {failed.strip()[-300:]!r}', flush=True)
    print(f'done next={o.start + done * o.shards} tried={done} executed={done} complete={int(done >= share)}', flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
