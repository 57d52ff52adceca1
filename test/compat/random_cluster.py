# SPDX-License-Identifier: Apache-2.0
"""Odd clusters that the API server admits, Corefiles and questions about them; a seed gives the same ones again.

    objects = random_cluster.objects(rng)         # in the order in which they are to be created
    corefile = random_cluster.corefile(rng)       # a Corefile object: text, zones
    for line in random_cluster.questions(rng, objects, corefile, count): …

What the API server refuses is left out by load(): the generator need not know every rule of it.
"""

import re
import string
import uuid
from dataclasses import dataclass

import dns.exception
import dns.name
import dns.reversename

from controlplane import ApiError
from processes import wait_for

LONGEST = "l23456789012345678901234567890123456789012345678901234567890123"
NAMESPACES = ["shop", "a", "svc", "pod", "1st-floor", "dns", "cluster", LONGEST, "leaving", "ghost"]
FQDN = "fqdn"  # the only service whose slices may hold names: CoreDNS answers those otherwise
SERVICES = ["web", "db", "svc", "pod", "ns", "dns", "7up", "tcp", "10-244-0-1", "local", "a", "x-1", "dns-version", LONGEST]
HOSTNAMES = ["web-0", "web-1", "h", "svc", "10-244-0-1", "10-244-0-2", "fd00-10-244--1", "0", "tcp", LONGEST]
PORT_NAMES = ["http", "dns", "dns-tcp", "9p", "tcp", "udp", "a", "p23456789012345"]
POD_NAMES = ["web-7f9-x2", "web-0", "with.dots", "10-244-0-3", LONGEST, LONGEST + "-more"]
PROTOCOLS = ["TCP", "UDP", "SCTP"]
ODD_IPV6 = ["fd00:10:244::", "fd00::1:0:0:1", "1:0:0:2::", "::1:2", "fd00:0:1:0:1:0:1:0", "2001:db8:0:1:1:1:1:1"]
ODD_IPV4 = ["10.244.0.255", "10.96.10.1", "10.96.10.7", "255.255.255.254", "1.2.3.4"]
# Not as RFC 5952 writes them, or IPv4 in IPv6's clothes: of networks of their own, as CoreDNS treats these otherwise.
UNUSUAL_IPV6 = ["FD00:10:246::A", "fd00:10:246:0::1", "fd00:10:246:0:0:0:0:2", "fd00:010:246::3", "fd00:10:246::10.246.0.4"]
UNUSUAL_IPV4 = ["::ffff:10.246.0.2", "::FFFF:10.246.0.3"]
OUTSIDE = ["www.example.com", "example.com.", "a", "local", "second.test", "10.1.2.3", "1.2.3", "Mixed.Example.COM", "fd00--1"]
ZONES = [  # the zones of a kubernetes directive; the first set is what nearly everybody has
    ["cluster.local", "in-addr.arpa", "ip6.arpa"],
    ["cluster.local", "in-addr.arpa", "ip6.arpa"],
    ["cluster.local", "in-addr.arpa", "ip6.arpa"],
    ["cluster.local", "in-addr.arpa", "ip6.arpa"],
    ["cluster.local", "in-addr.arpa", "ip6.arpa"],
    ["cluster.local", "sub.cluster.local", "in-addr.arpa"],
    ["cluster.local", "web.shop.svc.cluster.local", "ip6.arpa"],
    ["second.test", "cluster.local", "10.in-addr.arpa", "ip6.arpa"],
    ["CLUSTER.Local", "IN-ADDR.arpa"],
    ["96.10.in-addr.arpa", "svc.cluster.local"],
    ["cluster.local", "10.96.0.0/13", "10.244.0.0/23", "fd00:10:244::/48"],
    ["local", "."],
    ["."],
]
FALLTHROUGHS = ["", "in-addr.arpa ip6.arpa", "shop.svc.cluster.local 10.in-addr.arpa"]


def _chance(rng, probability):
    return rng.random() < probability


def _some(rng, pool, most):
    return rng.sample(pool, rng.randint(0, min(most, len(pool))))


# ---- objects


