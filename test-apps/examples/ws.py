# A ws client for the tests of the examples, with what a browser would not do.
#
# SPDX-License-Identifier: MIT

import json
import os
import socket
import struct
import time

PATIENCE = 120          # seconds that a loaded machine may take for anything

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Closed(Exception):
    """The server closed; code is that of its close frame, or None."""

    def __init__(self, code=None):
        super().__init__(code)
        self.code = code


class Ws:
    """A connection. rcvbuf, in bytes, is for one that reads slowly."""

    def __init__(self, port, protocol, rcvbuf=None):
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                 rcvbuf)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""
        self.sock.sendall((
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {protocol}\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.buf:
            self._more()
        head, self.buf = self.buf.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Closed()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _more(self):
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise Closed()
        self.buf += data

    def _take(self, n):
        while len(self.buf) < n:
            self._more()
        data, self.buf = self.buf[:n], self.buf[n:]
        return data

    @staticmethod
    def frame(payload, opcode=TEXT, final=True):
        if isinstance(payload, str):
            payload = payload.encode()
        mask = os.urandom(4)
        head = bytes([opcode | (0x80 if final else 0)])
        if len(payload) < 126:
            head += bytes([0x80 | len(payload)])
        elif len(payload) < 65536:
            head += struct.pack("!BH", 0x80 | 126, len(payload))
        else:
            head += struct.pack("!BQ", 0x80 | 127, len(payload))
        return head + mask + bytes(
            b ^ mask[i & 3] for i, b in enumerate(payload))

    def send(self, payload, opcode=TEXT, final=True):
        self.send_raw(self.frame(payload, opcode, final))

    def send_raw(self, data):
        try:
            self.sock.sendall(data)
        except ConnectionError as error:
            raise Closed() from error

    def recv_frame(self):
        head = self._take(2)
        n = head[1] & 0x7f
        if n == 126:
            n = struct.unpack("!H", self._take(2))[0]
        elif n == 127:
            n = struct.unpack("!Q", self._take(8))[0]
        return head[0], self._take(n)

    def recv(self):
        """The next message, as text if it is such; raises Closed."""
        message, is_text = b"", True
        while True:
            first, data = self.recv_frame()
            opcode = first & 0xf
            if opcode == CLOSE:
                raise Closed(struct.unpack("!H", data[:2])[0]
                             if len(data) >= 2 else None)
            if opcode == PING:
                self.send(data, PONG)
            elif opcode != PONG:
                message += data
                is_text = is_text and opcode != BINARY
                if first & 0x80:
                    return message.decode() if is_text else message

    def json(self):
        return json.loads(self.recv())

    def until(self, wanted):
        """The first message of which wanted() is true."""
        while True:
            message = self.json()
            if wanted(message):
                return message

    def ready(self):
        """Whether there is something to receive just now."""
        if self.buf:
            return True
        self.sock.settimeout(0.01)
        try:
            self._more()
        except socket.timeout:
            return False
        except Closed:
            return True
        finally:
            self.sock.settimeout(PATIENCE)
        return True

    def closes(self):
        """The close status with which the server ends it, or None."""
        try:
            while True:
                self.recv()
        except Closed as closed:
            return closed.code

    def close(self):
        self.sock.close()

    def reset(self):
        """As a client that dies: RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()


def wait_until(condition):
    limit = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError("it did not come to that in time")
        time.sleep(0.02)


def memory(pid):
    """Bytes of a process that are in memory."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
