# suite.py: where the specification's tests are, and which of them the language that is complete must pass.
#
#   with suite.scripts() as found:          {group: [paths of wast2json's files]}; the group 'own' is this folder's *.wast, converted
#       for group, paths in found.items(): …
#
# SASOS_SPECTEST names the archive (wast2json output, GROUP/NAME/NAME.json); by default it is the conformance archive beside the
# checkout. SASOS_SPECGROUPS names the groups of it.
import contextlib
import glob
import os
import subprocess
import tarfile
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
ARCHIVE = os.environ.get('SASOS_SPECTEST') or os.path.join(ROOT, '..', 'shared', 'spectest-dev.tar.xz')
GROUPS = os.environ.get('SASOS_SPECGROUPS', 'wasm1 wasm2 simd extended-const tail-call threads').split()
TOOL = os.path.join(ROOT, 'build', 'host', 'sfi-spec')
MISSING = 'no conformance archive: set SASOS_SPECTEST to one'


def convert(source, script):
    """wast2json; what it said, '' if all is well."""
    done = subprocess.run(['wast2json', '--enable-tail-call', '--enable-threads', source, '-o', script], capture_output=True, text=True)
    return done.returncode and (done.stderr or f'status {done.returncode}') or ''


@contextlib.contextmanager
def scripts():
    """Without the archive: only 'own'. A script that does not convert is there, and nobody can read it."""
    with tempfile.TemporaryDirectory(prefix='sasos-spec-') as folder:
        found = {'own': []}
        os.mkdir(os.path.join(folder, 'own'))
        for path in sorted(glob.glob(os.path.join(ROOT, 'tests', 'spec', '*.wast'))):
            script = os.path.join(folder, 'own', os.path.basename(path)[:-5] + '.json')
            said = convert(path, script)
            if said:
                print('# ' + said.replace('\n', '\n# '))
            found['own'].append(script)
        if os.path.exists(ARCHIVE):
            with tarfile.open(ARCHIVE) as tar:
                tar.extractall(folder, [m for m in tar if m.isfile() and '..' not in m.name and not m.name.startswith('/')])
            for group in GROUPS:
                found[group] = sorted(glob.glob(f'{folder}/**/{group}/*/*.json', recursive=True))
        yield found
