#!/usr/bin/python3
#
# protocol.py PORT CASE...: the live example by its ws protocol
#
# Prints a line for each thing that was expected and was not, and ends with 1 if
# there was any.
#
# SPDX-License-Identifier: MIT

import json
import os
import random
import statistics
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                ".."))
# pylint: disable=wrong-import-position
from ws import BINARY, PATIENCE, Closed, Ws  # noqa: E402

TILE, COLUMNS, ROWS, ITERATIONS = 64, 8, 6, 1000
TILES = COLUMNS * ROWS
WHOLE = (-0.5, 0.0, 4.0)        # all of the set
CHEAP = (-2.2, 0.3, 0.25)       # points that leave soon
DEEP = (-0.743643887037151, 0.13182590420533, 1e-9)
INSIDE = (-0.1, 0.0, 0.05)      # the set and nothing else

wrong = 0


def expect(true, *what):
    global wrong
    if not true:
        wrong += 1
        print("   ", *what)
    return true


# --- the reference ------------------------------------------------------------

def escape(re, im):
    x = y = xx = yy = 0.0
    n = 0
    while n < ITERATIONS and xx + yy <= 4.0:
        y = 2.0 * x * y + im
        x = xx - yy + re
        xx = x * x
        yy = y * y
        n += 1
    return n


