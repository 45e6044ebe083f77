# The clients of each recipe of READMEs/README.recipes.md, and what they expect:
# clients.py RECIPE PORT PID PROGRAM
#
# SPDX-License-Identifier: MIT

import http.client
import os
import re
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../examples"))
from ws import PATIENCE, Closed, Ws, wait_until     # noqa: E402

recipe, port, pid, program = (sys.argv[1], int(sys.argv[2]),
                              int(sys.argv[3]), sys.argv[4])


def expect(true, what):
    if not true:
        sys.exit(f"{recipe}: {what}")


def ws():
    return Ws(port, "recipe")


def ask(path, body=None, headers=None):
    """The status and the text that comes."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    c.request("GET" if body is None else "POST", path, body, headers or {})
    reply = c.getresponse()
    text = reply.read()
    c.close()
    return reply.status, text


class Asked(threading.Thread):
    """A request that is under way"""

    def __init__(self, *args):
        super().__init__()
        self.args = args
        self.reply = None
        self.start()

    def run(self):
        self.reply = ask(*self.args)

    def answer(self):
        self.join()
        return self.reply


def progress():
    c = ws()
    parts = [c.recv() for n in range(6)]
    expect(parts == ["20 %", "40 %", "60 %", "80 %", "100 %", "done"], parts)


def cancel():
    c = ws()
    c.send("go on")
    time.sleep(0.1)
    c.send("cancel")
    text = c.recv()
    expect(re.fullmatch(r"cancelled after \d+ parts", text), text)
    # two that leave: their tasks make way for the next one
    for n in range(2):
        ws().reset()
    c = ws()
    c.send("cancel")
    expect(c.recv().startswith("cancelled"), "the pool is not free")


def status(*args):
    """Of a request whose answer may be lost: the server closes early."""
    try:
        return ask(*args)[0]
    except (OSError, http.client.HTTPException):
        return 0


def timeout():
    wait_until(lambda: ask("/20") == (200, b"done\n"))
    long = Asked("/600000")
    # those behind it
    wait_until(lambda: ask("/10") == (503, b"it had to wait for too long\n"))
    expect(long.answer() == (504, b"it took too long\n"), long.reply)


def rate_limit():
    begun = time.monotonic()
    asked = [Asked("/") for n in range(6)]
    for one in asked:
        expect(one.answer() == (200, b"done\n"), one.reply)
    took = time.monotonic() - begun
    expect(took >= 0.5, f"6 of them in {took} s")


def order():
    # the longest first
    texts = [str(n) for n in range(90, 0, -9)]
    both = [ws(), ws()]
    for text in texts:
        for c in both:
            c.send(text)
    for c in both:
        came = [c.recv() for text in texts]
        expect(came == texts, came)


def database():
    asked = [Asked("/") for n in range(20)]
    for one in asked:
        expect(one.answer() == (200, b"42\n"), one.reply)


def memory():
    expect(ask("/", b"hello") == (200, b"sum 532\n"), "a small body")
    wait_until(lambda: status("/", b"x", {"Content-Length": "100001"}) == 413)
    # three that begin, and do not end
    begun = []
    for n in range(3):
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        c.putrequest("POST", "/")
        c.putheader("Content-Length", "99999")
        c.endheaders()
        c.send(b"half")
        begun.append(c)
    wait_until(lambda: status("/", b"y" * 1000) == 503)
    # one is whole, one goes away: there is room again
    begun[0].send(b"\1" * (99999 - 4))
    reply = begun[0].getresponse()
    sum_of_it = sum(b"half") + 99999 - 4
    expect(reply.read() == b"sum %d\n" % sum_of_it, "a large body")
    begun[1].close()
    wait_until(lambda: status("/", b"y" * 99999) == 200)


def file():
    with open(program, "rb") as f:
        whole = f.read()
    asked = [Asked("/") for n in range(8)]
    for one in asked:
        status, text = one.answer()
        expect(status == 200 and text == whole,
               f"{status}, {len(text)} bytes of {len(whole)}")
    # one that leaves in the middle
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    c.request("GET", "/")
    c.sock.recv(1000)
    c.close()
    expect(ask("/")[1] == whole, "after one that left")


def thread():
    c = ws()
    for text in "hello", "again":
        c.send(text)
        expect(c.recv() == text.upper(), text)
    # answered to nobody
    c.send("nobody")
    c.close()
    c = ws()
    c.send("still there")
    expect(c.recv() == "STILL THERE", "after one that left")


def restart():
    long = Asked("/1500")
    # the one thread is busy with it, or this would not be put off
    wait_until(lambda: ask("/10")[0] == 503)
    os.kill(pid, signal.SIGTERM)
    # 504 where the machine is slow: it is answered, too
    expect(long.answer()[0] in (200, 504), long.reply)


def watch():
    status, token = ask("/start")
    token = token.decode().strip()
    expect(status == 200 and re.fullmatch("[0-9a-f]{32}", token), token)
    expect(ask("/" + "0" * 32)[0] == 404, "a token of nobody")
    states = set()

    def ready():
        text = ask("/" + token)[1].decode()
        states.add(re.sub(r"\d+", "N", text))
        return text == "the result\n"

    wait_until(ready)
    expect(states <= {"waits for N ms\n", "at work for N ms\n",
                      "the result\n"}, states)
    expect(ask("/" + token)[0] == 404, "the result is there twice")


try:
    {f.__name__: f for f in (progress, cancel, timeout, rate_limit, order,
                             database, memory, file, thread, restart,
                             watch)}[recipe.replace("-", "_")]()
except Closed as closed:
    sys.exit(f"{recipe}: closed: {closed}")
