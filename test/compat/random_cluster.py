# SPDX-License-Identifier: Apache-2.0
"""Odd clusters that the API server admits; a seed gives the same one again.

    wanted = random_cluster.objects(rng)         # in the order in which they are to be created
    cluster = random_cluster.load(plane, wanted) # what is there of them now

What the API server refuses is left out by load(), or stored as an older one would have: the generator need not know
every rule of it. Beside what chance makes, every cluster has the `specimens`, one of each kind that chance seldom makes.
"""

import copy
import re
import uuid

from controlplane import ApiError
from processes import wait_for

LONGEST = "l23456789012345678901234567890123456789012345678901234567890123"
NAMESPACES = ["shop", "a", "svc", "pod", "1st-floor", "dns", "cluster", "odd", LONGEST, "leaving", "held", "ghost"]
FQDN = "fqdn"  # the only service whose slices may hold names: CoreDNS answers those otherwise
SERVICES = [
    "web",
    "db",
    "svc",
    "pod",
    "ns",
    "dns",
    "7up",
    "tcp",
    "10-244-0-1",
    "local",
    "a",
    "x-1",
    "dns-version",
    LONGEST,
]
HOSTNAMES = ["web-0", "web-1", "h", "svc", "10-244-0-1", "10-244-0-2", "fd00-10-244--1", "0", "tcp", "ns", LONGEST]
PORT_NAMES = ["http", "dns", "dns-tcp", "9p", "tcp", "udp", "a", "p23456789012345"]
POD_NAMES = ["web-7f9-x2", "web-0", "with.dots", "10-244-0-3", LONGEST, LONGEST + "-more"]
PROTOCOLS = ["TCP", "UDP", "SCTP"]
PHASES = ["Running", "Running", "Running", "Pending", "Succeeded", "Failed", "Unknown"]
NODES = [("10.244.9.1", "fd00:10:244:9::1"), ("10.244.9.2", "fd00:10:244:9::2")]  # addresses that pods share
ODD_IPV6 = ["fd00:10:244::", "fd00::1:0:0:1", "1:0:0:2::", "::1:2", "fd00:0:1:0:1:0:1:0", "2001:db8:0:1:1:1:1:1"]
ODD_IPV4 = ["10.244.0.255", "10.96.10.1", "10.96.10.7", "255.255.255.254", "1.2.3.4"]
# Not as RFC 5952 writes them, or IPv4 in IPv6's clothes: of networks of their own, as CoreDNS treats these otherwise.
UNUSUAL_IPV6 = [
    "FD00:10:246::A",
    "fd00:10:246:0::1",
    "fd00:10:246:0:0:0:0:2",
    "fd00:010:246::3",
    "fd00:10:246::10.246.0.4",
]
UNUSUAL_IPV4 = ["::ffff:10.246.0.2", "::FFFF:10.246.0.3"]
OUTSIDE = [
    "www.example.com",
    "example.com.",
    "a",
    "local",
    "second.test",
    "10.1.2.3",
    "10.1.2.4.",
    "1.2.3",
    "Mixed.Example.COM",
    "fd00--1",
]
ODD_PORTS = [0, -1, -7, 70000, 2147483647]  # the API server does not look at the numbers of a slice's ports
DELETE = "clusterdns.test/delete"  # label of what load() deletes again; a finalizer keeps it
FINALIZER = "clusterdns.test/kept"
SERVICE_LABEL = "kubernetes.io/service-name"
IMPORTED_LABEL = "multicluster.kubernetes.io/service-name"
CLUSTER_LABEL = "multicluster.kubernetes.io/source-cluster"
CLUSTERS = ["east", "west-1", "svc", "h", "0", LONGEST, "Up.Per", None]
TOPOLOGY = [
    "zone-a",
    "zone-b",
    "Zone-A",
    "eu.west.1",
    "a.b",
    "pin",
    "a b",
    "",
    LONGEST,
    f"{LONGEST}.{LONGEST}",
]  # unchecked
LABELS = {"app": ["web", "db", ""], "env": ["prod", "test"]}  # what label selectors look at
CHAIN = 14  # names of the chain of services that are other names: more than anybody follows


