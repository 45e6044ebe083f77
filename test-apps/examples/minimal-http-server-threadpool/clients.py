#!/usr/bin/env python3
#
# clients.py PORT TEST - clients of minimal-http-server-threadpool
#
# Each TEST is a function below.  Exit status 0 if all was as it should be.
#
# SPDX-License-Identifier: MIT

import ctypes
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                ".."))
# pylint: disable=wrong-import-position
from web import (  # noqa: E402
    PATIENCE, answer_of, ask, connect, expect, in_parallel,
    metric, port, raw, reset, run, wait_for)

argon2 = ctypes.CDLL("libargon2.so.1")


def verifies(encoded, password):
    """Whether the hash is one of that password, as argon2 itself says."""
    return argon2.argon2id_verify(encoded, password,
                                  ctypes.c_size_t(len(password))) == 0


def until_served(method, path, body=None):
    """A client that comes again when it is put off."""
    limit = time.monotonic() + PATIENCE
    while True:
        reply, text = ask(connect(), method, path, body)
        if reply.status == 200:
            return text
        expect(reply.status == 503 and reply.getheader("Retry-After"),
               reply.status)
        expect(time.monotonic() < limit, "never served")
        time.sleep(0.02)


def check_hash(text, password):
    encoded = text.strip()
    expect(verifies(encoded, password), text)
    expect(not verifies(encoded, password + b"x"), text)


def hashes():
    """Hashes are those of the passwords, with all kinds of bytes in them."""
    for password in b"secret", b"\0\xff\r\n\r\n", b"a" * 1024, b"1":
        reply, text = ask(connect(), "POST", "/hash", password)
        expect(reply.status == 200, reply.status)
        check_hash(text, password)


def passwords():
    """A new password comes with its hash, and is another one each time."""
    seen = set()
    for _ in range(5):
        _, text = ask(connect(), "GET", "/password")
        password, encoded = text.splitlines()
        check_hash(encoded, password)
        seen.add(password)
    expect(len(seen) == 5, seen)


def keep_alive():
    """Requests of all kinds one after the other on one connection."""
    connection = connect()
    connection.connect()
    mine = connection.sock.getsockname()
    for _ in range(10):
        check_hash(ask(connection, "POST", "/hash", b"one")[1], b"one")
        expect(ask(connection, "GET", "/ping")[1] == b"pong\n", "ping")
        password, encoded = ask(connection, "GET",
                                "/password")[1].splitlines()
        check_hash(encoded, password)
        expect(ask(connection, "GET", "/nowhere")[0].status == 404, "404")
    expect(connection.sock and connection.sock.getsockname() == mine,
           "the connection was closed")


def pieces():
    """A body that comes byte by byte."""
    s = raw(b"POST /hash HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Length: 6\r\n\r\n")
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for n in range(6):
        time.sleep(0.01)
        s.send(b"secret"[n:n + 1])
    check_hash(answer_of(s).split(b"\r\n\r\n")[1], b"secret")


REJECTED = (
    # status, method, path, headers, body
    (404, "GET", "/nowhere", "", b""),
    (404, "POST", "/ping", "Content-Length: 1\r\n", b"x"),
    (405, "PUT", "/hash", "Content-Length: 1\r\n", b"x"),
    (400, "POST", "/hash", "Content-Length: 0\r\n", b""),
    (400, "GET", "/password", "Content-Length: 1\r\n", b"x"),
    (411, "POST", "/hash", "", b"x"),
    (411, "POST", "/hash", "Content-Length: 1x\r\n", b"x"),
    (411, "POST", "/hash", "Content-Length: -1\r\n", b"x"),
    (411, "POST", "/hash",
     "Content-Length: 1\r\nContent-Length: 2\r\n", b"xx"),
    (411, "POST", "/hash", "Content-Length: 1\r\n"
     "Transfer-Encoding: chunked\r\n", b"1\r\nx\r\n0\r\n\r\n"),
    (413, "POST", "/hash", "Content-Length: 1025\r\n", b"x" * 1025),
    (413, "POST", "/hash", "Content-Length: 4000000000\r\n", b"x" * 5000),
)


def rejected():
    """What cannot be right has an answer, and its connection closes."""
    before = metric("accepted_total")
    for status, method, path, headers, body in REJECTED:
        s = raw(("%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n" %
                 (method, path, headers)).encode() + body)
        if status == 404 and method == "GET":
            s.shutdown(socket.SHUT_WR)
        text = answer_of(s)
        expect(text.startswith(b"HTTP/1.1 %d " % status),
               (status, method, path, headers, text))
    expect(metric("accepted_total") == before, "something got a task")


