# SPDX-License-Identifier: Apache-2.0
"""What a question is asked about, a cluster and a Corefile, reduced to what the classes of accepted differences look at."""

import ipaddress
import re
import socket
from functools import cached_property

from random_cluster import CLUSTER_LABEL, IMPORTED_LABEL, SERVICE_LABEL

_LABELS = re.compile(r"[-\w]+(\.[-\w]+)*")
_SERVICE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def dashed(address):
    """The label that CoreDNS makes of it, in lower case."""
    text = address.lower().replace(*((".", "-") if "." in address else (":", "-")))
    return text + "0" if text.endswith("-") else text


def own_address():
    """This machine's address towards the outside (nothing is sent), or None without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("203.0.113.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


def usual(text):
    """An address as RFC 5952 writes it, or as IPv4 if it is that in IPv6's clothes."""
    address = ipaddress.ip_address(re.sub(r"(?<=:)0+(?=[0-9a-fA-F])", "", text))
    return str(getattr(address, "ipv4_mapped", None) or address)


def _zones(corefile):
    """The zones of each kubernetes directive."""
    for keys, body in re.findall(r"^(\S[^\n]*?) *\{\n(.*?)^\}", corefile, re.S | re.M):
        for zones in re.findall(r"^\s+kubernetes([^{\n]*)", body, re.M):
            yield zones.split() or keys.split()


class World:
    def __init__(self, cluster, corefile):
        self.cluster, self.corefile = cluster, corefile

    @cached_property
    def slices(self):
        """(namespace, value of the service label or None, slice)"""
        return [
            (obj["metadata"].get("namespace", "default"), obj["metadata"].get("labels", {}).get(SERVICE_LABEL), obj)
            for obj in self.cluster
            if obj["kind"] == "EndpointSlice"
        ]

    def addresses(self):
        """(namespace, service label, address text) of every endpoint that is an address."""
        for namespace, service, item in self.slices:
            for endpoint in item.get("endpoints") or [] if item["addressType"] != "FQDN" else []:
                for address in endpoint["addresses"]:
                    yield namespace, service, address

    @cached_property
    def name_slices(self):
        """(service, namespace) whose slices hold names."""
        return {(service, namespace) for namespace, service, item in self.slices if item["addressType"] == "FQDN"}

    @cached_property
    def unusual(self):
        """{label: address} of endpoints whose address is not written as RFC 5952 says: both forms of the label."""
        found = {}
        for _, _, text in self.addresses():
            if usual(text) != text:
                found[dashed(text)] = found[dashed(usual(text))] = usual(text)
        return found

    @cached_property
    def nowhere(self):
        """Addresses of endpoints whose slice says nothing that a name could be made of."""
        return {usual(text) for _, service, text in self.addresses() if not service}

    @property
    def of_no_service(self):
        """Addresses of endpoints whose slice names no Service that there could be."""
        odd = {usual(text) for _, service, text in self.addresses() if service in self.odd_services}
        return self.nowhere | odd

    @cached_property
    def topology_twice(self):
        """(service, namespace) that have an address in two topology zones of a slice, one of them no name."""
        found = set()
        for namespace, service, item in self.slices:
            zones = {}
            for endpoint in item.get("endpoints") or []:
                for address in endpoint["addresses"]:
                    zones.setdefault(address, set()).add((endpoint.get("zone") or "").lower())
            if any(len(its) > 1 and not all(map(_LABELS.fullmatch, its)) for its in zones.values()):
                found.add((service, namespace))
        return found

    @cached_property
    def odd_services(self):
        """Services that slices name and that cannot be."""
        return {service for _, service, _ in self.slices if service and not _SERVICE_NAME.fullmatch(service)}

    @cached_property
    def _clusters(self):
        """The value of the cluster label, or None, of every slice that is imported."""
        labels = [obj["metadata"].get("labels", {}) for obj in self.cluster if obj["kind"] == "EndpointSlice"]
        return {its.get(CLUSTER_LABEL) for its in labels if IMPORTED_LABEL in its}

    @property
    def imports_of_no_cluster(self):
        return not self._clusters.isdisjoint({None, ""})

    @property
    def clusters_in_capitals(self):
        return any(cluster and cluster != cluster.lower() for cluster in self._clusters)

    @cached_property
    def imports_of_no_protocol(self):
        """(name, namespace) of ServiceImports that have a port without a protocol."""
        return {
            (obj["metadata"]["name"], obj["metadata"]["namespace"])
            for obj in self.cluster
            if obj["kind"] == "ServiceImport" and any("protocol" not in port for port in obj["spec"].get("ports") or [])
        }

    @cached_property
    def primary_zones(self):
        """The zone of PTR targets of each directive, as CoreDNS finds it."""
        found = []
        for zones in _zones(self.corefile):
            forward = [
                zone.lower()
                for zone in zones
                if "/" not in zone and not zone.lower().endswith((".in-addr.arpa", ".ip6.arpa"))
            ]
            found += forward[:1]
        return found
