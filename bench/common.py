"""common.py — what the parts of make bench-jit share: where things are, running, making, ratios, means."""
import math
import os
import re
import resource
import shutil
import statistics
import subprocess

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..'))
os.chdir(ROOT)
BUILD = os.environ.get('B', 'build')
OUT = os.path.join(BUILD, 'bench')
RUN = os.path.join(OUT, 'run')
V8 = ['--no-liftoff', '--no-wasm-lazy-compilation']
TIME_LIMIT = 60


class Failed(Exception):
    """A column did not run; the message says why."""


def run(command, **options):
    try:
        done = subprocess.run(command, capture_output=True, text=True, **options)
    except FileNotFoundError as e:
        raise Failed(str(e)) from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Failed(lines[0] if lines else f'{command[0]} ended with status {done.returncode}')
    return done.stdout


def cpu_of_children():
    """Seconds of CPU time that the processes spent that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def make(target, command, *sources):
    """Runs the command if the target is older than a source or was made by another command. Returns the target."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    note = target + '.cmd'
    text = ' '.join(command)
    if (os.path.exists(target) and os.path.exists(note) and open(note).read() == text
            and all(os.path.getmtime(s) <= os.path.getmtime(target) for s in sources)):
        return target
    if os.path.exists(note):
        os.remove(note)  # a command that fails may leave half a target
    run(command)
    with open(note, 'w') as f:
        f.write(text)
    return target


def has(*programs):
    """None if all of these commands and files exist, else what is missing."""
    missing = [p for p in programs if not shutil.which(p) and not os.path.exists(p)]
    return f'not installed: {missing[0]}' if missing else None


def text_size(path):
    sections = run(['llvm-size', '-A', path])
    return sum(int(m[1]) for m in re.finditer(r'^\.text\S*\s+(\d+)', sections, re.M))


def merge(result, ms, got):
    """A column's result with one more round: times are collected, of compiling and verifying the best is kept."""
    for key in ('parse_s', 'compile_s', 'verify_s'):
        if key in got and key in result:
            got[key] = min(got[key], result[key])
    return {**got, 'times': result['times'] + [ms]}


def ratio(results, column, base='native'):
    """(median, half the spread) of the rounds' ratios, or None."""
    a, b = results.get(column, {}), results.get(base, {})
    if not a.get('times') or not b.get('times'):
        return None
    rounds = [x / y for x, y in zip(a['times'], b['times'])]
    return statistics.median(rounds), (max(rounds) - min(rounds)) / 2


def best(results, column, base='native'):
    """The ratio of the fastest rounds: less honest about a typical run, and far less disturbed by other load."""
    a, b = results.get(column, {}), results.get(base, {})
    return min(a['times']) / min(b['times']) if a.get('times') and b.get('times') else None


def mean(values):
    values = [v for v in values if v]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None
