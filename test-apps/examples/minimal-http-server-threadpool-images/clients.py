#!/usr/bin/env python3
#
# clients.py PORT TEST [PID] - clients of minimal-http-server-threadpool-images
#
# Each TEST is a function below; PID is the server's.  Exit status 0 if all was
# as it should be.
#
# SPDX-License-Identifier: MIT

import base64
import http.client
import os
import random
import socket
import struct
import sys
import threading
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                ".."))
# pylint: disable=wrong-import-position
from web import (  # noqa: E402
    PATIENCE, answer_of, ask, connect, expect, in_parallel,
    metric, port, raw, reset, run, wait_for)

MAX_UPLOAD = 10000000  # bytes, as the server has it
SIZES = (96, 240, 480, 960)

RED, BLUE = (200, 30, 40), (20, 60, 180)

# 48 x 24, all of it BLUE_JPEG
BLUE_JPEG = (32, 96, 192)
JPEG = base64.b64decode("""
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0o
OjM9PDkzODdASFxOQERXRTc4UG1RV19iZ2hnPk1xeXBkeFxlZ2P/2wBDARESEhgVGC8a
Gi9jQjhCY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2Nj
Y2NjY2P/wAARCAAYADADASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQF
BgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEI
I0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNk
ZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLD
xMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEB
AQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJB
UQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZH
SElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaan
qKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oA
DAMBAAIRAxEAPwDLooor3DzAooooAKKKKACiiigAooooAKKKKAP/2Q==
""")
# A JPEG of 4096 x 4096 whose last SCAN bytes in front of its end are a scan,
# which may come again and again: each time it changes all of the picture.
SCAN = 33
SCANS = zlib.decompress(base64.b64decode("""
eNrtzEFKQmEYheHvDtJrGlnpINGUCiwQMbtQQdEgEGpTDltGSynCRZQNcgcNG0T9SY3c
w/Oc2Ts46SUton43uZ1ElkVky0V6i5vIS6VyaS0vl8uVSr5ea2zUqtXa7vbOZqPT6u51
Wu1273DY7+0PDtrto7PjweikKIpu/+LqfHw5PC3G6TmqeT3qy9utSLNo/v2vyNM88v/6
8BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwDTNolnPstW6GKV55MuaXcf0
J8V3iq8Unyk+UryneExxn15/AYq0K2E=
"""))



# --- PNG ---

def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data +
            struct.pack(">I", zlib.crc32(kind + data)))


def png(width, height, rows, kind=2, depth=8, more=b"", level=6):
    """A PNG of these rows, which are bytes without a filter."""
    z = zlib.compressobj(level)
    data = b"".join(z.compress(b"\0" + row) for row in rows) + z.flush()
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind,
                                       0, 0, 0)) +
            more + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def plain(width, height, rgb=RED):
    return png(width, height, [bytes(rgb) * width] * height)


def halves(width, height):
    half = width // 2
    return png(width, height,
               [bytes(RED) * half + bytes(BLUE) * (width - half)] * height)


def noise(width, height):
    """Its thumbnails are large."""
    row = random.randbytes(3 * width * 64)
    return png(width, height, [row[n:n + 3 * width] for n in
                               random.choices(range(3 * width * 63),
                                              k=height)], level=1)


