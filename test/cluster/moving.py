# SPDX-License-Identifier: Apache-2.0
"""A small cluster of which a part changes, version by version, and what is right to answer about it at each moment.

`faults.yaml` is what stays; moving_objects() are what changes. Each question depends on one changing object, so that
there is no doubt about the order of its answers: the streams of different kinds are not ordered among each other.
"""

import os
import time

import model
from controlplane import HERE, yaml_objects
from prober import Fact

ZONE = "svc.cluster.local"
BULK = 1000  # endpoints of a slice whose event is much longer than a read of a socket

STILL = [
    f"web.still.{ZONE} A", f"web.still.{ZONE} AAAA", f"web.still.{ZONE} SRV", f"_http._tcp.web.still.{ZONE} SRV",
    f"_dns._udp.web.still.{ZONE} SRV", f"10-250-10-1.web.still.{ZONE} A", f"10-250-10-2.web.still.{ZONE} A",
    f"_http._udp.web.still.{ZONE} SRV", "ptr:10.96.71.1 PTR", "ptr:fd00:10:96::7101 PTR", "ptr:10.250.10.1 PTR",
    f"db.still.{ZONE} A", f"db.still.{ZONE} AAAA", f"_sql._tcp.db.still.{ZONE} SRV edns", f"db-0.db.still.{ZONE} A",
    f"db-0.db.still.{ZONE} AAAA", f"db-2.db.still.{ZONE} A", "ptr:10.250.11.2 PTR", "ptr:fd00:250::11:1 PTR",
    f"out.still.{ZONE} CNAME", f"into.still.{ZONE} A", f"none.still.{ZONE} A", f"nothing.still.{ZONE} A",
    f"web.nowhere.{ZONE} A", f"nothing.still.{ZONE} SRV", "ptr:10.96.71.77 PTR", "ptr:10.250.12.1 PTR",
    f"WEB.Still.{ZONE} A",
]  # fmt: skip
MOVING = {  # question -> which changing object its answer depends on
    f"renamed.moving.{ZONE} CNAME": "renamed",
    f"_p._tcp.ports.moving.{ZONE} SRV": "ports",
    f"rare-service.moving.{ZONE} CNAME": "rare-service",
    f"head.moving.{ZONE} A": "head-4",
    f"h.head.moving.{ZONE} A": "head-4",
    "ptr:10.250.0.1 PTR": "head-4",
    f"head.moving.{ZONE} AAAA": "head-6",
    f"rare.moving.{ZONE} A": "rare-4",
    f"b-700.bulk.moving.{ZONE} A": "bulk-4",
    f"web.flicker.{ZONE} A": "flicker",
    "10-250-2-1.moving.pod.cluster.local A": "pod",
    "10-250-2-2.moving.pod.cluster.local A": "pod",
    f"fleet.moving.{ZONE} A": "fleet",  # by a slice that a controller makes of the pod
}


def _meta(name, **more):
    return {"name": name, "namespace": "moving", **more}


def _external(name, target):
    spec = {"type": "ExternalName", "externalName": target}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(name), "spec": spec}


def _slice(name, family, endpoints):
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": _meta(name, labels={"kubernetes.io/service-name": name.split("-")[0]}),
        "addressType": family,
        "ports": [{"name": "p", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], **({"hostname": host} if host else {})} for address, host in endpoints],
    }


def _pod(name, address, ready=True):
    spec = {"nodeName": "node-0", "containers": [{"name": "c", "image": "none"}]}
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    status["conditions"] = [{"type": "Ready", "status": "True" if ready else "False"}]
    meta = _meta(name, labels={"app": name})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": status}


def _is_ready(pod):
    return pod["status"]["conditions"][0]["status"] == "True"


