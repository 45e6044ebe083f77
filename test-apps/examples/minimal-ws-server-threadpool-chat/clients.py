# clients.py CASE PORT PID: clients of the chat example
#
# SPDX-License-Identifier: MIT

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                ".."))
# pylint: disable=wrong-import-position
import ws  # noqa: E402


SLOW = 8                # clients that do not read


def pid():
    return int(sys.argv[3])


def connect(name=None, **how):
    """One that has joined, and forgets what was said before."""
    client = ws.Ws(int(sys.argv[2]), "lws-threadpool-chat", **how)
    client.old = client.until(lambda m: "members" in m)["said"]
    if name:
        client.send(f"name {name}")
        message = client.until(lambda m: "named" in m or "error" in m)
        assert message == {"named": True}, message
    return client


def line(client):
    message = client.until(lambda m: m.get("line", 0) > client.old or
                           "error" in m or "missed" in m)
    assert "text" in message, message
    return message


def error(client):
    return client.until(lambda m: "error" in m)["error"]


def say(client, *texts):
    """All at once."""
    client.send_raw(b"".join(client.frame(f"say {text}") for text in texts))


def check_healthy():
    client = connect()
    say(client, f"from {id(client)} of {time.monotonic()}")
    client.until(lambda m: f"from {id(client)} " in m.get("text", ""))
    client.close()


def case_order():
    """Each client's messages keep their order, and all hear the same."""
    names = ["A", "B", "C"]
    listeners = [connect() for _ in range(3)]
    clients = [connect(name) for name in names]
    texts = [str(n) for n in range(30)]
    for client in clients:
        say(client, *texts)
    heard = [[line(listener) for _ in range(90)] for listener in listeners]
    for name in names:
        assert [m["text"] for m in heard[0] if m["from"] == name] == texts
    assert [m["line"] for m in heard[0]] == list(range(1, 91))
    assert heard[1] == heard[0] and heard[2] == heard[0]
    # one who comes later hears the end of it
    late = connect()
    late.old = 0
    assert [line(late) for _ in range(20)] == heard[0][-20:]


def case_parallel():
    """With four threads: four clients are not four times as slow as one."""
    def seconds(clients):
        began = time.monotonic()
        for client in clients:
            say(client, *range(8))
        for client in clients:
            for _ in range(8 * len(clients)):
                line(client)
        return time.monotonic() - began

    one = connect("one")
    alone = seconds([one])
    one.close()
    together = seconds([connect() for _ in range(4)])
    print(f"8 messages took {alone:.2f} s, of each of four {together:.2f} s")
    assert together < 2.5 * alone


def case_leaves():
    """What was said is said, though its speaker has left."""
    listener = connect()
    speaker = connect("gone")
    say(speaker, *range(5))
    assert line(listener)["text"] == "0"
    speaker.reset()
    assert [line(listener)["text"] for _ in range(4)] == list("1234")

    def is_free():
        client = connect()
        client.send("name gone")
        return client.until(lambda m: "named" in m or
                            "error" in m) == {"named": True}

    ws.wait_until(is_free)


def case_names():
    client, other = connect("Ada \"\u00e9\\"), connect()
    say(client, "  hello \"you\" \\ \u20ac \t")
    message = line(other)
    assert message["from"] == "Ada \"\u00e9\\"
    assert message["text"] == "hello \"you\" \\ \u20ac", message
    client.send(b"say \xff\xc3", opcode=ws.TEXT)
    assert line(other)["text"] == "??"
    say(client, "\x01" * 500)
    assert line(other)["text"] == "\x01" * 500
    # nothing is said by one with nothing but blanks
    say(client, " \t ", "and on")
    assert line(other)["text"] == "and on"
    for name in "", " ", "x" * 24:
        other.send(f"name {name}")
        assert error(other) == "a name has 1 to 23 bytes"
    other.send("name Ada \"\u00e9\\")
    assert error(other) == "that name is taken"
    for text in "", "say", "name", "nonsense", "SAY x":
        other.send(text)
        assert error(other) == "unknown command"


def missed_by(client, first, last):
    """Reads what it was sent, and returns how many lines it was not."""
    missed, heard = 0, first
    while heard < last:
        message = client.json()
        if "missed" in message:
            missed += message["missed"]
            heard += message["missed"]
        elif message.get("line", 0) > first:
            heard += 1
            assert message["line"] == heard, message
    return missed


def case_slow():
    """Those that do not read miss lines; all others hear each."""
    slow = [connect(rcvbuf=4096) for _ in range(SLOW)]
    listener = connect()
    speakers = [connect(f"speaker {n}") for n in range(4)]
    first, text, memory = listener.old, "x" * 480, []
    last = first
    for _ in range(50):
        for speaker in speakers:
            say(speaker, *[text] * 50)
        last += 4 * 50
        for client in [listener] + speakers:
            client.until(lambda m: m.get("line") == last)
        memory.append(ws.memory(pid()))
    total = last - first
    grown = memory[-1] - memory[len(memory) // 2]
    missed = [missed_by(client, first, last) for client in slow]
    print(f"{total} lines, of which the slow ones missed {missed}; in the "
          f"second half the server grew {grown} bytes")
    assert min(missed) > 0
    # were each line kept for each of them, it would be twice as much, or more
    assert grown < total / 2 * len(text) * SLOW / 2


def case_flood():
    """One that says more than can be worked on is not read from."""
    noisy = connect("noisy", rcvbuf=4096)
    before = ws.memory(pid())
    data = noisy.frame("say " + "x" * 400) * 500
    noisy.sock.settimeout(3)
    sent = 0
    try:
        while sent < 1 << 26:
            sent += noisy.sock.send(data)
    except (TimeoutError, OSError):
        pass
    assert sent < 1 << 26
    check_healthy()
    assert ws.memory(pid()) < 2 * before
    noisy.reset()
    check_healthy()


def case_bad_messages():
    healthy = connect()
    for payload, how, status in (
            (b"say x", {"opcode": ws.BINARY}, 1003),
            ("say " + "x" * 516, {}, 1009),
            ("x" * 100000, {}, 1009),
            ("say x\0", {}, 1007)):
        client = connect()
        client.send(payload, **how)
        code = client.closes()
        assert code == status, (payload[:20], status, code)
    client = connect()
    client.send("sa", final=False)
    client.send("y in ", opcode=0, final=False)
    client.send("pieces", opcode=0)
    assert line(healthy)["text"] == "in pieces"


def case_busy():
    """With one thread and two that may wait: others are told."""
    clients = [connect() for _ in range(5)]
    for client in clients:
        say(client, "hello")
    refused = 0
    for client in clients:
        message = client.until(lambda m: "error" in m or
                               m.get("line", 0) > client.old)
        refused += message.get("error") == "busy: that was not said"
    assert 0 < refused < 5, refused
    check = connect()
    ws.wait_until(lambda: said(check))


def said(client):
    say(client, "again")
    message = client.until(lambda m: "error" in m or
                           m.get("text") == "again")
    return "text" in message


def case_ends():
    """What was said before the end is heard, and then it closes."""
    speaker, listener = connect("last"), connect()
    say(speaker, *range(4))
    assert line(listener)["text"] == "0"
    os.kill(pid(), signal.SIGINT)
    assert [line(listener)["text"] for _ in range(3)] == list("123")
    assert listener.closes() == 1001
    assert speaker.closes() == 1001


globals()["case_" + sys.argv[1]]()
