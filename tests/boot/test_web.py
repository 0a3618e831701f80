#!/usr/bin/env python3
"""The default appliance (apps/web.conf): pages, notes that survive, and drivers that are crashed from the page while clients are at work."""
import json
import os
import socket
import subprocess
import tempfile
import threading
import time

import browser
import qemu
import tap
import wire

NAMES = ['virtio-net', 'virtio-blk', 'lwip', 'ext4', 'wasi', 'httpd']
MODULES = NAMES + [os.path.join(qemu.BUILD, 'modules', f) for f in ['httpd.tar', *(n + '.code' for n in NAMES)]]


class Guest:
    def __init__(self, disk):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            self.port = s.getsockname()[1]
        with open(os.path.join(qemu.ROOT, 'apps', 'web.conf')) as f:
            config = f.read()
        self.run = wire.Background(config=config, modules=MODULES, disk=disk, writable=True, devices=[wire.VIRTIO],
                                   netdevs=[f'user,ipv6=off,hostfwd=tcp:127.0.0.1:{self.port}-:80'], timeout=100)

    def __enter__(self):
        ready = self.run.wait_for('httpd: ready') and self.run.wait_for('by DHCP')
        if not tap.ok(ready, 'the appliance is up'):
            tap.ok(False, 'the guest', self.run.result())
        return self

    def __exit__(self, *_):
        if self.run.machine:
            self.run.machine.process.kill()  # the power goes off
        self.run.join()

    def ask(self, method, path, body=b'', timeout=30, **headers):
        """(status, body), or None when the connection broke."""
        text = f'{method} {path} HTTP/1.1\r\nHost: web\r\nConnection: close\r\nContent-Length: {len(body)}\r\n'
        text += ''.join(f'{k.replace("_", "-")}: {v}\r\n' for k, v in headers.items())
        got = b''
        try:
            with socket.create_connection(('127.0.0.1', self.port), timeout) as s:
                s.settimeout(timeout)
                s.sendall(text.encode() + b'\r\n' + body)
                while part := s.recv(1 << 18):
                    got += part
        except OSError:
            return None
        head, _, body = got.partition(b'\r\n\r\n')
        return (int(head.split(b' ')[1]), body) if head.startswith(b'HTTP/1.1 ') else None

    def domain(self, name):
        answer = self.ask('GET', '/api/status')
        return answer and next(d for d in json.loads(answer[1])['domains'] if d['name'] == name)

    def crash(self, name):
        token = json.loads(self.ask('GET', '/api/server')[1])['token']
        # The answer may be lost with the network driver; TCP sends it again.
        return self.ask('POST', '/control', f'op=kill&name={name}'.encode(), X_Token=token)


class Client(threading.Thread):
    """Asks for a page and keeps a note, again and again; what comes back must be right."""

    def __init__(self, guest, number, disk):
        super().__init__(daemon=True)
        self.guest, self.path, self.disk = guest, f'/notes/client-{number}', disk
        self.asked, self.wrong, self.longest, self.stop = 0, [], 0.0, False
        self.start()

    def run(self):
        with open(os.path.join(qemu.ROOT, 'apps/httpd/site/status.js'), 'rb') as f:
            page = f.read()
        while not self.stop:
            start = time.monotonic()
            answers = [(200, page, self.guest.ask('GET', '/status.js'))]
            if self.disk:
                text = os.urandom(500).hex().encode()
                put = self.guest.ask('PUT', self.path, text)
                answers.append((put and put[0] in (200, 201) and put[0], put and put[1], put))
                answers.append((200, text, self.guest.ask('GET', self.path)))
            for status, body, got in answers:
                self.asked += 1
                if got != (status, body):
                    self.wrong.append((status, got and (got[0], got[1][:60])))
            self.longest = max(self.longest, time.monotonic() - start)


