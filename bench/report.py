"""report.py — build/bench/report.html from results: one file, no outside resources, light and dark, plots as inline SVG.

Everything shown is in results.json, so a report can be made again:  bench/report.py results.json report.html
A section's charts are data: {'kind': 'bars' | 'lines' | 'timeline', 'title': …, 'unit': …, …}; see the functions of these names.
"""
import html
import math
import os
import re
import sys

import summary
from results import Results, Section
from terminal import text

STYLE = '''
:root { color-scheme: light dark; --page: #fcfcfb; --ink: #1b1c1d; --soft: #5d6166; --line: #dcdedf; --bad: #b3261e; --good: #2c6e49;
  --s0: #2a6fbb; --s1: #8c939a; --s2: #c8671b; --s3: #3f8f4f; --s4: #8a5fb5; --s5: #b08900 }
@media (prefers-color-scheme: dark) { :root { --page: #17191b; --ink: #e6e8ea; --soft: #a0a6ac; --line: #373b3f; --bad: #ff8a80; --good: #7fc79c;
  --s0: #6aa9ee; --s1: #8f979f; --s2: #ee9a55; --s3: #7cc48b; --s4: #b897dc; --s5: #dcb84a } }
body { background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; max-width: 74rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.25rem; margin-top: 2.6rem; border-top: 1px solid var(--line); padding-top: 1rem }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem } p { max-width: 46rem } .soft, figcaption, caption { color: var(--soft); font-size: .88rem }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .86rem; margin: .4rem 0 }
caption { text-align: left } td, th { padding: .12rem .55rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line) }
th { font-weight: 600; color: var(--soft) } td:first-child, th:first-child { text-align: left } .bad { color: var(--bad); font-weight: 600 }
.good { color: var(--good) } code { font-size: .82rem; overflow-wrap: anywhere } pre { overflow-x: auto; font-size: .8rem; white-space: pre-wrap }
figure { margin: 1rem 0 } svg { max-width: 100%; height: auto; display: block } svg text { fill: var(--ink); font: 12px system-ui, sans-serif }
svg .soft { fill: var(--soft); font-size: 11px } summary { cursor: pointer; color: var(--soft); font-size: .88rem } ul { max-width: 46rem; padding-left: 1.2rem } a { color: var(--s0) } svg .grid { stroke: var(--line) } .s0 { fill: var(--s0) } .s1 { fill: var(--s1) } .s2 { fill: var(--s2) }
.s3 { fill: var(--s3) } .s4 { fill: var(--s4) } .s5 { fill: var(--s5) } .l0 { stroke: var(--s0) } .l1 { stroke: var(--s1) } .l2 { stroke: var(--s2) }
.l3 { stroke: var(--s3) } .l4 { stroke: var(--s4) } .l5 { stroke: var(--s5) } .line { fill: none; stroke-width: 2 } .whisker { stroke: var(--ink); opacity: .55 }
'''
WIDTH, LEFT = 860, 250


def esc(s):
    return html.escape(str(s))


def shown(value):
    return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'


def svg(height, parts, title):
    return (f'<svg viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" role="img" aria-label="{esc(title)}">' + ''.join(parts) + '</svg>')


def legend(names, y=12):
    parts, x = [], LEFT
    for i, name in enumerate(names):
        parts.append(f'<rect class="s{i % 6}" x="{x}" y="{y - 9}" width="10" height="10" rx="2"/><text x="{x + 15}" y="{y}">{esc(name)}</text>')
        x += 30 + 7 * len(name)
    return parts


