# SPDX-License-Identifier: Apache-2.0
"""What occurs in random clusters, Corefiles, questions and packets, by name: each has to occur, or nothing is said of it."""

import re

import asking
import packet
from random_cluster import (
    CLUSTER_LABEL,
    DELETE,
    FINALIZER,
    IMPORTED_LABEL,
    LONGEST,
    NODES,
    SERVICE_LABEL,
    UNUSUAL_IPV4,
    UNUSUAL_IPV6,
)


def of_answer(answer):
    """What kind of answer it is, in a few words."""
    if answer.result != "reply":
        return answer.result.split(":")[0]
    kind = "with records" if answer.sections["answer"] else "empty"
    return f"{answer.rcode} {kind}" if answer.rcode == "NOERROR" else answer.rcode


# ---- objects


def _of_service(obj, slices):
    spec, name = obj["spec"], obj["metadata"]["name"]
    kind = "headless" if spec.get("clusterIP") == "None" else spec["type"]
    yield f"service {kind}"
    yield from (f"service {len(spec['clusterIPs'])} addresses {spec['ipFamilies']}" for _ in [0] if kind == "ClusterIP")
    yield f"{kind} {len(slices)} slices" if len(slices) < 3 else f"{kind} many slices"
    yield from (f"service port {port['protocol']}" for port in spec.get("ports", []) if "protocol" in port)
    yield from ("service port without a name" for port in spec.get("ports", []) if "name" not in port)
    yield from ("service port with appProtocol" for port in spec.get("ports", []) if "appProtocol" in port)
    yield from (f"service {key}" for key in ("externalIPs", "publishNotReadyAddresses", "selector") if key in spec)
    yield "service with a selector" if "selector" in spec else f"{kind} without a selector"
    if "ports" not in spec:
        yield f"{kind} without ports"
    elif len(spec["ports"]) >= 100:
        yield "service of 100 ports"
    if "status" in obj:
        yield "service with a status"
    if kind == "ExternalName":
        yield from _of_target(spec["externalName"], obj)
    if name in ("svc", "pod", "ns", "dns", "dns-version", LONGEST):
        yield f"service {name[:20]}"
    if name[0].isdigit():
        yield "service that begins with a digit"


def _of_target(target, obj):
    zone = "in" if target.lower().rstrip(".").endswith("cluster.local") else "out of"
    yield f"target {zone} zone"
    yield from (f"target with {word}" for word, does in (("dot at the end", "."),) if target.endswith(does))
    if target != target.lower():
        yield "target in odd case"
    if "_" in target:
        yield "target with an underscore"
    if re.fullmatch(r"[\d.]+", target):
        yield "target like an address"
    if target.startswith(f"{obj['metadata']['name']}.{obj['metadata']['namespace']}."):
        yield "target that is itself"
    if re.match(r"(chain|loop)-", target):
        yield f"target of a {target.split('-')[0]}"
    if len(target) > 250:
        yield "longest target"


def _of_endpoint(endpoint):
    yield from (f"endpoint {condition} {value}" for condition, value in endpoint.get("conditions", {}).items())
    yield from (
        f"endpoint with {key}"
        for key in ("hostname", "targetRef", "zone", "hints", "nodeName", "deprecatedTopology")
        if key in endpoint
    )
    if len(endpoint["addresses"]) > 1:
        yield "endpoint with several addresses"
    host = endpoint.get("hostname", "")
    if re.fullmatch(r"\d+-\d+-\d+-\d+|fd00-.*", host):
        yield "hostname like an address"
    zone = endpoint.get("zone", "")
    yield from (
        f"topology zone {word}"
        for word, does in (("with dots", "." in zone), ("in odd case", zone != zone.lower()))
        if does
    )
    if host in ("tcp", "svc", "ns", LONGEST):
        yield f"hostname {host[:20]}"
    if any(address in UNUSUAL_IPV4 + UNUSUAL_IPV6 for address in endpoint["addresses"]):
        yield "unusual address"


