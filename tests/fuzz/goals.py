"""goals.py — what one CI run of the escape range must reach: a row a goal, with what was done. Read by fuzz.py, whose run of all fails if
one is missed that is not of time (a busy machine is no failure: those are only said), and by report.py.

done() gives a text and whether that is enough; it may fail with KeyError, TypeError, or IndexError where what it counts has not been run.
"""
import json
import os
import re

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
FUZZ = os.path.join(ROOT, 'build', 'fuzz')
MINUTES = 20
CALLS_A_LOAD = 257  # LOAD_EVERY in camp_calls.c
VERIFIER = ('verify.c', 'decode.c', 'verify.h', 'insns.def', 'rules.def')
ROWS = 78


def load(name):
    try:
        with open(os.path.join(FUZZ, name + '.json')) as f:
            return json.load(f)
    except (OSError, ValueError):
        return None


class Found:
    """What the last runs left in build/fuzz."""

    def __init__(self):
        self.campaigns, self.studies = load('results') or {}, load('studies') or {}
        self.mutants, self.miscompiles, self.coverage, self.speed = (load(n) for n in ('mutants', 'miscompiles', 'coverage', 'speed'))

    def tried(self, name, least, kind='tried'):
        n = self.campaigns[name][kind]
        return f'{n:,}', n >= least

    def count(self, study, names, least, unit=''):
        """Each of those counts of a test must be there, and be enough."""
        counts = [self.studies[study]['counts'][n] for n in names]
        return ' and '.join(f'{n:,}' for n in counts) + unit, self.studies[study]['good'] and min(counts) >= least


def whole(f, name, least=1):
    c = f.campaigns[name]
    return f'{c["tried"]:,}' + ('' if c['complete'] else ', not to its end'), bool(c['complete']) and c['tried'] >= least


def blocks(f):
    c = f.campaigns['blocks']
    return (f'{c["tried"]:,}, {c["accepted"]:,} accepted, {c["executed"]:,} functions executed',
            c['tried'] >= 20e6 and min(c['accepted'], c['executed']) >= 2e6)


def miscompiles(f):
    named = [m for m in f.miscompiles['miscompiles'] if m['change'] == 'named']
    good = sum(m['verdict'] in ('rejected', 'harmless', 'refused') for m in named)
    escaped = f.miscompiles['count']['ESCAPED']
    return f'{good} of {len(named)} named, {escaped} escaped', good >= 200 and not escaped


def sequences(f):
    n = f.campaigns['calls']['next']
    return f'{n - n // CALLS_A_LOAD:,}', n - n // CALLS_A_LOAD >= 2e6


def refusals(f):
    n = f.campaigns['calls']['next'] // CALLS_A_LOAD
    return f'each n ≤ 2,000 {n // 2000} times' if n >= 2000 else f'n ≤ {n}', n >= 2000


def recovery(f):
    kills, net = f.studies['kills']['counts'], f.studies['net-kills']['counts']
    return (', '.join(f'{what} {c[key]:,}' for what, c, key in (
        ('virtio-blk', kills, 'virtio-blk-p99-us'), ('two CPUs', kills, 'two-CPUs-p99-us'), ('NVMe', kills, 'NVMe-p99-us'),
        ('virtio-net', net, 'net-p99-us'))) + ' µs', True)


def mutants(f):
    m = f.mutants
    total = len(m['mutants']) - m['explained']
    return (f'{m["killed"]} of {total}, and {m["explained"]} that change no verdict; {m["survived"]} survived',
            m['killed'] >= 0.98 * total and not m['survived'])


def branches(f):
    files = f.coverage['files'].values()
    done, all_ = (sum(x['branches'][k] for x in files) for k in (0, 1))
    return f'{done} of {all_}', done == all_


def verifier_lines(f):
    n = 0
    for name in VERIFIER:
        with open(os.path.join(ROOT, 'sfi-jit', 'verify', name)) as text:
            n += sum(1 for _ in text)
    return f'{n:,}', n <= 2000


def slowest(f):
    s = min(f.speed, key=lambda s: s['mb_s'])
    return f'{s["mb_s"]:.0f} MB/s, {s["shape"]}', s['mb_s'] >= 100


def linear(f):
    ratio, shape = max((max(s['ratios']), s['shape']) for s in f.speed)
    return f'{ratio:.2f} times, {shape}', ratio <= 2.1


def oracles(f):
    n = f.studies['oracles']
    return n['said'], n['good']


def spec(f, study):
    s = f.studies[study]
    return f'{s["counts"]["checks"]:,} checks, {s["counts"]["failed"]} failed', s['good'] and not s['counts']['failed']


def violations(f):
    n = sum(len(c['violations']) for c in f.campaigns.values())
    return str(n), not n


def seconds(f):
    s = f.studies['whole']['seconds']
    return f'{s / 60:.1f}', s <= 60 * MINUTES


def catalogue(f):
    rows = set(seen_to_fail(f))
    missing = [f'ESC-{n:03}' for n in range(1, ROWS + 1) if f'ESC-{n:03}' not in rows]
    return f'{len(rows)} of {ROWS}' + (', not ' + ' '.join(missing) if missing else ''), not missing and f.studies['catalogue']['good']


