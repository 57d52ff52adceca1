# SPDX-License-Identifier: Apache-2.0
"""What a cluster's DNS answers, worked out in the plainest way from the objects: the third opinion beside two servers.

It knows the names of Services, their endpoints and pods under cluster.local and the reverse names, with the plugin's
default options and "pods verified"; for any other it raises Unknown.
"""

import functools
import ipaddress
import math
from dataclasses import dataclass, field

import dns.exception
import dns.ipv6
import dns.name
import dns.reversename

ZONE = ("cluster", "local")
SERVICE_LABEL = "kubernetes.io/service-name"
CHAIN_MOST = 10


class Unknown(Exception):
    """The model does not know this name."""


@dataclass(frozen=True)
class State:
    """Objects by (namespace, name); `namespaces` by name."""

    services: dict = field(default_factory=dict)
    slices: dict = field(default_factory=dict)
    namespaces: dict = field(default_factory=dict)
    pods: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """An address that a name has, with a port and the name that SRV gives it (as labels before "svc")."""

    address: str
    port: int
    target: str


def answer(state, name, kind):
    """(rcode, sorted rdata of the answer, sorted rdata of the additional section)."""
    labels = labels_of(name)
    if kind == "PTR":
        return _answer_ptr(state, name)
    if labels[-3:] == ("pod", *ZONE):
        return _answer_pod(state, labels, kind)
    found = _records(state, labels)
    if found is None:
        return "NXDOMAIN", [], []
    if isinstance(found, str):
        return _answer_external(state, labels, found, kind)
    if kind == "SRV":
        return _answer_srv(found)
    return "NOERROR", sorted({text_of(r.address) for r in found if _is_kind(r.address, kind)}), []


@functools.lru_cache(100_000)
def labels_of(name):
    return tuple(label.decode().lower() for label in dns.name.from_text(name).labels[:-1])


def reverse_address(name):
    """The address that a reverse name is of, or None."""
    try:
        return dns.reversename.to_address(dns.name.from_text(name))
    except (dns.exception.DNSException, ValueError):
        return None


def _is_kind(address, kind):
    return (":" in address) == (kind == "AAAA")


def _records(state, labels):
    """None: no such name; a text: it is that other name; else its Records."""
    if labels in (ZONE, ("svc", *ZONE)):
        return []
    if labels[-2:] != ZONE or labels[-3:-2] != ("svc",) or not 5 <= len(labels) <= 7:
        raise Unknown(labels)
    *left, name, namespace, _, _, _ = labels
    service = state.services.get((namespace, name))
    if service is None or namespace not in state.namespaces:
        return None
    spec = service["spec"]
    if spec["type"] == "ExternalName":
        return None if left or _is_address(spec["externalName"]) else spec["externalName"]
    if spec.get("clusterIP") == "None" or len(left) == 1:
        return _endpoints(state, namespace, name, left) or None
    ports = [port for port in spec.get("ports") or [{}] if _port_meant(port, left)]
    found = [Record(ip, port.get("port", -1), f"{name}.{namespace}") for port in ports for ip in _cluster_ips(service)]
    return found or None


def _cluster_ips(service):
    return [ip for ip in service["spec"].get("clusterIPs", []) if ip != "None"]


def _is_address(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _port_meant(port, left):
    if len(left) != 2:
        return True
    name, protocol = (label.removeprefix("_") for label in left)
    return name in ("", port.get("name") or "") and protocol in ("", (port.get("protocol") or "").lower())


def _ready(item):
    """(label, address) of each endpoint of a slice that is not known to be unready."""
    for endpoint in item.get("endpoints") or []:
        if endpoint.get("conditions", {}).get("ready", True) is not False:
            for address in endpoint["addresses"]:
                yield endpoint.get("hostname") or _dashed(address), address


@functools.lru_cache(100_000)
def text_of(address):
    """As dnspython writes it in an answer."""
    return dns.ipv6.inet_ntoa(dns.ipv6.inet_aton(address)) if ":" in address else address


def _dashed(address):
    text = address.replace(".", "-").replace(":", "-")
    return text + "0" if text.endswith("-") else text


def _endpoints(state, namespace, name, left):
    found = []
    for (where, _), item in state.slices.items():
        if where != namespace or item["metadata"].get("labels", {}).get(SERVICE_LABEL) != name:
            continue
        ports = [port for port in item.get("ports") or [{}] if _port_meant(port, left)]
        for label, address in _ready(item):
            if len(left) != 1 or left[0] == label:
                found += [Record(address, port.get("port", -1), f"{label}.{name}.{namespace}") for port in ports]
    return found


def _answer_srv(found):
    weight = max(1, math.floor(100 / (100 * len(found)) * 100))
    found = [r for r in found if r.port != -1]
    zone = ".".join(("svc", *ZONE)) + "."
    return (
        "NOERROR",
        sorted({f"0 {weight} {r.port & 0xFFFF} {r.target}.{zone}" for r in found}),
        sorted(text_of(address) for _, address in {(r.target, r.address) for r in found}),
    )


def _answer_external(state, labels, target, kind):
    """The chain of names inside of the zone and what is at its end; outside of it there is nobody to ask."""
    if kind == "SRV":
        return "NOERROR", [], []
    chain, seen = [], set()
    while isinstance(target, str):
        there = tuple(target.lower().removesuffix(".").split("."))
        if there[-len(labels) :] == labels or there in seen or len(chain) > CHAIN_MOST:
            return "NOERROR", [], []
        seen.add(there)
        chain.append(".".join(there) + ".")
        if there[-2:] != ZONE:
            return "NOERROR", sorted(chain), []
        labels, target = there, _pod_ips(state, there) if there[-3:] == ("pod", *ZONE) else _records(state, there)
    addresses = sorted(
        {text_of(getattr(r, "address", r)) for r in target or [] if _is_kind(getattr(r, "address", r), kind)}
    )
    return "NOERROR", sorted(chain + addresses) if addresses else [], []


def _pod_ips(state, labels):
    return {
        text_of(entry["ip"])
        for (namespace, _), pod in state.pods.items()
        if namespace == labels[1] and namespace in state.namespaces
        for entry in pod["status"].get("podIPs", [])
        if entry["ip"].replace(".", "-").replace(":", "-") == labels[0]
    }


def _answer_pod(state, labels, kind):
    if len(labels) != 5 or kind == "SRV":
        raise Unknown(labels)
    ips = _pod_ips(state, labels)
    if not ips:
        return "NXDOMAIN", [], []
    return "NOERROR", sorted(ip for ip in ips if _is_kind(ip, kind)), []


def _answer_ptr(state, name):
    ip = reverse_address(name)
    if ip is None:
        raise Unknown(name)
    for (namespace, name), service in state.services.items():
        if ip in map(text_of, _cluster_ips(service)):
            return "NOERROR", [f"{name}.{namespace}.svc.cluster.local."], []
    names = {
        f"{label}.{item['metadata']['labels'][SERVICE_LABEL]}.{namespace}.svc.cluster.local."
        for (namespace, _), item in state.slices.items()
        if item["metadata"].get("labels", {}).get(SERVICE_LABEL)
        for label, address in _ready(item)
        if text_of(address) == ip
    }
    return ("NOERROR" if names else "NXDOMAIN"), sorted(names), []
