"""browser.py — headless Chromium for tests, over its debugging pipe (Chrome DevTools Protocol).

    with browser.Browser() as b:
        b.open('http://localhost:8080/', width=400, height=900, dark=True)
        b.evaluate('document.title'); b.wait('document.images.length == 2'); b.screenshot('page.png')
"""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

CHROMIUM = shutil.which('chromium')


class Browser:
    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix='chromium-', ignore_cleanup_errors=True)
        commands, self.out = os.pipe()
        self.events, answers = os.pipe()

        def give():  # descriptors 3 and 4, as --remote-debugging-pipe has it; moved out of each other's way first
            a, b = os.dup(commands), os.dup(answers)
            a, b = [fd if fd > 4 else os.dup(os.dup(os.dup(fd))) for fd in (a, b)]
            os.dup2(a, 3)
            os.dup2(b, 4)
        self.process = subprocess.Popen([CHROMIUM, '--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--no-first-run', '--disable-extensions',
                                         f'--user-data-dir={self.folder.name}', '--remote-debugging-pipe', 'about:blank'],
                                        preexec_fn=give, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(commands)
        os.close(answers)
        self.number, self.buffer, self.session = 0, b'', None
        self.messages = []  # of the console, and exceptions
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        self.session = self.call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log'):
            self.call(domain + '.enable')
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.out)
        os.close(self.events)
        self.folder.cleanup()

    def receive(self, deadline):
        while b'\0' not in self.buffer:
            if not select.select([self.events], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError('Chromium does not answer')
            part = os.read(self.events, 1 << 20)
            if not part:
                raise EOFError('Chromium ended')
            self.buffer += part
        message, self.buffer = self.buffer.split(b'\0', 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        command = {'id': self.number, 'method': method, 'params': parameters}
        if self.session:
            command['sessionId'] = self.session
        os.write(self.out, json.dumps(command).encode() + b'\0')
        deadline = time.monotonic() + 30
        while True:
            m = self.receive(deadline)
            if m.get('id') == self.number:
                if 'error' in m:
                    raise RuntimeError(f'{method}: {m["error"]}')
                return m['result']
            if m.get('method') in ('Runtime.exceptionThrown', 'Log.entryAdded'):
                self.messages.append(m['params'])

    def open(self, url, width=1280, height=1400, dark=False):
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])
        self.call('Page.navigate', url=url)

    def evaluate(self, expression):
        r = self.call('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in r:
            raise RuntimeError(r['exceptionDetails'].get('exception', {}).get('description', 'an exception'))
        return r['result'].get('value')

    def wait(self, expression, timeout=20):
        """Until the expression is true; False if it does not become so."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                if self.evaluate(expression):
                    return True
            except RuntimeError:  # the page is not there yet
                pass
            time.sleep(0.05)
        return False

    def screenshot(self, path):
        with open(path, 'wb') as f:
            f.write(base64.b64decode(self.call('Page.captureScreenshot', format='png')['data']))