def chance(rng, probability):
    return rng.random() < probability


def _some(rng, pool, most):
    return rng.sample(pool, rng.randint(0, min(most, len(pool))))


class Maker:
    """A cluster in the making; what is made stands in `list` too."""

    def __init__(self, rng):
        self.rng, self.list, self.names, self.slices, self.cluster_ips = rng, [], set(), 0, set()

    def add(self, kind, namespace, name, api="v1", **fields):
        meta = {"name": name, "namespace": namespace, "labels": self.labels()}
        if chance(self.rng, 0.05):  # deleted, but still there
            meta["finalizers"] = [FINALIZER]
            meta["labels"][DELETE] = ""
        self.list.append({"apiVersion": api, "kind": kind, "metadata": meta, **fields})
        return self.list[-1]

    def labels(self):
        return {key: self.rng.choice(values) for key, values in LABELS.items() if chance(self.rng, 0.8)}

    def namespace(self, name):
        fields = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": self.labels()}}
        if name in ("leaving", "held"):
            fields["metadata"]["labels"][DELETE] = ""
        if name == "held":
            fields["metadata"]["finalizers"] = [FINALIZER]
        self.list.append(fields)

    # -- services

    def cluster_ip(self, family):
        while True:
            number = self.rng.randrange(2, 250)
            address = f"10.96.10.{number}" if family == 4 else f"fd00:10:96::{number:x}"
            if address not in self.cluster_ips:
                self.cluster_ips.add(address)
                return address

    def service_ports(self):
        rng = self.rng
        if chance(rng, 0.25):
            return [{"port": rng.choice([1, 80, 65535]), "protocol": rng.choice(PROTOCOLS)}]
        used, ports = set(), []
        for name in rng.sample(PORT_NAMES, rng.randint(1, 4)):
            port = {"name": name, "port": rng.choice([53, 80, 443, 9090]), "protocol": rng.choice(PROTOCOLS)}
            if (port["port"], port["protocol"]) not in used:
                used.add((port["port"], port["protocol"]))
                ports.append({**port, "appProtocol": "kubernetes.io/h2c"} if chance(rng, 0.1) else port)
        return ports

    def service(self, namespace, name, kind=None, families=None):
        rng = self.rng
        kinds = ["ClusterIP", "NodePort", "LoadBalancer", "Headless", "ExternalName"]
        kind = kind or rng.choices(kinds, [8, 1, 1, 10, 4])[0]
        if kind == "ExternalName":
            spec = {"type": kind, "externalName": self.external_name()}
            if chance(rng, 0.3):
                spec["ports"] = self.service_ports()
        else:
            spec = {"type": "ClusterIP" if kind == "Headless" else kind, "ports": self.service_ports()}
            spec.update(self.service_addresses(kind, families))
        if kind == "Headless" and chance(rng, 0.3):
            del spec["ports"]
        if chance(rng, 0.2):
            spec["publishNotReadyAddresses"] = True
        if chance(rng, 0.3):
            spec["selector"] = {"app": name[:10]}
        if kind in ("NodePort", "LoadBalancer") or kind == "ClusterIP" and chance(rng, 0.2):
            spec["externalIPs"] = [self.address(4)]
        service = self.add("Service", namespace, name, spec=spec)
        if kind == "LoadBalancer":
            service["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}, {"hostname": "lb.example.com"}]}}
        return service

    def service_addresses(self, kind, families):
        families = families or self.rng.choice([["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"]])
        policy = "SingleStack" if len(families) == 1 else "RequireDualStack"
        addresses = ["None"] if kind == "Headless" else [self.cluster_ip(int(family[3])) for family in families]
        return {"ipFamilies": families, "ipFamilyPolicy": policy, "clusterIP": addresses[0], "clusterIPs": addresses}

    def external_name(self):
        rng = self.rng
        if chance(rng, 0.3):
            return rng.choice(OUTSIDE)
        zone = rng.choice(["cluster.local"] * 4 + ["second.test", "sub.cluster.local"])
        name = f"{rng.choice(SERVICES)}.{rng.choice(NAMESPACES)}.svc.{zone}"
        if chance(rng, 0.15):
            name = f"{rng.choice(HOSTNAMES)}.{name}"
        if chance(rng, 0.1):
            name = rng.choice(
                ["ns.dns.cluster.local", "cluster.local", "svc.cluster.local", "10-0-0-1.shop.pod.cluster.local"]
            )
        return rng.choice([name] * 4 + [name + ".", name.title()])

    # -- slices

    def address(self, family):
        rng = self.rng
        if family == 4:
            if chance(rng, 0.05):
                return rng.choice(ODD_IPV4 + UNUSUAL_IPV4)
            return f"10.244.{rng.randrange(2)}.{rng.randrange(1, 25)}"
        if chance(rng, 0.2):
            return rng.choice(ODD_IPV6 + UNUSUAL_IPV6)
        return f"fd00:10:244::{rng.randrange(1, 25):x}"

    def endpoint(self, kind):
        rng = self.rng
        count = 1 if chance(rng, 0.8) else rng.randint(2, 4)
        if kind == "FQDN":
            addresses = [f"host-{rng.randrange(9)}.example.com" for _ in range(count)]
        else:
            addresses = [self.address(int(kind[3])) for _ in range(count)]
        endpoint = {"addresses": list(dict.fromkeys(addresses))}
        conditions = {name: chance(rng, 0.6) for name in ("ready", "serving", "terminating") if chance(rng, 0.5)}
        if conditions:
            endpoint["conditions"] = conditions
        if chance(rng, 0.35):
            endpoint["hostname"] = rng.choice(HOSTNAMES)
        if chance(rng, 0.4):
            kind = rng.choice(["Pod", "Pod", "Pod", "VirtualMachine"])
            endpoint["targetRef"] = {"kind": kind, "name": rng.choice(POD_NAMES), "namespace": "shop"}
        if chance(rng, 0.5):
            endpoint["zone"] = rng.choice(TOPOLOGY)
            endpoint["hints"] = {"forZones": [{"name": "zone-b"}]}
        if chance(rng, 0.1):
            endpoint["nodeName"] = "node-1"
        if chance(rng, 0.1):
            endpoint["deprecatedTopology"] = {"kubernetes.io/hostname": "node-1"}
        return endpoint

    def slice_ports(self):
        rng = self.rng
        form = rng.randrange(10)
        if form == 0:
            return []
        if form < 3:
            return [{"name": "", "port": rng.choice([1, 80]), "protocol": rng.choice(PROTOCOLS)}]
        ports = []
        for name in rng.sample([*PORT_NAMES, ""], rng.randint(1, 4)):
            port = {"name": name, "protocol": rng.choice(PROTOCOLS), "port": rng.choice([53, 8080, 65535])}
            if chance(rng, 0.1):
                del port["port"]
            elif chance(rng, 0.05):
                port["port"] = rng.choice(ODD_PORTS)
            if chance(rng, 0.1):
                del port["protocol"]
            if chance(rng, 0.1):
                port["appProtocol"] = "http"
            ports.append(port)
        return ports

    def slice(self, namespace, service, kind=None):
        rng = self.rng
        self.slices += 1
        kind = kind or rng.choices(["IPv4", "IPv6", "FQDN"], [10, 7, 10 if service == FQDN else 0])[0]
        name = f"slice-{self.slices}"
        item = self.add(
            "EndpointSlice", namespace, rng.choice([name] * 8 + [f"with.dots.{name}", f"{LONGEST}.{LONGEST}.{LONGEST}.{name}"]),
            "discovery.k8s.io/v1",
            addressType=kind, ports=self.slice_ports(), endpoints=[self.endpoint(kind) for _ in range(rng.choice([0, 1, 2, 3, 5]))],
        )  # fmt: skip
        labels = item["metadata"]["labels"]
        if service is not None:
            labels[SERVICE_LABEL] = service
        if chance(rng, 0.3):
            labels["endpointslice.kubernetes.io/managed-by"] = "endpointslice-controller.k8s.io"
        if chance(rng, 0.2):
            labels["service.kubernetes.io/headless"] = ""
        return item

    # -- what other clusters export

    def service_import(self, namespace, name):
        rng = self.rng
        headless = chance(rng, 0.5)
        spec = {"type": "Headless" if headless else "ClusterSetIP", "ports": []}
        for port in self.service_ports() if chance(rng, 0.9) else []:
            port.pop("appProtocol", None)
            if chance(rng, 0.05):
                del port["protocol"]
            spec["ports"].append(port)
        if chance(rng, 0.9 if not headless else 0.2):
            spec["ips"] = [f"10.128.0.{rng.randrange(1, 99)}", f"fd00:128::{rng.randrange(1, 99):x}"][
                : rng.randint(1, 2)
            ]
        self.add("ServiceImport", namespace, name, "multicluster.x-k8s.io/v1alpha1", spec=spec)

    def imported_slice(self, namespace, name):
        item = self.slice(namespace, None)
        labels, cluster = item["metadata"]["labels"], self.rng.choice(CLUSTERS)
        labels[IMPORTED_LABEL] = name
        if cluster:
            labels[CLUSTER_LABEL] = cluster
        if chance(self.rng, 0.85):  # the service of this cluster that stands for it
            labels[SERVICE_LABEL] = self.rng.choice(SERVICES)

    def big(self):
        """Answers that do not fit: many endpoints, some with one hostname, in several slices."""
        ports = [{"name": "http", "port": 8080}, {"name": "dns", "port": 53}]
        sizes = self.rng.choices([5, 12, 30, 60, 250, 1000], [6, 6, 6, 6, 3, 1], k=2)
        self.headless("shop", "big")
        for number in range(2):
            endpoints = [
                {"addresses": [f"10.245.{4 * number + i // 256}.{i % 256}"], "conditions": {}}
                for i in range(sizes[number])
            ]
            if number == 0:
                for endpoint in endpoints[:20]:
                    endpoint["hostname"] = "many"
            self.plain_slice("shop", "big", f"big-{number}", endpoints, ports)

    # -- pods

    def pod_status(self, shared):
        rng = self.rng
        if shared:
            addresses = list(rng.choice(NODES))[: rng.randint(1, 2)]
            status = {"hostIP": addresses[0], "hostIPs": [{"ip": address} for address in addresses]}
        else:
            addresses, status = [self.address(4)] if chance(rng, 0.7) else [], {}
            if chance(rng, 0.4) or not addresses:
                addresses.append(self.address(6))
        return {
            **status,
            "phase": rng.choice(PHASES),
            "podIP": addresses[0],
            "podIPs": [{"ip": address} for address in addresses],
        }

    def pod(self, namespace, name):
        shared = chance(self.rng, 0.4)
        spec = {"containers": [{"name": "c", "image": "none"}], "hostNetwork": shared}
        pod = self.add("Pod", namespace, name, spec=spec, status=self.pod_status(shared))
        if chance(self.rng, 0.15):
            pod["metadata"]["finalizers"] = [FINALIZER]
            pod["metadata"]["labels"][DELETE] = ""

    # -- specimens

    def external(self, name, target):
        self.list.append(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "odd"},
             "spec": {"type": "ExternalName", "externalName": target}}
        )  # fmt: skip

    def headless(self, namespace, name, ports=({"name": "http", "port": 80},)):
        self.list.append(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
             "spec": {"type": "ClusterIP", "clusterIP": "None", "ports": list(ports)}}
        )  # fmt: skip

    def plain_slice(self, namespace, service, name, endpoints, ports=({"name": "http", "port": 8080},)):
        self.list.append(
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
             "metadata": {"name": name, "namespace": namespace, "labels": {SERVICE_LABEL: service}},
             "addressType": "IPv4", "ports": list(ports), "endpoints": endpoints}
        )  # fmt: skip

    def chains(self):
        """Services that are other names: a chain too long to follow, loops, names below themselves."""
        zone = "odd.svc.cluster.local"
        self.service("odd", "web", "ClusterIP")
        for number in range(CHAIN):
            self.external(f"chain-{number}", f"chain-{number + 1}.{zone}" if number + 1 < CHAIN else f"web.{zone}")
        for name, target in (
            ("loop-1", f"loop-2.{zone}"), ("loop-2", f"loop-3.{zone}"), ("loop-3", f"loop-1.{zone}"), ("self", f"self.{zone}"),
            ("below", f"x.below.{zone}"), ("above", zone), ("case", f"LOOP-1.{zone}"), ("other-zone", "web.odd.svc.second.test"),
            ("dotted", f"web.{zone}."), ("address", "10.1.2.3"), ("address-dot", "10.1.2.3."), ("of-pod", "10-1-2-3.shop.pod.cluster.local"),
            ("endpoint", f"many.big.shop.svc.cluster.local"), ("outside", "www.example.com"), ("under_score", f"_http._tcp.web.{zone}"),
            ("in-reverse", "1.10.96.10.in-addr.arpa"), ("longest", ".".join([LONGEST] * 3 + [LONGEST[:61]])), ("wild", "*.example.com"),
        ):  # fmt: skip
            self.external(name.replace("_", "-"), target)

    def specimens(self):
        self.chains()
        self.service("odd", "dns-version", "ClusterIP")["metadata"].update(finalizers=[FINALIZER], labels={DELETE: ""})
        for number, phase in enumerate(PHASES):  # pods on one host's network have its addresses
            status = {"phase": phase, "podIP": NODES[0][0], "podIPs": [{"ip": NODES[0][0]}], "hostIP": NODES[0][0]}
            self.list.append(
                {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"host-{number}", "namespace": "odd"},
                 "spec": {"containers": [{"name": "c", "image": "none"}], "hostNetwork": True}, "status": status}
            )  # fmt: skip
        hundred = [{"name": f"p{i}", "port": i + 1, "protocol": PROTOCOLS[i % 3]} for i in range(100)]
        self.headless("odd", "hundred", hundred)
        self.plain_slice(
            "odd",
            "hundred",
            "hundred-1",
            [{"addresses": ["10.244.7.1"], "hostname": "h"}, {"addresses": ["10.244.7.2"]}],
            hundred,
        )
        self.headless("odd", "none")
        self.headless("odd", "empty")
        self.plain_slice("odd", "empty", "empty-1", [])
        self.headless("odd", "unready")
        self.plain_slice("odd", "unready", "unready-1", [{"addresses": ["10.244.7.3"], "conditions": {"ready": False}}])
        self.headless(LONGEST, LONGEST)
        long_port = {"name": LONGEST, "port": 80, "protocol": "TCP"}
        self.plain_slice(
            LONGEST, LONGEST, "longest-1", [{"addresses": ["10.244.7.4"], "hostname": LONGEST}], [long_port]
        )
        self.headless("odd", "numbers")
        numbers = [{"name": f"n{i}", "port": port, "protocol": "TCP"} for i, port in enumerate([*ODD_PORTS, 80])]
        self.plain_slice("odd", "numbers", "numbers-1", [{"addresses": ["10.244.7.5"], "hostname": "h"}], numbers)
        for number in range(6):  # one address in several services
            self.headless("odd", f"same-{number}")
            self.plain_slice("odd", f"same-{number}", f"same-{number}", [{"addresses": ["10.244.7.6"]}])
        self.headless("odd", "no-number")
        self.plain_slice(
            "odd", "no-number", "no-number-1", [{"addresses": ["10.244.7.7"]}], [{"name": "any", "protocol": "TCP"}]
        )
        for families in (["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"]):
            self.service("odd", f"of-{'-'.join(families).lower()}", "ClusterIP", families)
        self.plain_slice(
            "odd", "outside", "outside-1", [{"addresses": ["10.244.7.8"]}]
        )  # of a Service that is another name
        bare = {"type": "ClusterSetIP", "ips": ["10.128.1.1"], "ports": [{"name": "http", "port": 80}]}
        self.add("ServiceImport", "odd", "bare", "multicluster.x-k8s.io/v1alpha1", spec=bare)
        self.service("odd", "balanced", "LoadBalancer")
        self.service("odd", "node-port", "NodePort")
        for name in (None, "", "Web", "odd.label", "a_b", "nobody"):  # slices of no Service
            self.slice("odd", name, "IPv4")
        self.headless("odd", "mixed")
        for number in range(2):
            self.slice("odd", "mixed", "IPv4")
            self.slice("odd", "mixed", "IPv6")


