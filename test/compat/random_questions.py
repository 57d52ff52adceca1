# SPDX-License-Identifier: Apache-2.0
"""Questions by chance about a cluster, as lines that asking.py reads; a seed gives the same ones again."""

import ipaddress
import string

import dns.exception
import dns.name
import dns.reversename

from random_cluster import (
    CHAIN,
    CLUSTER_LABEL,
    CLUSTERS,
    HOSTNAMES,
    IMPORTED_LABEL,
    NAMESPACES,
    POD_NAMES,
    PORT_NAMES,
    PROTOCOLS,
    SERVICE_LABEL,
    SERVICES,
    TOPOLOGY,
    chance,
)

ADDRESSES = ["A"] * 5 + ["AAAA"] * 4
COMMON = [*ADDRESSES, "SRV", "SRV", "TXT", "CNAME", "NS", "SOA", "MX", "ANY", "HTTPS", "PTR"]
RARE = [
    "DS", "DS", "CAA", "TYPE65534", "AXFR", "AXFR", "OPT", "IXFR", "HINFO", "NULL", "RRSIG", "DNSKEY", "SVCB", "NAPTR", "TYPE0", "TYPE255", "NSEC",
    "A6", "DNAME", "OPT", "TSIG", "TKEY", "MAILB", "TYPE65535",
]  # fmt: skip
ODD_LABELS = [
    b"\x00", b"\xff\xfe", b"a.b", b"web.shop", b" ", b"*", b"\\", b'"', b"(", b"@", b"/", b"_", b"__http", b"-", b"a/b",
    b"K\xe2\x84\xaa", b";", b"$", b"\t", b"\x7f", b"any", b"coredns", b"c",
]  # fmt: skip
EDNS_OPTIONS = [
    "opt=10:0102030405060708", "opt=3:", "opt=8:0001180000000a", "opt=65001:abcd", "opt=12:000000", "opt=15:0016", "opt=11:", "opt=9:",
]  # fmt: skip
SIZES = [0, 1, 511, 512, 513, 1220, 1231, 1232, 1233, 1480, 1500, 4096, 65535]
CLASSES = ["CH", "HS", "ANY", "NONE", "CLASS0", "CLASS999"]


def _ready(item):
    """The endpoints of a slice that are shown."""
    return [endpoint for endpoint in item["endpoints"] if endpoint.get("conditions", {}).get("ready") is not False]


def _key(obj):
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


