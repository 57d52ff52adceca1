# SPDX-License-Identifier: Apache-2.0
"""SIGTERM under load with `lameduck 5s`, with a whole Corefile: /ready says no at once, /health and DNS answer until the
end, and everything that was received is answered, also what waits for a slow upstream when the end comes."""

import os
import signal
import socket
import struct
import sys
import threading
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", folder) for folder in ("cluster", "lib")]

import pytest  # noqa: E402
from asking import parse  # noqa: E402
from processes import free_port, wait_for  # noqa: E402
from servers import ROOT, DnsServer, clusterdns_binary  # noqa: E402
from upstream import Upstream  # noqa: E402

LAMEDUCK = 5.0
PER_SECOND = 100  # questions of each client
SLOW = 0.8  # seconds that the upstream takes for slow names
AT_ONCE = 0.5
PROBED = 0.1  # seconds that one look at /health may take
DRAIN = 5.0  # seconds that what waits for an upstream may take after it
NAMES = ("web.shop.svc.cluster.local. A", "www.example.org. A", "{}.slow.example.org. A", "gone.example.org. A")
COREFILE = """.:@PORT@ {
    errors
    health 127.0.0.1:@HEALTH@ {
        lameduck 5s
    }
    ready 127.0.0.1:@READY@
    prometheus 127.0.0.1:@METRICS@
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        manifests @ROOT@/zones/example-cluster
    }
    forward . 127.0.0.1:@UPSTREAM@
    cache 30
    loop
    reload
    loadbalance
}
"""
RECORDS = [
    "example.org. 60 IN SOA ns.example.org. admin.example.org. 1 7200 900 86400 60",
    "www.example.org. 60 IN A 192.0.2.80",
    "*.slow.example.org. 60 IN A 192.0.2.81",
]


class Client(threading.Thread):
    """Asks at a rate over one socket until nobody is there any more. Keeps when each question was sent and answered."""

    def __init__(self, port, tcp, per_second, number):
        super().__init__(daemon=True)
        self.tcp, self.per_second, self.number = tcp, per_second, number
        self.sent, self.answered, self.rcodes, self.gone, self.over = {}, {}, {}, None, threading.Event()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        if tcp:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is sent is not kept back for an ACK
        self.socket.settimeout(0.2)
        self.reader = threading.Thread(target=self.read, daemon=True)

    def run(self):
        self.reader.start()
        started, count = time.monotonic(), 0
        while self.gone is None:
            count += 1
            line = NAMES[count % len(NAMES)].format(f"n{self.number}-{count}")
            wire = struct.pack("!H", count) + parse(line).wire[2:]
            try:
                self.socket.sendall((struct.pack("!H", len(wire)) if self.tcp else b"") + wire)
            except OSError:
                self.end()
            self.sent[count] = time.monotonic()  # the server's kernel has it
            time.sleep(max(0, started + count / self.per_second - time.monotonic()))
        self.reader.join()

    def end(self):
        self.gone = self.gone or time.monotonic()

    def read(self):
        stream = b""
        while True:
            try:
                data = self.socket.recv(65535)
            except TimeoutError:
                if self.over.is_set():
                    return
                continue
            except OSError:
                self.end()
                if not self.tcp:  # nobody listens any more, but what was received is still answered
                    continue
                data = b""
            if not data:  # closed
                self.end()
                self.socket.close()
                return
            if not self.tcp:
                self.take(data)
                continue
            stream += data
            while len(stream) >= 2 and len(stream) >= 2 + (size := struct.unpack_from("!H", stream)[0]):
                self.take(stream[2 : 2 + size])
                stream = stream[2 + size :]

    def take(self, wire):
        identity = struct.unpack_from("!H", wire)[0]
        self.answered[identity] = time.monotonic()
        self.rcodes[identity] = wire[3] & 15

    def unanswered(self, since):
        """Seconds after `since` at which each of them was sent."""
        return sorted(at - since for identity, at in self.sent.items() if identity not in self.answered)


def status(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


@pytest.mark.alone
def test_lameduck():
    ports = {"HEALTH": free_port(), "METRICS": free_port()}
    with Upstream(records=RECORDS, faults=[f"delay {SLOW} for *.slow.example.org."]) as upstream:
        with DnsServer("clusterdns", clusterdns_binary(), COREFILE, ROOT=ROOT, UPSTREAM=upstream.port, **ports) as server:
            clients = [Client(server.port, tcp, PER_SECOND, number) for number, tcp in enumerate((False, False, True, True))]
            for client in clients:
                client.start()
            wait_for(lambda: all(len(client.answered) > 100 for client in clients), 10, "the first answers")
            child = server.process.child
            told = time.monotonic()
            os.kill(server.process.pid, signal.SIGTERM)
            wait_for(lambda: status(server.ready_port, "ready") in (503, None), AT_ONCE, "/ready to say no")
            seen = []
            while child.poll() is None and time.monotonic() - told < LAMEDUCK + 10:
                seen.append((time.monotonic() - told, status(ports["HEALTH"], "health"), status(server.ready_port, "ready")))
                time.sleep(0.02)  # a probe's pace
            ended = time.monotonic() - told
            for client in clients:
                client.over.set()
                client.join(5)
            assert child.poll() == 0, server.log()
            assert LAMEDUCK <= ended < LAMEDUCK + DRAIN, ended
            assert all(health == 200 for at, health, _ in seen if at < LAMEDUCK - PROBED), seen
            assert "given up" not in server.log()
            assert all(ready in (503, None) for _, _, ready in seen), seen
            for client in clients:
                kind = "tcp" if client.tcp else "udp"
                early = [at for at in client.unanswered(told) if at < LAMEDUCK]
                print(f"{kind}: {len(client.sent)} sent, {len(client.answered)} answered; ended after {ended:.2f} s")
                assert not early, f"{kind}: sent so many seconds after SIGTERM, and never answered: {early}"
                assert set(client.rcodes.values()) == {0, 3}
                assert client.gone - told >= LAMEDUCK, "the end came early"
