# For the clients.py of an http example, which is called with PORT TEST.
#
# SPDX-License-Identifier: MIT

import http.client
import socket
import struct
import sys
import threading
import time

PATIENCE = 120  # seconds that a loaded machine may take for anything

port = int(sys.argv[1])


def expect(true, what):
    if not true:
        sys.exit("clients.py: " + str(what))


def connect():
    return http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)


def ask(connection, method, path, body=None):
    connection.request(method, path, body)
    reply = connection.getresponse()
    return reply, reply.read()


def raw(request):
    """A socket on which that was sent."""
    s = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    s.sendall(request)
    return s


def reset(s):
    """Closes it in the rude way."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                 struct.pack("ii", 1, 0))
    s.close()


def answer_of(s):
    """All that comes until the server closes."""
    data = b""
    while True:
        try:
            part = s.recv(65536)
        except ConnectionResetError:
            break
        if not part:
            break
        data += part
    s.close()
    return data


def metric(name):
    reply, text = ask(connect(), "GET", "/metrics")
    expect(reply.status == 200, reply.status)
    for line in text.decode().splitlines():
        if line.startswith("lws_threadpool_" + name + "{"):
            return int(line.split()[-1])
    return sys.exit("clients.py: no " + name)


def wait_for(condition, what):
    limit = time.monotonic() + PATIENCE
    while not condition():
        expect(time.monotonic() < limit, "in vain: " + what)
        time.sleep(0.01)


def in_parallel(number, function):
    threads = [threading.Thread(target=function) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run(*tests):
    """The one that was named; failed if any thread of it did."""
    failed = []

    def thread_failed(args):
        sys.stderr.write("clients.py: %s\n" % (args.exc_value,))
        failed.append(args)

    threading.excepthook = thread_failed
    {f.__name__: f for f in tests}[sys.argv[2]]()
    sys.exit(1 if failed else 0)