def under_load(guest, name, disk, crashes=3):
    clients = [Client(guest, i, disk) for i in range(4)]
    for _ in range(crashes):
        before = guest.domain(name)['lives']
        answer = guest.crash(name)
        tap.ok(answer and answer[0] == 200, f'{name} is crashed from the page', answer)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            d = guest.domain(name)
            if d and d['lives'] > before and d['state'] == 'running':
                break
        tap.ok(d and d['lives'] > before and d['state'] == 'running', f'{name} comes back', d)
        count = [c.asked for c in clients]
        while time.monotonic() < deadline and not all(c.asked > n for c, n in zip(clients, count)):
            time.sleep(0.01)
    for c in clients:
        c.stop = True
    for c in clients:
        c.join()
    tap.ok(not sum((c.wrong for c in clients), []) and all(c.asked >= crashes for c in clients),
           f'{sum(c.asked for c in clients)} requests meanwhile: a pause, nothing wrong', [c.wrong[:3] for c in clients])
    print(f'# longest round of requests with {name} crashing: {max(c.longest for c in clients):.2f} s')


def page(guest):
    """The status page as a person sees it; pictures of it are in build/web/."""
    if not browser.CHROMIUM:
        return tap.skip('the page in a browser', 'Chromium is not installed')
    pictures = os.path.join(qemu.BUILD, 'web')
    os.makedirs(pictures, exist_ok=True)
    with browser.Browser() as b:
        for name, width, dark in (('wide', 1280, False), ('narrow', 360, False), ('dark', 1280, True)):
            b.open(f'http://127.0.0.1:{guest.port}/', width, 1500, dark)
            tap.ok(b.wait('document.querySelectorAll(".domain .running").length == 6 && document.querySelector("#cpu-graph .over")'
                          '?.getAttribute("d").split("L").length > 2'), f'{name}: six domains and their graphs')
            tap.ok(b.evaluate('document.documentElement.scrollWidth <= innerWidth'), f'{name}: nothing is wider than the window')
            back = b.evaluate('getComputedStyle(document.documentElement).backgroundColor')
            tap.ok((sum(map(int, back[4:-1].split(','))) < 200) == dark, f'{name}: its colours', back)
            b.screenshot(os.path.join(pictures, name + '.png'))
        tap.ok(b.evaluate('performance.getEntriesByType("resource").every(r => r.name.startsWith(location.origin))'), 'no resource is from elsewhere')
        b.evaluate('document.querySelector("#note-name").value = "from-the-page", document.querySelector("#note-text").value = "typed",'
                   'document.querySelector("#note button").click()')
        tap.ok(b.wait('[...document.querySelectorAll("#notes a")].some(a => a.textContent == "from-the-page")'), 'a note is kept from the page')
        tap.same(guest.ask('GET', '/notes/from-the-page'), (200, b'typed'), 'and is there')
        b.evaluate('document.querySelector(\'[data-name="virtio-blk"] .crash\').click()')
        tap.ok(b.wait('/starts2/.test(document.querySelector(\'[data-name="virtio-blk"] dl\').textContent)'), 'the disk driver is crashed by its button, and starts again')
        tap.ok(b.wait('document.querySelector(\'[data-name="virtio-blk"] .state\').textContent == "running"'), 'it runs')
        tap.same(b.messages, [], 'the browser has no complaints')


with tempfile.TemporaryDirectory() as folder:
    disk = os.path.join(folder, 'disk')
    with open(disk, 'wb') as f:
        f.truncate(32 << 20)
    subprocess.run(['mke2fs', '-q', '-F', '-t', 'ext4', disk], check=True)
    with Guest(disk) as g:
        tap.same(g.ask('GET', '/')[0], 200, 'the page')
        tap.same(sorted(d['name'] for d in json.loads(g.ask('GET', '/api/status')[1])['domains']),
                 ['console', 'ext4', 'httpd', 'lwip', 'uart', 'virtio-blk', 'virtio-net', 'wasi'], 'the domains')
        tap.same(g.ask('PUT', '/notes/kept', b'written before the power went off')[0], 201, 'a note')
        tap.same(g.ask('POST', '/control', b'op=kill&name=virtio-blk')[0], 403, 'nothing is crashed without the token')
        page(g)
        under_load(g, 'virtio-net', disk=False)
        under_load(g, 'virtio-blk', disk=True)
        text = g.run.machine.text
        tap.lacks(text, r'panic', 'no panic')
    with Guest(disk) as g:
        tap.same(g.ask('GET', '/notes/kept'), (200, b'written before the power went off'), 'the note is there after the power went off')
tap.done()
