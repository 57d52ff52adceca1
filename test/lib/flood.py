# SPDX-License-Identifier: Apache-2.0
"""Questions at a rate, whatever becomes of them: no window that waits for answers, each name asked once.

flood.py PORT PER_SECOND SECONDS GRACE_SECONDS SUFFIX

Asks 127.0.0.1:PORT for n0.SUFFIX A, n1.SUFFIX A, … from several sockets, and listens GRACE_SECONDS longer. Prints one JSON
object: sent, answered, rcodes {number: count}, slowest (seconds from a question to its answer).
"""

import json
import select
import socket
import struct
import sys
import time

SOCKETS = 32
BUFFER = 4 << 20  # bytes, so that no answer is lost here


def question(number, suffix):
    """The question without its id."""
    labels = [f"n{number}".encode(), *suffix.rstrip(".").encode().split(b".")]
    return b"\x01\x00\0\1\0\0\0\0\0\0" + b"".join(bytes([len(label)]) + label for label in labels) + b"\0\0\1\0\1"


class Flood:
    def __init__(self, port):
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(SOCKETS)]
        for one in self.sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            one.connect(("127.0.0.1", port))
            one.setblocking(False)
        self.numbers = {one.fileno(): at for at, one in enumerate(self.sockets)}
        self.sent_at, self.sent, self.answered, self.rcodes, self.slowest = {}, 0, 0, {}, 0.0

    def send(self, suffix):
        at, identity = self.sent % SOCKETS, self.sent // SOCKETS & 0xFFFF
        self.sockets[at].send(struct.pack("!H", identity) + question(self.sent, suffix))
        self.sent_at[at, identity] = time.monotonic()
        self.sent += 1

    def receive(self, seconds):
        for one in select.select(self.sockets, [], [], seconds)[0]:
            try:
                while True:
                    wire = one.recv(4096)
                    sent = self.sent_at.pop((self.numbers[one.fileno()], wire[0] << 8 | wire[1]), None)
                    if sent is not None:
                        self.answered += 1
                        self.slowest = max(self.slowest, time.monotonic() - sent)
                        self.rcodes[wire[3] & 15] = self.rcodes.get(wire[3] & 15, 0) + 1
            except (BlockingIOError, ConnectionError):
                pass


def run(port, per_second, seconds, grace, suffix):
    flood, started = Flood(port), time.monotonic()
    while (now := time.monotonic() - started) < seconds:
        for _ in range(int(now * per_second) - flood.sent):
            flood.send(suffix)
        flood.receive(0.001)
    while flood.sent_at and time.monotonic() - started < seconds + grace:
        flood.receive(0.05)
    counts = {"sent": flood.sent, "answered": flood.answered, "rcodes": flood.rcodes, "slowest": flood.slowest}
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    run(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
