# SPDX-License-Identifier: Apache-2.0
"""Constant change through a real API server while the server is asked: at its end every name is what the model says, no
change was lost, and a sanitizer's build (CLUSTERDNS) has nothing to report.

CLUSTERDNS_CHURN_EVENTS says how many changes, CLUSTERDNS_SEED repeats a run.
"""

import os
import random
import socket
import time
from collections import Counter
from multiprocessing import get_context

import asking
import exposition
import pytest
import servers
from controlplane import ControlPlane
from processes import free_port, kernel_drops
from raw_churn import SERVICES, ZONE, Churn, EtcdWriter

EVENTS = int(os.environ.get("CLUSTERDNS_CHURN_EVENTS", "20000"))
STEP = 500  # changes that are written at once …
WINDOW = 4000  # … as long as so many at most have not arrived: the server is not to be left behind
STALL_SECONDS = 60  # without an event while some are due
READERS = 2
READER_PAUSE = 0.001
SHOWN = 10  # wrong answers that are printed
COREFILE = """. {
    errors
    prometheus 127.0.0.1:@METRICS@
    ready 127.0.0.1:@READY@
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig @KUBECONFIG@
    }
}
"""
SANITIZERS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}
REPORTS = ("Sanitizer", "runtime error")


def read_all_the_time(port, wires, stop, totals):
    """Asks until told to stop; sends a Counter of what the answers were."""
    counts, rng = Counter(), random.Random(port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect(("127.0.0.1", port))
        udp.settimeout(2)
        while not stop.is_set():
            wire = rng.randbytes(2) + rng.choice(wires)[2:]
            udp.send(wire)
            try:
                answer = udp.recv(65535)
            except TimeoutError:
                counts["lost"] += 1
                continue
            good = answer[:2] == wire[:2] and answer[2] & 0x80 and answer[12 : len(wire)] == wire[12:]
            counts[{0: "NOERROR", 3: "NXDOMAIN"}.get(answer[3] & 15, "error") if good else "no answer to it"] += 1
            time.sleep(READER_PAUSE)
    totals.put(counts)


class Readers:
    """Processes that ask for names that come and go; `counts` when they have been stopped."""

    def __init__(self, port, churn):
        context = get_context("fork")
        self.stop, self.totals, self.counts = context.Event(), context.Queue(), Counter()
        lines = [f"{left}s{number}.{namespace}.{ZONE} {kind}"
                 for namespace in churn.namespaces[:3] for number in range(SERVICES)
                 for left, kind in (("", "A"), ("", "SRV"), ("h1.", "AAAA"))]  # fmt: skip
        lines += [f"ptr:10.240.0.{number} PTR" for number in range(256)]
        wires = [asking.parse(line).wire for line in lines]
        arguments = port, wires, self.stop, self.totals
        self.processes = [context.Process(target=read_all_the_time, args=arguments) for _ in range(READERS)]

    def __enter__(self):
        for process in self.processes:
            process.start()
        return self

    def __exit__(self, *unused):
        self.stop.set()
        for _ in self.processes:
            self.counts += self.totals.get(timeout=10)
        for process in self.processes:
            process.join(10)


class Arrived:
    """What the server has counted of the API server's events."""

    def __init__(self, port):
        self.port = port

    def relists(self):
        shown = exposition.scrape(self.port)
        return (shown.value("clusterdns_kubernetes_relists_total") or 0) - (
            shown.value('clusterdns_kubernetes_relists_total{reason="start"}') or 0
        )

    def passed_over(self):
        return exposition.scrape(self.port).value('clusterdns_kubernetes_events_total{type="passed_over"}') or 0

    def changes(self):
        shown = exposition.scrape(self.port)
        family = "clusterdns_kubernetes_events_total"
        return sum(shown.value(f'{family}{{type="{kind}"}}') or 0 for kind in ("added", "modified", "deleted"))


def make_changes(churn, writer, arrived):
    """Writes EVENTS changes, no faster than they arrive. Returns the number that has arrived and the seconds it took."""
    before, written, began = arrived.changes(), churn.written, time.monotonic()
    seen, moved = 0, began
    while churn.written - written < EVENTS or seen < EVENTS:
        due = min(STEP, EVENTS - (churn.written - written))
        if churn.written - written - seen <= WINDOW and due:
            writer.write([churn.change() for _ in range(due)])
        else:
            time.sleep(0.05)
        now = arrived.changes() - before
        moved = time.monotonic() if now > seen else moved
        seen = now
        if time.monotonic() - moved > STALL_SECONDS or (arrived.relists() and not due):
            break
    return int(seen), time.monotonic() - began


def wrong_answers(server, churn):
    """(number of questions, texts of the answers that are not the model's)."""
    wrong, count, asker = [], 0, asking.Asker()
    for name, kind, expected in churn.expected():
        asker.next_id()
        answer = asker.ask(server.port, f"{name} {kind} edns=4096")
        given = answer.rcode, answer.rdata(), answer.rdata("additional")
        count += 1
        if given != expected:
            wrong.append(f"{name} {kind}: expected {expected}, got {answer}")
    asker.close()
    return count, wrong


@pytest.fixture
def seed():
    return int(os.environ.get("CLUSTERDNS_SEED") or random.SystemRandom().randrange(1_000_000))


def test_churn(seed):
    churn = Churn(random.Random(seed), max(1, min(20, EVENTS // 10_000)))
    port = free_port()
    env = {name: os.environ.get(name, value) for name, value in SANITIZERS.items()}
    with ControlPlane() as plane, EtcdWriter(plane) as writer:
        writer.write(churn.begin())
        with servers.clusterdns(COREFILE, env=env, METRICS=port, KUBECONFIG=plane.kubeconfig("dns")) as server:
            drops = kernel_drops()
            with Readers(server.port, churn) as readers:
                arrived = Arrived(port)
                seen, seconds = make_changes(churn, writer, arrived)
                relists, passed_over = arrived.relists(), arrived.passed_over()
                count, wrong = wrong_answers(server, churn)
            drops = kernel_drops() - drops
            status = server.process.stop(60)
            log = server.log()
    found = f"{EVENTS} changes written, {seen} arrived in {seconds:.0f} s, {relists:.0f} relists, {passed_over:.0f} passed over"
    print(f"\nCLUSTERDNS_SEED={seed}: {found}; meanwhile {dict(readers.counts)}, {drops} packets dropped by the kernel; afterwards {count} questions, {len(wrong)} wrong")
    assert not [line for line in log.splitlines() if any(word in line for word in REPORTS)], log[-10000:]
    assert not wrong, f"seed {seed}: {found}\n" + "\n".join(wrong[:SHOWN])
    assert seen >= EVENTS or relists, found
    assert not passed_over and not set(readers.counts) - {"NOERROR", "NXDOMAIN", "lost"}, readers.counts
    assert readers.counts["lost"] <= drops, readers.counts
    assert status == 0, log[-10000:]
