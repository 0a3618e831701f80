# tap.py: the few functions that a test script needs to print TAP (https://testanything.org).
#
#   import tap
#   tap.ok(1 + 1 == 2, 'sums')
#   tap.has(text, 'needle', 'says so')      prints the text if it does not
#   tap.done()
import re
import sys

_count = 0
_failed = 0


def ok(condition, name, diagnostics=''):
    """One test point. Diagnostics (a string or Result) are printed if it failed. Returns the condition."""
    global _count, _failed
    _count += 1
    print(('ok' if condition else 'not ok') + f' {_count} - ' + str(name).replace('#', '\\#'))
    if not condition:
        _failed += 1
        for line in str(diagnostics).splitlines():
            print('# ' + line)
    sys.stdout.flush()
    return bool(condition)


def same(got, want, name):
    return ok(got == want, name, f'got  {got!r}\nwant {want!r}')


def has(text, pattern, name):
    """Point: the regular expression occurs in the text (or in a Result's text)."""
    found = re.search(pattern, getattr(text, 'text', text), re.MULTILINE)
    return ok(found, name, f'nothing matches {pattern!r} in:\n{text}')


def lacks(text, pattern, name):
    found = re.search(pattern, getattr(text, 'text', text), re.MULTILINE)
    return ok(not found, name, f'{pattern!r} matches {found and found.group(0)!r} in:\n{text}')


def skip(name, why):
    global _count
    _count += 1
    print(f'ok {_count} - {name} # SKIP {why}', flush=True)


def todo(name, why):
    global _count
    _count += 1
    print(f'not ok {_count} - {name} # TODO {why}', flush=True)


def skip_all(why):
    print(f'1..0 # SKIP {why}')
    sys.exit(0)


def done():
    print(f'1..{_count}')
    sys.exit(1 if _failed else 0)
