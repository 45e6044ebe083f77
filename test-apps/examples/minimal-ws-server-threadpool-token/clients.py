# clients.py CASE PORT [ARGUMENT]: clients of the token example
#
# SPDX-License-Identifier: MIT

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                ".."))
# pylint: disable=wrong-import-position
import ws  # noqa: E402

LONG = 100000000        # takes longer than any test
PROTOCOL = "lws-threadpool-token"


def connect(**how):
    return ws.Ws(int(sys.argv[2]), PROTOCOL, **how)


def primes(limit):
    """Those below limit."""
    sieve = bytearray([1]) * limit
    sieve[:2] = b"\0\0"[:limit]
    for n in range(2, int(limit ** .5) + 1):
        if sieve[n]:
            sieve[n * n::n] = bytes(len(range(n * n, limit, n)))
    return [n for n, prime in enumerate(sieve) if prime]


def start(client, limit):
    """Returns the number and the token of a job."""
    client.send(f"start {limit}")
    message = client.until(lambda m: "token" in m or "error" in m)
    assert "token" in message, message
    assert len(message["token"]) == 32
    return message["job"], message["token"]


def result(client):
    return client.until(lambda m: "primes" in m)


def state(client, wanted):
    return client.until(lambda m: m.get("state") == wanted)


def error(client):
    return client.until(lambda m: "error" in m)["error"]


def check_result(message, limit):
    expected = primes(limit)
    assert message["below"] == limit, message
    assert message["primes"] == len(expected), message
    assert message["largest"] == (expected[-1] if expected else 0), message


def stop(token):
    client = connect()
    client.send(f"take {token}")
    client.send(f"stop {token}")
    state(client, "stopped")
    client.close()


def case_goes_on():
    """It comes on while it has no connection, and ours is found again."""
    client = connect()
    number, token = start(client, LONG)
    done = client.until(lambda m: m.get("done"))["done"]
    client.reset()

    def further():
        client = connect()
        client.send(f"take {token}")
        message = client.json()
        client.close()
        assert message["job"] == number and message["state"] == "running"
        return message["done"] > done

    ws.wait_until(further)
    stop(token)


def case_result():
    """Whoever comes back late finds the result."""
    for limit in 1, 2, 3, 10, 200000:
        client = connect()
        number, token = start(client, limit)
        client.reset()

        watcher = connect()
        watcher.send(f"watch {number}")
        state(watcher, "ready")

        client = connect()
        client.send(f"take {token}")
        check_result(result(client), limit)
        client.send(f"got {token}")
        state(client, "taken")
        state(watcher, "taken")
        client.send(f"take {token}")
        assert error(client) == "no such job"
        watcher.send(f"watch {number}")
        assert error(watcher) == "no such job"


def case_lost_result():
    """A result whose connection is lost is sent again, until it is had."""
    first = connect()
    number, token = start(first, 1000)
    check_result(result(first), 1000)
    first.reset()

    second = connect()
    second.send(f"take {token}")
    check_result(result(second), 1000)

    # the job is another's now: the second one is not told the result again
    third = connect()
    third.send(f"take {token}")
    check_result(result(third), 1000)
    third.send(f"got {token}")
    state(third, "taken")
    message = second.until(lambda m: m.get("state") == "taken" or
                           "primes" in m)
    assert message["job"] == number and "primes" not in message, message


def case_several():
    """Of several finished jobs each is sent again when it is taken."""
    first = connect()
    jobs = [(limit, *start(first, limit)) for limit in (100, 200, 300)]
    for _, number, _ in jobs:
        first.send(f"watch {number}")
        state(first, "ready")
    first.reset()

    client = connect()
    for limit, _, token in jobs + jobs[::-1] + jobs[1:]:
        client.send(f"take {token}")
        check_result(result(client), limit)
    for limit, _, token in jobs:
        client.send(f"got {token}")
    client.close()