def seen_to_fail(f):
    """{row: (what fails, the check, the change)}: of the verifier's mutants, the one that is most about that row's cases; else what
    tests/fuzz/test_oracles.py and tests/escape/undone.py saw."""
    best = {}
    for m in (f.mutants or {'mutants': ()})['mutants']:
        if len(m['cases']) >= 200 and 'unknown' not in m['change']:
            continue  # it rejects or accepts everything: nothing is learnt of it
        rows = [case[:7] for case in m['cases'] if re.match(r'ESC-\d{3}', case)]
        for row in set(rows):
            score = (rows.count(row), -len(m['cases']))
            if row not in best or score > best[row][0]:
                best[row] = (score, (f'{rows.count(row)} of its cases fail', f'{os.path.basename(m["file"])}: {m["source"]}', m['change']))
    found = {row: value for row, (_, value) in best.items()}
    for u in (load('oracles') or []) + (load('undone') or []):
        if u['failed']:
            found[u['row']] = (u['failed'], f'{u["file"]}: {u["old"]}'.replace('\n', ' '), ('to ' + u['new'] if u['new'] else 'left out').replace('\n', ' '))
    return found


# campaign, goal, what was done
GOALS = [
    ('enum', 'structured encodings (G1; O1, O2): 1,000,000,000', lambda f: f.tried('enum', 1e9)),
    ('raw', 'all of three bytes, 1/64 of four (G2): 83,886,080', lambda f: f.tried('raw', 2**24 + 2**26)),
    ('rows', 'the accepted language once (G3; O1, O2, O4)', lambda f: whole(f, 'rows')),
    ('templates', 'all single edits of all templates (G4): 600,000', lambda f: whole(f, 'templates', 6e5)),
    ('blocks', 'random blocks (G5; O3): 20,000,000, of them 2,000,000 accepted and executed', blocks),
    ('jit', "mutants of the JIT's output (G6): 10,000,000", lambda f: f.tried('jit', 1e7)),
    ('miscompiles', 'seeded miscompiles (G6): 200, rejected or harmless', miscompiles),
    ('wasm', 'generated modules in three engines (G7; O6): 20,000', lambda f: f.tried('wasm', 20000)),
    ('spec', "the specification's suite in a process: all", lambda f: spec(f, 'spec')),
    ('spec-guest', 'the same in the guest: all', lambda f: spec(f, 'spec-guest')),
    ('calls', 'sequences of kernel calls (G8; O7, O8, O9): 2,000,000', sequences),
    ('calls', 'the n-th request for memory refused: each n ≤ 2,000', refusals),
    ('calls-guest', 'sequences of kernel calls in the guest (G8): 20,000', lambda f: f.count('calls-guest', ['guest-sequences'], 20000)),
    ('dma', 'DMA attempts on VT-d and AMD-Vi (G9): 5,000', lambda f: f.count('dma', ['VT-d-attempts', 'AMD-Vi-attempts'], 5000)),
    ('dma', 'forged interrupts (G9): 256 vectors', lambda f: f.count('dma', ['VT-d-vectors', 'AMD-Vi-vectors'], 256)),
    ('dma', 'in 4 modes of delivery (VT-d: QEMU lets all through; 2 leave the machine running)',
     lambda f: (f.count('dma', ['VT-d-modes', 'AMD-Vi-modes'], 2)[0], f.studies['dma']['counts']['AMD-Vi-modes'] >= 4)),
    ('kills', 'kills of a driver under disk load (G10; O10): 200', lambda f: f.count('kills', ['virtio-blk-kills'], 200)),
    ('net-kills', 'kills of a driver under network load (G10): 200', lambda f: f.count('net-kills', ['net-kills'], 200)),
    ('kills', 'recovery, 99th percentile: recorded', recovery),
    ('powercuts', 'power cuts of a disk (G10; O10): 20', lambda f: f.count('powercuts', ['power-cuts'], 20)),
    ('mutants', 'mutants of the verifier killed (O11): 98 %', mutants),
    ('lemmas', 'lemmas in Z3 (O5): all', lambda f: (f.studies['lemmas']['said'], f.studies['lemmas']['good'])),
    ('oracles', 'every oracle fires on a bad build', oracles),
    ('coverage', 'branches of the verifier: 100 %', branches),
    ('speed', 'lines of the verifier: 2,000 at most', verifier_lines),
    ('speed', 'the verifier on the hardest blocks: 100 MB/s', slowest),
    ('speed', 'twice as much takes 2.1 times as long at most', linear),
    ('catalogue', f'ESC-001 to ESC-{ROWS:03} seen to fail with a check taken out', catalogue),
    ('all', 'violations: 0', violations),
    ('all', f'minutes: {MINUTES} at most', seconds),
]
OF_TIME = {goal for _, goal, done in GOALS if done in (slowest, linear, seconds)}


def table():
    """[campaign, goal, done, 'yes', 'NO' or 'not run']"""
    f, rows = Found(), []
    for campaign, goal, done in GOALS:
        try:
            text, met = done(f)
            rows.append([campaign, goal, text, 'yes' if met else 'NO'])
        except (KeyError, TypeError, IndexError, ValueError):
            rows.append([campaign, goal, '', 'not run'])
    return rows
