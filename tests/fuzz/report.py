#!/usr/bin/env python3
"""Writes build/fuzz/report.txt and report.html from what the last runs left in build/fuzz: goals (goals.py), campaigns, coverage of the
verifier, its mutants and speed, seeded miscompiles, and for each row of the catalogue the check without which its cases fail.
"""
import html
import os
import sys

import goals

FUZZ = goals.FUZZ


def campaigns():
    results = goals.load('results') or {}
    yield ('campaign', 'what', 'tried', 'a second', 'accepted', 'executed', 'tried ever', 'violations', 'seed', 'when')
    for name, r in results.items():
        yield (name, r['what'], r['tried'], int(r['tried'] / max(r['seconds'], 0.01)), r['accepted'], r['executed'], r['ever'],
               len(r['violations']), r['seed'], r.get('when', ''))


def coverage():
    found = goals.load('coverage')
    if found:
        yield ('file', 'lines', 'branches', 'functions')
        for name, kinds in found['files'].items():
            yield (name, *('{}/{}'.format(*kinds[k]) for k in ('lines', 'branches', 'functions')))
        for line in found['never']:
            yield (line,)


def mutants():
    found = goals.load('mutants')
    if found:
        total = len(found['mutants'])
        yield ('mutants', 'killed', 'explained', 'survived', 'killed, %')
        yield (total, found['killed'], found['explained'], found['survived'], f'{100 * found["killed"] / total:.1f}')


def survivors():
    found = goals.load('mutants')
    if found:
        yield ('check', 'change', 'why it makes no difference')
        for m in found['mutants']:
            if not m['by']:
                yield (f'{os.path.basename(m["file"])}:{m["line"]}: {m["source"]}', m['change'], m['why'] or 'NOT EXPLAINED')


def speed():
    found = goals.load('speed')
    if found:
        sizes = [f'{1 << i} to {2 << i} MiB' for i in range(len(found[0]['ratios']))]
        yield ('blocks of', 'MB/s', *sizes, 'times as long, for twice as much; the goal is 2.1')
        for s in found:
            yield (s['shape'], s['mb_s'], *(f'{r:.2f}' for r in s['ratios']), f'at most {max(s["ratios"]):.2f}')


def catalogue():
    """Every row, and the check without which it was seen to fail."""
    found = goals.seen_to_fail(goals.Found())
    yield ('row', 'with the check', 'without it', 'the check', 'the change')
    for row in (f'ESC-{n:03}' for n in range(1, goals.ROWS + 1)):
        yield (row, 'passes', *found[row]) if row in found else (row, 'passes', 'NOT SEEN TO FAIL', '', '')


def reached():
    yield ('campaign', 'goal of one run', 'done', 'met')
    yield from goals.table()


def miscompiles():
    found = goals.load('miscompiles')
    if found:
        yield ('miscompile', 'verdict', 'detail')
        for m in found['miscompiles']:
            what = m['source'] if m['change'] == 'named' else f'{os.path.basename(m["file"])}:{m["line"]}: {m["source"]}: {m["change"]}'
            yield (what, m['verdict'], m['detail'])


SECTIONS = [('Goals', reached), ('Campaigns', campaigns), ('Coverage of the verifier', coverage), ('Mutants of the verifier', mutants),
            ('Survivors', survivors), ('Speed of the verifier', speed), ('The catalogue, with and without its checks', catalogue),
            ('Seeded miscompiles of the JIT', miscompiles)]
STYLE = 'body{font:14px sans-serif;margin:2em} table{border-collapse:collapse} td,th{padding:2px 8px;border:1px solid #ccc;' \
        'text-align:left;vertical-align:top}'


def main():
    text, page = [], [f'<!doctype html><meta charset="utf-8"><title>Escape range</title><style>{STYLE}</style>'
                      '<h1>Escape range</h1>']
    for title, rows in SECTIONS:
        rows = [tuple(str(c) for c in r) for r in rows()]
        text += [title, '=' * len(title)]
        page.append(f'<h2>{html.escape(title)}</h2>')
        if not rows:
            text += ['not run', '']
            page.append('<p>not run</p>')
            continue
        widths = [max(len(r[i]) for r in rows if i < len(r)) for i in range(len(rows[0]))]
        text += ['  '.join(c.ljust(min(w, 60)) for c, w in zip(r, widths)).rstrip() for r in rows] + ['']
        page.append('<table>' + ''.join('<tr>' + ''.join(f'<{"th" if k == 0 else "td"}>{html.escape(c)}</{"th" if k == 0 else "td"}>'
                                                         for c in r) + '</tr>' for k, r in enumerate(rows)) + '</table>')
    for name, content in (('report.txt', '\n'.join(text)), ('report.html', '\n'.join(page))):
        with open(os.path.join(FUZZ, name), 'w') as f:
            f.write(content + '\n')
    print(f'report: {os.path.join("build", "fuzz", "report.html")} and .txt')
    return 0


if __name__ == '__main__':
    sys.exit(main())
