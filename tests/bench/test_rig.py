#!/usr/bin/env python3
"""The bench rig: driver modules and their native twins move data rightly through the device models, on both sides alike."""
import json
import os
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(__file__), '..', '..')
sys.path[:0] = [os.path.join(ROOT, 'tests', 'boot'), os.path.join(ROOT, 'bench')]
import tap  # noqa: E402
import common  # noqa: E402
from parts import hosted  # noqa: E402

RIG, LOAD = 'build/bench/rig', 'build/bench/modules/blkload.wasm'
DRIVERS = {'virtio-blk': 'build/modules/virtio-blk.wasm', 'nvme': 'build/modules/nvme.wasm'}


def rig(driver, module, *cells, rounds=1, load=LOAD):
    return subprocess.run([RIG, driver, load, module, str(rounds), *cells], capture_output=True, text=True, timeout=60)


for driver, module in DRIVERS.items():
    verify = ['verify:seq:4096:32:600', 'verify:rand:65536:128:300', 'verify:rand:512:1:1000', 'verify:rand:512:128:3000', 'verify:seq:3584:7:500']
    done = rig(driver, module, *verify)
    lines = [json.loads(x) for x in done.stdout.splitlines()]
    tap.same(done.returncode, 0, f'{driver}: what was written is read again: {done.stderr[-200:]}')
    for side in ('sandboxed', 'native'):
        said = [x[side] for x in lines if side in x]
        tap.ok(len(said) == len(verify) and all(x.endswith('errors=0') for x in said), f'{driver}, {side}: every cell without an error', said)

    done = rig(driver, module, 'read:rand:4096:32:640', rounds=3)
    cell = json.loads(done.stdout)
    for side in ('sandboxed', 'native'):
        tap.ok(all(len(v) == 3 and min(v) > 0 for v in cell[side].values()), f'{driver}, {side}: a number a round', cell[side])
        tap.ok(all(x == 0.03125 for x in cell[side]['submits']), f'{driver}, {side}: one call of the driver for 32 requests', cell[side])
        tap.ok(all(x <= 0.03125 for x in cell[side]['events']), f'{driver}, {side}: at most one event for 32 requests', cell[side])

    done = rig(driver, module, 'read:rand:1048576:128:1')
    tap.ok(done.returncode == 1 and 'cannot do' in done.stderr, f'{driver}: a cell that cannot be done is refused', done.stderr)

# The model numbers what it sends and checks the numbers of what it gets, the application likewise: a frame lost, doubled or cut ends the run.
NET_LOAD = 'build/bench/modules/netload.wasm'
frames = ['tx:64:1:300', 'tx:1514:128:1000', 'rx:64:32:1000', 'rx:1514:1:300', 'forward:64:32:1000', 'forward:1514:128:1000', 'forward:999:1:300']
for driver in ('virtio-net', 'e1000e'):
    module = f'build/modules/{driver}.wasm'
    done = rig(driver, module, *frames, load=NET_LOAD)
    lines = [json.loads(x) for x in done.stdout.splitlines()]
    tap.ok(done.returncode == 0 and [x['cell'] for x in lines] == frames, f'{driver}: frames are sent, received, sent back', done.stderr[-300:])
    for side in ('sandboxed', 'native'):
        tap.ok(all(x[side]['events'][0] <= 0.04 for x in lines if x['cell'].startswith('rx:64:32')), f'{driver}, {side}: one event for 32 frames', lines)
    ports = ['ports:64:32:1000', 'ports:1514:1:300', 'ports:999:128:1000']
    done = rig(driver + '-ports', module, *ports, load='build/bench/modules/netports.wasm')
    lines = [json.loads(x) for x in done.stdout.splitlines()]
    tap.ok(done.returncode == 0 and [x['cell'] for x in lines] == ports, f'{driver}: frames go from one device to another', done.stderr[-300:])
    for side in ('sandboxed', 'native'):
        tap.ok(all(0.05 <= x[side]['events'][0] <= 0.07 for x in lines[:1]), f'{driver}, {side}: one event of each driver for 32 frames', lines)
    done = rig(driver, module, 'tx:63:1:1', load=NET_LOAD)
    tap.ok(done.returncode == 1 and 'cannot do' in done.stderr, f'{driver}: a frame that is none is refused', done.stderr)

done = rig('virtio-blk', LOAD, 'verify:seq:4096:32:600')
tap.ok(done.returncode == 1 and 'unknown import: blk.blk_' in done.stderr, 'a module that is no driver is refused', done.stderr)
done = rig('no-such', 'build/modules/virtio-blk.wasm', 'verify:seq:4096:32:600')
tap.same(done.returncode, 2, 'an unknown driver is a usage error')

# The report's part: the rounds of a cell come from several processes, so that one process's luck with its pages shows as spread.
commands = []
ask = hosted.ask_rig
hosted.ask_rig = lambda command, env: commands.append(command) or ask(command, env)
names = ['read:rand:4096:32:64', 'write:seq:512:8:64']
got = list(hosted.run_rig('nvme', DRIVERS['nvme'], 9, names))
tap.same([g['cell'] for g in got], names, 'run_rig: the cells in their order')
tap.ok(all(len(numbers) == 9 for g in got for side in ('sandboxed', 'native') for numbers in g[side].values()), 'run_rig: a number a round, of all processes', got)
tap.same([(c[-2], c[-1]) for c in commands], [('3', n) for n in names for _ in range(3)], 'run_rig: nine rounds are three processes of three rounds each')
try:
    list(hosted.run_rig('nvme', DRIVERS['nvme'], 1, ['read:rand:1048576:128:1']))
    tap.ok(False, 'run_rig: a cell that fails ends it')
except common.Failed as e:
    tap.ok('cannot do' in str(e), 'run_rig: a cell that fails ends it, with what the rig said', str(e))
tap.done()
