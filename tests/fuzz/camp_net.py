#!/usr/bin/env python3
"""net — the network under hostile clients and neighbours, in the guest (tests/boot/net_fuzz.py, its long form).

An item is a round with a seed of its own: 10,000 connections, 5,000 malformed requests, 100,000 malformed packets, and what else is there. A request that was answered wrongly, or the packets before the stack fell silent, are in the folder of reproducers. Options and output as in fuzz.h.
"""
import os
import subprocess
import sys
import time

import camp

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))


def main():
    o = camp.options()
    end = time.monotonic() + (o.seconds or float('inf'))
    last = sys.maxsize if o.items is None else o.start + o.items
    item, done, failed = o.start + o.shard, 0, None
    while item < last and time.monotonic() < end and not failed:
        camp.note(o, item)
        run = subprocess.run([sys.executable, os.path.join(ROOT, 'tests', 'boot', 'test_net_packets.py'), 'web', 'wire', 'lease'],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', cwd=ROOT, env={**os.environ, 'LONG': '1', 'SEED': str(o.seed * 1000 + item), 'REPRO': o.repro})
        failed = run.stdout if run.returncode or '\nnot ok' in '\n' + run.stdout else None
        done += 1
        if failed:
            path = os.path.join(o.repro, f'net-{item}.txt')
            with open(path, 'w') as f:
                f.write(failed)
            print(f'violation O6 item={item} file={path} {failed.strip()[-300:]!r}', flush=True)
        item += o.shards
        print(f'progress next={item} tried={done} executed={done}', flush=True)
        print(''.join(line + '\n' for line in run.stdout.splitlines() if line.startswith('# ')), file=sys.stderr, flush=True)
    print(f'done next={item} tried={done} executed={done} complete={int(item >= last)}', flush=True)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