class Questions:
    """Names of what is in the cluster, what is nearly there, and what is not. A form gives labels and likely types."""

    def __init__(self, rng, cluster, the_corefile):
        self.rng, self.pod_names = rng, "endpoint_pod_names" in the_corefile.text
        self.zones = [tuple(label for label in zone.encode().split(b".") if label) for zone in the_corefile.zones]
        self.services = [obj for obj in cluster if obj["kind"] == "Service"]
        self.slices = [obj for obj in cluster if obj["kind"] == "EndpointSlice"]
        self.pods = [obj for obj in cluster if obj["kind"] == "Pod"]
        self.external = [obj for obj in self.services if obj["spec"]["type"] == "ExternalName"]
        self.full = [item for item in self.slices if _ready(item) and self.service_of(item)]
        self.families = {}  # (namespace, service) -> types that its endpoints have
        for item in self.full:
            kinds = self.families.setdefault(self.key_of(item), [])
            kinds.append("AAAA" if item["addressType"] == "IPv6" else "A")
        internal = {_key(obj) for obj in self.services if obj["spec"]["type"] != "ExternalName"}
        shown = [
            item for item in self.full if self.key_of(item) in internal and item["metadata"]["namespace"] != "ghost"
        ]
        self.full += shown * 4
        self.alive = [obj for obj in self.services if self.types_of(obj) and obj["metadata"]["namespace"] != "ghost"]
        self.clusterips = [obj for obj in self.alive if obj["spec"].get("clusterIP", "None") != "None"]
        self.own_ips = [ip for obj in self.services for ip in obj["spec"].get("clusterIPs", []) if ip != "None"]
        self.pod_ips = [entry["ip"] for pod in self.pods for entry in pod["status"]["podIPs"]]
        self.endpoint_ips = [
            ip
            for item in self.slices
            if item["addressType"] != "FQDN"
            for endpoint in item["endpoints"][:20]
            for ip in endpoint["addresses"]
        ]
        self.addresses = self.own_ips * 2 + self.pod_ips + self.endpoint_ips
        self.addresses += [ip for obj in self.services for ip in obj["spec"].get("externalIPs", [])]
        self.imports = [obj for obj in cluster if obj["kind"] == "ServiceImport"]
        self.imported = [
            item for item in self.slices if IMPORTED_LABEL in item["metadata"].get("labels", {}) and _ready(item)
        ]
        self.zoned = [
            (item, endpoint)
            for item in self.full
            for endpoint in item["endpoints"]
            if endpoint.get("zone", "").replace(".", "a").isprintable() and endpoint.get("zone")
        ]
        self.multicluster = [zone for zone in self.zones if b"clusterset" in (label.lower() for label in zone)]
        self.forms = {
            self.import_: 6 if self.multicluster else 0,
            self.zonal: 5 if "zonal" in the_corefile.text else 1,
            self.service: 8, self.endpoint: 7, self.port: 6, self.pod: 5, self.reverse: 5, self.upper: 2, self.absent: 1, self.target: 3,
        }  # fmt: skip

    @staticmethod
    def service_of(item):
        return item["metadata"].get("labels", {}).get(SERVICE_LABEL)

    def key_of(self, item):
        return item["metadata"]["namespace"], self.service_of(item)

    def zone(self):
        """The labels behind "svc" or "pod": mostly a forward zone that the Corefile has."""
        forward = [zone for zone in self.zones if not zone or zone[-1].lower() != b"arpa"]
        if not forward or chance(self.rng, 0.03):
            return self.rng.choice(
                [*self.zones, (b"cluster", b"local"), (b"second", b"test"), (b"example",), (b"local",)]
            )
        return self.rng.choice(forward)

    def of(self, *labels):
        return tuple(label.encode() if isinstance(label, str) else label for label in labels) + self.zone()

    def namespace(self):
        return self.rng.choice(NAMESPACES if chance(self.rng, 0.9) else ["ghost", "absent"])

    def pick(self, pool):
        """Namespace and name of a service, or of the one that a slice belongs to; often the one with many endpoints."""
        if chance(self.rng, 0.04):
            return "shop", "big"
        obj = self.rng.choice(pool)
        return obj["metadata"]["namespace"], self.service_of(obj) or obj["metadata"]["name"][:63]

    def types_of(self, service):
        """The types that a service answers with addresses; none if it has no answer."""
        spec = service["spec"]
        if spec["type"] == "ExternalName":
            return ["A", "AAAA", "CNAME"]
        if spec.get("clusterIP") == "None":
            return self.families.get(_key(service), [])
        return ["AAAA" if ":" in ip else "A" for ip in spec["clusterIPs"]]

    def dashed(self, address):
        text = address.replace(".", "-").replace(":", "-")
        return text + "0" if text.endswith("-") and chance(self.rng, 0.8) else text

    # -- forms

    def service(self):
        service = self.rng.choice(self.alive if chance(self.rng, 0.8) else self.services)
        namespace, name = self.pick([service])
        return self.of(name, namespace, "svc"), [*self.types_of(service), "SRV"] * 12 + COMMON

    def label_of(self, endpoint):
        """What an endpoint is called, mostly."""
        if "hostname" in endpoint and chance(self.rng, 0.9):
            return endpoint["hostname"]
        if "targetRef" in endpoint and chance(self.rng, 0.9 if self.pod_names else 0.1):
            return endpoint["targetRef"]["name"]
        return self.dashed(self.rng.choice(endpoint["addresses"]))

    def endpoint(self):
        item = self.rng.choice(self.full)
        endpoints = _ready(item) if chance(self.rng, 0.85) else item["endpoints"]
        label = self.label_of(self.rng.choice(endpoints))
        if chance(self.rng, 0.1):
            label = self.rng.choice([*HOSTNAMES, *POD_NAMES, self.dashed(self.rng.choice(self.addresses))])
        types = ["AAAA" if item["addressType"] == "IPv6" else "A", "SRV"] * 16 + COMMON
        return self.of(label[:63].replace(".", "-"), self.service_of(item), item["metadata"]["namespace"], "svc"), types

    def port(self):
        item = self.rng.choice(self.clusterips if chance(self.rng, 0.5) else self.full)
        namespace, name = self.pick([item])
        ports = item.get("ports") or item.get("spec", {}).get("ports") or []
        choices = [(port.get("name", ""), port.get("protocol", "TCP")) for port in ports]
        if not choices or chance(self.rng, 0.15):
            choices = [(self.rng.choice([*PORT_NAMES, ""]), self.rng.choice(PROTOCOLS))]
        port, protocol = self.rng.choice(choices)
        labels = [
            ("_" + port)[:63] if chance(self.rng, 0.9) else port,
            "_" + protocol.lower() if chance(self.rng, 0.9) else protocol.lower(),
        ]
        return self.of(*(label[:63] for label in labels if label), name, namespace, "svc"), ["SRV"] * 20 + COMMON

    def pod(self):
        address = self.rng.choice(
            self.pod_ips * 2 + self.addresses + ["10.9.9.9", "::", "1.2.3", "fd00::1.2.3.4", "1.2.3.004", "0.0.0.0"]
        )
        holders = [pod for pod in self.pods if any(entry["ip"] == address for entry in pod["status"]["podIPs"])]
        known = holders and chance(self.rng, 0.8)
        namespace = self.rng.choice(holders)["metadata"]["namespace"] if known else self.namespace()
        types = ["AAAA" if ":" in address else "A", "SRV"] * 12 + COMMON
        return self.of(self.dashed(address), namespace, self.rng.choice(["pod"] * 6 + ["svc"])), types

    def reverse(self):
        address = (
            self.rng.choice(self.addresses) if chance(self.rng, 0.95) else self.rng.choice(["10.9.9.9", "fd00::99"])
        )
        try:
            labels = dns.reversename.from_address(str(ipaddress.ip_address(address))).labels[:-1]
        except (dns.exception.SyntaxError, ValueError):  # of those that are not written as usual
            labels = (b"1", b"0", b"10", b"in-addr", b"arpa")
        cut = self.rng.choice([0] * 12 + [1, 2, 3])
        return labels[cut:], ["PTR"] * 40 + COMMON

    def upper(self):
        namespace = self.namespace()
        forms = [
            (), (), ("svc",), ("pod",), (namespace, "svc"), (namespace, "pod"), (namespace,), ("ns", "dns"), ("ns", "dns"), ("dns",),
            ("a", "ns", "dns"), ("dns-version",), ("dns-version",), ("x", "dns-version"), ("apex", "dns"), ("hostmaster",),
        ]  # fmt: skip
        labels = self.rng.choice(forms)
        return (
            self.of(*labels),
            {(): ["SOA", "NS"], ("dns-version",): ["TXT"], ("ns", "dns"): ADDRESSES}.get(labels, []) * 6 + COMMON,
        )

    def absent(self):
        return (
            self.of(self.rng.choice([*SERVICES, "absent"]), self.namespace(), self.rng.choice(["svc", "pod", "sv"])),
            COMMON,
        )

    def target(self):
        namespace, name = self.pick(self.external)
        if chance(self.rng, 0.2):
            namespace, name = "odd", f"chain-{self.rng.randrange(CHAIN)}"
        return self.of(name, namespace, "svc"), ADDRESSES * 3 + ["CNAME"] * 3 + COMMON

    def import_(self):
        """Of what other clusters export: a service, a port, an endpoint of a cluster."""
        obj = self.rng.choice(self.imports + self.imported)
        meta, zone = obj["metadata"], self.rng.choice(self.multicluster or [(b"clusterset", b"local")])
        name = meta.get("labels", {}).get(IMPORTED_LABEL) or meta["name"][:63]
        left, types = [], [*ADDRESSES, "SRV", "SRV", "SRV"] * 4 + COMMON
        ports = obj.get("ports") or obj.get("spec", {}).get("ports")
        if obj["kind"] == "EndpointSlice" and chance(self.rng, 0.7):
            label = self.label_of(self.rng.choice(_ready(obj)))[:63].replace(".", "-")
            cluster = meta["labels"].get(CLUSTER_LABEL) if chance(self.rng, 0.9) else self.rng.choice(CLUSTERS)
            left = [label, (cluster or "east")[:63].replace(".", "-")][: self.rng.choice([1, 2, 2, 2, 2])]
        elif ports and chance(self.rng, 0.5):
            port = self.rng.choice(ports)
            left = ["_" + port.get("name", "http")[:62], "_" + port.get("protocol", "TCP").lower()]
        return tuple(label.encode() for label in (*left, name, meta["namespace"], "svc")) + zone, types

    def zonal(self):
        """A headless service's name by topology zone."""
        item, endpoint = self.rng.choice(self.zoned)
        topology = endpoint["zone"] if chance(self.rng, 0.85) else self.rng.choice([*TOPOLOGY[:6], "nowhere"])
        labels = [label[:63] for label in topology.split(".") if label]
        way = self.rng.choice(["pin"] * 4 + ["prefer"] * 4 + ["other"])
        types = ["AAAA" if item["addressType"] == "IPv6" else "A", "SRV"] * 16 + COMMON
        return self.of(*labels, way, "_zone", self.service_of(item), item["metadata"]["namespace"], "svc"), types

    # -- what is done to them

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

    def name_and_type(self):
        rng = self.rng
        labels, types = rng.choices(list(self.forms), list(self.forms.values()))[0]()
        if chance(rng, 0.1):
            labels = self.mutated(labels)
        if chance(rng, 0.2):
            labels = [
                bytes(byte ^ 0x20 if 65 <= byte & 0xDF <= 90 and rng.random() < 0.5 else byte for byte in label)
                for label in labels
            ]
        if sum(len(label) + 1 for label in labels) > 254 or b"" in labels:
            return "cluster.local.", "A"
        kind = rng.choice(types)
        if chance(rng, 0.05):
            kind = rng.choice([rng.choice(RARE), f"TYPE{rng.randrange(301)}"])
        return dns.name.Name([*labels, b""]).to_text(), kind

    def line(self):
        return " ".join([*self.name_and_type(), *self.options()])

    def options(self):
        rng, words = self.rng, []
        if chance(rng, 0.4):
            words.append(f"edns={rng.choice([*SIZES, rng.randrange(512, 2000)])}")
            words += ["do"] if chance(rng, 0.4) else []
            words += [f"ver={rng.choice([1, 2, 255])}"] if chance(rng, 0.02) else []
            words += [rng.choice(EDNS_OPTIONS)] if chance(rng, 0.15) else []
        words += [bit for bit in ("nord", "ad", "cd", "aa", "tc", "ra", "z") if chance(rng, 0.08)]
        words += ["tcp"] if chance(rng, 0.15) else []
        words += [f"class={rng.choice(CLASSES)}"] if chance(rng, 0.02) else []
        words += (
            [f"opcode={rng.choice(['STATUS', 'NOTIFY', 'IQUERY', 'UPDATE', '3', '6', '15'])}"]
            if chance(rng, 0.01)
            else []
        )
        return words


def questions(rng, cluster, the_corefile, count):
    """`count` questions about a cluster that was loaded."""
    maker = Questions(rng, cluster, the_corefile)
    return [maker.line() for _ in range(count)]
