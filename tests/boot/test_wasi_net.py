#!/usr/bin/env python3
"""WASI programs with sockets, over the real path: QEMU's user-mode network, virtio-net, lwIP, the personality."""
import json
import os
import socket
import sys
import time

import net_guest
import qemu
import tap
import wire


def sockets():
    g = net_guest.Program('sockets', '  env SASOS_LISTEN=tcp:80,tcp:81', [os.path.join(qemu.BUILD, 'wasi', 'sockets.wasm')], (80, 81))
    if not tap.ok(g.run.wait_for('listening') and g.run.wait_for('by DHCP'), 'a program with two listening sockets'):
        tap.ok(False, 'the guest', g.run.result())
        return
    with g.connect(81) as s:
        s.sendall(b'0123456789')
        tap.same(wire.receive(s, 5), b'go on', 'the checks: an answer')
        s.sendall(b'the')
        time.sleep(0.05)  # two segments; one would do as well
        s.sendall(b' rest')
        tap.same(s.recv(10), b'', 'its end')
        s.sendall(b'ends')
    data = os.urandom(3000000)
    with g.connect(80) as s:
        s.setblocking(False)
        sent, got = 0, b''
        deadline = time.monotonic() + 60
        while len(got) < len(data) and time.monotonic() < deadline:
            try:
                sent += s.send(data[sent:sent + 65536]) if sent < len(data) else 0
            except BlockingIOError:
                pass
            try:
                got += s.recv(1 << 20)
            except BlockingIOError:
                pass
        tap.ok(got == data, '3 MB come back as they were')
    with g.connect(80) as s:
        s.sendall(b'quit')
        tap.same(wire.receive(s, 4), b'quit', 'the last words')
    r = g.run.result()
    tap.ok(r.ok and 'FAILED' not in r.text, 'every check holds', r)


def httpd():
    g = net_guest.Program(*net_guest.HTTPD, ports=(80,))

    def ask(request, s=None):
        with s or g.connect(80) as c:
            c.sendall(request)
            got = b''
            while part := c.recv(1 << 18):
                got += part
        head, _, body = got.partition(b'\r\n\r\n')
        return head.split(b'\r\n')[0].decode(), body

    def get(path):
        return ask(b'GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' % path.encode())
    try:
        if not tap.ok(g.run.wait_for('httpd: ready') and g.run.wait_for('by DHCP'), 'httpd starts'):
            tap.ok(False, 'the guest', g.run.result())
            return
        for name in ('index.html', 'style.css', 'status.js', 'icon.svg'):
            with open(os.path.join(qemu.ROOT, 'apps/httpd/site', name), 'rb') as f:
                tap.same(get('/' + name), ('HTTP/1.1 200 OK', f.read()), name)
        status = json.loads(get('/api/status')[1])
        tap.same([(d['name'], d['state']) for d in status['domains']], [(n, 'running') for n in ('virtio-net', 'lwip', 'wasi1', 'httpd')], 'the domains')
        tap.has(get('/metrics')[1].decode(), r'^sasos_domain_up\{domain="lwip"\} 1$', 'metrics')
        tap.has(get('/api/log')[1].decode(), r'run: run httpd', 'the log')
        tap.same(get('/absent')[0], 'HTTP/1.1 404 Not Found', 'what is not there')
        tap.same(get('/notes/')[0], 'HTTP/1.1 503 Service Unavailable', 'notes without a disk')
        tap.same(ask(b'GET / HTTP/1.1\n\n')[0], 'HTTP/1.1 400 Bad Request', 'a malformed request')

        one = b'GET /icon.svg HTTP/1.1\r\nHost: x\r\n\r\n'
        many, answers = [], []
        for _ in range(1000):  # with a request each: QEMU's forwarding takes only one new connection at a time
            many.append(g.connect(80))
            many[-1].sendall(one)
            answers.append(many[-1].recv(4096))
        tap.ok(all(a.startswith(b'HTTP/1.1 200 OK') for a in answers), '1,000 connections at once')
        for s in many:
            s.sendall(one)
        tap.ok(all(s.recv(4096).startswith(b'HTTP') for s in many), 'and again on each')
        for s in many:
            s.close()
        with g.connect(80) as s:
            n = 2000
            s.sendall(one * n)
            size = len(answers[0]) * n
            tap.same(len(wire.receive(s, size)), size, f'{n} requests on one connection')
        tap.same(json.loads(get('/api/server')[1])['open'], 1, 'no connection is left behind')
    finally:
        g.end()


def connects():
    """Connections that are there when the program starts: one that works, one that is refused."""
    with socket.socket() as server, socket.socket() as nobody:
        for s in server, nobody:
            s.bind(('127.0.0.1', 0))
        server.listen()
        server.settimeout(30)
        there, refused = (s.getsockname()[1] for s in (server, nobody))
        g = net_guest.Program('connects', f'  env SASOS_LISTEN=tcp:80\n  env SASOS_CONNECT=tcp:10.0.2.2:{there},tcp:10.0.2.2:{refused}',
                  [os.path.join(qemu.BUILD, 'wasi', 'connects.wasm')], (80,), steps='run connects expect trap unreachable\nrun connects\n')
        for last in b'trap', b'quit':
            c, _ = server.accept()
            c.settimeout(30)
            tap.same(wire.receive(c, 5), b'hello', 'the program speaks first')
            data = os.urandom(100000)
            c.sendall(data)
            tap.ok(wire.receive(c, len(data)) == data, '100,000 bytes come back on the connection that the machine made')
            c.sendall(last)
            tap.same(c.recv(10), b'', f'{last.decode()}: its end is seen')
            c.close()
    r = g.run.result()
    tap.ok(r.ok and 'FAILED' not in r.text, 'every check holds, in a second life too', r)
    tap.has(r, rf'wasi1: no connection to 10\.0\.2\.2 port {refused}', 'the log names what is refused')


for part in sys.argv[1:] or ('sockets', 'connects', 'httpd'):
    globals()[part]()
tap.done()
