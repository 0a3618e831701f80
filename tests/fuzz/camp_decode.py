#!/usr/bin/env python3
"""decode — libFuzzer on decoder, validator and compiler, under ASan and UBSan (see decode/target.c).

An item is a thousand inputs. What raised the coverage is kept in build/fuzz/decode.corpus, so the next run goes on from
there; the first starts from build/fuzz/corpus. Options and output as in fuzz.h.
"""
import os
import re
import subprocess
import sys
import time

import camp

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
FUZZ = os.path.join(ROOT, 'build', 'fuzz')


def main():
    o = camp.options()
    kept = os.path.join(FUZZ, 'decode.corpus')
    os.makedirs(kept, exist_ok=True)
    # Never seed 0: to libFuzzer that is a random one.
    command = [os.path.join(FUZZ, 'decode.bin'), f'-seed={(o.seed * 1000003 + o.start * o.shards + o.shard) % 2**31 + 1}',
               '-max_len=4096', '-timeout=30', '-rss_limit_mb=2048', '-print_final_stats=1', '-verbosity=1', '-reload=0',
               f'-artifact_prefix={o.repro}/decode-{o.shard}-', kept, os.path.join(FUZZ, 'corpus')]
    if o.items is not None:
        command.append(f'-runs={o.items * 1000 // o.shards}')
    if o.seconds:
        command.append(f'-max_total_time={int(o.seconds)}')
    runs, said, coverage = 0, [], 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors='replace')
    reported = time.monotonic()
    for line in process.stderr:
        said.append(line)
        m = re.match(r'#(\d+)\s.*?cov: (\d+)', line)
        if m:
            runs, coverage = int(m[1]), int(m[2])
            if time.monotonic() - reported > 0.5:
                reported = time.monotonic()
                print(f'progress next={o.start + runs // 1000} tried={runs} accepted={coverage}', flush=True)
    status = process.wait()
    bad = [line for line in said if re.search(r'ERROR: |SUMMARY: |runtime error', line)]
    if status or bad:
        artifact = next((m[1] for m in (re.search(r'written to (\S+)', line) for line in said) if m), '-')
        print(f'violation O6 item={o.start} file={artifact} {" ".join(b.strip() for b in bad[:3]) or status}', flush=True)
    print(f'done next={o.start + runs // 1000} tried={runs} accepted={coverage} complete={int(o.items is not None)}', flush=True)
    return 1 if status or bad else 0


if __name__ == '__main__':
    sys.exit(main())
