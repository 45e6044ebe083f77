#!/usr/bin/env python3
#
# server.py FOLDER LOG - a server for minimal-ws-client-threadpool, good and bad
#
# FOLDER is the example's, whose number_server.py is used, LOG what the client
# says.  Prints "port N", where nobody listens yet, and a line "ok WHAT" for
# each thing that went well; the client is to have -t 1 -j 20.  In the end it
# leaves the connection open, with tasks at work, until it is killed.
#
# SPDX-License-Identifier: MIT

import os
import random
import socket
import struct
import sys
import time

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import number_server  # noqa: E402

PATIENCE = 120  # seconds that a loaded machine may take for anything
LARGE = 18446744073709551557  # a prime, for which a thread needs many seconds

random.seed(os.environ.get("SEED"))


def expect(true, what):
    if not true:
        sys.exit("server.py: " + str(what))


def ok(what):
    print("ok " + what, flush=True)


def accept():
    """The client, which has connected again."""
    connection = number_server.Connection(listening)
    connection.sock.settimeout(PATIENCE)
    connection.handshake()
    return connection


def is_prime(n):
    if n < 2:
        return False
    bases = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
    for p in bases:
        if n % p == 0:
            return n == p
    d, s = n - 1, 0
    while d % 2 == 0:
        d, s = d // 2, s + 1
    for a in bases:
        x = pow(a, d, n)
        if x in (1, n - 1):
            continue
        for _ in range(s - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def check_answer(text):
    """The number that it is the answer to."""
    number, factors = text.split(" = ")
    number, product = int(number), 1
    for factor in factors.split():
        expect(is_prime(int(factor)) or number < 2, text)
        product *= int(factor)
    expect(product == number, text)
    return number


def works(connection, numbers=(600851475143,)):
    """All of them are answered on this connection, with 20 at a time."""
    got = []
    for n, number in enumerate(numbers):
        if n >= 20:
            got.append(check_answer(connection.receive()))
        connection.send(str(number))
    got += [check_answer(connection.receive()) for _ in numbers[-20:]]
    expect(sorted(got) == sorted(numbers), got)


def reset(connection):
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               struct.pack("ii", 1, 0))
    connection.sock.close()


def close(connection):
    connection.sock.close()


def close_in_order(connection):
    connection.sock.sendall(b"\x88\x02\x03\xe8")
    try:
        while connection.frame()[0] != 8:
            pass
    except ConnectionError:
        pass
    connection.sock.close()


def hung_up(connection):
    """Until the client has closed."""
    try:
        while connection.frame():
            pass
    except (ConnectionError, struct.error, UnicodeDecodeError):
        pass
    connection.sock.close()


def wait_for_log(text, times):
    limit = time.monotonic() + PATIENCE
    while open(sys.argv[2]).read().count(text) < times:
        expect(time.monotonic() < limit, "the client does not say " + text)
        time.sleep(0.05)


listening = socket.socket()
listening.settimeout(PATIENCE)
listening.bind(("127.0.0.1", 0))
print("port %d" % listening.getsockname()[1], flush=True)
wait_for_log("trying again", 2)
listening.listen()
c = accept()
ok("no server at first, and then there is one")

works(c, [0, 1, 2, 3, 4, 9, 2 ** 63, 2 ** 64 - 1, 4295098369,
          1000003 * 1000033] + [random.randrange(2 ** 40)
                                for _ in range(10)])
ok("the factors are right")

c.send("6008514", 0x01)
c.send("7514", 0x00)
c.send("3", 0x80)
expect(check_answer(c.receive()) == 600851475143, "a number in pieces")
ok("a number in three pieces")

works(c, range(3000))
ok("3,000 numbers, with 20 at a time")

# With one thread each of these would hold up the next number for good, if it
# were not stopped.
for how in reset, close, close_in_order:
    for _ in range(20):
        c.send(str(LARGE))
    how(c)
    c = accept()
    works(c)
    ok("by %s() the tasks of a lost connection end" % how.__name__)

for _ in range(30):
    c.send(str(LARGE))
hung_up(c)
c = accept()
works(c)
try:
    while True:
        c.sock.sendall(b"\x81\x017" * 1000)
except ConnectionError:
    c.sock.close()
c = accept()
works(c)
ok("it hangs up on one that sends too much at a time")

for bad in (b"\x81\x05hello", b"\x81\x02-1", b"\x81\x00", b"\x81\x021 ",
            b"\x81\x15" + b"1" * 21, b"\x81\x1418446744073709551616",
            b"\x81\x7e\xff\xff" + b"1" * 65535, b"\xff\xff\xff\xff",
            b"\x81\xff" + b"\xff" * 20, bytes(range(256)) * 4):
    c.sock.sendall(bad)
    hung_up(c)
    c = accept()
    works(c)
ok("what is no number, or no ws, ends that connection alone")

c.sock.close()
for answer in (b"", b"HTTP/1.1 404 Not Found\r\n\r\n",
               bytes(random.randrange(256) for _ in range(2000))):
    bad = number_server.Connection(listening)
    bad.sock.settimeout(PATIENCE)
    bad.fill()
    bad.sock.sendall(answer)
    bad.sock.close()
c = accept()
works(c)
ok("a handshake that is none")

for _ in range(10):
    c.send(str(LARGE))
# the client is at work when it answers this
c.send("pong?", 0x89)
while c.frame() != (10, b"pong?"):
    pass
ok("all done")
time.sleep(3 * PATIENCE)
