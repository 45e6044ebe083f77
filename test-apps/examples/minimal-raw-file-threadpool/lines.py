# lines.py CASE LINE OUT LOG PID: the other end of the raw-file example's line
#
# SPDX-License-Identifier: MIT

import os
import pty
import random
import re
import signal
import sys
import threading
import time

PATIENCE = 120  # seconds that a loaded machine may take for anything
LINE, OUT, LOG, PID = sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
RECORD = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) "
                    rb"(ok|bad|-|part) ([ -~]*)$")


def wait_until(what, *args):
    limit = time.monotonic() + PATIENCE
    while not what(*args):
        assert time.monotonic() < limit, what
        time.sleep(0.01)


def parse(data):
    """Pairs of the verdict and what came, of these records."""
    result = []
    for line in data.split(b"\n")[:-1]:
        match = RECORD.match(line)
        assert match, line
        result.append((match[2].decode(), re.sub(
            rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]),
            match[3])))
    return result


def records():
    with open(OUT, "rb") as out:
        return parse(out.read())


def said(text):
    with open(LOG, encoding="utf-8") as log:
        return log.read().count(text)


def expect(before, wanted):
    """These are the records after the first ones, in the end."""
    wait_until(lambda: len(records()) >= before + len(wanted))
    found = records()[before:]
    assert found == wanted, (found[:5], wanted[:5])


def send(data, chunk=None):
    """By a writer of its own."""
    with open(LINE, "wb", buffering=0) as line:
        while data:
            n = line.write(data[:chunk or len(data)])
            data = data[n:]


def with_sum(text):
    total = 0
    for byte in text:
        total ^= byte
    return b"$%s*%02X" % (text, total)


def case_lines():
    good = with_sum(b"GPTXT,01,01,02,ANTSTATUS=OK")
    bad = good[:-2] + b"00" if good[-2:] != b"00" else good[:-2] + b"01"
    lines = [("-", b"hello"), ("ok", good), ("bad", bad), ("-", b""),
             ("-", b"$*0"), ("ok", b"$*00"), ("-", b"*00"), ("-", b"$"),
             ("-", good[:-1] + b"x"), ("-", b"\\ \x1b[2J\0\xff")]
    before = len(records())
    send(b"\n".join(text for _, text in lines) + b"\n")
    expect(before, lines)
    send(b"\r\n".join(text for _, text in lines) + b"\r\n", 3)
    expect(before, lines * 2)


def case_writers():
    """A line in pieces, from several that have the FIFO open and leave."""
    before = len(records())
    for n in range(200):
        send(b"from ")
        send(b"writer %d\n" % n)
    expect(before, [("-", b"from writer %d" % n) for n in range(200)])


def case_many():
    before = len(records())
    lines = [b"line %d " % n + b"x" * random.randrange(100)
             for n in range(3000)]
    send(b"\n".join(lines) + b"\n")
    expect(before, [("-", line) for line in lines])


def case_long():
    before, wanted, data = len(records()), [], b""
    for n in (999, 1000, 1001, 1999, 2000, 2001, 100000):
        text = bytes(random.choice(b"abc\0\r\xff\x80\\") for _ in range(n))
        text = text[:-1] + b"x"
        data += text + b"\n"
        while len(text) > 1000:
            wanted.append(("part", text[:1000]))
            text = text[1000:]
        wanted.append(("-", text))
    send(data)
    expect(before, wanted)


def case_part():
    before = len(records())
    send(b"half a")
    expect(before, [("part", b"half a")])
    send(b" line\n")
    expect(before, [("part", b"half a"), ("-", b" line")])


def case_end():
    wait_until(said, "is open")
    send(b"whole\n" * 50 + b"half")
    # what it has not read yet is not its business
    wait_until(lambda: len(records()) == 50)
    os.kill(PID, signal.SIGINT)
    expect(0, [("-", b"whole")] * 50 + [("part", b"half")])


def fill(line):
    """The lines that were sent, until no more of them are taken."""
    sent, refused, limit = [], 0, time.monotonic() + PATIENCE
    while refused < 20:
        assert time.monotonic() < limit
        text = b"%d " % len(sent) + b"y" * 500
        try:
            os.write(line, text + b"\n")    # all or nothing: PIPE_BUF
            sent.append(text)
            refused = 0
        except BlockingIOError:
            refused += 1
            time.sleep(0.02)
    return sent


def case_slow():
    """OUT is a FIFO that nobody reads; then somebody does."""
    wait_until(said, "is open")
    line = os.open(LINE, os.O_WRONLY | os.O_NONBLOCK)
    sent, got = fill(line), b""
    with open(OUT, "rb", buffering=0) as out:
        while got.count(b"\n") < len(sent):
            got += out.read(65536)
    assert [text for _, text in parse(got)] == sent
    fill(line)
    os.close(line)


def bytes_read():
    """By the example, of whatever: what a thread wakes another by, too."""
    with open(f"/proc/{PID}/io", encoding="ascii") as io:
        return int(re.search(r"rchar: (\d+)", io.read())[1])


def case_apart():
    """What a line said last is not the beginning of what it says next."""
    out, got = os.open(OUT, os.O_RDWR | os.O_NONBLOCK), []
    try:
        while True:
            os.write(out, b"#")
    except BlockingIOError:
        pass
    master, slave = pty.openpty()
    os.symlink(os.ttyname(slave), LINE)
    wait_until(lambda: said("is open") == 1)
    before, old = bytes_read(), [b"%d" % n * 400 for n in range(4)]
    os.write(master, b"\n".join(old))
    wait_until(lambda: bytes_read() - before >= 1600)
    os.close(slave)
    os.unlink(LINE)
    os.close(master)
    wait_until(said, "has hung up")

    master, slave = pty.openpty()
    os.symlink(os.ttyname(slave), LINE)
    os.set_blocking(out, True)
    threading.Thread(target=lambda: [got.append(os.read(out, 65536)) for _ in
                                     iter(int, 1)], daemon=True).start()
    wait_until(lambda: said("is open") == 2)
    os.write(master, b"new\n")
    wait_until(lambda: b"new\n" in b"".join(got))
    found = parse(b"".join(got).replace(b"#", b""))
    assert found == [("-", old[0]), ("-", old[1]), ("-", old[2]),
                     ("part", old[3]), ("-", b"new")], found


def open_fds():
    return len(os.listdir(f"/proc/{PID}/fd"))


def case_serial():
    wait_until(said, "trying again")
    fds = None
    for n in range(1, 4):
        master, slave = pty.openpty()
        os.symlink(os.ttyname(slave), LINE)
        wait_until(lambda: said("is open") == n)
        os.close(slave)
        lines = [with_sum(b"n %d %d" % (n, i)) for i in range(300)]
        before, data = len(records()), b"\r\n".join(lines) + b"\r\n"
        wanted = [("ok", line) for line in lines]
        if n == 1:      # it takes a while until this is given up
            data += b"ha"
            wanted.append(("part", b"ha"))
        while data:
            data = data[os.write(master, data[:100]):]
        expect(before, wanted)
        os.unlink(LINE)
        os.close(master)
        wait_until(lambda: said("has hung up") == n)
        wait_until(lambda: said("trying again") == n + 1)
        # since the first time it has some for itself
        fds = fds or open_fds()
        wait_until(lambda: open_fds() <= fds)


globals()["case_" + sys.argv[1]]()