class Maker:
    """A cluster in the making; what is made stands in `list` too."""

    def __init__(self, rng):
        self.rng, self.list, self.names, self.slices, self.cluster_ips = rng, [], set(), 0, set()

    def add(self, kind, namespace, name, api="v1", **fields):
        self.list.append({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **fields})
        return self.list[-1]

    def namespace(self, name):
        fields = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        self.list.append(fields)

    # -- services

    def cluster_ip(self, family):
        while True:
            number = self.rng.randrange(2, 200)
            address = f"10.96.10.{number}" if family == 4 else f"fd00:10:96::{number:x}"
            if address not in self.cluster_ips:
                self.cluster_ips.add(address)
                return address

    def service_ports(self):
        rng = self.rng
        if _chance(rng, 0.25):
            return [{"port": rng.choice([1, 80, 65535]), "protocol": rng.choice(PROTOCOLS)}]
        used, ports = set(), []
        for name in rng.sample(PORT_NAMES, rng.randint(1, 4)):
            port = {"name": name, "port": rng.choice([53, 80, 443, 9090]), "protocol": rng.choice(PROTOCOLS)}
            if (port["port"], port["protocol"]) not in used:
                used.add((port["port"], port["protocol"]))
                ports.append(port)
        return ports

    def service(self, namespace, name):
        rng = self.rng
        kind = rng.choices(["ClusterIP", "NodePort", "LoadBalancer", "Headless", "ExternalName"], [8, 1, 1, 10, 4])[0]
        if kind == "ExternalName":
            spec = {"type": kind, "externalName": self.external_name()}
            if _chance(rng, 0.3):
                spec["ports"] = self.service_ports()
        else:
            spec = {"type": "ClusterIP" if kind == "Headless" else kind, "ports": self.service_ports()}
            spec.update(self.service_addresses(kind))
        if kind == "Headless" and _chance(rng, 0.3):
            del spec["ports"]
        if _chance(rng, 0.2):
            spec["publishNotReadyAddresses"] = True
        if _chance(rng, 0.3):
            spec["selector"] = {"app": name[:10]}
        if kind != "ExternalName" and _chance(rng, 0.2):
            spec["externalIPs"] = [self.address(4)]
        service = self.add("Service", namespace, name, spec=spec)
        if kind == "LoadBalancer":
            service["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}, {"hostname": "lb.example.com"}]}}
        return service

    def service_addresses(self, kind):
        families = self.rng.choice([["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"]])
        policy = "SingleStack" if len(families) == 1 else "RequireDualStack"
        addresses = ["None"] if kind == "Headless" else [self.cluster_ip(int(family[3])) for family in families]
        return {"ipFamilies": families, "ipFamilyPolicy": policy, "clusterIP": addresses[0], "clusterIPs": addresses}

    def external_name(self):
        rng = self.rng
        if _chance(rng, 0.3):
            return rng.choice(OUTSIDE)
        zone = rng.choice(["cluster.local"] * 4 + ["second.test", "sub.cluster.local"])
        name = f"{rng.choice(SERVICES)}.{rng.choice(NAMESPACES)}.svc.{zone}"
        if _chance(rng, 0.15):
            name = f"{rng.choice(HOSTNAMES)}.{name}"
        if _chance(rng, 0.1):
            name = rng.choice(["ns.dns.cluster.local", "cluster.local", "svc.cluster.local", "10-0-0-1.shop.pod.cluster.local"])
        return rng.choice([name] * 4 + [name + ".", name.title()])

    # -- slices

    def address(self, family):
        rng = self.rng
        if family == 4:
            if _chance(rng, 0.05):
                return rng.choice(ODD_IPV4 + UNUSUAL_IPV4)
            return f"10.244.{rng.randrange(2)}.{rng.randrange(1, 25)}"
        if _chance(rng, 0.2):
            return rng.choice(ODD_IPV6 + UNUSUAL_IPV6)
        return f"fd00:10:244::{rng.randrange(1, 25):x}"

    def endpoint(self, kind):
        rng = self.rng
        count = 1 if _chance(rng, 0.8) else rng.randint(2, 4)
        if kind == "FQDN":
            addresses = [f"host-{rng.randrange(9)}.example.com" for _ in range(count)]
        else:
            addresses = [self.address(int(kind[3])) for _ in range(count)]
        endpoint = {"addresses": list(dict.fromkeys(addresses))}
        conditions = {name: _chance(rng, 0.6) for name in ("ready", "serving", "terminating") if _chance(rng, 0.5)}
        if conditions:
            endpoint["conditions"] = conditions
        if _chance(rng, 0.35):
            endpoint["hostname"] = rng.choice(HOSTNAMES)
        if _chance(rng, 0.4):
            kind = rng.choice(["Pod", "Pod", "Pod", "VirtualMachine"])
            endpoint["targetRef"] = {"kind": kind, "name": rng.choice(POD_NAMES), "namespace": "shop"}
        if _chance(rng, 0.2):
            endpoint["zone"] = "zone-a"
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
            if _chance(rng, 0.1):
                del port["port"]
            if _chance(rng, 0.1):
                del port["protocol"]
            ports.append(port)
        return ports

    def slice(self, namespace, service):
        rng = self.rng
        self.slices += 1
        kind = rng.choices(["IPv4", "IPv6", "FQDN"], [10, 7, 10 if service == FQDN else 0])[0]
        item = self.add(
            "EndpointSlice", namespace, f"slice-{self.slices}", "discovery.k8s.io/v1",
            addressType=kind, ports=self.slice_ports(), endpoints=[self.endpoint(kind) for _ in range(rng.choice([0, 1, 2, 3, 5]))],
        )  # fmt: skip
        labels = {}
        if service is not None:
            labels["kubernetes.io/service-name"] = service
        if _chance(rng, 0.3):
            labels["endpointslice.kubernetes.io/managed-by"] = "endpointslice-controller.k8s.io"
        if _chance(rng, 0.2):
            labels["service.kubernetes.io/headless"] = ""
        if labels:
            item["metadata"]["labels"] = labels
        return item

    def big(self):
        """Answers that do not fit: many endpoints, some with one hostname, in several slices."""
        self.add("Service", "shop", "big", spec={"type": "ClusterIP", "clusterIP": "None", "ports": [{"name": "http", "port": 80}]})
        sizes = self.rng.choices([5, 12, 30, 60, 250, 1000], [6, 6, 6, 6, 3, 1], k=2)
        for number in range(2):
            endpoints = [{"addresses": [f"10.245.{4 * number + i // 256}.{i % 256}"], "conditions": {}} for i in range(sizes[number])]
            if number == 0:
                for endpoint in endpoints[:20]:
                    endpoint["hostname"] = "many"
            item = self.add(
                "EndpointSlice", "shop", f"big-{number}", "discovery.k8s.io/v1",
                addressType="IPv4", ports=[{"name": "http", "port": 8080}, {"name": "dns", "port": 53}], endpoints=endpoints,
            )  # fmt: skip
            item["metadata"]["labels"] = {"kubernetes.io/service-name": "big"}

    def pod(self, namespace, number):
        rng = self.rng
        addresses = [self.address(4)] if _chance(rng, 0.7) else []
        if _chance(rng, 0.4) or not addresses:
            addresses.append(self.address(6))
        phase = rng.choice(["Running", "Running", "Running", "Pending", "Succeeded", "Failed"])
        self.add(
            "Pod", namespace, f"pod-{number}",
            spec={"containers": [{"name": "c", "image": "none"}], "hostNetwork": False},
            status={"phase": phase, "podIP": addresses[0], "podIPs": [{"ip": address} for address in addresses]},
        )  # fmt: skip


def objects(rng, own=None):
    """A cluster as a list of API objects; `own` is an address of this machine, which makes services name servers."""
    made = Maker(rng)
    for name in NAMESPACES:
        made.namespace(name)
    for namespace in NAMESPACES:
        for name in _some(rng, SERVICES, 14 if namespace == "shop" else 6):
            made.service(namespace, name)
            for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3])):
                made.slice(namespace, name)
        for _ in range(rng.randrange(3)):  # without a Service, without a name, with a name that none can have
            made.slice(namespace, rng.choice([*SERVICES, *SERVICES, None, "", "Web", "odd.label", "a_b"]))
        for number in range(rng.randrange(3)):
            made.pod(namespace, number)
    made.service("shop", FQDN)
    made.slice("shop", FQDN)
    made.slice("shop", FQDN)
    made.big()
    if own is not None and _chance(rng, 0.6):
        for item in rng.sample([obj for obj in made.list if obj.get("addressType") == "IPv4"], rng.randint(1, 4)):
            for endpoint in item["endpoints"][:2]:
                endpoint["addresses"][0] = own
    return made.list


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
        if obj["kind"] != "EndpointSlice" or re.search(r"is invalid: (?!.*(canonical form|IPv4-mapped))", error.body):
            return False
        # API servers before 1.36 admitted such addresses, and what they stored is still served.
        meta = obj["metadata"]
        stored = {**meta, "uid": str(uuid.uuid4()), "creationTimestamp": "2025-01-01T00:00:00Z", "generation": 1}
        plane.put_raw([(f"/registry/endpointslices/{meta['namespace']}/{meta['name']}", {**obj, "metadata": stored})])
    return True