def objects(rng, own=None):
    """A cluster as a list of API objects; `own` is an address of this machine, which makes services name servers."""
    made = Maker(rng)
    for name in NAMESPACES:
        made.namespace(name)
    made.specimens()
    for namespace in NAMESPACES:
        for name in _some(
            rng,
            [
                name
                for name in SERVICES
                if (namespace, name) not in (("odd", "web"), ("odd", "dns-version"), (LONGEST, LONGEST))
            ],
            10,
        ):
            made.service(namespace, name)
            for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3])):
                made.slice(namespace, name)
        for _ in range(rng.randrange(3)):  # without a Service, without a name, with a name that none can have
            made.slice(namespace, rng.choice([*SERVICES, *SERVICES, None, "", "Web", "odd.label", "a_b"]))
        for name in _some(rng, SERVICES, 4):
            made.service_import(namespace, name)
            for _ in range(rng.choice([0, 1, 2, 3])):
                made.imported_slice(namespace, name)
        for number in range(rng.randrange(5)):
            made.pod(namespace, f"pod-{number}")
    made.service("shop", FQDN)
    made.slice("shop", FQDN, "FQDN")
    made.slice("shop", FQDN)
    made.big()
    if own is not None and chance(rng, 0.6):
        for item in rng.sample([obj for obj in made.list if obj.get("addressType") == "IPv4"], rng.randint(1, 4)):
            for endpoint in item["endpoints"][:2]:
                endpoint["addresses"][0] = own
    return made.list


