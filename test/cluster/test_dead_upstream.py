# SPDX-License-Identifier: Apache-2.0
"""A dead upstream under 10,000 questions a second: memory stays under the bound that docs/plugins/forward.md states, names
of the cluster are answered as fast as before, every question gets its answer, and the upstream's return is noticed."""

import contextlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time

import exposition
import memory
import pytest
import servers
from asking import Asker
from processes import free_port, wait_for

ROOT = servers.ROOT
sys.path.insert(0, os.path.join(ROOT, "test", "lib"))

from upstream import Upstream  # noqa: E402

PER_SECOND, SECONDS = 10_000, 12
LOST_SECONDS = 1
LOST = 0.01  # of the questions, at most, and those that the server's kernel says it had no room for: cores are not always there
GRACE_SECONDS = 6  # an upstream gets five seconds at most
CHECK_SECONDS = 2
NOTICE_SECONDS = CHECK_SECONDS + 0.5  # an interval, and what two busy cores need
SLOWER = 2.0  # how much slower the faster ones may be than under as many questions that need no upstream …
SLACK = 0.0005  # … and seconds that a busy machine may add
NAME = "web.shop.svc.cluster.local."
COREFILE = """. {
    errors {
        consolidate 1m ".*"
    }
    ready 127.0.0.1:@READY@
    prometheus 127.0.0.1:@METRICS@
    kubernetes cluster.local {
        manifests @ROOT@/zones/example-cluster
    }
    forward . 127.0.0.1:@UPSTREAM@ {
        health_check @CHECK@s
    }
}
"""


@contextlib.contextmanager
def flood(server, suffix):
    """PER_SECOND questions for SECONDS; its counts are in the list that is given."""
    counts = []
    program = [sys.executable, os.path.join(ROOT, "test", "lib", "flood.py"), server.port, PER_SECOND, SECONDS, GRACE_SECONDS, suffix]
    with subprocess.Popen([str(word) for word in program], stdout=subprocess.PIPE, text=True) as running:
        try:
            yield counts
            counts.append(json.loads(running.communicate(timeout=SECONDS + GRACE_SECONDS + 30)[0]))
        finally:
            running.kill()


def watch(server, seconds):
    """(lower quartile of the seconds of a cluster name's answer, peak of anonymous memory), while it lasts."""
    asker, times, peak, ends = Asker(), [], 0, time.monotonic() + seconds
    while time.monotonic() < ends:
        asker.next_id()
        started = time.monotonic()
        answer = asker.ask(server.port, f"{NAME} A", LOST_SECONDS)
        if answer.result == "no answer":  # the kernel had no room for it
            continue
        times.append(time.monotonic() - started)
        assert answer.rcode == "NOERROR" and answer.addresses(), answer
        if len(times) % 100 == 0:
            peak = max(peak, memory.usage(server.process.pid)["anonymous"])
    asker.close()
    return statistics.quantiles(times)[0], peak


def bound():
    """Bytes that waiting questions may take: so the page says, for each worker."""
    with open(os.path.join(ROOT, "docs", "plugins", "forward.md"), encoding="utf-8") as page:
        stated = re.search(r"holds at most (\d+) MiB a\s+worker", page.read())
    return int(stated[1]) * (1 << 20) * len(os.sched_getaffinity(0))


@contextlib.contextmanager
def silent(port):
    """Somebody listens, and never reads."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.bind(("127.0.0.1", port))
        tcp.bind(("127.0.0.1", port))
        tcp.listen()
        yield


@contextlib.contextmanager
def refusing(_port):
    """Nobody listens."""
    yield


@pytest.mark.parametrize("dead", [silent, refusing])
def test_dead_upstream(dead):
    port, metrics = free_port(), free_port()
    with dead(port), servers.clusterdns(COREFILE, METRICS=metrics, UPSTREAM=port, CHECK=CHECK_SECONDS, ROOT=ROOT) as server:
        with flood(server, "nobody.svc.cluster.local") as before:
            fast, idle = watch(server, SECONDS)
        with flood(server, "example.org") as during:
            slow, peak = watch(server, SECONDS)
            assert exposition.scrape(metrics).value("clusterdns_forward_upstream_healthy") == 0
        dropped = exposition.scrape(metrics).value("clusterdns_udp_kernel_drops_total") or 0
        print(f"lower quartile {fast * 1e6:.0f} us -> {slow * 1e6:.0f} us; anonymous {idle} -> {peak}; {dropped} dropped; {before} -> {during}")
        for counts, rcode in ((before[0], "3"), (during[0], "2")):
            assert counts["rcodes"] == {rcode: counts["answered"]}
            assert counts["answered"] >= (1 - LOST) * counts["sent"] - dropped, f"{counts}, dropped by the kernel: {dropped}"
        assert peak - idle <= bound()
        assert slow <= SLOWER * fast + SLACK


@pytest.mark.parametrize("dead", [silent, refusing])
def test_return(dead):
    """Under questions too: what noticed the return is a health check or a question that got an answer."""
    port, metrics = free_port(), free_port()
    with servers.clusterdns(COREFILE, METRICS=metrics, UPSTREAM=port, CHECK=CHECK_SECONDS, ROOT=ROOT) as server:
        healthy = lambda: exposition.scrape(metrics).value("clusterdns_forward_upstream_healthy")  # noqa: E731
        with dead(port):
            wait_for(lambda: server.ask("www.example.org. A", 0.2) and healthy() == 0, 15, "the upstream to be down")
        with Upstream(port=port, records=["*.example.org. 60 IN A 192.0.2.80"]) as upstream:
            wait_for(lambda: healthy() == 1, NOTICE_SECONDS, "the return to be noticed", interval=0.01)
            assert upstream.count() >= 1
            assert server.ask("back.example.org. A").addresses() == ["192.0.2.80"]
