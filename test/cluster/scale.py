# SPDX-License-Identifier: Apache-2.0
"""What the size test and bench/scale do with a DNS server on a large cluster: sync, forced relists, load."""

import contextlib
import json
import os
import random
import subprocess
import threading
import time

import memory
import servers
from processes import wait_for

RELIST_SECONDS = 300
LIVED_SECONDS = 5.2  # a client waits before the next attempt when its watches do not live so long (kube/plan.h)
QUIET_SECONDS = 0.5
QUIET_CPU = 0.05  # CPU seconds in QUIET_SECONDS: who uses less has nothing in hand


def wait_quiet(process, seconds=60):
    """Until a program has nothing more to do."""

    def quiet():
        before = process.cpu_seconds()
        time.sleep(QUIET_SECONDS)
        process.check_alive()
        return process.cpu_seconds() - before < QUIET_CPU

    wait_for(quiet, seconds, f"{process.name} to be quiet")


def first_sync(server, seconds=RELIST_SECONDS):
    """(seconds, CPU seconds) until /ready says 200, of a server that has just been started."""
    started = time.monotonic()
    wait_for(lambda: server.process.check_alive() or server.http_ready(), seconds, f"{server.name} to be ready")
    return time.monotonic() - started, server.process.cpu_seconds()


def relist(server, proxy):
    """Forces a relist of everything; returns {"seconds", "cpu"} that it took."""
    time.sleep(LIVED_SECONDS)
    state, started, cpu = proxy.state(), time.monotonic(), server.process.cpu_seconds()
    proxy.expire()
    try:
        proxy.wait_complete(state, RELIST_SECONDS)
    finally:
        server.process.check_alive()
    return {"seconds": time.monotonic() - started, "cpu": server.process.cpu_seconds() - cpu}


def wrong_answers(server, cluster, count=200):
    """Of a sample of services: {question: what came} where it is not what was seeded."""
    wrong = {}
    for number in random.sample(range(cluster.services), count):
        for question, rdata in cluster.answers(number).items():
            answer = server.ask(question)
            if answer.rcode != "NOERROR" or answer.rdata() != rdata:
                wrong[question] = str(answer)
    return wrong


class Load:
    """Asks a server for A records of ClusterIPs at a rate, second by second, in the background; checks every answer."""

    def __init__(self, server, cluster, per_second):
        self.port, self.cluster, self.per_second = server.port, cluster, per_second
        self.counts = {"received": 0, "lost": 0, "wrong": 0}
        self.program = os.path.join(os.path.dirname(servers.clusterdns_binary()), "dnsbench")
        self.names = os.path.join(server.folder, "names")
        self.failure = None
        self.stopping, self.thread = threading.Event(), threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        with open(self.names, "w", encoding="ascii") as file:
            for number in range(self.cluster.services):
                address = self.cluster.cluster_ip(number)
                if address != "None":
                    name = f"{self.cluster.name(number)}.{self.cluster.namespace(number)}.svc.cluster.local"
                    file.write(f"{name} A {address}\n")
        self.started = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.stopping.set()
        self.thread.join(60)
        if self.failure:
            raise self.failure
        self.counts["per_second"] = self.counts["received"] / (time.monotonic() - self.started)

    def _run(self):
        result = f"{self.names}.json"
        argv = [self.program, "--rate", self.per_second, "--duration", 1, "--timeout", "500ms", "--questions", self.names]
        argv += ["--check", "--json", result, f"127.0.0.1:{self.port}"]
        try:
            while not self.stopping.is_set():
                subprocess.run([str(word) for word in argv], stdout=subprocess.PIPE, timeout=60, check=False)
                with open(result, encoding="utf-8") as file:
                    report = json.load(file)
                os.unlink(result)
                self.counts["received"] += report["counts"]["answered"]
                self.counts["lost"] += report["counts"]["lost"]
                self.counts["wrong"] += report["check"]["wrong"] + report["counts"]["mismatched"] + report["counts"]["strange"]
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self.failure = error


@contextlib.contextmanager
def limited(limit):
    """A MemoryGroup, or None where there can be none: then only the measured peak tells."""
    try:
        group = memory.MemoryGroup(limit)
    except memory.NoGroup as error:
        print(f"{error}: the peak of the resident set is compared with the limit instead")
        yield None
        return
    with group:
        yield group