def _of_slice(obj, services):
    labels, endpoints, ports = obj["metadata"].get("labels", {}), obj["endpoints"], obj["ports"]
    yield f"slice {obj['addressType']}"
    yield from (feature for endpoint in endpoints for feature in _of_endpoint(endpoint))
    hosts = [endpoint["hostname"] for endpoint in endpoints if "hostname" in endpoint]
    if len(set(hosts)) < len(hosts):
        yield "shared hostname"
    flat = [address for endpoint in endpoints for address in endpoint["addresses"]]
    if len(set(flat)) < len(flat):
        yield "duplicate address"
    yield f"slice with {len(ports)} ports" if len(ports) in (0, 1, 100) else "slice with several ports"
    yield from (f"slice port {port.get('protocol', 'without protocol')}" for port in ports)
    yield from ("slice port without number" for port in ports if "port" not in port)
    yield from ("slice port of an odd number" for port in ports if not 0 < port.get("port", 1) < 65536)
    yield from ("slice port without a name" for port in ports if not port["name"])
    yield from ("slice port with appProtocol" for port in ports if "appProtocol" in port)
    yield "slice without endpoints" if not endpoints else "slice with endpoints"
    if IMPORTED_LABEL in labels:
        yield "imported slice of a cluster" if CLUSTER_LABEL in labels else "imported slice of no cluster"
        yield "imported slice that has a service here too" if SERVICE_LABEL in labels else "imported slice alone"
    elif SERVICE_LABEL not in labels:
        yield "slice without service label"
    elif (obj["metadata"]["namespace"], labels[SERVICE_LABEL]) not in services:
        yield "orphan slice"
    if labels.get(SERVICE_LABEL) in ("", "Web", "odd.label", "a_b"):
        yield "slice of a service that cannot be"
    if len(obj["metadata"]["name"]) > 190:
        yield "slice with a long name"


def _of_pod(obj):
    addresses = [entry["ip"] for entry in obj["status"]["podIPs"]]
    yield f"pod {obj['status']['phase']}"
    yield f"pod with {len(addresses)} addresses"
    if addresses[0] in [node[0] for node in NODES]:
        yield "pod on the host's network"