def oversized():
    """A client that sends on and on gets its answer, and does not hang."""
    s = raw(b"POST /hash HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 50000000\r\n\r\n")
    try:
        for _ in range(500):
            s.sendall(b"x" * 100000)
    except (ConnectionResetError, BrokenPipeError):
        pass
    s.close()
    # one that listens: it hears why
    s = raw(b"POST /hash HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 50000000\r\n\r\n")
    expect(answer_of(s).startswith(b"HTTP/1.1 413 "), "no 413")


def full():
    """-t 1 -q 2: one runs, two wait, and all others are put off at once."""
    got = []
    lock = threading.Lock()

    def client():
        reply, text = ask(connect(), "POST", "/hash", b"secret")
        if reply.status == 200:
            check_hash(text, b"secret")
        else:
            expect(int(reply.getheader("Retry-After")) >= 1, "when?")
        with lock:
            got.append(reply.status)

    first = [threading.Thread(target=client) for _ in range(3)]
    for n, thread in enumerate(first):
        thread.start()
        wait_for(lambda: metric("running") == 1 and metric("queued") == n,
                 "%d waiting" % n)
    in_parallel(17, client)
    expect(got == [503] * 17, got)
    expect(metric("refused_total") == 17, "refused")
    for thread in first:
        thread.join()
    expect(got == [503] * 17 + [200] * 3, got)


def too_late():
    """-t 1 -w 200: who waits behind another one is put off."""
    got = []
    lock = threading.Lock()

    def client():
        reply, text = ask(connect(), "GET", "/password")
        with lock:
            got.append((reply.status, reply.getheader("Retry-After"), text))

    in_parallel(8, client)
    late = [g for g in got if g[0] == 503 and g[1] and
            g[2] == b"waited too long\n"]
    expect(late and len(late) == metric("timed_out_total"), got)
    expect(len(late) + [g[0] for g in got].count(200) == 8, got)
    until_served("GET", "/password")


def hang_ups():
    """-t 1: those that hang up leave the queue, and cost no hash."""
    before = metric("finished_total")
    request = (b"POST /hash HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
               b"\r\nx")
    sockets = [raw(request) for _ in range(20)]
    wait_for(lambda: metric("accepted_total") >= 20, "20 accepted")
    for n, s in enumerate(sockets):
        if n % 2:
            reset(s)
        else:
            s.close()
    wait_for(lambda: metric("queued") + metric("running") + metric("done")
             == 0, "an idle pool")
    finished = metric("finished_total") - before
    # some may have been served before they could hang up
    expect(finished < 10, "%d of 20 were hashed all the same" % finished)
    check_hash(until_served("POST", "/hash", b"secret"), b"secret")


def half_bodies():
    """Those that hang up within a body, or stay there."""
    stay = []
    for n in range(50):
        s = raw(b"POST /hash HTTP/1.1\r\nHost: x\r\n"
                b"Content-Length: 100\r\n\r\nhalf of it")
        if n % 3 == 0:
            reset(s)
        elif n % 3 == 1:
            s.close()
        else:
            stay.append(s)
    check_hash(until_served("POST", "/hash", b"secret"), b"secret")
    for s in stay:
        s.close()


def slow_readers():
    """Those that ask on and on and never read do not hold up others."""
    stay = []
    for path in (b"/metrics", b"/password", b"/ping") * 10:
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        s.connect(("127.0.0.1", port))
        s.setblocking(False)
        request = b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        try:
            for _ in range(200):
                s.send(request)
        except (BlockingIOError, ConnectionResetError, BrokenPipeError):
            pass
        stay.append(s)
    for _ in range(5):
        expect(ask(connect(), "GET", "/ping")[1] == b"pong\n", "ping")
        check_hash(until_served("POST", "/hash", b"secret"), b"secret")
    for s in stay:
        s.close()


def flood():
    """300 at once, each of which comes again until it is served."""
    in_parallel(300, lambda: until_served("GET", "/password"))
    wait_for(lambda: metric("queued") + metric("running") + metric("done")
             == 0, "an idle pool")


def drained():
    """What was accepted when the server is to end, by whoever reads our line,
    is still answered."""
    got = []

    def client():
        got.append(ask(connect(), "POST", "/hash", b"secret"))

    threads = [threading.Thread(target=client) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_for(lambda: metric("accepted_total") == 3, "accepted")
    print("end it", flush=True)
    for thread in threads:
        thread.join()
    expect(len(got) == 3, got)
    for reply, text in got:
        expect(reply.status == 200, reply.status)
        check_hash(text, b"secret")


run(hashes, passwords, keep_alive, pieces, rejected, oversized, full,
    too_late, hang_ups, half_bodies, slow_readers, flood, drained)
