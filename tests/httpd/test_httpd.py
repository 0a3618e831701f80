#!/usr/bin/env python3
"""The HTTP server, built for this machine with sanitizers, over real sockets: pages, notes, control, and clients that misbehave."""
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)
sys.path.append('tests/boot')
import tap  # noqa: E402

PATIENCE = 1  # seconds that the server gives a request
HOST = '127.0.0.1'


class Server:
    """The server with its folders; descriptor 3 is its listening socket, as on the appliance."""

    def __init__(self, folder):
        self.folder = folder
        for name in ('root/sub', 'data', 'sys'):
            os.makedirs(os.path.join(folder, name))
        self.write('root/index.html', b'<!doctype html><title>start</title>\n')
        self.write('root/sub/index.html', b'below\n')
        self.write('root/big.bin', bytes(i * 7 & 255 for i in range(3000001)))
        self.write('secret', b'outside of the root')
        self.write('sys/domains.json', b'{"system":{},"domains":[]}\n')
        self.write('sys/metrics', b'# TYPE sasos_up gauge\nsasos_up 1\n')
        self.write('sys/log', b'a line\n')
        self.write('sys/control', b'')
        self.listener = socket.create_server((HOST, 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.log = open(os.path.join(folder, 'log'), 'w+')

        def give():  # the socket as descriptor 3
            os.dup2(self.listener.fileno(), 3)
        env = dict(os.environ, LISTEN_FDS='1', HTTPD_PATIENCE=str(PATIENCE), HTTPD_ROOT=self.path('root'), HTTPD_DATA=self.path('data'),
                   HTTPD_SYS=self.path('sys'))
        self.process = subprocess.Popen(['build/test/httpd'], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log,
                                        preexec_fn=give, pass_fds=(3,), restore_signals=False)
        assert self.process.stdout.readline() == b'httpd: ready\n'

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with open(self.path(name), 'wb') as f:
            f.write(data)

    def read(self, name):
        with open(self.path(name), 'rb') as f:
            return f.read()

    def connect(self):
        return socket.create_connection((HOST, self.port), timeout=20)

    def said(self):
        self.log.seek(0)
        return self.log.read()


class Reader:
    """Responses from a socket, one after the other."""

    def __init__(self, s):
        self.s, self.buffer = s, b''

    def more(self):
        data = self.s.recv(65536)
        self.buffer += data
        return data

    def response(self, head_only=False):
        while b'\r\n\r\n' not in self.buffer:
            if not self.more():
                return None
        head, self.buffer = self.buffer.split(b'\r\n\r\n', 1)
        lines = head.decode('latin-1').split('\r\n')
        headers = {k.lower(): v for k, v in (line.split(': ', 1) for line in lines[1:])}
        status = int(lines[0].split(' ')[1])
        length = 0 if head_only or status in (100, 204, 304) else int(headers['content-length'])
        while len(self.buffer) < length:
            if not self.more():
                return None
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return status, headers, body

    def ended(self):
        try:
            while self.more():
                pass
        except ConnectionResetError:
            return True
        return True


def ask(server, method, path, body=b'', **headers):
    text = f'{method} {path} HTTP/1.1\r\nHost: {HOST}:{server.port}\r\n'
    if body or method in ('PUT', 'POST'):
        text += f'Content-Length: {len(body)}\r\n'
    text += ''.join(f'{k.replace("_", "-")}: {v}\r\n' for k, v in headers.items())
    with server.connect() as s:
        s.sendall(text.encode('latin-1') + b'\r\n' + body)
        return Reader(s).response(head_only=method == 'HEAD')


def raw(server, data):
    """What comes back for these bytes, until the server hangs up."""
    with server.connect() as s:
        s.sendall(data)
        r = Reader(s)
        first = r.response()
        r.ended()
        return first and first[0]


def pages(server):
    status, headers, body = ask(server, 'GET', '/')
    tap.ok(status == 200 and body == server.read('root/index.html') and headers['content-type'].startswith('text/html'), 'the start page', headers)
    tap.same(ask(server, 'GET', '/', If_None_Match=headers['etag'])[0], 304, 'not sent again to who has it')
    tap.same(ask(server, 'HEAD', '/')[1]['content-length'], str(len(body)), 'HEAD says how long it is')
    tap.same(ask(server, 'GET', '/sub/')[2], b'below\n', 'a folder\'s page')
    big = ask(server, 'GET', '/big.bin')
    tap.ok(big[0] == 200 and big[2] == server.read('root/big.bin'), 'a file of 3 MB arrives whole')
    tap.same([ask(server, 'GET', p)[0] for p in ('/absent', '/sub', '/index.html/x', '/../secret', '/%2e%2e/secret', '/sub/..%2f..%2fsecret')],
             [404] * 6, 'what is not there, and what is outside of the root')
    tap.same([ask(server, m, '/')[0] for m in ('POST', 'DELETE', 'PATCH', 'BREW')], [405, 405, 405, 501], 'other methods')
    tap.ok(json.loads(ask(server, 'GET', '/api/status')[2])['domains'] == [], 'the state of the system')
    tap.same(ask(server, 'GET', '/api/log')[2], b'a line\n', 'its log')
    metrics = ask(server, 'GET', '/metrics')
    tap.ok(b'sasos_up 1\n' in metrics[2] and b'\nhttpd_requests_total ' in metrics[2] and 'version=0.0.4' in metrics[1]['content-type'], 'metrics', metrics)


def notes(server):
    tap.same(ask(server, 'GET', '/notes/')[2], b'[]\n', 'no notes yet')
    text = bytes(range(256)) * 200
    tap.same(ask(server, 'PUT', '/notes/one', text)[0], 201, 'a note is kept')
    tap.same(ask(server, 'GET', '/notes/one')[2], text, 'and is read back')
    tap.same(ask(server, 'PUT', '/notes/one', b'new')[0], 200, 'it is replaced')
    tap.same(ask(server, 'PUT', '/notes/empty', b'')[0], 201, 'an empty one')
    tap.same((ask(server, 'GET', '/notes/one')[2], server.read('data/notes/one')), (b'new', b'new'), 'as a file')
    tap.same(json.loads(ask(server, 'GET', '/notes/')[2]), ['empty', 'one'], 'the list, without the temporary file')
    tap.same([ask(server, 'PUT', '/notes/' + n, b'x')[0] for n in ('.new', '..x', 'a/b', 'a%20b', 'a' * 65, '%2e%2e')], [400, 400, 400, 400, 400, 405],
             'names that are refused')
    tap.same(ask(server, 'PUT', '/notes/large', b'x' * 65537)[0], 413, 'a note that is too large')
    tap.same(ask(server, 'PUT', '/notes/large', b'x' * 65536)[0], 201, 'the largest one')
    tap.same([ask(server, 'DELETE', '/notes/' + n)[0] for n in ('one', 'one')], [204, 404], 'deleted, once')
    tap.same(ask(server, 'POST', '/notes/one', b'x')[1]['allow'], 'GET, HEAD, PUT, DELETE', 'what can be done with a note')


def control(server):
    token = json.loads(ask(server, 'GET', '/api/server')[2])['token']
    body, here = b'op=kill&name=virtio-net', f'http://{HOST}:{server.port}'
    tap.ok(len(token) == 32, 'a token')
    tap.same([ask(server, 'POST', '/control', body)[0], ask(server, 'POST', '/control', body, X_Token='0' * 32)[0], ask(server, 'POST', '/control', body, X_Token='')[0],
              ask(server, 'POST', '/control', body, X_Token=token, Origin='http://elsewhere')[0], ask(server, 'GET', '/control', X_Token=token)[0]],
             [403, 403, 403, 403, 405], 'without it, or from elsewhere, nothing is controlled')
    tap.same([ask(server, 'POST', '/control', b, X_Token=token)[0] for b in (b'', b'op=kill', b'op=format&name=x', b'op=kill&name=a%0arestart b', b'op=kill&name=' + b'a' * 99)],
             [400] * 5, 'nor by what is no command')
    tap.same(server.read('sys/control'), b'', 'the system heard nothing of it')
    tap.same(ask(server, 'POST', '/control', body, X_Token=token, Origin=here)[0], 200, 'with it')
    tap.same(server.read('sys/control'), b'kill virtio-net\n', 'the system hears the command')


def connections(server):
    one = b'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
    with server.connect() as s:
        r = Reader(s)
        s.sendall(one * 50)
        tap.ok(all(r.response()[0] == 200 for _ in range(50)), '50 requests sent at once are answered in order')
        for b in one:
            s.sendall(bytes([b]))
        tap.same(r.response()[0], 200, 'a request that comes byte by byte')
        s.sendall(b'PUT /notes/c HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n')
        tap.same(r.response()[0], 100, 'a client that asks before it sends is told to go on')
        s.sendall(b'hello' + one)
        tap.same([r.response()[0], r.response()[0]], [201, 200], 'and its request is answered, and the next')
        s.sendall(b'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
        tap.ok(r.response()[1]['connection'] == 'close' and r.ended(), 'the connection is closed when the client wants it')
    with server.connect() as s:
        s.sendall(b'GET / HTTP/1.0\r\n\r\n')
        r = Reader(s)
        tap.ok(r.response()[0] == 200 and r.ended(), 'HTTP/1.0 closes')
    with server.connect() as s:
        s.sendall(b'GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n')
        s.shutdown(socket.SHUT_WR)
        tap.ok(len(Reader(s).response()[2]) == 3000001, 'a client that has nothing more to say still gets its answer')

    many = [server.connect() for _ in range(1000)]
    for s in many:
        s.sendall(one)
    tap.ok(all(Reader(s).response()[0] == 200 for s in many), '1,000 connections at once')
    more = [server.connect() for _ in range(300)]  # more than there are places: idle ones make room
    for s in more:
        s.sendall(one)
    tap.ok(all(Reader(s).response()[0] == 200 for s in more), 'and 300 more')
    for s in many + more:
        s.close()
    counters = json.loads(ask(server, 'GET', '/api/server')[2])
    tap.ok(counters['most'] <= 1100 and counters['refused'] == 0, 'within the limit, nobody turned away', counters)


def misbehaviour(server):
    tap.same([raw(server, x) for x in (b'\x16\x03\x01\x02\x00\x01\r\n\r\n', b'GET / HTTP/1.1\r\n\r\n', b'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n',
                                       b'GET / HTTP/1.1\nHost: a\n\n', b'A' * 9000, b'GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
                                       b'GET / HTTP/3.0\r\n\r\n')],
             [400, 400, 400, 400, 431, 501, 505], 'malformed requests: an answer, and the connection ends')
    slow = [server.connect() for _ in range(20)]
    for s in slow:
        s.sendall(b'GET / HT')
    deaf = server.connect()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.sendall(b'GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n' * 20)
    silent = server.connect()
    tap.same(ask(server, 'GET', '/')[0], 200, 'slow, deaf and silent clients hold up nobody')
    tap.same([Reader(s).response()[0] for s in slow], [408] * 20, 'a request that does not become whole in time: 408')
    tap.ok(Reader(silent).ended(), 'a connection on which nothing is said is closed')
    counted = 0
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:  # the deaf one is waited for by what the server says of it
        counted = json.loads(ask(server, 'GET', '/api/server')[2])['timeouts']
        if counted >= 21:
            break
    tap.ok(counted >= 21, 'and a client that does not take its answer is cut off', counted)
    for s in slow + [deaf, silent]:
        s.close()

    rng = random.Random(7)
    good = b'PUT /notes/fuzz HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\nabcdGET /notes/fuzz HTTP/1.1\r\nHost: a\r\n\r\n'
    for i in range(500):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with server.connect() as s:
            s.sendall(data[:rng.randrange(1, len(data) + 1)])
            if i % 2:
                s.shutdown(socket.SHUT_WR)
                Reader(s).ended()
    tap.same(ask(server, 'GET', '/')[0], 200, '500 noisy requests later it still answers')


with tempfile.TemporaryDirectory() as folder:
    server = Server(folder)
    try:
        for part in (pages, notes, control, connections, misbehaviour):
            part(server)
        tap.same(server.process.poll(), None, 'it runs to the end')
    finally:
        server.process.kill()
        server.process.wait()
    tap.same(server.said(), '', 'and the sanitizers found nothing')
tap.done()
