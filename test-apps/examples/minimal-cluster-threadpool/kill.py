#!/usr/bin/python3
#
# kill.py PORT: three workers are killed in the middle of a picture
# kill.py PORT again: the only worker, whenever it may have all of the picture
# kill.py PORT PID: the engine, and no more
#
# Each tile comes once, and is that of the reference, pixel for pixel.
#
# SPDX-License-Identifier: MIT

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../minimal-ws-server-threadpool-live"))
# pylint: disable=wrong-import-position
import protocol  # noqa: E402
from protocol import CHEAP, TILES, Closed, expect  # noqa: E402


class Viewer(protocol.Viewer):
    """One that counts the messages with tiles."""
    messages = 0

    def one(self):
        message = super().one()
        self.messages += isinstance(message, bytes)
        return message


def kill_workers(viewer):
    for some in (1, 20, 40):
        viewer.until("a tile", lambda: len(viewer.tiles) >= some)
        viewer.say("kill")


# more often than the library tries by itself.  What a worker had is with the next
# one after the lease of 2 s, and parked there for longer than the rest of PAUSE.
KILLS = 6
PAUSE = 3.5     # seconds


def kill_again(viewer):
    viewer.until("all coarse tiles", lambda: len(viewer.tiles) >= TILES)
    for _ in range(KILLS):
        viewer.say("kill")
        time.sleep(PAUSE)


def kill_engine(viewer, pid):
    viewer.until("a tile", lambda: viewer.tiles)
    os.kill(pid, signal.SIGKILL)


def main():
    how = sys.argv[2] if len(sys.argv) > 2 else ""
    try:
        with Viewer(int(sys.argv[1])) as viewer:
            view = viewer.look(CHEAP)
            if how.isdigit():
                kill_engine(viewer, int(how))
                sys.exit(1 if protocol.wrong else 0)
            if how:
                kill_again(viewer)
            else:
                kill_workers(viewer)
            viewer.until("the picture", lambda:
                         viewer.finished(view) == TILES)
            expect(viewer.messages == 2 * TILES, viewer.messages, "messages")
            viewer.check(view, CHEAP)
    except (OSError, Closed) as error:
        expect(False, "ended early:", repr(error))
    sys.exit(1 if protocol.wrong else 0)


main()