def bars(c):
    """Horizontal bars: items [{'label', 'value', 'series' (its number, 0 if there is one), 'lo', 'hi'}]; 'series': names; 'stacked': pieces of one label follow each other."""
    items, names = c['items'], c.get('series', [])
    stacked = c.get('stacked')
    totals = {}
    for i in items:
        totals[i['label']] = totals.get(i['label'], 0) + max(i['value'], 0)
    most = max(list(totals.values()) if stacked else [max(i['value'], i.get('hi', 0)) for i in items]) or 1
    scale = (WIDTH - LEFT - 90) / most
    parts = legend(names) if len(names) > 1 else []
    y, last, x = (28 if parts else 6), None, LEFT
    for i in items:
        new = i['label'] != last
        if new:
            y += 8 if last is not None else 0
            y += 20 if stacked and last is not None else 0
            x = LEFT
            parts.append(f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{esc(i["label"])}</text>')
        width = max(i['value'], 0) * scale
        tip = f'{i["label"]}{", " + names[i.get("series", 0)] if names else ""}: {shown(i["value"])} {c["unit"]}'
        parts.append(f'<rect class="s{i.get("series", 0) % 6}" x="{x:.1f}" y="{y}" width="{max(width, 1):.1f}" height="15" rx="2">'
                     f'<title>{esc(tip)}</title></rect>')
        if 'lo' in i and i['hi'] > i['lo']:
            parts.append(f'<line class="whisker" x1="{LEFT + i["lo"] * scale:.1f}" x2="{LEFT + i["hi"] * scale:.1f}" y1="{y + 7.5}" y2="{y + 7.5}"/>')
        if stacked:
            x += width
            parts += [f'<text x="{x + 6:.1f}" y="{y + 12}">{shown(totals[i["label"]])}</text>'] if i is last_of(items, i['label']) else []
        else:
            parts.append(f'<text x="{LEFT + max(width, i.get("hi", 0) * scale) + 6:.1f}" y="{y + 12}">{shown(i["value"])}</text>')
            y += 19
        last = i['label']
    return svg(y + (24 if stacked else 6), parts, c['title'])


def last_of(items, label):
    return [i for i in items if i['label'] == label][-1]


def tick(most):
    """The least round number that four of reach so far."""
    unit = 10 ** math.floor(math.log10(most / 4))
    return unit * next(k for k in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if 4 * k * unit >= most * 0.999)


def lines(c):
    """'x': labels from left to right; 'series': [{'name', 'values'}], values may have None. The vertical axis starts at 0."""
    height, bottom, top, left = 260, 40, 30, 70
    step = tick(max((v for s in c['series'] for v in s['values'] if v is not None), default=0) or 1)
    most = 4 * step
    across = (WIDTH - left - 170) / max(len(c['x']) - 1, 1)
    place = lambda i, v: (left + i * across, height - bottom - v / most * (height - bottom - top))  # noqa: E731
    parts = []
    for k in range(5):
        x, y = place(0, step * k)
        parts.append(f'<line class="grid" x1="{x}" x2="{WIDTH - 170}" y1="{y:.1f}" y2="{y:.1f}"/>'
                     f'<text class="soft" x="{x - 8}" y="{y + 4:.1f}" text-anchor="end">{shown(step * k)}</text>')
    for i, label in enumerate(c['x']):
        parts.append(f'<text class="soft" x="{place(i, 0)[0]:.1f}" y="{height - bottom + 18}" text-anchor="middle">{esc(label)}</text>')
    parts.append(f'<text class="soft" x="{left}" y="{height - 4}">{esc(c.get("x_title", ""))}</text>')
    ends = []
    for n, s in enumerate(c['series']):
        points = [(*place(i, v), v) for i, v in enumerate(s['values']) if v is not None]
        if not points:
            continue
        parts.append(f'<polyline class="line l{n % 6}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)}"/>')
        parts += [f'<circle class="s{n % 6}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{esc(s["name"])}: {shown(v)} {esc(c["unit"])}</title></circle>'
                  for x, y, v in points]
        ends.append([points[-1][1], points[-1][0], n, s['name']])
    low = 0
    for y, x, n, name in sorted(ends):  # names at the lines' ends, moved apart
        y = low = max(y, low + 15)
        parts.append(f'<rect class="s{n % 6}" x="{x + 10:.1f}" y="{y - 5:.1f}" width="9" height="9" rx="2"/>'
                     f'<text x="{x + 24:.1f}" y="{y + 4:.1f}">{esc(name)}</text>')
    return svg(height, parts, c['title'])


def timeline(c):
    """Items [{'label', 'start', 'end'}], one below the other."""
    most = max(i['end'] for i in c['items']) or 1
    scale, parts, y = (WIDTH - LEFT - 90) / most, [], 6
    for i in c['items']:
        x, width = LEFT + i['start'] * scale, (i['end'] - i['start']) * scale
        parts.append(f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{esc(i["label"])}</text>'
                     f'<rect class="s0" x="{x:.1f}" y="{y}" width="{max(width, 1.5):.1f}" height="15" rx="2"/>'
                     f'<text x="{x + max(width, 1.5) + 6:.1f}" y="{y + 12}">{shown(i["end"] - i["start"])}</text>')
        y += 21
    return svg(y + 4, parts, c['title'])


CHARTS = {'bars': bars, 'lines': lines, 'timeline': timeline}


def chart(c):
    return (f'<figure><h3>{esc(c["title"])} <small class=soft>{esc(c["unit"])}</small></h3>{CHARTS[c["kind"]](c)}'
            + (f'<figcaption>{esc(c["explain"])}</figcaption>' if c.get('explain') else '') + '</figure>')


def cell(c):
    bad = isinstance(c, dict) and c.get('met') is False
    spread = ''
    if isinstance(c, dict) and c.get('n', 1) > 1 and c['value']:
        spread = f'<small class=soft> ±{(c["hi"] - c["lo"]) / 2 / abs(c["value"]):.0%}</small>'
    return f'<td{" class=bad" if bad else ""}>{esc(text(c).rstrip("!"))}{spread}</td>'


def table(t):
    head = ''.join(f'<th>{esc(h)}</th>' for h in t['head'])
    rows = ''.join('<tr>' + ''.join(map(cell, r)) + '</tr>' for r in t['rows'])
    return ((f'<h3>{esc(t["title"])}</h3>' if t['title'] else '') + f'<div class=scroll><table><tr>{head}</tr>{rows}</table></div>'
            + (f'<p class=soft>{esc(t["explain"])}</p>' if t['explain'] else ''))


def section(s):
    s = s.as_dict() if isinstance(s, Section) else s
    parts = [f'<h2 id="{esc(s["name"])}">{esc(s["title"])}</h2>', f'<p>{esc(s["text"])}</p>']
    parts += map(chart, s['charts'])
    parts += map(table, s['tables'])
    parts += [f'<p>{esc(n)}</p>' for n in s['notes']]
    if s['commands']:
        parts.append(f'<details><summary>Commands ({len(s["commands"])})</summary>' + ''.join(f'<pre><code>{esc(c)}</code></pre>' for c in s['commands']) + '</details>')
    return ''.join(parts)


def bar_of(m):
    return f"at least {m['bar']['min']:.3g}" if 'min' in m['bar'] else f"at most {m['bar']['max']:.3g}"


def by_reason(missed):
    """{reason: [names of the metrics that miss their bar for it]}."""
    found = {}
    for name, m in missed.items():
        found.setdefault(m.get('note', 'no reason is known: this is to be looked into'), []).append(name)
    return found


def bars_overview(r):
    every, missed = r.with_bar(), r.missed()
    if not every:
        return ''
    parts = [f'<h2 id=bars>What this project promises</h2><p><span class={"bad" if missed else "good"}>{len(every) - len(missed)} of {len(every)}</span> '
             f'bars are met{"." if missed else ": all of them."}</p>']
    groups = {}
    for name, m in every.items():
        key = (re.sub(r'\.\d+', '.*', name), bar_of(m))
        groups.setdefault(key, []).append(m)
    rows = [[name, bar, {'value': f'{sum(m["met"] for m in ms)} of {len(ms)}', 'met': all(m['met'] for m in ms)},
             (min if 'min' in ms[0]['bar'] else max)(m['value'] for m in ms), ms[0]['unit']] for (name, bar), ms in groups.items()]
    head = ['metrics', 'bar', 'met', 'the worst', 'unit']
    for why, names in by_reason(missed).items():
        single = [[name, {'value': missed[name]['value'], 'met': False}, missed[name]['unit'], bar_of(missed[name])] for name in names]
        parts.append(f'<p><span class=bad>{len(names)} missed:</span> {esc(why)}.</p><details><summary>which</summary>'
                     + table({'title': '', 'head': ['metric', 'measured', 'unit', 'bar'], 'rows': single, 'explain': ''}) + '</details>')
    for title, met in (('Bars that are missed somewhere', False), ('Bars that are met everywhere', True)):
        if some := [row for row in rows if row[2]['met'] == met]:
            parts.append(table({'title': title, 'head': head, 'rows': some, 'explain': '* stands for sizes, depths and the like.'}))
    return ''.join(parts)


METHOD = '''<h2>Method</h2><p>Every ratio pairs two runs of one round, which follow each other at once; the order changes from round to round. Shown are medians; a range
is the middle half of the rounds, and ± half of that range. Numbers of one run of <code>make bench</code> compare with each other; those of another machine or another day
do not, except by <code>bench/compare</code>, which takes each number's own spread for its noise. Nothing is left out because it looks bad:
a bar that is missed is red, with the reason if one is known.</p>
<p>QEMU here is software emulation unless the section says otherwise: its times are those of an emulated machine, good for ratios on one command line, and its
instruction counts are exact. Cycles come from the real CPU, in a Linux process.</p>'''


def failures(r):
    if not r.failures:
        return ''
    return table({'title': 'Not measured', 'head': ['what', 'why'], 'rows': [[what, {'value': why.splitlines()[0] if why else '', 'met': False}] for what, why in r.failures],
                  'explain': 'Something went wrong there; the rest is whole.'})


FACTS = {'cores': 'CPUs', 'load': 'load at the start', 'kernel': 'Linux', 'tsc_hz': 'time-stamp counter', 'linux_peer': 'Linux to compare with'}


def write(r, path):
    m = r.machine
    facts = [f'{FACTS.get(k, k)}: ' + (f'{v / 1e6:,.0f} MHz' if k == 'tsc_hz' else f'{v:.1f}' if isinstance(v, float) else 'not installed' if v is None else str(v))
             for k, v in m.items()]
    said = ''.join(f'<li>{esc(s)}</li>' for s in summary.sentences(r.metrics))
    names = ''.join(f'<a href="#{esc(s["name"])}">{esc(s["title"])}</a> · ' for s in (x.as_dict() if isinstance(x, Section) else x for x in r.sections))
    page = (f'<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width"><title>SASOS benchmarks</title>'
            f'<style>{STYLE}</style><h1>SASOS: what isolation costs</h1><p class=soft>{esc("; ".join(facts))}'
            f'{"; quick run: fewer cells and rounds" if r.quick else ""}. Seconds: {esc(", ".join(f"{k} {v:.0f}" for k, v in r.seconds.items()) or "none")}.</p><p class=soft>{names.rstrip(" ·")}</p>'
            + (f'<h2>What does this isolation cost me?</h2><ul>{said}</ul><p class=soft>Medians over what was measured; every number is below.</p>' if said else '')
            + failures(r) + bars_overview(r) + ''.join(section(s) for s in r.sections) + METHOD + '</html>\n')
    with open(path + '.tmp', 'w') as f:
        f.write(page)
    os.replace(path + '.tmp', path)


if __name__ == '__main__':
    write(Results.load(sys.argv[1]), sys.argv[2])
