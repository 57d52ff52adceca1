# SPDX-License-Identifier: Apache-2.0
"""Changes a cluster while it is asked, and remembers every state that it was in."""

import contextlib
import itertools
import threading
import time

import random_cluster
from controlplane import ApiError
from history import History
from processes import wait_for
from random_cluster import FINALIZER, SERVICE_LABEL, chance

NAMESPACES = ["c0", "c1", "flicker"]  # the last one comes and goes, with what it holds
NAMES = ["web", "db", "a", "tcp", "7up"]
SLICES = 3  # a namespace and name
PODS = 6  # a namespace
PAUSE_SECONDS = 0.002  # between changes, and between questions: neither may crowd the other out
SEEN_SECONDS = 60  # in which a server has to see what is new, once it can


class Churn:
    """A thread that changes objects until it is stopped; `history` has what was."""

    def __init__(self, plane, rng):
        self.plane, self.rng, self.stopping, self.failure = plane, rng, threading.Event(), None
        self.latest = NAMESPACES[0], NAMES[0]  # what is being changed
        self.history, self.kinds = History(), {"pods": "Pod", "services": "Service", "slices": "EndpointSlice"}
        self.between = threading.Lock()  # held during a change
        self.pods_rest = False
        self.held = {}  # (kind, key): the object, which is deleted but held by a finalizer
        self.marks = itertools.count(1)
        for name in NAMESPACES:
            self._namespace(name, True)
        for _ in range(250):
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

    def _run(self):
        try:
            while not self.stopping.wait(PAUSE_SECONDS):
                with self.between:
                    if chance(self.rng, 0.03):
                        self._namespace("flicker", "flicker" not in self.history.now("namespaces"))
                    else:
                        self._change_object(NAMESPACES[:-1])
        except Exception as failure:  # for stop() to raise
            self.failure = failure

    # ---- changes

    def _namespace(self, name, there):
        begin = time.monotonic()
        path = f"/api/v1/namespaces/{name}"
        if there:
            self.plane.apply_object({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        else:
            self.plane.delete_raw(f"/registry/namespaces/{name}")
        wait_for(lambda: (self.plane.request("GET", path)[0] == 200) == there, 10, path)
        self.history.remember("namespaces", name, begin, {} if there else None)

    def _made(self, namespace, name):
        """(kind, object) as it is to be next."""
        rng, maker = self.rng, random_cluster.Maker(self.rng)
        form = rng.random()
        if form < 0.3:
            kind, obj = "services", maker.service(namespace, name)
        elif form < 0.85 or self.pods_rest:
            kind, obj = "slices", maker.slice(namespace, name)
            obj["metadata"]["name"] = f"{name}-{rng.randrange(SLICES)}"
            if chance(rng, 0.15):  # it changes its service, or loses it
                obj["metadata"]["labels"][SERVICE_LABEL] = rng.choice([*NAMES, ""])
        else:
            kind, obj = "pods", {
                "apiVersion": "v1",
                "kind": "Pod",
                "spec": {"containers": [{"name": "c", "image": "none"}]},
            }
            obj["metadata"] = {"name": f"pod-{rng.randrange(PODS)}", "namespace": namespace}
            obj["status"] = maker.pod_status(False)
        obj["metadata"].pop("finalizers", None)
        if chance(rng, 0.2):
            obj["metadata"]["finalizers"] = [FINALIZER]
        return kind, obj

    def _change_object(self, namespaces):
        namespace, name = self.rng.choice(namespaces), self.rng.choice(NAMES)
        kind, obj = self._made(namespace, name)
        key = namespace, obj["metadata"]["name"]
        self.latest = namespace, obj["metadata"].get("labels", {}).get(SERVICE_LABEL) or name
        if (kind, key) in self.held:
            self._let_go(kind, key)
        elif key in self.history.now(kind) and chance(self.rng, 0.4):
            self._delete(kind, key)
        else:
            self._put(kind, key, obj)

    def _let_go(self, kind, key):
        """Takes the finalizer off what is deleted: then it is gone."""
        begin = time.monotonic()
        path = self.plane.object_path(self.held.pop((kind, key)))
        self.plane.call("PATCH", path, {"metadata": {"finalizers": None}}, content="application/merge-patch+json")
        self.history.remember(kind, key, begin, None)

    def _delete(self, kind, key):
        begin = time.monotonic()
        obj = {"kind": self.kinds[kind], "metadata": {"namespace": key[0], "name": key[1]}}
        self.plane.delete_object(obj)
        status, _ = self.plane.request("GET", self.plane.object_path(obj))
        if status == 404:
            self.history.remember(kind, key, begin, None)
        else:
            self.held[kind, key] = obj

    def _put(self, kind, key, obj):
        begin = time.monotonic()
        try:
            if kind == "pods":
                self._put_pod(obj)
            else:
                self.plane.apply_object(obj)
        except ApiError as error:
            if error.status != 422:
                raise
            return
        there = self.plane.call("GET", self.plane.object_path(obj))
        over = kind == "pods" and there["status"]["phase"] in ("Succeeded", "Failed", "Unknown")
        if not over or key in self.history.now(kind):
            self.history.remember(kind, key, begin, None if over else there)

    def _put_pod(self, pod):
        """A pod's addresses and phase come after it; two changes, of which the first shows nothing."""
        path = self.plane.object_path(pod)
        if self.plane.request("GET", path)[0] == 404:
            self.plane.call("POST", self.plane.object_path(pod, named=False), pod)
        self.plane.call("PATCH", f"{path}/status", {"status": pod["status"]}, content="application/merge-patch+json")

    # ---- the API goes away

    def _mark(self):
        """New objects of every kind; returns questions and the addresses that they have once all are seen."""
        number = next(self.marks)
        name, address = f"mark-{number}", f"10.250.{number // 200}.{number % 200 + 1}"
        maker = random_cluster.Maker(self.rng)
        self.plane.apply_object({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        maker.headless(name, "mark")
        maker.plain_slice(name, "mark", "mark", [{"addresses": [address]}])
        for obj in maker.list:
            self.plane.apply_object(obj)
        pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "c", "image": "none"}]}}
        pod.update(
            metadata={"name": "mark", "namespace": name},
            status={"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
        )
        self._put_pod(pod)
        return [
            (f"mark.{name}.svc.cluster.local. A", address),
            (f"{address.replace('.', '-')}.{name}.pod.cluster.local. A", address),
        ]

    def wait_seen(self, server):
        """Until the server has seen what there is now of every kind."""
        with self.between:
            marks = self._mark()
        for question, address in marks:
            wait_for(
                lambda question=question, address=address: server.ask(question).addresses() == [address],
                SEEN_SECONDS,
                question,
            )

    @contextlib.contextmanager
    def outage(self, server):
        """Around what cuts the server off and brings it back; objects go on changing, but for pods, and none is ending: what
        has become of such a one depends on whether it was seen before (test_ending_pod.py)."""
        with self.between:
            self.pods_rest = True
            for kind, key in [held for held in self.held if held[0] == "pods"]:
                self._let_go(kind, key)
        self.wait_seen(server)
        begin = time.monotonic()
        yield
        self.wait_seen(server)
        self.history.outages.append((begin, time.monotonic()))
        self.pods_rest = False


def lines(rng, churned):
    """Questions about what the churn makes, many about what it is making: (name, kind), without end."""
    hosts = [
        *random_cluster.HOSTNAMES,
        *(f"10-244-{i // 24}-{i % 24 + 1}" for i in range(48)),
        *(f"fd00-10-244--{i:x}" for i in range(1, 25)),
    ]
    addresses = [host.replace("-", ".") for host in hosts if host.startswith("10-244-")]
    while True:
        form = rng.randrange(12)
        if form < 2:
            address = rng.choice([f"10.96.10.{rng.randrange(2, 250)}", rng.choice(addresses)])
            yield ".".join(reversed(address.split("."))) + ".in-addr.arpa.", "PTR"
            continue
        namespace, name = churned.latest if chance(rng, 0.7) else (rng.choice(NAMESPACES), rng.choice(NAMES))
        if form < 4:
            yield f"{rng.choice(hosts)}.{namespace}.pod.cluster.local.", rng.choice(["A", "AAAA"])
            continue
        left = ""
        if form < 6:
            left = rng.choice(hosts) + "."
        elif form < 7:
            left = f"_{rng.choice(random_cluster.PORT_NAMES)}._{rng.choice(['tcp', 'udp', 'sctp'])}."
        yield f"{left}{name}.{namespace}.svc.cluster.local.", rng.choice(["A", "AAAA", "SRV"])