def moving_objects(version):
    """{name in MOVING: the object at a version, None: it is not there}."""
    last = version % 200 + 2
    ports = {
        "type": "ClusterIP",
        "clusterIP": "10.96.71.2",
        "clusterIPs": ["10.96.71.2"],
        "ports": [{"name": "p", "port": 1000 + version, "protocol": "TCP"}],
    }
    there = version % 2 == 0
    bulk = [(f"10.251.{i // 250}.{i % 250 + 1}", f"b-{i}") for i in range(BULK)]
    bulk[700] = f"10.250.3.{last}", "b-700"
    return {
        "renamed": _external("renamed", f"v{version}.example.net"),
        "ports": {"apiVersion": "v1", "kind": "Service", "metadata": _meta("ports"), "spec": ports},
        "rare-service": _external("rare-service", "rare.example.net") if there else None,
        "head-4": _slice("head-4", "IPv4", [("10.250.0.1", f"v{version}"), (f"10.250.1.{last}", "h")]),
        "head-6": _slice("head-6", "IPv6", [(f"fd00:250::{last:x}", None)]),
        "rare-4": None if there else _slice("rare-4", "IPv4", [("10.250.4.1", None)]),
        "bulk-4": _slice("bulk-4", "IPv4", bulk),
        "flicker": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flicker"}} if there else None,
        "pod": _pod("pod", f"10.250.2.{version % 2 + 1}"),
        "fleet": _pod("fleet", "10.250.5.1", ready=there),
    }


def _place(obj):
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _state(objects):
    of_kind = {kind: {_place(o): o for o in objects if o["kind"] == kind} for kind in ("Service", "EndpointSlice")}
    namespaces = {o["metadata"]["name"]: o for o in objects if o["kind"] == "Namespace"}
    return model.State(of_kind["Service"], of_kind["EndpointSlice"], namespaces)


def _one(address, there):
    return ("NOERROR", (address,), ()) if there else ("NXDOMAIN", (), ())


def _expected(line, state, pods):
    name, kind = line.split()[:2]
    label = name.split(".")[0]
    if ".pod." in name:  # the model knows services alone
        address = label.replace("-", ".")
        return _one(address, any(pod["status"]["podIP"] == address for pod in pods.values()))
    if label == "fleet":
        return _one(pods["fleet"]["status"]["podIP"], _is_ready(pods["fleet"]))
    if name.startswith("ptr:"):
        name = model.dns.reversename.from_address(name[4:]).to_text()
    rcode, answer, additional = model.answer(state, name, kind)
    return rcode, tuple(answer), tuple(additional)


class Moving:
    """The cluster, written with `put(obj)` and `remove(obj)`; `history` is {question: [Fact, …]}.

    Without `controllers` there is no "fleet", whose slice a controller has to write.
    """

    def __init__(self, put, remove, controllers=False):
        self.version, self.still = 0, list(yaml_objects(_read("faults.yaml")))
        self.moving = {line: name for line, name in MOVING.items() if controllers or name != "fleet"}
        self.objects = {name: obj for name, obj in moving_objects(0).items() if name in self.moving.values()}
        flicker = self.objects["flicker"]
        for obj in [flicker, *self.still, *(obj for obj in self.objects.values() if obj not in (flicker, None))]:
            put(obj)
        state, pods = self._present()
        self.history = {line: [Fact(0, 0, _expected(line, state, pods))] for line in [*STILL, *self.moving]}

    def lines(self):
        """The questions, those whose answers change as often as the others."""
        return STILL + list(self.moving) * 2

    def change(self, put, remove, names=None):
        """Brings the changing objects (those of `names`; without, all but "fleet") to the next version, one by one."""
        self.version += 1
        for name, obj in moving_objects(self.version).items():
            old = self.objects.get(name)
            if name not in (names or set(self.objects) - {"fleet"}) or (obj is None and old is None):
                continue
            begin = time.monotonic()
            if obj is None:
                remove(old)
            else:
                put(obj)
            self.objects[name] = obj
            self._learn(name, begin, time.monotonic())

    def go_back(self, objects, begin):
        """The cluster is restored from a backup in which the changing objects were these; `begin`: no earlier."""
        changed = [name for name in self.objects if self.objects[name] != objects[name]]
        self.objects = dict(objects)
        for name in changed:
            self._learn(name, begin, time.monotonic())

    def newest(self):
        """{question: what is right now}, of those that change."""
        return {line: self.history[line][-1].expected for line in self.moving}

    def _present(self):
        objects = [*self.still, *(obj for obj in self.objects.values() if obj)]
        return _state(objects), {obj["metadata"]["name"]: obj for obj in objects if obj["kind"] == "Pod"}

    def _learn(self, name, begin, end):
        state, pods = self._present()
        for line, depends in self.moving.items():
            if depends == name:
                self.history[line].append(Fact(begin, end, _expected(line, state, pods)))


def _read(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return file.read()
