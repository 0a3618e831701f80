#!/usr/bin/env python3
"""What make bench makes of its numbers: metrics and bars, bench/compare, the report; and a run of one part in its smallest form."""
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

sys.path[:0] = [os.path.join(os.path.dirname(__file__), '..', 'boot'), os.path.join(os.path.dirname(__file__), '..', '..', 'bench')]
import tap  # noqa: E402
from common import Failed  # noqa: E402
from results import Results, quartiles  # noqa: E402
from terminal import Terminal  # noqa: E402
import report  # noqa: E402
import summary  # noqa: E402


def run(**metrics):
    r = Results({'cpu': 'test'})
    for name, (values, unit, better) in metrics.items():
        r.metric(name, values, unit, better)
    return r


def compare(folder, a, b, *options):
    a.save(os.path.join(folder, 'a.json'))
    b.save(os.path.join(folder, 'b.json'))
    done = subprocess.run(['bench/compare', folder + '/a.json', folder + '/b.json', *options], capture_output=True, text=True)
    return done.returncode, done.stdout


# ---- metrics ----
tap.same(quartiles([5, 1, 2, 4, 3]), (2, 3, 4), 'median and middle half')
tap.same(quartiles([7]), (7, 7, 7), 'of a single number')
r = Results()
r.metric('a', [0.96, 0.95, 0.97], '×', 'higher', least=0.95)
r.metric('b', 41, 'cycles', most=40, note='why')
r.metric('c', 39, 'cycles', most=40, note='why')
tap.same((sorted(r.with_bar()), list(r.missed())), (['a', 'b', 'c'], ['b']), 'bars are met or missed')
tap.ok('note' in r.metrics['b'] and 'note' not in r.metrics['c'], 'only what is missed has its reason')

