# A ws client of the standard library alone, which can also be a bad one.
#
# SPDX-License-Identifier: MIT

import base64
import json
import os
import socket
import struct

PATIENCE = 120      # seconds that a loaded machine may take for anything
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Closed(Exception):
    """The server has closed: code is None without a close frame."""

    def __init__(self, code):
        super().__init__(f"closed with {code}")
        self.code = code


class Client:
    def __init__(self, port, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                   receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: lws-threadpool-live\r\n\r\n".encode())
        while b"\r\n\r\n" not in self.rest:
            self._read()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise Closed(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _read(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed(None)
        self.rest += data

    def _take(self, size):
        while len(self.rest) < size:
            self._read()
        data, self.rest = self.rest[:size], self.rest[size:]
        return data

    @staticmethod
    def frame(payload, opcode=TEXT, final=True):
        mask = os.urandom(4)
        size = len(payload)
        head = bytes([(0x80 if final else 0) | opcode])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 65536:
            head += struct.pack("!BH", 0x80 | 126, size)
        else:
            head += struct.pack("!BQ", 0x80 | 127, size)
        return head + mask + bytes(b ^ mask[n % 4]
                                   for n, b in enumerate(payload))

    def say(self, text):
        self.socket.sendall(self.frame(text.encode()))

    def receive(self):
        """The next message: a dict of JSON, or bytes."""
        while True:
            first, size = self._take(2)
            if size == 126:
                size, = struct.unpack("!H", self._take(2))
            elif size == 127:
                size, = struct.unpack("!Q", self._take(8))
            payload = self._take(size)
            opcode = first & 15
            if opcode == CLOSE:
                raise Closed(struct.unpack("!H", payload[:2])[0]
                             if len(payload) > 1 else None)
            if opcode == PING:
                self.socket.sendall(self.frame(payload, PONG))
            elif opcode == TEXT:
                return json.loads(payload)
            elif opcode == BINARY:
                return payload

    def close_code(self):
        """Reads until the server closes."""
        try:
            while True:
                self.receive()
        except Closed as closed:
            return closed.code
