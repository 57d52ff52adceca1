# SPDX-License-Identifier: Apache-2.0
"""Changes a cluster while it is asked, and remembers every state that it was in."""

import bisect
import itertools
import threading
import time
from dataclasses import dataclass

import random_cluster
from controlplane import ApiError
from model import State, Unknown, answer
from processes import wait_for

NAMESPACES = ["c0", "c1", "flicker"]  # the last one comes and goes, with what it holds
NAMES = ["web", "db", "a", "tcp", "7up"]
SLICES = 3  # a namespace and name
PAUSE_SECONDS = 0.002  # between changes, and between questions: neither may crowd the other out
LATE_SECONDS = 3.0  # after which a change has to be seen


@dataclass(frozen=True)
class Moment:
    """One kind's objects after a change that was sent at `begin` and answered at `end` (seconds, monotonic)."""

    begin: float
    end: float
    objects: dict


class Churn:
    """A thread that changes objects until it is stopped; `history` has what was, a list of Moments a kind."""

    def __init__(self, plane, rng):
        self.plane, self.rng, self.stopping, self.failure = plane, rng, threading.Event(), None
        self.latest = NAMESPACES[0], NAMES[0]  # what is being changed
        self.history = {kind: [Moment(0, 0, {})] for kind in ("services", "slices", "namespaces")}
        for name in NAMESPACES:
            self._namespace(name, True)
        for _ in range(200):
            self._change_object(NAMESPACES)
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.stopping.set()
        self.thread.join()
        if self.failure:
            raise self.failure

    def changes(self):
        return sum(len(moments) for moments in self.history.values())

    def _run(self):
        try:
            while not self.stopping.wait(PAUSE_SECONDS):
                if self.rng.random() < 0.03:
                    self._namespace("flicker", "flicker" not in self.history["namespaces"][-1].objects)
                else:
                    self._change_object(NAMESPACES[:-1])
        except Exception as failure:  # for stop() to raise
            self.failure = failure

    def _remember(self, kind, key, begin, obj):
        objects = dict(self.history[kind][-1].objects)
        if obj is None:
            objects.pop(key, None)
        else:
            objects[key] = obj
        self.history[kind].append(Moment(begin, time.monotonic(), objects))

    def _namespace(self, name, there):
        begin = time.monotonic()
        path = f"/api/v1/namespaces/{name}"
        if there:
            self.plane.apply_object({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        else:
            self.plane.delete_raw(f"/registry/namespaces/{name}")
        wait_for(lambda: (self.plane.request("GET", path)[0] == 200) == there, 10, path)
        self._remember("namespaces", name, begin, {} if there else None)

    def _change_object(self, namespaces):
        namespace, name = self.rng.choice(namespaces), self.rng.choice(NAMES)
        if self.rng.random() < 0.35:
            kind, obj = "services", random_cluster.Maker(self.rng).service(namespace, name)
        else:
            kind, obj = "slices", random_cluster.Maker(self.rng).slice(namespace, name)
            obj["metadata"]["name"] = f"{name}-{self.rng.randrange(SLICES)}"
        key = namespace, obj["metadata"]["name"]
        begin = time.monotonic()
        if key in self.history[kind][-1].objects and self.rng.random() < 0.4:
            self.latest = namespace, name
            self.plane.delete_object(obj)
            self._remember(kind, key, begin, None)
            return
        try:
            self.latest = namespace, name
            self.plane.apply_object(obj)
        except ApiError as error:
            if error.status != 422:
                raise
            return
        self._remember(kind, key, begin, self.plane.call("GET", self.plane.object_path(obj)))

    # ---- what may be answered

    def _possible(self, kind, asked, answered):
        """The newest first: what a server may have known of a kind between two moments."""
        moments = self.history[kind]
        for number in range(bisect.bisect_right(moments, answered, key=lambda moment: moment.begin) - 1, -1, -1):
            yield moments[number].objects
            if moments[number].end + LATE_SECONDS < asked:
                return

    def age(self, name, kind, given, asked, answered):
        """How many tries it took to find a state between two moments that `given` is the model's answer of; None: none.
        To be called when the churn is over: a change can be answered before it is remembered.

        Each kind of object reaches a server through a stream of its own: their order is kept, but not among them.
        """
        tries = itertools.count()
        try:
            for namespaces in self._possible("namespaces", asked, answered):
                for services in self._possible("services", asked, answered):
                    for slices in self._possible("slices", asked, answered):
                        this = next(tries)
                        if given == answer(State(services, slices, namespaces), name, kind):
                            return this
        except Unknown:
            return 0
        return None


def lines(rng, count, churned):
    """Questions about what the churn makes, many about what it is making: (name, kind)."""
    hosts = [*random_cluster.HOSTNAMES, *(f"10-244-{i // 24}-{i % 24 + 1}" for i in range(48))]
    for _ in range(count):
        form = rng.randrange(10)
        if form < 2:
            address = rng.choice([f"10.96.10.{rng.randrange(2, 200)}", f"10.244.{rng.randrange(2)}.{rng.randrange(1, 25)}"])
            yield ".".join(reversed(address.split("."))) + ".in-addr.arpa.", "PTR"
            continue
        left = ""
        if form < 4:
            left = rng.choice(hosts) + "."
        elif form < 5:
            left = f"_{rng.choice(random_cluster.PORT_NAMES)}._{rng.choice(['tcp', 'udp', 'sctp'])}."
        namespace, name = churned.latest if rng.random() < 0.7 else (rng.choice(NAMESPACES), rng.choice(NAMES))
        yield f"{left}{name}.{namespace}.svc.cluster.local.", rng.choice(["A", "AAAA", "SRV"])