def load(plane, wanted):
    """Creates what of the objects the API server admits, or once admitted, and returns that."""
    kept = [obj for obj in wanted if _create(plane, obj)]
    plane.call("DELETE", "/api/v1/namespaces/leaving")
    plane.delete_raw("/registry/namespaces/ghost")
    wait_for(lambda: plane.request("GET", "/api/v1/namespaces/ghost")[0] == 404, 10, "a namespace to vanish")
    return kept


# ---- Corefiles


@dataclass(frozen=True)
class Corefile:
    text: str
    zones: tuple


def corefile(rng):
    """A Corefile with options by chance, which CoreDNS and our server understand."""
    zones = rng.choice(ZONES)
    options = ["kubeconfig @KUBECONFIG@"]
    if _chance(rng, 0.7):
        options.append(f"pods {rng.choice(['disabled', 'insecure', 'insecure', 'verified', 'verified'])}")
    if _chance(rng, 0.5):
        options.append(f"ttl {rng.choice([0, 1, 30, 301, 3600])}")
    through = rng.choice(["", "", "", *(f"fallthrough {zones}" for zones in FALLTHROUGHS)])
    options += [through] if through else []
    options += [option for option in ("endpoint_pod_names", "ignore empty_service") if _chance(rng, 0.3)]
    if _chance(rng, 0.08):
        options.append("noendpoints")
    if _chance(rng, 0.12):
        options.append("namespaces " + " ".join(rng.sample([*NAMESPACES, "absent"], rng.randint(1, 5))))
    lines = "\n        ".join(options)
    block = "." if _chance(rng, 0.7) else " ".join(zones)
    after = "\n    whoami" if _chance(rng, 0.8 if through else 0.2) else ""
    text = f"{block} {{\n    errors\n    ready 127.0.0.1:@READY@\n    kubernetes {' '.join(zones)} {{\n        {lines}\n    }}{after}\n}}\n"
    if "second.test" not in zones and _chance(rng, 0.25):
        zones = [*zones, "second.test"]
        text += "second.test {\n    kubernetes {\n        kubeconfig @KUBECONFIG@\n        ttl 7\n    }\n}\n"
    return Corefile(text, tuple(zone for zone in zones if "/" not in zone))


