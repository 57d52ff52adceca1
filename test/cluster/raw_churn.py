# SPDX-License-Identifier: Apache-2.0
"""Changes of Services, EndpointSlices and Namespaces by chance, written straight into etcd one by one (the API server's
watches then bring them as it would its own), and what every name has to be in the end, by the model of test/compat."""

import contextlib
import ipaddress
import json
import subprocess
from collections import defaultdict

import dns.reversename
import model
from controlplane import binaries
from writer import registry_key

ZONE = "svc.cluster.local"
SERVICES = 100  # names in a namespace
SLICES = 2  # of a service
POOL = 512  # addresses that endpoints have, for each namespace and of each family
ENDPOINTS = 8  # of a slice, at most
MADE = "2026-01-01T00:00:00Z"
SERVICE_PORTS = [("http", "TCP"), ("dns", "UDP"), ("dns", "TCP"), ("sctp", "SCTP"), (None, "TCP")]


class EtcdWriter:
    """Writes lines through modules/etcd-put: each change has a revision of its own."""

    def __init__(self, plane):
        command = [binaries("etcd-put")["etcd-put"], plane.etcd_url]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.close()
        self.child.wait(60)

    def write(self, changes):
        """(key, text of an object or "") pairs; returns when all of them are in etcd."""
        with contextlib.suppress(BrokenPipeError):
            self.child.stdin.writelines(f"{key}\t{text}\n" for key, text in changes)
            self.child.stdin.write(".\n")
            self.child.stdin.flush()
        if self.child.stdout.readline() != ".\n":
            raise AssertionError(f"etcd-put ended with {self.child.wait(10)}")