# ---- into the API server


def _key(obj):
    """Where etcd has it."""
    meta = obj["metadata"]
    plural = {"Service": "services/specs", "EndpointSlice": "endpointslices"}[obj["kind"]]
    return f"/registry/{plural}/{meta['namespace']}/{meta['name']}"


def _admitted_once(obj, refusal):
    """Did older API servers admit it? What they stored is still served."""
    if obj["kind"] == "EndpointSlice":  # before 1.36
        return not re.search(r"is invalid: (?!.*(canonical form|IPv4-mapped))", refusal)
    return obj["kind"] == "Service" and re.search(r"spec\.externalName: Invalid value", refusal)  # before 1.15


def _create(plane, obj):
    """False: the API server does not admit it."""
    try:
        plane.apply_object(obj)
        if obj["kind"] == "Service" and "status" in obj:
            path = plane.object_path(obj) + "/status"
            plane.call("PATCH", path, {"status": obj["status"]}, content="application/merge-patch+json")
    except ApiError as error:
        if error.status != 422:
            raise
        if not _admitted_once(obj, error.body):
            return False
        stored = {"uid": str(uuid.uuid4()), "creationTimestamp": "2025-01-01T00:00:00Z", "generation": 1}
        plane.put_raw([(_key(obj), {**obj, "metadata": {**obj["metadata"], **stored}})])
    return True


def load(plane, wanted):
    """Creates what of the objects the API server admits, or once admitted, and returns that."""
    kept = [copy.deepcopy(obj) for obj in wanted if _create(plane, obj)]
    for obj in kept:
        if DELETE in obj["metadata"].get("labels", {}):
            plane.delete_object(obj)
    plane.delete_raw("/registry/namespaces/ghost")
    wait_for(lambda: plane.request("GET", "/api/v1/namespaces/ghost")[0] == 404, 10, "a namespace to vanish")
    return kept
