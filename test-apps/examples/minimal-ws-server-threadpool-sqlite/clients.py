# clients.py CASE PORT PID [FILE]: clients of the sqlite example
#
# SPDX-License-Identifier: MIT

import json
import os
import signal
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                ".."))
# pylint: disable=wrong-import-position
import ws  # noqa: E402

ROWS = 10000000
NUMBERS = ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
           "%s) SELECT %s FROM n")
MANY = NUMBERS % (f" LIMIT {ROWS}", "i, i * i")
NEVER = NUMBERS % ("", "max(i)")        # no row, and no end
SLOW = 20                               # clients that do not read


def pid():
    return int(sys.argv[3])


def connect(**how):
    return ws.Ws(int(sys.argv[2]), "lws-threadpool-sqlite", **how)


def answer(client):
    """The columns, the rows, and the last message."""
    columns, rows = None, []
    while True:
        message = client.json()
        if "end" in message:
            return columns, rows, message
        columns = message.get("columns", columns)
        rows += message.get("rows", [])


def ask(client, sql):
    client.send(sql)
    return answer(client)


def check_healthy():
    client = connect()
    assert ask(client, NUMBERS % (" LIMIT 2000", "i")) == (
        ["i"], [[str(n)] for n in range(1, 2001)],
        {"end": "finished", "rows": 2000})
    client.close()


