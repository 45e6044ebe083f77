#!/usr/bin/env python3
#
# number_server.py [PORT] - a ws server that sends numbers to be factored
#
# Sends ten random numbers to whoever connects, one more for each answer, and
# shows the answers.  Needs nothing but Python: the part of ws that it takes is
# here, and good for this and no more.
#
# SPDX-License-Identifier: MIT

import base64
import hashlib
import random
import socket
import struct
import sys
import threading


class Connection:
    """One that was accepted on a listening socket: the server's side of ws."""

    def __init__(self, listening):
        self.sock, _ = listening.accept()
        self.data = b""

    def fill(self):
        part = self.sock.recv(65536)
        if not part:
            raise ConnectionError("closed")
        self.data += part

    def handshake(self):
        while b"\r\n\r\n" not in self.data:
            self.fill()
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        headers = {name.lower(): value for name, value in
                   (line.split(": ", 1)
                    for line in head.decode().split("\r\n")[1:])}
        key = headers["sec-websocket-key"] + \
            "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest())
        self.sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept +
            b"\r\nSec-WebSocket-Protocol: " +
            headers["sec-websocket-protocol"].encode() + b"\r\n\r\n")

    def send(self, text, first=0x81):
        """A frame of up to 125 bytes; 0x81: a text, all of it."""
        payload = text.encode()
        self.sock.sendall(struct.pack("BB", first, len(payload)) + payload)

    def frame(self):
        """The next frame of the client, which is masked, as (opcode, bytes)"""
        while len(self.data) < 6 or \
                len(self.data) < 6 + (self.data[1] & 127) or \
                self.data[1] & 127 == 126 and len(self.data) < 8 + \
                struct.unpack(">H", self.data[2:4])[0]:
            self.fill()
        opcode, length, at = self.data[0] & 15, self.data[1] & 127, 2
        if length == 126:
            length, at = struct.unpack(">H", self.data[2:4])[0], 4
        mask = self.data[at:at + 4]
        payload = bytes(b ^ mask[n % 4] for n, b in
                        enumerate(self.data[at + 4:at + 4 + length]))
        self.data = self.data[at + 4 + length:]
        return opcode, payload

    def receive(self):
        """The next text."""
        while True:
            opcode, payload = self.frame()
            if opcode == 1:
                return payload.decode()
            if opcode == 8:
                raise ConnectionError("closed")
            if opcode == 9:
                self.send(payload.decode(), 0x8a)


def listen(port):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen()
    return sock


def serve(connection):
    try:
        connection.handshake()
        for _ in range(10):
            connection.send(str(random.randrange(2 ** 50)))
        while True:
            print(connection.receive(), flush=True)
            connection.send(str(random.randrange(2 ** 50)))
    except ConnectionError:
        print("a client has gone", flush=True)


def main():
    listening = listen(int(sys.argv[1]) if len(sys.argv) > 1 else 7681)
    print("listening on ws://127.0.0.1:%d" % listening.getsockname()[1],
          flush=True)
    while True:
        connection = Connection(listening)
        threading.Thread(target=serve, args=(connection,),
                         daemon=True).start()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