class Churn:
    """A cluster of `namespaces` full ones and one that comes and goes; `written` counts its changes."""

    def __init__(self, rng, namespaces):
        self.rng, self.namespaces, self.written = rng, [f"ns-{number}" for number in range(namespaces)], 0
        self.services, self.slices, self.existing, self.uids = {}, {}, {}, 0
        self.pool = POOL * namespaces

    def begin(self):
        """The changes that make the namespaces."""
        return [self._namespace(name, True) for name in [*self.namespaces, "flicker"]]

    def change(self):
        """One change, as (key, text)."""
        rng, dice = self.rng, self.rng.random()
        if dice < 0.0005:
            return self._namespace("flicker", "flicker" not in self.existing)
        namespace = "flicker" if dice < 0.01 else rng.choice(self.namespaces)
        number = rng.randrange(SERVICES)
        if rng.random() < 0.3:
            return self._put_or_remove("Service", self.services, namespace, f"s{number}", 0.15, self._service)
        name = f"s{number}-{rng.randrange(SLICES)}"
        return self._put_or_remove("EndpointSlice", self.slices, namespace, name, 0.15, self._slice)

    # ---- objects

    def _done(self, obj, there):
        self.written += 1
        return registry_key(obj), json.dumps(obj, separators=(",", ":")) if there else ""

    def _object(self, kind, name, namespace=None, api="v1", **fields):
        self.uids += 1
        where = {"namespace": namespace} if namespace else {}
        meta = {"name": name, **where, "uid": f"00000000-0000-4000-8000-{self.uids:012x}", "creationTimestamp": MADE}
        return {"apiVersion": api, "kind": kind, "metadata": meta, **fields}

    def _namespace(self, name, there):
        obj = self._object("Namespace", name, spec={"finalizers": ["kubernetes"]}, status={"phase": "Active"})
        if there:
            self.existing[name] = obj
        else:
            del self.existing[name]
        return self._done(obj, there)

    def _put_or_remove(self, kind, objects, namespace, name, removed, make):
        key = namespace, name
        if key in objects and self.rng.random() < removed:
            return self._done(objects.pop(key), False)
        objects[key] = make(namespace, name)
        return self._done(objects[key], True)

    def _ports(self, most):
        chosen = self.rng.sample(SERVICE_PORTS, self.rng.randint(1, most))
        ports = [{"port": self.rng.choice([53, 80, 443]), "protocol": protocol} for _, protocol in chosen]
        for port, (name, _) in zip(ports, chosen):
            if name:
                port["name"] = name
        return ports

    def cluster_ips(self, namespace, name):
        number = (self.namespaces + ["flicker"]).index(namespace) * SERVICES + int(name[1:]) + 256
        return [str(ipaddress.ip_address("10.96.0.0") + number), str(ipaddress.ip_address("fd00:10:96::") + number)]

    def _service(self, namespace, name):
        rng = self.rng
        kind = rng.choices(["ClusterIP", "None", "ExternalName"], [5, 4, 2])[0]
        if kind == "ExternalName":
            inside = f"s{rng.randrange(SERVICES)}.{namespace}.{ZONE}"
            target = rng.choice([f"v{rng.randrange(1000)}.example.net", inside])
            return self._object("Service", name, namespace, spec={"type": kind, "externalName": target})
        addresses = self.cluster_ips(namespace, name)[: rng.randint(1, 2)] if kind == "ClusterIP" else ["None"]
        families = ["IPv4", "IPv6"][: len(addresses)]
        spec = {"type": "ClusterIP", "clusterIP": addresses[0], "clusterIPs": addresses, "ipFamilies": families}
        spec["ipFamilyPolicy"] = "SingleStack" if len(families) == 1 else "RequireDualStack"
        return self._object("Service", name, namespace, spec={**spec, "ports": self._ports(3)})

    def address(self, family):
        number = self.rng.randrange(self.pool)
        return str(ipaddress.ip_address("10.240.0.0" if family == "IPv4" else "fd00:240::") + number)

    def _slice(self, namespace, name):
        rng = self.rng
        family = rng.choice(["IPv4", "IPv4", "IPv6"])
        endpoints = []
        for _ in range(rng.randrange(ENDPOINTS + 1)):
            one = {"addresses": [self.address(family)], "conditions": {"ready": rng.random() < 0.9}}
            if rng.random() < 0.4:
                one["hostname"] = f"h{rng.randrange(4)}"
            endpoints.append(one)
        fields = {"addressType": family, "ports": self._ports(2), "endpoints": endpoints}
        obj = self._object("EndpointSlice", name, namespace, "discovery.k8s.io/v1", **fields)
        obj["metadata"]["labels"] = {model.SERVICE_LABEL: name.split("-")[0]}
        return obj

    # ---- what must be answered

    def expected(self):
        """(name, type, the model's answer) of every name there is, of those beside them, and of every address."""
        by_namespace = {name: model.State(namespaces=self.existing) for name in [*self.namespaces, "flicker"]}
        by_address = defaultdict(model.State)
        for kind in ("services", "slices"):
            for key, obj in getattr(self, kind).items():
                getattr(by_namespace[key[0]], kind)[key] = obj
                for address in _addresses(obj):
                    getattr(by_address[address], kind)[key] = obj
        for namespace, state in by_namespace.items():
            for name, kind in self._names(namespace, state):
                yield name, kind, model.answer(state, name, kind)
        for number in range(self.pool):
            for start in ("10.240.0.0", "fd00:240::", "10.96.1.0", "fd00:10:96::100"):
                address = str(ipaddress.ip_address(start) + number)
                name = dns.reversename.from_address(address).to_text()
                yield name, "PTR", model.answer(by_address[address], name, "PTR")

    @staticmethod
    def _names(namespace, state):
        left = defaultdict(set)  # service -> what may stand before its name
        for (_, name), obj in state.services.items():
            left[name] |= {_port_labels(port) for port in obj["spec"].get("ports", [])}
        for (_, name), obj in state.slices.items():
            left[name.split("-")[0]] |= {f"{label}." for label, _ in model._ready(obj)}
            left[name.split("-")[0]] |= {_port_labels(port) for port in obj["ports"]}
        for name in [*(f"s{number}" for number in range(SERVICES)), "nothing"]:
            for before in sorted({"", "h0.", "_none._tcp.", *left[name]}):
                full = f"{before}{name}.{namespace}.{ZONE}."
                for kind in ["SRV"] if before.startswith("_") else ["A", "AAAA", "SRV"]:
                    yield full, kind


def _port_labels(port):
    return f"_{port.get('name', 'none')}._{port['protocol'].lower()}."


def _addresses(obj):
    if obj["kind"] == "Service":
        return obj["spec"].get("clusterIPs", [])
    return {address for endpoint in obj["endpoints"] for address in endpoint["addresses"]}