def seconds():
    """CPU time of the server."""
    with open(f"/proc/{pid()}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def computing(sql=NEVER):
    """A client whose query computes, and has no row yet."""
    client = connect()
    client.send(sql)
    assert "columns" in client.json()
    before = seconds()
    ws.wait_until(lambda: seconds() > before + .2)
    return client


def case_values():
    client = connect()
    columns, rows, end = ask(client, "SELECT 1 AS one, -2.5 AS \"a\"\"b\", "
                             "NULL AS n, 'a\"\\\u00e9\u20ac' AS t, "
                             "CAST(x'61ffc3' AS TEXT) AS no_utf8, "
                             "char(10, 0, 128512) AS c, '' AS e")
    assert columns == ["one", "a\"b", "n", "t", "no_utf8", "c", "e"]
    assert rows == [["1", "-2.5", None, "a\"\\\u00e9\u20ac", "a??",
                     "\n\0\U0001f600", ""]], rows
    assert end == {"end": "finished", "rows": 1}
    # the longest row that there can be
    columns, rows, _ = ask(client, "WITH c(c) AS (SELECT hex(zeroblob(5000)) "
                           "UNION ALL SELECT replace(hex(zeroblob(500)), "
                           "'0', char(1))) SELECT " + ", ".join(["c"] * 24) +
                           " FROM c, (SELECT 1 UNION ALL SELECT 2)")
    assert rows == [["0" * 100] * 24, ["\1" * 100] * 24] * 2 or \
        rows == [["0" * 100] * 24] * 2 + [["\1" * 100] * 24] * 2, rows
    assert ask(client, "SELECT 1 WHERE 0") == (
        ["1"], [], {"end": "finished", "rows": 0})


def case_refused_sql():
    client = connect()
    for sql, error in (
            ("SELEC", "near \"SELEC\": syntax error"),
            ("SELECT 1; SELECT 2", "one statement is needed"),
            (" -- nothing", "one statement is needed"),
            ("CREATE TABLE t (a)", "not authorized"),
            ("PRAGMA user_version", "not authorized"),
            ("ATTACH '/dev/null' AS other", "not authorized"),
            ("SELECT load_extension('x')", "not authorized"),
            ("SELECT zeroblob(100000000)", "string or blob too big"),
            ("SELECT 'a' LIKE '" + "%a" * 60 + "'",
             "LIKE or GLOB pattern too complex"),
            ("SELECT " + ", ".join(["1"] * 25), "too many columns in result "
             "set")):
        message = ask(client, sql)[2]
        assert message == {"end": "failed", "error": error}, (sql, message)
    check_healthy()


def case_slow():
    """10 million rows to a slow client, and 20 that do not read at all.

    On one thread: none of them holds it, and none holds more than a message.
    """
    stuck = [connect(rcvbuf=4096) for _ in range(SLOW)]
    for client in stuck:
        client.send(MANY)
    for client in stuck:
        assert "columns" in client.json()
        assert "rows" in client.json()
    check_healthy()

    slow = connect(rcvbuf=4096)
    slow.send(MANY)
    assert "columns" in slow.json()
    before, sent, last, messages, most = ws.memory(pid()), 0, 0, 0, 0
    while True:
        text = slow.recv()
        message = json.loads(text)
        if "end" in message:
            break
        rows = message["rows"]
        assert rows[0] == [str(last + 1), str((last + 1) ** 2)], rows[0]
        last += len(rows)
        assert rows[-1] == [str(last), str(last ** 2)], rows[-1]
        sent += len(text)
        messages += 1
        if messages % 1000 == 0:
            check_healthy()
            most = max(most, ws.memory(pid()))
    assert message == {"end": "finished", "rows": ROWS}, message
    assert last == ROWS
    print(f"{ROWS} rows, {sent} bytes, by which the server grew from "
          f"{before} to {most} bytes")
    assert most - before < sent / 20
    for client in stuck:
        client.reset()
    check_healthy()


def case_interrupted():
    """On one thread: what computes is interrupted when its client leaves."""
    computing().reset()
    check_healthy()
    computing().close()
    check_healthy()
    # by the next query, too, and by an empty message
    client = computing()
    assert ask(client, "SELECT 5")[1] == [["5"]]
    client = computing()
    assert ask(client, "") == (None, [], {"end": "stopped"})
    assert ask(client, "SELECT 6")[1] == [["6"]]
    # the rows of one that streams are not seen after that
    client.send(MANY)
    client.until(lambda m: "rows" in m)
    client.send("SELECT 7 AS seven")
    client.until(lambda m: m.get("columns") == ["seven"])
    assert answer(client)[1:] == ([["7"]], {"end": "finished", "rows": 1})


def case_flood():
    """The last of many queries at once is answered, others meanwhile."""
    client = connect()
    frame = client.frame(NEVER)
    client.send_raw(frame * 3000)
    check_healthy()
    client.send("SELECT 'last' AS last")
    client.until(lambda m: m.get("columns") == ["last"])
    assert answer(client)[1] == [["last"]]


def case_bad_messages():
    for payload, how, status in (
            (b"SELECT 1", {"opcode": ws.BINARY}, 1003),
            ("x" * 2000, {}, 1009),
            ("x" * 200000, {}, 1009),
            ("SELECT 1\0", {}, 1007)):
        client = computing()
        client.send(payload, **how)
        code = client.closes()
        assert code == status, (payload[:20], status, code)
        check_healthy()
    client = connect()
    client.send("SEL", final=False)
    client.send("ECT 3", opcode=0)
    assert answer(client)[1] == [["3"]]


def case_busy():
    """With one thread, and two that may wait."""
    first = computing()
    others = [connect(), connect()]
    for client in others:
        client.send("SELECT 1")

    def is_refused():
        client = connect()
        client.send("SELECT 1")
        if not client.ready():
            client.close()
            return False
        assert client.json() == {"end": "failed",
                                 "error": "busy: try again later"}
        return True

    ws.wait_until(is_refused)
    first.reset()
    for client in others:
        assert answer(client)[1] == [["1"]]
    check_healthy()


def case_patience():
    message = ask(connect(), NEVER)[2]
    assert message == {"end": "failed",
                       "error": "interrupted: no row for too long"}, message
    check_healthy()


def case_memory():
    """A query that would take all of it."""
    message = ask(connect(), NEVER.replace("UNION ALL", "UNION"))[2]
    assert message == {"end": "failed", "error": "out of memory"}, message
    check_healthy()


def case_file():
    client = connect()
    assert ask(client, "SELECT name, age FROM people ORDER BY age") == (
        ["name", "age"], [["Ada", "36"], ["Alan", "41"]],
        {"end": "finished", "rows": 2})
    for sql in "DELETE FROM people", "INSERT INTO people VALUES ('x', 1)":
        assert ask(client, sql)[2]["error"] == "not authorized"


def make_file(name):
    database = sqlite3.connect(name)
    database.execute("CREATE TABLE people (name TEXT, age INTEGER)")
    database.executemany("INSERT INTO people VALUES (?, ?)",
                         (("Alan", 41), ("Ada", 36)))
    database.commit()
    database.close()


def case_ends():
    """The server is told to end: its clients hear of it."""
    streaming, computes, idle = connect(), computing(), connect()
    streaming.send(MANY)
    streaming.until(lambda m: "rows" in m)
    os.kill(pid(), signal.SIGINT)
    for client in streaming, computes:
        assert answer(client)[2] == {"end": "stopped"}
    for client in streaming, computes, idle:
        assert client.closes() == 1001


if sys.argv[1] == "make_file":
    make_file(sys.argv[2])
else:
    globals()["case_" + sys.argv[1]]()