def case_watchers():
    """Many watch one job; none of them gets the token or the result."""
    owner = connect()
    number, token = start(owner, LONG)
    watchers = [connect() for _ in range(5)]
    for watcher in watchers:
        watcher.send(f"watch {number}")
    for watcher in watchers:
        done = watcher.until(lambda m: m["watchers"] == 6)["done"]
        watcher.until(lambda m, done=done: m["done"] > done)
    owner.reset()
    for watcher in watchers:
        watcher.until(lambda m: m["watchers"] == 5)
    stop(token)
    for watcher in watchers:
        message = watcher.until(lambda m: "token" in m or "primes" in m or
                                m.get("state") == "stopped")
        assert message.get("state") == "stopped", message


def flood(client):
    """Sends commands, and reads nothing, until the server takes no more."""
    data = client.frame("nonsense") * 5000
    client.sock.settimeout(3)
    sent = 0
    try:
        while sent < 1 << 26:
            sent += client.sock.send(data)
    except (TimeoutError, OSError):
        return sent
    raise AssertionError("the server took 64 MB, and no reply was read")


def case_slow():
    """Those that do not read are not read from, and hold up nobody."""
    pid = int(sys.argv[3])
    clients = [connect(rcvbuf=4096) for _ in range(3)]
    before = ws.memory(pid)
    for client in clients:
        flood(client)
    for _ in range(3):
        healthy = connect()
        _, token = start(healthy, 50000)
        check_result(result(healthy), 50000)
        healthy.send(f"got {token}")
        state(healthy, "taken")
    assert ws.memory(pid) < 2 * before, (before, ws.memory(pid))
    for client in clients:
        client.reset()


def case_burst():
    """Commands that come at once are each answered."""
    client = connect()
    client.send_raw(client.frame("nonsense") * 300)
    for _ in range(300):
        assert client.json() == {"error": "unknown command"}
    client.send("start 10")
    assert "token" in client.json()


def case_bad_messages():
    healthy = connect()
    for payload, how, status in (
            (b"start 10", {"opcode": ws.BINARY}, 1003),
            ("x" * 64, {}, 1009),
            ("x" * 100000, {}, 1009),
            ("watch 1\0", {}, 1007)):
        client = connect()
        client.send(payload, **how)
        code = client.closes()
        assert code == status, (payload[:20], status, code)
    client = connect()
    for _ in range(10):
        client.send("x" * 10, opcode=0 if _ else ws.TEXT, final=False)
    assert client.closes() == 1009

    client = connect()
    for text in ("", "start", "start ", "start 0", "start -1", "start 1 2",
                 "start 100000001", "start 99999999999999999999", "watch 0",
                 "take", "take " + "0" * 32, "got x", "stop \u00e9", " "):
        client.send(text)
        assert error(client)
    client.send("sta", final=False)
    client.send("rt 1", opcode=0, final=False)
    client.send("0", opcode=0)
    check_result(result(client), 10)
    healthy.send("start 10")
    check_result(result(healthy), 10)


def case_refused():
    """With 3 jobs at a time (and one thread)."""
    client = connect()
    tokens = [start(client, LONG)[1], start(client, LONG)[1],
              start(client, 10)[1]]
    client.send("start 10")
    assert error(client) == "too many jobs: try again later"
    for token in tokens:
        stop(token)
    number, token = start(client, 10)
    check_result(result(client), 10)


def case_expires():
    """With 1 s: what nobody has taken is given up."""
    client = connect()
    number, token = start(client, 10)
    watcher = connect()
    watcher.send(f"watch {number}")
    client.reset()
    state(watcher, "expired")
    watcher.send(f"take {token}")
    assert error(watcher) == "no such job"


def case_ends():
    """The server is told to end: its clients hear of it."""
    client = connect()
    start(client, LONG)
    client.until(lambda m: m.get("done"))
    idle = connect()
    os.kill(int(sys.argv[3]), signal.SIGINT)
    state(client, "stopped")
    assert client.closes() == 1001
    assert idle.closes() == 1001


globals()["case_" + sys.argv[1]]()