def of_cluster(cluster):
    """A name for everything that occurs, as often as it does."""
    services = {(obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in cluster if obj["kind"] == "Service"}
    slices, holders = {}, {}
    for obj in (obj for obj in cluster if obj["kind"] == "EndpointSlice"):
        key = obj["metadata"]["namespace"], obj["metadata"].get("labels", {}).get(SERVICE_LABEL)
        slices.setdefault(key, []).append(obj)
        for address in (address for endpoint in obj["endpoints"] for address in endpoint["addresses"]):
            holders.setdefault(address, set()).add(key)
    yield from ("address in several services" for keys in holders.values() if len(keys) > 1)
    for key, items in slices.items():
        if {"IPv4", "IPv6"} <= {item["addressType"] for item in items if item["endpoints"]}:
            yield "service with endpoints of both families"
    for obj in cluster:
        meta = obj["metadata"]
        if DELETE in meta.get("labels", {}):
            yield f"{obj['kind']} that is being deleted" if FINALIZER in meta.get(
                "finalizers", []
            ) else f"{obj['kind']} that is ending"
        if obj["kind"] == "Service":
            yield from _of_service(obj, slices.get((meta["namespace"], meta["name"]), []))
        elif obj["kind"] == "EndpointSlice":
            yield from _of_slice(obj, services)
        elif obj["kind"] == "Pod":
            yield from _of_pod(obj)
        elif obj["kind"] == "ServiceImport":
            yield f"import {obj['spec']['type']} {len(obj['spec'].get('ips', []))} addresses"
            yield from ("import port without protocol" for port in obj["spec"]["ports"] if "protocol" not in port)
        elif meta["name"] in ("svc", "pod", "dns", LONGEST):
            yield f"namespace {meta['name'][:20]}"


# ---- Corefiles


def of_corefile(text):
    for option in (
        "pods disabled",
        "pods insecure",
        "pods verified",
        "noendpoints",
        "endpoint_pod_names",
        "ignore empty_service",
    ):
        if option in text:
            yield option
    words = ("namespaces", "ttl", "fallthrough", "zonal", "multicluster", "labels", "namespace_labels")
    yield from (f"option {word}" for word in words if re.search(rf"^ +{word}\b", text, re.M))
    if re.search(r"fallthrough \S", text):
        yield "fallthrough in some zones"
    yield from (f"ttl {ttl}" for ttl in (0, 3600) if re.search(rf"ttl {ttl}\n", text))
    for word, pattern in (
        ("root zone", r"kubernetes [^\n]*(?<!\S)\.(?!\S)"),
        ("zone of a reverse block", r"kubernetes [^\n]*\d/\d+"),
        ("zones in odd case", r"kubernetes [^\n]*[A-Z]"),
        ("zones of the block", r"kubernetes \{"),
        ("nested zones", r"kubernetes [^\n{]*(sub\.cluster|svc\.cluster)[^\n{]*"),
        ("several blocks", r"^\}\n\S"),
        ("whoami behind", r"\}\n    whoami"),
    ):
        if re.search(pattern, text, re.M):
            yield word


# ---- questions and packets

_HEADER_BITS = {"rd": 0x0100, "aa": 0x0400, "tc": 0x0200, "ra": 0x0080, "z": 0x0040, "ad": 0x0020, "cd": 0x0010}


def of_line(line):
    name, kind, *options = line.split()
    yield f"type {kind}"
    yield from (f"option {option.split('=')[0]}" for option in options)
    yield from (option for option in options if option.startswith(("class=", "opcode=", "ver=")))
    yield from (f"size {option[5:]}" for option in options if option.startswith("edns="))
    lower = name.lower().rstrip(".")
    labels = re.split(r"(?<!\\)\.", lower)
    if name.lower() != name:
        yield "odd case"
    if "\\" in name:
        yield "escaped name"
    if len(asking.parse(f"{name} A").wire) == 12 + 255 + 4:
        yield "longest name"
    if max(map(len, labels)) == 63:
        yield "longest label"
    for word, pattern in (
        ("a service's name", r"^[^._]+\.[^.]+\.svc\."),
        ("an endpoint's name", r"^[^._]+\.[^.]+\.[^.]+\.svc\."),
        ("a port's name", r"^_[^.]+\._(tcp|udp|sctp)\.[^.]+\.[^.]+\.svc\."),
        ("a port's name without underscores", r"^[^_.]+\.(tcp|udp|sctp)\.[^.]+\.[^.]+\.svc\."),
        ("a zonal name, pin", r"\.pin\._zone\.[^.]+\.[^.]+\.svc\."),
        ("a zonal name, prefer", r"\.prefer\._zone\.[^.]+\.[^.]+\.svc\."),
        ("a zonal name of several labels", r"\..*\.pin\._zone\.[^.]+\.[^.]+\.svc\."),
        ("an import's name", r"^[^._]+\.[^.]+\.svc\.(sub\.)?clusterset\.local"),
        ("an import's port's name", r"^_[^.]+\._[^.]+\.[^.]+\.[^.]+\.svc\.(sub\.)?clusterset\.local"),
        ("an import's endpoint's name", r"^[^._]+\.[^._]+\.[^.]+\.[^.]+\.svc\.(sub\.)?clusterset\.local"),
        ("a pod's name", r"^[^.]+\.[^.]+\.pod\."),
        ("a pod's name, IPv6", r"^fd00-[^.]+\.[^.]+\.pod\."),
        ("a namespace's name", r"^[^.]+\.svc\.[^.]+\.[^.]+$"),
        ("reverse, IPv4", r"^(\d+\.){4}in-addr"),
        ("reverse, IPv6", r"^(\w\.){32}ip6"),
        ("reverse, in part", r"^(\d+\.){1,3}in-addr"),
        ("dns-version", r"^dns-version\."),
        ("ns.dns", r"^ns\.dns\."),
        ("apex", r"^(cluster\.local|in-addr\.arpa|second\.test|)$"),
    ):
        if re.search(pattern, lower):
            yield word


def of_packet(line):
    read = packet.read(line)
    wire = asking.parse(line).wire
    yield f"transport {'tcp' if line.endswith('tcp') else 'udp'}"
    if len(wire) < 12:
        yield "short header"
        return
    counts = [int.from_bytes(wire[at : at + 2], "big") for at in range(4, 12, 2)]
    yield from (
        f"{section} {min(count, 3)}"
        for section, count in zip(("questions", "answers", "authorities", "additional"), counts)
    )
    yield f"opcode {read.flags >> 11 & 15}"
    yield from (f"bit {bit}" for bit, mask in _HEADER_BITS.items() if read.flags & mask)
    yield "bit rd off" if not read.flags & 0x0100 else "bit rd"
    yield "a response" if read.flags & 0x8000 else "a query"
    yield from (f"{len(read.opts())} OPT" for _ in [0])
    yield from ("OPT with options" for opt in read.opts() if opt.rdata)
    yield from ("OPT below the root" for opt in read.opts() if not opt.at_root)
    yield from (f"record TYPE{record.kind}" for record in read.others())
    if read.pointed:
        yield "pointer in the question"
    if len(wire) > 512:
        yield "long packet"