# ---- questions

COMMON = ["A"] * 10 + ["AAAA"] * 7 + ["SRV"] * 7 + ["PTR", "TXT", "CNAME", "NS", "SOA", "MX", "ANY", "HTTPS"]
RARE = [
    "DS", "CAA", "TYPE65534", "AXFR", "IXFR", "HINFO", "NULL", "RRSIG", "DNSKEY", "SVCB", "NAPTR", "TYPE0", "TYPE255", "NSEC",
    "A6", "DNAME",
]  # fmt: skip
ODD_LABELS = [
    b"\x00", b"\xff\xfe", b"a.b", b"web.shop", b" ", b"*", b"\\", b'"', b"(", b"@", b"/", b"_", b"__http", b"-", b"a/b",
    b"K\xe2\x84\xaa",
]  # fmt: skip
EDNS_OPTIONS = ["opt=10:0102030405060708", "opt=3:", "opt=8:0001180000000a", "opt=65001:abcd", "opt=12:000000"]


class _Questions:
    """Names of what is in the cluster, what is nearly there, and what is not."""

    def __init__(self, rng, cluster, zones):
        self.rng, self.zones = rng, [tuple(label for label in zone.encode().split(b".") if label) for zone in zones]
        self.services = [obj for obj in cluster if obj["kind"] == "Service"]
        self.slices = [obj for obj in cluster if obj["kind"] == "EndpointSlice"]
        self.pods = [obj for obj in cluster if obj["kind"] == "Pod"]
        self.addresses = [ip for pod in self.pods for ip in (entry["ip"] for entry in pod["status"]["podIPs"])]
        for service in self.services:
            spec = service["spec"]
            self.addresses += [ip for ip in spec.get("clusterIPs", []) + spec.get("externalIPs", []) if ip != "None"]
        for item in self.slices:
            if item["addressType"] != "FQDN":
                self.addresses += [ip for endpoint in item["endpoints"] for ip in endpoint["addresses"]]
        self.forms = [self.service, self.endpoint, self.port, self.pod, self.reverse, self.upper, self.absent, self.target]

    def zone(self):
        """The labels behind "svc" or "pod": mostly a forward zone that the Corefile has."""
        forward = [zone for zone in self.zones if not zone or zone[-1].lower() != b"arpa"]
        if not forward or _chance(self.rng, 0.04):
            return self.rng.choice([*self.zones, (b"cluster", b"local"), (b"second", b"test"), (b"example",), (b"local",)])
        return self.rng.choice(forward)

    def of(self, *labels):
        return tuple(label.encode() if isinstance(label, str) else label for label in labels) + self.zone()

    def namespace(self):
        return self.rng.choice([*NAMESPACES, "absent"])

    def pick(self, pool):
        """Namespace and name of a service, or of the one that a slice belongs to; often the one with many endpoints."""
        if _chance(self.rng, 0.06):
            return "shop", "big"
        obj = self.rng.choice(pool)
        return obj["metadata"]["namespace"], obj["metadata"].get("labels", {}).get("kubernetes.io/service-name") or obj["metadata"]["name"]

    def service(self):
        namespace, name = self.pick(self.services)
        return self.of(name, namespace, "svc")

    def dashed(self, address):
        text = address.replace(".", "-").replace(":", "-")
        return text + "0" if text.endswith("-") and _chance(self.rng, 0.8) else text

    def endpoint(self):
        item = self.rng.choice(self.slices)
        name = item["metadata"].get("labels", {}).get("kubernetes.io/service-name", "web") or "web"
        labels = [self.rng.choice(HOSTNAMES + POD_NAMES), self.dashed(self.rng.choice(self.addresses))]
        for endpoint in item["endpoints"]:
            labels += [endpoint["hostname"]] * 3 if "hostname" in endpoint else []
            labels += [endpoint["targetRef"]["name"]] * 2 if "targetRef" in endpoint else []
            labels += [self.dashed(address) for address in endpoint["addresses"] * 5]
        label = self.rng.choice(labels)[:63]
        return self.of(label.replace(".", "-") if _chance(self.rng, 0.5) else label, name, item["metadata"]["namespace"], "svc")

    def port(self):
        item = self.rng.choice(self.services + self.slices)
        namespace, name = self.pick([item])
        ports = item.get("ports") or item.get("spec", {}).get("ports") or []
        choices = [(port.get("name", ""), port.get("protocol", "TCP")) for port in ports] * 6
        choices.append((self.rng.choice([*PORT_NAMES, ""]), self.rng.choice(PROTOCOLS)))
        port, protocol = self.rng.choice(choices)
        return self.of(*(label for label in ("_" + port, "_" + protocol.lower()) if label), name, namespace, "svc")

    def pod(self):
        address = self.rng.choice([*self.addresses, *self.addresses, "10.9.9.9", "::", "1.2.3", "fd00::1.2.3.4", "1.2.3.004"])
        return self.of(self.dashed(address), self.namespace(), self.rng.choice(["pod", "pod", "pod", "svc"]))

    def reverse(self):
        address = self.rng.choice(self.addresses) if _chance(self.rng, 0.9) else self.rng.choice(["10.9.9.9", "fd00::99"])
        try:
            labels = dns.reversename.from_address(address).labels[:-1]
        except dns.exception.SyntaxError:  # of those that are not written as usual
            labels = (b"1", b"0", b"10", b"in-addr", b"arpa")
        return labels[self.rng.choice([0, 0, 0, 0, 0, 1, 2, 3]) :]

    def upper(self):
        namespace = self.namespace()
        forms = [
            (), ("svc",), ("pod",), (namespace, "svc"), (namespace, "pod"), (namespace,), ("ns", "dns"), ("dns",), ("a", "ns", "dns"),
            ("dns-version",), ("x", "dns-version"), ("apex", "dns"),
        ]  # fmt: skip
        return self.of(*self.rng.choice(forms))

    def absent(self):
        name = self.rng.choice([*SERVICES, "absent"])
        return self.of(name, self.namespace(), self.rng.choice(["svc", "pod", "sv"]))

    def target(self):
        external = [obj for obj in self.services if obj["spec"]["type"] == "ExternalName"] or self.services
        namespace, name = self.pick(external)
        return self.of(name, namespace, "svc")

    def mutated(self, labels):
        """A near miss: one step away from `labels`."""
        rng, labels = self.rng, list(labels)
        at = rng.randrange(len(labels) + 1)
        step = rng.randrange(9)
        if step == 0 and at < len(labels):
            del labels[at]
        elif step == 1:
            labels.insert(at, rng.choice([b"x", b"_tcp", b"svc", b"web", rng.choice(ODD_LABELS)]))
        elif step == 2 and at < len(labels):
            labels.insert(at, labels[at])
        elif step == 3 and at < len(labels):
            labels[at] = rng.choice(ODD_LABELS)
        elif step == 4 and at < len(labels):
            labels[at] = (labels[at] + rng.choice([b"-", b"0", b"\x00", b".", b"_", b"a"]))[:63]
        elif step == 5 and at < len(labels):
            labels[at] = labels[at][1:] or b"x"
        elif step == 6 and at < len(labels):
            labels[at] = b"_" + labels[at][:62]
        elif step == 7 and len(labels) > 1:
            at = min(at, len(labels) - 2)
            joined, swapped = labels[at] + b"." + labels[at + 1], [labels[at + 1], labels[at]]
            labels[at : at + 2] = [joined] if len(joined) < 64 else swapped
        else:
            labels = self.longest(labels)
        return labels

    def longest(self, labels):
        """As long as a name can be, at its left."""
        room = 254 - sum(len(label) + 1 for label in labels)
        while room > 1:
            size = min(63, room - 1)
            if room - size - 1 == 1:
                size -= 1
            labels = [bytes(self.rng.choice(string.ascii_lowercase.encode()) for _ in range(size)), *labels]
            room -= size + 1
        return labels

    def name(self):
        rng = self.rng
        labels = rng.choices(self.forms, [6, 6, 5, 3, 4, 2, 1, 3])[0]()
        if _chance(rng, 0.12):
            labels = self.mutated(labels)
        if _chance(rng, 0.2):
            labels = [bytes(byte ^ 0x20 if 65 <= byte & 0xDF <= 90 and rng.random() < 0.5 else byte for byte in label) for label in labels]
        if sum(len(label) + 1 for label in labels) > 254 or b"" in labels:
            return "cluster.local."
        return dns.name.Name([*labels, b""]).to_text()

    def line(self):
        rng = self.rng
        name = self.name()
        kind = rng.choice(RARE) if _chance(rng, 0.06) else rng.choice(COMMON)
        if name.lower().endswith("arpa.") and _chance(rng, 0.85):
            kind = "PTR"
        return " ".join([name, kind, *self.options()])

    def options(self):
        rng, words = self.rng, []
        if _chance(rng, 0.4):
            words.append(f"edns={rng.choice([0, 1, 511, 512, 513, 1231, 1232, 1233, 4096, 65535, rng.randrange(512, 2000)])}")
            words += ["do"] if _chance(rng, 0.4) else []
            words += ["ver=1"] if _chance(rng, 0.03) else []
            words += [rng.choice(EDNS_OPTIONS)] if _chance(rng, 0.15) else []
        words += [bit for bit in ("nord", "ad", "cd", "aa", "tc", "z") if _chance(rng, 0.08)]
        words += ["tcp"] if _chance(rng, 0.15) else []
        words += [f"class={rng.choice(['CH', 'HS', 'ANY', 'NONE', 'CLASS999'])}"] if _chance(rng, 0.03) else []
        words += [f"opcode={rng.choice(['STATUS', 'NOTIFY', 'IQUERY', 'UPDATE'])}"] if _chance(rng, 0.01) else []
        return words


def questions(rng, cluster, the_corefile, count):
    """`count` questions, as lines that asking.py reads, about a cluster that was loaded."""
    maker = _Questions(rng, cluster, the_corefile.zones)
    return [maker.line() for _ in range(count)]
