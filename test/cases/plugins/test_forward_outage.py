# SPDX-License-Identifier: Apache-2.0
"""A dead upstream under 10,000 questions a second: memory stays under the bound of docs/plugins/forward.md, cluster names
are answered as fast as before, and the upstream's return is noticed within a health-check interval.
"""

import os
import socket
import statistics
import sys
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "cluster"))

import dns.message  # noqa: E402
import pytest  # noqa: E402
from memory import usage  # noqa: E402
from processes import Process, free_port, wait_for  # noqa: E402
from servers import ROOT, clusterdns_binary  # noqa: E402

PER_SECOND = 10000
SECONDS = 5
SOCKETS = 32
BOUND = 38 << 20  # bytes a worker
PROBES = 200
SLOWER = 0.002  # seconds that a cluster name's median may lose to the sender's own use of the CPU
INTERVAL = 0.5
ALLOWED = 1.0  # seconds more, for a busy machine
CLUSTER_NAME = "web.shop.svc.cluster.local."

COREFILE = """.:{dns} {{
    prometheus 127.0.0.1:{http}
    kubernetes cluster.local {{
        manifests {root}/zones/example-cluster
    }}
    forward . 127.0.0.1:{upstream}
}}
"""


class Sender(threading.Thread):
    """Asks for names that nobody has asked for, at a fixed rate; counts the answers, reads nothing of them."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(SOCKETS)]
        for each in self.sockets:
            each.connect(("127.0.0.1", port))
            each.setblocking(False)
        self.template = dns.message.make_query("n0000000.example.org.", "A").to_wire()
        self.sent = self.answered = 0
        self.over = threading.Event()

    def _send(self):
        name = b"n%07d" % self.sent
        question = self.sent.to_bytes(4, "big")[2:] + self.template[2:13] + name + self.template[21:]
        try:
            self.sockets[self.sent % SOCKETS].send(question)
        except OSError:
            pass
        self.sent += 1

    def _drain(self):
        for each in self.sockets:
            try:
                while each.recv(512):
                    self.answered += 1
            except BlockingIOError:
                continue

    def run(self):
        last = time.monotonic()
        while not self.over.wait(0.001):
            now = time.monotonic()
            for _ in range(min(int((now - last) * PER_SECOND), 500)):  # what the machine has no time for is not sent
                self._send()
            last = now
            self._drain()


def median_latency(port):
    """Of questions for a cluster name, which all have to be answered."""
    times = []
    query = dns.message.make_query(CLUSTER_NAME, "A")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.connect(("127.0.0.1", port))
        own.settimeout(5)
        for number in range(PROBES):
            query.id = number
            started = time.perf_counter()
            own.send(query.to_wire())
            answer = dns.message.from_wire(own.recv(4096))
            times.append(time.perf_counter() - started)
            assert answer.id == number and answer.answer, answer
    return statistics.median(times)


def metric(port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def answer_everything(own, over):
    own.settimeout(0.1)
    while not over.is_set():
        try:
            question, peer = own.recvfrom(512)
        except OSError:
            continue
        own.sendto(question[:2] + bytes([question[2] | 0x80]) + question[3:], peer)


def bound(port):
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.bind(("127.0.0.1", port))
    return own


@pytest.mark.alone
def test_dead_upstream(tmp_path):
    port, http, upstream = free_port(), free_port(), free_port()
    dead = bound(upstream)  # takes what comes, and says nothing
    (tmp_path / "Corefile").write_text(COREFILE.format(dns=port, http=http, root=ROOT, upstream=upstream))
    server = Process("clusterdns", [clusterdns_binary(), "-conf", str(tmp_path / "Corefile")], str(tmp_path / "log"))
    healthy = f'clusterdns_forward_upstream_healthy{{to="127.0.0.1:{upstream}"}}'
    over = threading.Event()
    try:
        server.start()
        wait_for(lambda: "workers" in (tmp_path / "log").read_text(), 10, "the server")
        before, at_rest = median_latency(port), usage(server.pid)["anonymous"]
        workers = len(os.sched_getaffinity(0))
        sender = Sender(port)
        sender.start()
        end, during, most = time.monotonic() + SECONDS, [], 0
        while time.monotonic() < end:
            during.append(median_latency(port))
            most = max(most, usage(server.pid)["anonymous"])
        assert metric(http, healthy) == 0
        sender.over.set()
        sender.join()
        assert sender.sent > 1000 * SECONDS
        assert most - at_rest < BOUND * workers
        assert statistics.median(during) < before + SLOWER
        dead.close()
        alive = bound(upstream)
        back = time.monotonic()
        threading.Thread(target=answer_everything, args=(alive, over), daemon=True).start()
        wait_for(lambda: metric(http, healthy) == 1, INTERVAL + ALLOWED, "the upstream's return")
        assert time.monotonic() - back < INTERVAL + ALLOWED
    finally:
        over.set()
        server.stop()