# ---- compare ----
with tempfile.TemporaryDirectory() as folder:
    quiet = [100, 101, 99, 100, 100]
    base = run(time=(quiet, 'µs', 'lower'), speed=(quiet, 'MB/s', 'higher'), count=(1000, 'instructions', 'lower'), gone=(1, 'µs', 'lower'))

    def against(**changed):
        return compare(folder, base, run(**{'time': (quiet, 'µs', 'lower'), 'speed': (quiet, 'MB/s', 'higher'),
                                            'count': (1000, 'instructions', 'lower'), 'gone': (1, 'µs', 'lower'), **changed}))

    code, said = against()
    tap.ok(code == 0 and '0 worse, 0 better, 4 the same' in said, 'a run is the same as itself', said)
    code, said = against(time=([v * 1.03 for v in quiet], 'µs', 'lower'))
    tap.ok(code == 0, 'what lies within the floor is no change', said)
    code, said = against(time=([v * 1.2 for v in quiet], 'µs', 'lower'))
    tap.ok(code == 1 and re.search(r'^worse +\+20\.0%  time', said, re.M), 'more time is worse', said)
    code, said = against(speed=([v * 1.2 for v in quiet], 'MB/s', 'higher'))
    tap.ok(code == 0 and re.search(r'^better +\+20\.0%  speed', said, re.M), 'more speed is better', said)
    code, said = against(speed=([v * 0.8 for v in quiet], 'MB/s', 'higher'))
    tap.ok(code == 1 and re.search(r'^worse +-20\.0%  speed', said, re.M), 'less speed is worse', said)
    code, said = against(time=([70, 90, 115, 150, 160], 'µs', 'lower'))
    tap.ok(code == 0, 'a change that is no larger than the spread of the rounds is noise', said)
    code, said = against(count=(1030, 'instructions', 'lower'))
    tap.ok(code == 1, 'exact counts have a smaller floor', said)
    code, said = compare(folder, base, run(time=(quiet, 'µs', 'lower'), new=(1, 'µs', 'lower')))
    tap.ok(code == 0 and 'only in A: gone' in said and 'only in B: new' in said, 'what only one run has is named', said)
    code, _ = compare(folder, base, base, '--floor', 'x')
    tap.same(code, 2, 'a wrong option')
    for content, what in (('{', 'a file that is none'), ('[]', 'a file of something else'), (None, 'a file that is not there')):
        with open(folder + '/b.json', 'w') as f:
            f.write(content or '')
        if content is None:
            os.remove(folder + '/b.json')
        done = subprocess.run(['bench/compare', folder + '/a.json', folder + '/b.json'], capture_output=True, text=True)
        tap.ok(done.returncode == 2 and 'Traceback' not in done.stderr, what, done.stderr)
    done = subprocess.run(['bench/compare', folder + '/a.json', folder + '/a.json'], capture_output=True)
    tap.same(done.returncode, 0, 'a file and itself')
    code, said = compare(folder, base, run(other=(1, 'µs', 'lower')))
    tap.same((code, 'worse,' in said), (2, False), 'runs without a common metric are not compared')

    # ---- the report ----
    r = run(fine=([1, 2, 3], 'µs', 'lower'))
    r.metric('late', [6, 8, 10], 'µs', most=5, note='the <device> is slow')
    s = r.section('one', 'Part & parcel', 'What it is')
    s.commands.append('rig --x "<y>"')
    s.table('t', ['case', 'µs'], [['<a>', r.metrics['late']], ['b', None]], 'explained')
    s.chart('bars', 'Bars', 'µs', series=['x', 'y'], items=[{'label': 'a', 'series': k, 'value': k + 1, 'lo': 0.5, 'hi': 2} for k in (0, 1)])
    s.chart('bars', 'Stack', '%', stacked=True, items=[{'label': 'a', 'value': 1}, {'label': 'a', 'series': 1, 'value': 2}, {'label': 'b', 'value': 0}],
            series=['x', 'y'])
    s.chart('lines', 'Lines', 'k/s', x=[1, 8], series=[{'name': 'x', 'values': [1, None]}, {'name': 'y', 'values': [2, 3]}])
    s.chart('timeline', 'Timeline', 'ms', items=[{'label': 'a', 'start': 0, 'end': 5}])
    r.save(folder + '/r.json')
    report.write(Results.load(folder + '/r.json'), folder + '/r.html')
    page = open(folder + '/r.html').read()
    for svg in re.findall(r'<svg.*?</svg>', page, re.S):
        xml.etree.ElementTree.fromstring(svg)
    tap.same(page.count('<svg'), 4, 'every chart is there, and well-formed')
    tap.ok('&lt;device&gt;' in page and '<device>' not in page and '<y>' not in page, 'what is shown is escaped')
    tap.ok('class=bad' in page and 'prefers-color-scheme: dark' in page, 'a missed bar is red; light and dark')
    tap.ok('1 missed:</span> the &lt;device&gt; is slow.' in page and 'at most 5' in page, 'with its reason, and what was promised')
    tap.ok('±12%' in page, 'numbers with their spread')
    tap.ok('<details><summary>Commands (1)' in page and 'Not measured' not in page, 'commands are folded; nothing failed')
    term = Terminal(io.StringIO(), io.StringIO())
    with r.attempt('a <cell>', term):
        raise Failed('no answer\nat all')
    with r.attempt('another', term):
        {}['key']
    tap.same(r.failures, [('a <cell>', 'no answer\nat all'), ('another', "KeyError: 'key'")], 'what fails is kept, and the rest goes on')
    try:
        with r.attempt('x', term):
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        tap.same(len(r.failures), 2, 'but a person is obeyed')
    r.save(folder + '/r.json')
    report.write(Results.load(folder + '/r.json'), folder + '/r.html')
    page = open(folder + '/r.html').read()
    tap.ok('Not measured' in page and 'a &lt;cell&gt;' in page and '>no answer</td>' in page, 'the report names it')
    r.metric('early', 9, 'µs', most=5)
    tap.same(list(report.by_reason(r.missed()).values()), [['late'], ['early']], 'bars are grouped by why they are missed')
    tap.ok('no reason is known' in list(report.by_reason(r.missed()))[1], 'which may be unknown')
    tap.lacks(page, r'(src|href)="?(https?:|//)|@import|url\(', 'no outside resources')

    # ---- the summary ----
    r = Results({'cpu': 'test'})
    tap.same(summary.sentences(r.metrics), [], 'nothing measured, nothing said')
    for name, value in (('crossings.call.sandboxed', 4), ('crossings.null.sandboxed', 22), ('compute.all.sfi', 1.12), ('compute.all.v8', 0.95), ('boot.appliance.first-HTTP-reply', 347)):
        r.metric(name, value, '')
    tap.same(summary.sentences(r.metrics), ['A call of another domain takes 22 cycles, where one inside a module takes 4.',
                                            'Compiled code takes 12 % more CPU time than native code (V8 5 % less).',
                                            'The appliance answers its first HTTP request 347 ms after the firmware (emulated).'], 'a sentence for what was measured')
    report.write(r, folder + '/r.html')
    tap.ok('takes 22 cycles' in open(folder + '/r.html').read(), 'the report begins with them')

    # ---- one part, small ----
    env = {**os.environ, 'ONLY': 'crossings', 'QUICK': '1'}
    done = subprocess.run(['bench/bench.py', '--out', folder], capture_output=True, text=True, env=env, timeout=60)
    tap.same(done.returncode, 0, f'bench runs one part: {done.stderr[-300:]}')
    got = json.load(open(folder + '/results.json'))
    tap.ok({'crossings.buffer.sandboxed', 'crossings.guest.null.instructions', 'crossings.guest.rings.call.instructions'} <= got['metrics'].keys(), 'crossings on '
           'this CPU and in the bench kernel')
    tap.ok(got['metrics']['crossings.null.sandboxed']['value'] > 0 and os.path.getsize(folder + '/report.html') > 5000, 'and leaves results and a report')
    done = subprocess.run(['bench/bench.py', '--out', folder], capture_output=True, text=True, env={**env, 'QUICK': '2'})
    tap.ok(done.returncode == 1 and 'QUICK is 0 or 1' in done.stderr, 'QUICK is yes or no', done.stderr)
    done = subprocess.run(['bench/bench.py', '--out', '/proc/bench'], capture_output=True, text=True, env=env)
    tap.ok(done.returncode == 1 and done.stderr.startswith('bench: ') and 'Crossings' not in done.stdout, 'what cannot be written is found out first', done.stderr)
    process = subprocess.Popen(['bench/bench.py', '--out', folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**env, 'ONLY': 'crossings,hosted'})
    while (line := process.stdout.readline()) and not line.startswith('(crossings:'):
        pass
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)
    tap.same(process.returncode, 130, 'Ctrl-C ends it')
    got = json.load(open(folder + '/results.json'))
    tap.ok('crossings.null.sandboxed' in got['metrics'] and 'interrupted' in got['failures'][0][1] and 'Traceback' not in said[1], 'and what was measured is kept', said)
    done = subprocess.run(['bench/bench.py', '--out', folder], capture_output=True, text=True, env={**env, 'ONLY': 'nothing'})
    tap.ok(done.returncode == 1 and 'there is no part nothing' in done.stderr, 'an unknown part is named')
tap.done()
