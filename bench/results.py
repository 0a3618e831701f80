"""results.py — what a run of make bench found: metrics, sections, and the file they are kept in.

A *metric* is one number that a later run can be compared with: its median over the rounds, the middle half of the rounds (lo, hi), its unit,
and whether more is better. It may have a *bar*, a promise of this project ('min' or 'max'); one that is missed says why in `note`.
A *section* is one part of the report: what was done (text, commands) and tables. Ids are words with dots: part.what.case.value.

build/bench/results.json: {"machine": {...}, "quick": bool, "seconds": {part: …}, "metrics": {id: {...}}, "sections": [{...}], "failures": [[what, why], …]}
"""
import contextlib
import json
import os
import statistics


def quartiles(values):
    """(lower quartile, median, upper quartile)."""
    values = sorted(values)
    if len(values) < 3:
        return values[0], statistics.median(values), values[-1]
    low, middle, high = statistics.quantiles(values, n=4, method='inclusive')
    return low, middle, high


class Section:
    def __init__(self, name, title, text):
        self.name, self.title, self.text = name, title, text
        self.commands, self.charts, self.tables, self.notes = [], [], [], []

    def table(self, title, head, rows, explain=''):
        self.tables.append({'title': title, 'head': head, 'rows': rows, 'explain': explain})

    def chart(self, kind, title, unit, explain='', **data):
        """Data for report.py: kind is bars, lines or timeline."""
        self.charts.append({'kind': kind, 'title': title, 'unit': unit, 'explain': explain, **data})

    def as_dict(self):
        return {k: getattr(self, k) for k in ('name', 'title', 'text', 'commands', 'charts', 'tables', 'notes')}


class Results:
    def __init__(self, machine=None, quick=False):
        self.machine, self.quick = machine or {}, quick
        self.metrics, self.sections = {}, []
        self.seconds = {}  # that each part took
        self.failures = []  # (what was not measured, why)

    def section(self, name, title, text):
        s = Section(name, title, text)
        self.sections.append(s)
        return s

    @contextlib.contextmanager
    def attempt(self, what, term):
        """What is done inside may fail: that is said and kept, and what comes after it goes on."""
        try:
            yield
        except Exception as e:  # whatever it is, it must not take with it what else is measured
            why = str(e) if type(e).__name__ in ('Failed', 'Failure') else f'{type(e).__name__}: {e}'
            self.failures.append((what, why))
            term.line(f'FAILED: {what}: {why}')

    def metric(self, name, values, unit, better='lower', least=None, most=None, note=''):
        """Adds one; `values` is a number or a list of one number a round. Returns it."""
        values = values if isinstance(values, list) else [values]
        low, middle, high = quartiles(values)
        m = {'value': middle, 'lo': low, 'hi': high, 'n': len(values), 'unit': unit, 'better': better}
        if least is not None or most is not None:
            m['bar'] = {'min': least} if least is not None else {'max': most}
            m['met'] = middle >= least if least is not None else middle <= most
            if note and not m['met']:
                m['note'] = note
        self.metrics[name] = m
        return m

    def missed(self):
        return {k: m for k, m in self.metrics.items() if not m.get('met', True)}

    def with_bar(self):
        return {k: m for k, m in self.metrics.items() if 'bar' in m}

    def save(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + '.tmp', 'w') as f:
            json.dump({'machine': self.machine, 'quick': self.quick, 'seconds': self.seconds, 'failures': self.failures, 'metrics': self.metrics,
                       'sections': [s.as_dict() if isinstance(s, Section) else s for s in self.sections]}, f, indent=1)
        os.replace(path + '.tmp', path)

    @staticmethod
    def load(path):
        with open(path) as f:
            d = json.load(f)
        r = Results(d['machine'], d['quick'])
        r.metrics, r.sections, r.seconds, r.failures = d['metrics'], d['sections'], d.get('seconds', {}), d.get('failures', [])
        return r