def size_of(data):
    expect(data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG: %r" % data[:20])
    return struct.unpack(">II", data[16:24])


def paeth(a, b, c):
    pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    return a if pa <= pb and pa <= pc else b if pb <= pc else c


def pixels(data):
    """The rows of a PNG, each a list of tuples."""
    width, height = size_of(data)
    depth, kind = data[24], data[25]
    expect(depth == 8 and kind in (2, 6), (depth, kind))
    deep = 3 if kind == 2 else 4
    at, packed = 8, b""
    while at < len(data):
        length = struct.unpack(">I", data[at:at + 4])[0]
        if data[at + 4:at + 8] == b"IDAT":
            packed += data[at + 8:at + 8 + length]
        at += 12 + length
    raw, before, rows = zlib.decompress(packed), bytes(width * deep), []
    for y in range(height):
        line = raw[y * (width * deep + 1):(y + 1) * (width * deep + 1)]
        method, row = line[0], bytearray(line[1:])
        for n, value in enumerate(row):
            a = row[n - deep] if n >= deep else 0
            b = before[n]
            c = before[n - deep] if n >= deep else 0
            row[n] = value + (0, a, b, (a + b) // 2,
                              paeth(a, b, c))[method] & 255
        rows.append([tuple(row[n:n + deep])
                     for n in range(0, len(row), deep)])
        before = row
    return rows


def near(a, b, by=3):
    return all(abs(x - y) <= by for x, y in zip(a, b))


# --- clients ---

def post(picture, rcvbuf=None):
    """A socket on which that picture was sent."""
    s = socket.socket()
    if rcvbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    s.settimeout(PATIENCE)
    s.connect(("127.0.0.1", port))
    s.sendall(b"POST /thumbnails HTTP/1.1\r\nHost: x\r\nContent-Length: %d"
              b"\r\n\r\n" % len(picture) + picture)
    return s


def hang_up(s, rude):
    if rude:
        reset(s)
    else:
        s.close()


def wait_for_idle():
    wait_for(lambda: not sum(metric(n) for n in
                             ("queued", "running", "syncing", "done")),
             "an idle pool")


def parse(text):
    """The thumbnails of an answer, all of it."""
    found = []
    while True:
        line, _, text = text.partition(b"\n")
        if line == b"end":
            expect(not text, "more behind the end")
            return found
        word, width, height, length = line.split()
        expect(word == b"thumbnail" and len(text) >= int(length), line)
        data, text = text[:int(length)], text[int(length):]
        expect(size_of(data) == (int(width), int(height)), line)
        found.append(data)


def thumbnails(picture, connection=None):
    reply, text = ask(connection or connect(), "POST", "/thumbnails", picture)
    expect(reply.status == 200, (reply.status, text))
    return parse(text)


def until_served(picture):
    """A client that comes again when it is put off."""
    limit = time.monotonic() + PATIENCE
    while True:
        reply, text = ask(connect(), "POST", "/thumbnails", picture)
        if reply.status == 200:
            return parse(text)
        expect(reply.status == 503 and int(reply.getheader("Retry-After")),
               (reply.status, text))
        expect(time.monotonic() < limit, "never served")
        time.sleep(0.02)


def sizes_of(width, height):
    """of the thumbnails that there should be"""
    found = []
    for square in SIZES:
        by = min(1, square / max(width, height))
        found.append((max(1, int(width * by + .5)),
                      max(1, int(height * by + .5))))
        if by == 1:
            break
    return found


def is_healthy(serve=thumbnails):
    for data in serve(plain(96, 48)):
        expect(near(pixels(data)[20][50], RED), "the colour")


# --- tests ---

def colours():
    """Thumbnails have the sizes and the pixels that they should have."""
    for data in thumbnails(halves(400, 200)):
        rows = pixels(data)
        width, height = size_of(data)
        for row in rows[0], rows[height // 2], rows[-1]:
            for x in 0, width // 2 - 3:
                expect(near(row[x], RED), (width, x, row[x]))
            for x in width // 2 + 2, width - 1:
                expect(near(row[x], BLUE), (width, x, row[x]))


def shapes():
    """Thumbnails fit, in the shape of the picture, and none is enlarged."""
    for width, height in ((400, 200), (96, 96), (97, 10), (1, 1), (5000, 1),
                          (1, 2000), (1999, 1333), (960, 960)):
        got = [size_of(t) for t in thumbnails(plain(width, height))]
        expect(got == sizes_of(width, height), (width, height, got))


def kinds():
    """Pictures of other kinds than RGB."""
    rgba = png(96, 8, [bytes(RED + (0,)) * 48 + bytes(BLUE + (255,)) * 48] * 8,
               6)
    row = pixels(thumbnails(rgba)[0])[4]
    expect(row[0][3] == 0 and near(row[95], BLUE + (255,)), row)
    grey = png(96, 8, [b"\x7f" * 96] * 8, 0)
    expect(near(pixels(thumbnails(grey)[0])[4][9], (127,) * 3), "grey")
    deep = png(96, 8, [b"\x7f\xff" * 96] * 8, 0, 16)
    expect(near(pixels(thumbnails(deep)[0])[4][9], (127,) * 3), "16 bits")
    palette = png(96, 8, [b"\x01" * 96] * 8, 3,
                  more=chunk(b"PLTE", bytes(RED + BLUE)))
    expect(near(pixels(thumbnails(palette)[0])[4][9], BLUE), "a palette")
    first = thumbnails(JPEG)[0]
    expect(size_of(first) == (48, 24) and
           near(pixels(first)[12][24], BLUE_JPEG, 8), "a JPEG")


def chunk_at(picture, kind):
    return picture.index(kind) - 4


def broken_pictures():
    good = noise(200, 100)
    ihdr, idat = 8, chunk_at(good, b"IDAT")
    short = png(200, 100, [b"\x55" * 600] * 10)
    sos = JPEG.index(b"\xff\xda")
    yield 415, b"x"
    yield 415, b"GIF89a" + bytes(100)
    yield 415, b"BM" + bytes(100)
    yield 415, b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    yield 415, random.randbytes(100000).replace(b"\x89", b"x")
    yield 415, good[:8]
    yield 422, b"\x89PNG\r\n\x1a\n" + b"IHDR" * 100
    yield 422, b"\xff\xd8\xff" + bytes(100)
    yield 422, good[:-1]
    yield 422, good[:-12]
    for end in ihdr + 9, ihdr + 25, idat + 4, idat + 100, len(good) // 2:
        yield 422, good[:end]
    # what is between is not there, or is not what it should be
    yield 422, good[:idat] + good[-12:]
    yield 422, good[:ihdr] + good[idat:]
    yield 422, good[:idat + 8] + b"\xff" * 50 + good[idat + 58:]
    yield 422, good[:idat] + b"\xff" * 4 + good[idat + 4:]
    yield 422, png(0, 100, [b""] * 100)
    yield 422, png(100, 100, [bytes(100)] * 100, 3)
    for end in sos - 100, sos + 4, sos - 1:
        yield 422, JPEG[:end]
    # rows that are not there are transparent, or it is refused
    reply, text = ask(connect(), "POST", "/thumbnails", short)
    expect(reply.status in (200, 422), reply.status)
    if reply.status == 200:
        last = pixels(parse(text)[-1])[-1]
        expect(set(last) <= {(0, 0, 0), (0, 0, 0, 0)}, "old memory")


def broken():
    """What is no picture, or not all of one, is refused with a reason."""
    connection = connect()
    for n, (status, picture) in enumerate(broken_pictures()):
        reply, text = ask(connection, "POST", "/thumbnails", picture)
        expect(reply.status == status and text.endswith(b"\n"),
               (n, status, reply.status, text[:100]))
    is_healthy()


def peak():
    """the most memory that the server had so far, in bytes"""
    with open("/proc/%s/status" % sys.argv[3], encoding="ascii") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return sys.exit("clients.py: no VmHWM")


def bombs():
    """What would take gigabytes is refused before it does, or not unpacked."""
    is_healthy()
    before = peak()
    for width, height in ((100000, 100000), (2 ** 31 - 1, 2 ** 31 - 1),
                          (16777217, 1), (1, 16777217), (4096, 4097),
                          (65536, 65536)):
        reply, text = ask(connect(), "POST", "/thumbnails",
                          png(width, height, [bytes(1000)]))
        expect(reply.status == 422, (width, height, reply.status, text))
    big = bytearray(JPEG)
    frame = big.index(b"\xff\xc0")
    big[frame + 5:frame + 9] = struct.pack(">HH", 65000, 65000)
    reply, text = ask(connect(), "POST", "/thumbnails", bytes(big))
    expect(reply.status == 422 and b"pixels" in text, (reply.status, text))
    # compressed text, and a profile, of 7 MB each
    packed = zlib.compress(bytes(7000000), 9)
    more = (chunk(b"iCCP", b"x\0\0" + packed) +
            chunk(b"zTXt", b"x\0\0" + packed) * 500)
    picture = png(96, 48, [bytes(RED) * 96] * 48, more=more)
    expect(near(pixels(thumbnails(picture)[0])[20][50], RED), "the colour")
    expect(peak() - before < 100000000,
           "it took %d bytes" % (peak() - before))


REJECTED = (
    # status, method, path, headers, body
    (404, "GET", "/nowhere", "", b""),
    (404, "POST", "/thumbnails/", "Content-Length: 1\r\n", b"x"),
    (405, "GET", "/thumbnails", "", b""),
    (405, "PUT", "/thumbnails", "Content-Length: 1\r\n", b"x"),
    (400, "POST", "/thumbnails", "Content-Length: 0\r\n", b""),
    (400, "GET", "/metrics", "Content-Length: 1\r\n", b"x"),
    (411, "POST", "/thumbnails", "", b"x"),
    (411, "POST", "/thumbnails", "Content-Length: 1\r\n"
     "Transfer-Encoding: chunked\r\n", b"1\r\nx\r\n0\r\n\r\n"),
    (413, "POST", "/thumbnails", "Content-Length: 10000001\r\n", b"x" * 999),
    (413, "POST", "/thumbnails", "Content-Length: 99999999999999\r\n", b"x"),
)


def rejected():
    """What cannot be right has an answer, and its connection closes."""
    before = metric("accepted_total")
    for status, method, path, headers, body in REJECTED:
        s = raw(("%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n" %
                 (method, path, headers)).encode() + body)
        text = answer_of(s)
        expect(text.startswith(b"HTTP/1.1 %d " % status),
               (status, method, path, headers, text))
    expect(metric("accepted_total") == before, "something got a task")


def keep_alive():
    """Requests of all kinds one after the other on one connection."""
    connection = connect()
    connection.connect()
    mine = connection.sock.getsockname()
    for _ in range(5):
        is_healthy(lambda picture: thumbnails(picture, connection))
        expect(ask(connection, "POST", "/thumbnails", b"?")[0].status == 415,
               "415")
        expect(ask(connection, "GET", "/")[0].status == 200, "the page")
        got = thumbnails(noise(500, 400), connection)
        expect([size_of(t) for t in got] == sizes_of(500, 400), "sizes")
    expect(connection.sock and connection.sock.getsockname() == mine,
           "the connection was closed")


def old_clients():
    """HTTP/1.0 has no chunks: the answer ends with the connection."""
    picture = halves(400, 200)
    s = raw(b"POST /thumbnails HTTP/1.0\r\nContent-Length: %d\r\n\r\n" %
            len(picture) + picture)
    head, _, text = answer_of(s).partition(b"\r\n\r\n")
    expect(b"chunked" not in head.lower(), head)
    expect([size_of(t) for t in parse(text)] == sizes_of(400, 200), head)


def progressive():
    """The first thumbnail is there while others are not even made."""
    before = metric("finished_total")
    s = post(noise(1000, 1000), 4096)
    text = b""
    while text.count(b"\n") < 16:
        text += s.recv(1)
    expect(b"\nthumbnail 96 96 " in text, text)
    wait_for(lambda: metric("syncing") == 1, "one that waits for its reader")
    expect(metric("finished_total") == before, "it was all made at once")
    s.close()
    wait_for_idle()


def pieces():
    """An upload that comes in small pieces."""
    picture = halves(100, 50)
    s = raw(b"POST /thumbnails HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % len(picture))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for n in range(0, len(picture), 20):
        time.sleep(0.002)
        s.send(picture[n:n + 20])
    expect(b"end\n" in answer_of(s), "no end")


def oversized():
    """A client that sends on and on gets its answer, and does not hang."""
    head = (b"POST /thumbnails HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 50000000\r\n\r\n")
    s = raw(head)
    try:
        for _ in range(500):
            s.sendall(b"x" * 100000)
    except (ConnectionResetError, BrokenPipeError):
        pass
    s.close()
    expect(answer_of(raw(head)).startswith(b"HTTP/1.1 413 "), "no 413")


def half_uploads():
    """Those that hang up within an upload, or stay there."""
    stay = []
    picture = noise(200, 200)
    for n in range(30):
        s = raw(b"POST /thumbnails HTTP/1.1\r\nHost: x\r\n"
                b"Content-Length: 2000000\r\n\r\n" + picture)
        if n % 3:
            hang_up(s, n % 3 == 1)
        else:
            stay.append(s)
    is_healthy(until_served)
    for s in stay:
        s.close()


def slow_readers():
    """Those that do not read hold up nobody, and can still go on."""
    picture = noise(1000, 1000)
    stay = [post(picture, 4096) for _ in range(8)]
    wait_for(lambda: metric("syncing") == 8, "8 that wait for their readers")
    for _ in range(3):
        is_healthy()
    wait_for(lambda: metric("syncing") == 8 and metric("running") == 0,
             "no thread that is busy for them")
    reply = http.client.HTTPResponse(stay[0])
    reply.begin()
    got = [size_of(t) for t in parse(reply.read())]
    expect(got == sizes_of(1000, 1000), got)
    for n, s in enumerate(stay[1:]):
        s.recv(1000)
        hang_up(s, n % 2)
    wait_for_idle()


def hang_ups():
    """-t 1: those that hang up cost no thumbnails, nor room for uploads."""
    before = metric("finished_total")
    picture = plain(4000, 4000)
    stay = [post(picture) for _ in range(15)]
    wait_for(lambda: metric("accepted_total") >= 15, "15 accepted")
    for n, s in enumerate(stay):
        hang_up(s, n % 2)
    wait_for_idle()
    finished = metric("finished_total") - before
    # some may have been served before they could hang up
    expect(finished < 8, "%d of 15 were made all the same" % finished)
    is_healthy(until_served)


def room():
    """-a 10000000: as much as one upload may have, and it comes back."""
    head = (b"POST /thumbnails HTTP/1.1\r\nHost: x\r\nContent-Length: %d"
            b"\r\n\r\n" % MAX_UPLOAD)
    is_healthy(until_served)
    for n in range(6):
        s = raw(head + b"begun")
        # until it counts
        wait_for(lambda: ask(connect(), "POST", "/thumbnails",
                             plain(9, 9))[0].status == 503, "no room")
        reply, text = ask(connect(), "POST", "/thumbnails", plain(9, 9))
        expect(int(reply.getheader("Retry-After")) and b"uploads" in text,
               text)
        hang_up(s, n % 2)
        is_healthy(until_served)


def full():
    """-t 1 -q 2: some are put off, and all others are served."""
    picture = plain(4000, 4000)
    got = []
    lock = threading.Lock()

    def client():
        reply, text = ask(connect(), "POST", "/thumbnails", picture)
        if reply.status == 200:
            expect(len(parse(text)) == 4, "not all of them")
        else:
            expect(int(reply.getheader("Retry-After")) >= 1, "when?")
        with lock:
            got.append(reply.status)

    wait_for(lambda: in_parallel(12, client) or 503 in got, "nobody put off")
    expect(set(got) == {200, 503}, got)
    expect(metric("refused_total") == got.count(503), "refused")
    is_healthy(until_served)


def takes_for_ever():
    """A picture that does so to decode."""
    return SCANS[:-2] + SCANS[-2 - SCAN:-2] * 20000 + SCANS[-2:]


def waited():
    """-t 1 -l 50 -w 1000: one that waits longer than that has its answer."""
    got = []

    def turn():
        before = metric("accepted_total")
        first = post(takes_for_ever())
        wait_for(lambda: metric("accepted_total") > before, "accepted")
        reply, text = ask(connect(), "POST", "/thumbnails", JPEG)
        first.close()
        if reply.status == 503:
            expect(int(reply.getheader("Retry-After")) and
                   b"waited too long" in text, text)
            got.append(reply)
        return got

    wait_for(turn, "nobody waited")
    is_healthy(until_served)


def too_long():
    """-w 200: a picture that takes for ever to decode is given up."""
    expect(len(thumbnails(JPEG)) == 1, "a healthy one")
    reply, text = ask(connect(), "POST", "/thumbnails", takes_for_ever())
    expect(reply.status == 422 and b"too long" in text, (reply.status, text))
    wait_for_idle()


def flood():
    """100 at once, each of which comes again until it is served."""
    picture = halves(300, 300)
    in_parallel(100, lambda: until_served(picture))
    wait_for_idle()


def drained():
    """What was accepted when the server is to end, by whoever reads our line,
    is still answered.  It has 2 s for that, so it is little."""
    picture = plain(500, 500)
    got = []
    threads = [threading.Thread(
        target=lambda: got.append(len(thumbnails(picture)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_for(lambda: metric("accepted_total") == 3, "accepted")
    print("end it", flush=True)
    for thread in threads:
        thread.join()
    expect(got == [4, 4, 4], got)


run(colours, shapes, kinds, broken, bombs, rejected, keep_alive,
    old_clients, progressive, pieces, oversized, half_uploads,
    slow_readers, hang_ups, room, full, waited, too_long, flood, drained)