def reference(view, column, row, step):
    re, im, span = view
    pixel = span / (COLUMNS * TILE)
    half = step // 2
    xs = [re + (x - COLUMNS * TILE // 2) * pixel
          for x in range(column * TILE + half, (column + 1) * TILE, step)]
    ys = [im - (y - ROWS * TILE // 2) * pixel
          for y in range(row * TILE + half, (row + 1) * TILE, step)]
    return [escape(x, y) for y in ys for x in xs]


# --- a viewer -----------------------------------------------------------------

class Viewer(Ws):
    """Asks for views and collects what comes."""

    def __init__(self, port, credit=96, **options):
        super().__init__(port, "lws-threadpool-live", **options)
        hello = self.receive()
        expect(hello["tile"] == TILE and hello["columns"] == COLUMNS and
               hello["rows"] == ROWS and hello["iterations"] == ITERATIONS,
               "hello is", hello)
        self.number = hello["you"]
        self.view = 0
        self.tiles = {}         # (view, column, row, step): pixels
        self.ends = {}          # task: how
        self.pool = None        # the last snapshot
        self.states = set()     # of tasks of ours
        if credit:
            self.say(f"more {credit}")

    def say(self, text):
        self.sock.sendall(self.frame(text))

    def receive(self):
        """The next message: what its JSON says, or bytes."""
        message = self.recv()
        return message if isinstance(message, bytes) else json.loads(message)

    def look(self, where):
        self.view += 1
        self.say("view %d %r %r %r" % (self.view, *where))
        return self.view

    def one(self):
        """Takes one message, and says that there may be more."""
        message = self.receive()
        if isinstance(message, bytes):
            number, column, row, step, zero = struct.unpack("<IBBBB",
                                                            message[:8])
            pixels = struct.unpack("<%dH" % ((TILE // step) ** 2), message[8:])
            expect(not zero and column < COLUMNS and row < ROWS,
                   "tile of", number, column, row, step)
            self.tiles[number, column, row, step] = pixels
            self.say("more 1")
        elif "end" in message:
            self.ends[message["task"]] = message["end"]
        else:
            self.pool = message
            for name, state, _ in message["tasks"]:
                if self.is_mine(name):
                    self.states.add(state)
        return message

    def is_mine(self, name, view=None):
        number, of, _ = name.split(".")
        return int(number) == self.number and view in (None, int(of))

    def until(self, what, condition):
        limit = time.monotonic() + PATIENCE
        while not condition():
            if not expect(time.monotonic() < limit, what, "does not come"):
                raise Closed()
            self.one()

    def finished(self, view):
        return sum(1 for name, how in self.ends.items()
                   if self.is_mine(name, view) and how == "finished")

    def picture(self, where):
        view = self.look(where)
        self.until("the picture", lambda: self.finished(view) == TILES)
        return view

    def states_of(self, view=None):
        return [state for name, state, _ in (self.pool or {"tasks": []})
                ["tasks"] if self.is_mine(name, view)]

    def until_closed(self):
        """The code that it is closed with."""
        try:
            while True:
                self.one()
        except Closed as closed:
            return closed.code

    def check(self, view, where, some=TILES):
        for index in sorted(random.sample(range(TILES), some)):
            column, row = index % COLUMNS, index // COLUMNS
            for step in (4, 1):
                got = self.tiles.get((view, column, row, step))
                if not expect(got is not None, "no tile", column, row, step):
                    continue
                right = reference(where, column, row, step)
                bad = [n for n in range(len(right)) if got[n] != right[n]]
                expect(not bad, len(bad), "pixels of tile", column, row,
                       "step", step, "are not those of the reference")


# --- the cases ----------------------------------------------------------------

def case_whole(port):
    """The whole set, each pixel of it, coarse and fine."""
    with Viewer(port) as viewer:
        view = viewer.picture(WHOLE)
        expect(len(viewer.tiles) == 2 * TILES, len(viewer.tiles), "messages")
        viewer.check(view, WHOLE)


def case_deep(port):
    """A deep zoom, some tiles of it."""
    with Viewer(port) as viewer:
        viewer.check(viewer.picture(DEEP), DEEP, 4)


def case_states(port):
    """Snapshots that show all that a task does, and count right."""
    with Viewer(port, credit=0) as viewer:
        viewer.say("watch")
        view = viewer.look(CHEAP)
        viewer.until("a task that is SYNCING", lambda: "s" in viewer.states)
        expect(not viewer.tiles, "tiles came without credit")
        viewer.say("more 48")
        viewer.until("the picture", lambda: viewer.finished(view) == TILES)
        viewer.until("the last snapshot", lambda: not viewer.pool["tasks"] and
                     viewer.pool["total"]["finished"] >= TILES)
        for state in "qrsp":
            expect(state in viewer.states, "no task was seen in", state)
        total = viewer.pool["total"]
        expect(total["accepted"] == total["finished"] + total["stopped"],
               "total is", total)
        expect(total["syncs"] >= 2 * TILES, "total is", total)
        for name in ("queue_us", "run_us", "sync_us"):
            expect(sum(viewer.pool[name]) > 0, name, "has nothing")


def case_zoom(port):
    """Another view stops the tasks of the last one, running or not."""
    with Viewer(port) as viewer:
        viewer.say("watch")
        old = viewer.look(INSIDE)
        viewer.until("a running task", lambda:
                     "r" in viewer.states_of(old) and
                     "q" in viewer.states_of(old))
        stopped = viewer.pool["total"]["stopped"]
        new = viewer.look(CHEAP)
        viewer.until("a task of the new view", lambda: viewer.states_of(new))
        # those that run end at their next row, and so in no more snapshot
        viewer.until("the end of the old tasks",
                     lambda: not viewer.states_of(old))
        before = [key for key in viewer.tiles if key[0] == old]
        viewer.until("the new picture",
                     lambda: viewer.finished(new) == TILES)
        after = [key for key in viewer.tiles if key[0] == old]
        expect(before == after, "tiles of a view that is over came later")
        expect(viewer.finished(old) < TILES, "no task was there to be stopped")
        viewer.until("the last snapshot", lambda: not viewer.pool["tasks"])
        total = viewer.pool["total"]
        expect(total["stopped"] > stopped and total["accepted"] ==
               total["finished"] + total["stopped"], "total is", total)
        viewer.check(new, CHEAP)


def case_many_views(port):
    """Of views in quick succession the last one comes, whole."""
    with Viewer(port) as viewer:
        viewer.say("watch")
        for n in range(500):
            last = viewer.look((CHEAP[0], CHEAP[1] + n / 1000, CHEAP[2]))
        viewer.until("the last picture",
                     lambda: viewer.finished(last) == TILES)
        viewer.until("a snapshot without tasks",
                     lambda: viewer.pool and not viewer.states_of())
        viewer.check(last, (CHEAP[0], CHEAP[1] + 499 / 1000, CHEAP[2]), 8)


def seconds_of(viewer):
    """What five pictures take, the median."""
    times = []
    for _ in range(5):
        begin = time.monotonic()
        viewer.picture(CHEAP)
        times.append(time.monotonic() - begin)
    return statistics.median(times)


def ratio_of(port, stall):
    """How much longer it takes beside four others that stall() has stalled."""
    with Viewer(port) as viewer:
        viewer.say("watch")
        alone = seconds_of(viewer)
        others = [stall(port) for _ in range(4)]
        numbers = {str(other.number) for other in others}

        def stalled():
            states = [state for name, state, _ in viewer.pool["tasks"]
                      if name.split(".")[0] in numbers]
            return len(states) == 4 * TILES and set(states) <= {"s", "d"}

        viewer.until("that the others are stalled", stalled)
        beside = seconds_of(viewer)
        viewer.until("that they still are", stalled)
        for other in others:
            other.close()
    return beside / alone


def without_credit(port):
    other = Viewer(port, credit=0)
    other.look(CHEAP)
    return other


def case_slow_reader(port):
    """192 tasks of clients that take nothing hold up nobody."""
    # a loaded machine may make either of the two slow: not each time
    ratios = []
    while len(ratios) < 5 and (not ratios or min(ratios) > 2):
        ratios.append(ratio_of(port, without_credit))
    expect(min(ratios) <= 2, "beside slow readers it took times", ratios)


def case_never_reads(port):
    """Clients that have credit, zoom, and never read from their socket."""
    others = [Viewer(port, rcvbuf=4096) for _ in range(4)]
    for n in range(300):
        for other in others:
            other.say("watch")
            other.say("more 96")
            other.look((CHEAP[0] + n / 1000, CHEAP[1], CHEAP[2]))
        time.sleep(0.005)
    with Viewer(port) as viewer:
        viewer.say("watch")
        viewer.check(viewer.picture(CHEAP), CHEAP, 8)
        numbers = {str(other.number) for other in others}

        def most():
            tasks = [name.split(".")[0] for name, *_ in viewer.pool["tasks"]]
            return max(tasks.count(number) for number in numbers)

        viewer.until("no more than one view's tasks of each",
                     lambda: viewer.pool and most() <= TILES)
    for other in others:
        other.close()


def case_threads(port):
    """Other numbers of threads, and a picture that is right all the same."""
    with Viewer(port) as viewer:
        viewer.say("watch")
        viewer.until("a snapshot", lambda: viewer.pool)
        view = viewer.look(WHOLE)
        for threads in (1, 8, 2, 5):
            viewer.say(f"threads {threads}")
            viewer.until(f"a pool of {threads}", lambda:
                         viewer.pool["threads"] == threads)
        viewer.until("the picture", lambda: viewer.finished(view) == TILES)
        viewer.check(view, WHOLE, 8)
        viewer.until("that nothing is left",
                     lambda: not viewer.pool["tasks"])


BAD = [
    ("nonsense", 1008), ("", 1008), ("view", 1008), ("view 1 2 3", 1008),
    ("view 1 nan 0 1", 1008), ("view 1 0 inf 1", 1008),
    ("view 1 0 0 0", 1008), ("view 1 0 0 -1", 1008), ("view 1 0 0 1 1", 1008),
    ("view 1 5 0 1", 1008), ("threads 0", 1008), ("threads 9", 1008),
    ("threads -1", 1008), ("threads 2 2", 1008), ("more", 1008),
    ("more 1000", 1008), ("watch\0", 1008), ("view 1 0 0 1" + " " * 200, 1009),
    ("x" * 129, 1009), ("x" * 70000, 1009),
]


def case_bad(port):
    """Bad messages close that connection, with the right reason."""
    with Viewer(port) as healthy:
        for text, code in BAD:
            with Viewer(port) as bad:
                bad.look(INSIDE)
                bad.say(text)
                got = bad.closes()
                # what is not read to its end is reset, and the reason with it
                expect(got == code or (code == 1009 and got is None),
                       repr(text[:40]), "closed with", got)
        with Viewer(port) as bad:
            bad.sock.sendall(bad.frame(b"\1\2\3", BINARY))
            got = bad.closes()
            expect(got == 1003, "a binary one: closed with", got)
        with Viewer(port) as bad:
            for n in range(20):
                try:
                    bad.sock.sendall(bad.frame(b"more 1    ", 0 if n else 1,
                                                 False))
                except OSError:
                    break
            got = bad.closes()
            expect(got in (1009, None), "without an end: closed with", got)
        healthy.check(healthy.picture(CHEAP), CHEAP, 8)


def case_pieces(port):
    """A good message in pieces: bytes one by one, and fragments."""
    with Viewer(port, credit=0) as viewer:
        for byte in viewer.frame(b"more 96"):
            viewer.sock.sendall(bytes([byte]))
        text = ("view 7 %r %r %r" % CHEAP).encode()
        viewer.sock.sendall(viewer.frame(text[:9], 1, False))
        time.sleep(0.01)
        viewer.sock.sendall(viewer.frame(text[9:], 0, True))
        viewer.until("the picture", lambda: viewer.finished(7) == TILES)
        viewer.check(7, CHEAP, 4)


def case_hang_ups(port):
    """Clients that go in the middle, with a close, an end, or a reset."""
    with Viewer(port) as healthy:
        for n in range(90):
            gone = Viewer(port)
            gone.look(random.choice((INSIDE, CHEAP, WHOLE)))
            gone.say(f"threads {n % 3 + 1}")
            if n % 2:
                gone.one()
            if n % 3 == 0:
                gone.reset()
                continue
            if n % 3 == 1:
                gone.sock.sendall(gone.frame(b"\x03\xe8", 8))
            gone.close()
        healthy.say("watch")
        healthy.check(healthy.picture(CHEAP), CHEAP, 8)
        healthy.until("that nothing of theirs is left", lambda:
                      healthy.pool and not healthy.pool["tasks"])


def case_crowd(port):
    """More connections than it takes: the others have what they want."""
    crowd = []
    refused = 0
    with Viewer(port) as healthy:
        for _ in range(80):
            try:
                crowd.append(Viewer(port))
                crowd[-1].look(CHEAP)
            except Closed:
                refused += 1
        # 64 at a time; of those before us some may be closing
        expect(17 <= refused < 40, refused, "were refused")
        healthy.check(healthy.picture(CHEAP), CHEAP, 4)
        for other in crowd:
            other.close()


def case_end(port):
    """The caller ends the server meanwhile: each task, and we, hear of it."""
    with Viewer(port) as viewer, Viewer(port, credit=0) as slow:
        slow.look(CHEAP)
        view = viewer.look(INSIDE)
        viewer.until("a tile", lambda: viewer.tiles)
        print("now", flush=True)
        code = viewer.until_closed()
        expect(code == 1001, "closed with", code)
        stopped = sum(1 for how in viewer.ends.values() if how == "stopped")
        expect(stopped and stopped + viewer.finished(view) == TILES,
               stopped, "stopped and", viewer.finished(view), "finished")
        code = slow.closes()
        expect(code == 1001, "the slow one closed with", code)


def main():
    port = int(sys.argv[1])
    for name in sys.argv[2:]:
        try:
            globals()["case_" + name.replace("-", "_")](port)
        except (OSError, Closed) as error:
            expect(False, name, "ended early:", repr(error))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
