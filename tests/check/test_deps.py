#!/usr/bin/env python3
""".ci/deps in the situations it must get right, played with stand-ins for dpkg-query, apt-get, sudo and id."""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'boot'))
import tap  # noqa: E402

# "Everything is installed" echoes each package that is asked for; "one missing" leaves clang out.
DPKG_ALL = 'shift 3; for p; do echo "installed $p"; done'
DPKG_MISSING = 'shift 3; for p; do [ $p = clang ] || echo "installed $p"; done'
DPKG_REMOVED = 'shift 3; for p; do [ $p = clang ] && echo "config-files $p" || echo "installed $p"; done'
LOGS = 'echo "apt-get $*" >>"$LOG"'


def run(**commands):
    """Runs deps where only these commands exist. Returns (status, output, what apt-get was asked)."""
    with tempfile.TemporaryDirectory() as folder:
        for name, script in commands.items():
            path = os.path.join(folder, name.replace('_', '-'))
            with open(path, 'w') as f:
                f.write('#!/bin/sh\n' + script + '\n')
            os.chmod(path, 0o755)
        for name in 'env', 'true':
            os.symlink('/usr/bin/' + name, os.path.join(folder, name))
        log = os.path.join(folder, 'log')
        done = subprocess.run(['/bin/sh', os.path.join(ROOT, '.ci', 'deps')], stdin=subprocess.DEVNULL,
                              env={'PATH': folder, 'LOG': log}, capture_output=True, text=True)
        asked = open(log).read() if os.path.exists(log) else ''
        return done.returncode, done.stdout + done.stderr, asked


ROOT_ID, USER_ID = 'echo 0', 'echo 1000'
status, said, asked = run(dpkg_query=DPKG_ALL, apt_get=LOGS, id=USER_ID)
tap.ok(status == 0 and not said and not asked, 'nothing missing: silent, and apt-get is left alone', said + asked)
status, said, asked = run(dpkg_query=DPKG_MISSING, apt_get=LOGS, id=ROOT_ID)
tap.ok(status == 0 and asked.split()[-1] == 'clang' and 'installing' in said and 'clang' in said, 'root: installs, and says so', said + asked)
status, said, asked = run(dpkg_query=DPKG_REMOVED, apt_get=LOGS, id=ROOT_ID)
tap.ok(status == 0 and asked.split()[-1] == 'clang', 'a removed package whose configuration is still there is missing', said + asked)
status, said, asked = run(dpkg_query=DPKG_MISSING, apt_get=LOGS, id=USER_ID, sudo='[ $1 = -n ] && shift; exec "$@"')
tap.ok(status == 0 and asked.split()[-1] == 'clang', 'sudo without a password', said + asked)
status, said, asked = run(dpkg_query=DPKG_MISSING, apt_get=LOGS, id=USER_ID)
tap.ok(status == 1 and 'neither root nor sudo' in said and 'apt-get install clang' in said, 'neither: a sentence', said)
status, said, asked = run(dpkg_query=DPKG_MISSING, apt_get=LOGS, id=USER_ID, sudo='exit 1')
tap.ok(status == 1 and 'sudo wants a password' in said, 'sudo wants a password and nobody is there', said)
status, said, asked = run(id=ROOT_ID)
tap.ok(status == 1 and 'not a Debian' in said and 'clang' in said, 'not Debian: a sentence with the list', said)
status, said, asked = run(dpkg_query=DPKG_MISSING, apt_get=LOGS + '; exit 100', id=ROOT_ID)
tap.ok(status == 1 and 'no network' in said and 'clang' in said, 'no network: a sentence', said)
tap.ok('apt-get update' in asked, 'the package lists are fetched when the first attempt fails', asked)
tap.done()
