# SPDX-License-Identifier: Apache-2.0
"""A large cluster, written straight into etcd before the API server starts, and what DNS has to say of it.

    cluster = Cluster(services=10_000, endpoints=15)
    with ControlPlane(fill=cluster.fill) as plane:
        ...

Objects are as large as those that the real controllers write: labels, owners, managed fields, a target for each
endpoint. They are stored as protocol buffers, as in a real cluster: to start from JSON costs the API server twice
the CPU time, and it gives up after a minute. Everything follows from an object's number, so that nothing has to be kept.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))

import kubeproto  # noqa: E402

NAMESPACE_SERVICES = 100  # services in a namespace
HEADLESS_EVERY = 5
MADE = "2026-01-01T00:00:00Z"
SLICES_MADE_BY = "endpointslice-controller.k8s.io"


def _fields(*paths):
    """fieldsV1 of managed fields: every part of each dotted path is a level."""
    tree = {}
    for path in paths:
        level = tree
        for part in path.split(">"):
            level = level.setdefault(f"f:{part}" if part != "." else ".", {})
    return tree


SERVICE_FIELDS = _fields(
    "metadata>annotations>.",
    "metadata>labels>.",
    "metadata>labels>app.kubernetes.io/name",
    "metadata>labels>app.kubernetes.io/managed-by",
    "spec>internalTrafficPolicy",
    "spec>ports>.",
    "spec>selector",
    "spec>sessionAffinity",
    "spec>type",
)
SLICE_FIELDS = _fields(
    "addressType",
    "endpoints",
    "metadata>annotations>.",
    "metadata>annotations>endpoints.kubernetes.io/last-change-trigger-time",
    "metadata>generateName",
    "metadata>labels>.",
    "metadata>labels>app.kubernetes.io/managed-by",
    "metadata>labels>app.kubernetes.io/name",
    "metadata>labels>endpointslice.kubernetes.io/managed-by",
    "metadata>labels>kubernetes.io/service-name",
    "metadata>ownerReferences>.",
    "ports",
)


def _uid(kind, number):
    return f"{kind:08x}-0000-4000-8000-{number:012x}"


def _managed(manager, version, fields):
    entry = {"manager": manager, "operation": "Update", "apiVersion": version, "time": MADE}
    return [{**entry, "fieldsType": "FieldsV1", "fieldsV1": fields}]


class Cluster:
    """`services` services with `endpoints` ready endpoints each, in one EndpointSlice; every fifth is headless."""

    def __init__(self, services, endpoints):
        self.services, self.endpoints = services, endpoints

    # ---- what is where ----

    @staticmethod
    def namespace(number):
        return f"team-{number // NAMESPACE_SERVICES}"

    @staticmethod
    def name(number):
        return f"service-{number}"

    @staticmethod
    def cluster_ip(number):
        """ "None" for a headless service."""
        number += 1 << 16  # behind 10.97.0.0: the first ones are the API server's own
        return "None" if number % HEADLESS_EVERY == 0 else f"10.{96 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"

    def endpoint(self, number, index):
        count = number * self.endpoints + index
        return f"10.{128 + (count >> 16)}.{count >> 8 & 255}.{count & 255}"

    # ---- objects ----

    def namespaces(self):
        for first in range(0, self.services, NAMESPACE_SERVICES):
            name = self.namespace(first)
            labels = {"kubernetes.io/metadata.name": name}
            metadata = {"name": name, "uid": _uid(1, first), "creationTimestamp": MADE, "labels": labels}
            obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
            obj.update(spec={"finalizers": ["kubernetes"]}, status={"phase": "Active"})
            yield f"/registry/namespaces/{name}", obj

    def _labels(self, number):
        return {"app.kubernetes.io/name": self.name(number), "app.kubernetes.io/managed-by": "Helm"}

    def service(self, number):
        namespace, name, address = self.namespace(number), self.name(number), self.cluster_ip(number)
        metadata = {
            "name": name,
            "namespace": namespace,
            "uid": _uid(2, number),
            "creationTimestamp": MADE,
            "labels": self._labels(number),
            "annotations": {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace},
            "managedFields": _managed("helm", "v1", SERVICE_FIELDS),
        }
        spec = {
            "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}],
            "selector": {"app.kubernetes.io/name": name},
            "clusterIP": address,
            "clusterIPs": [address],
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
        }
        obj = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": {"loadBalancer": {}}}
        return f"/registry/services/specs/{namespace}/{name}", obj

    def slice(self, number):
        namespace, name = self.namespace(number), self.name(number)
        owner = {"apiVersion": "v1", "kind": "Service", "name": name, "uid": _uid(2, number)}
        labels = {"kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": SLICES_MADE_BY}
        if self.cluster_ip(number) == "None":
            labels["service.kubernetes.io/headless"] = ""
        metadata = {
            "name": f"{name}-x7k2q",
            "generateName": f"{name}-",
            "namespace": namespace,
            "uid": _uid(3, number),
            "generation": 1,
            "creationTimestamp": MADE,
            "labels": {**self._labels(number), **labels},
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": MADE},
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
            "managedFields": _managed("kube-controller-manager", "discovery.k8s.io/v1", SLICE_FIELDS),
        }
        obj = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata}
        obj["addressType"] = "IPv4"
        obj["endpoints"] = [self._endpoint(number, index) for index in range(self.endpoints)]
        obj["ports"] = [{"name": "http", "port": 8080, "protocol": "TCP"}]
        return f"/registry/endpointslices/{namespace}/{metadata['name']}", obj

    def _endpoint(self, number, index):
        pod = {"kind": "Pod", "namespace": self.namespace(number), "name": f"{self.name(number)}-5d9c7b9f4-x{index:04}"}
        node = (number * self.endpoints + index) * 31 % 5000
        return {
            "addresses": [self.endpoint(number, index)],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {**pod, "uid": _uid(4, number * self.endpoints + index)},
            "nodeName": f"node-{node}",
            "zone": f"zone-{node % 3}",
        }

    def ip_address(self, number):
        """The API server refuses to start with a ClusterIP that nobody has allocated."""
        address = self.cluster_ip(number)
        labels = {"ipaddress.kubernetes.io/ip-family": "IPv4", "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}
        metadata = {"name": address, "uid": _uid(5, number), "creationTimestamp": MADE, "labels": labels}
        parent = {"group": "", "resource": "services", "namespace": self.namespace(number), "name": self.name(number)}
        obj = {"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": metadata}
        return f"/registry/ipaddresses/{address}", {**obj, "spec": {"parentRef": parent}}

    def objects(self):
        """(key in etcd, object) of everything."""
        yield from self.namespaces()
        for number in range(self.services):
            yield self.service(number)
            yield self.slice(number)
            if self.cluster_ip(number) != "None":
                yield self.ip_address(number)

    def fill(self, plane):
        """For ControlPlane(fill=…)."""
        plane.put_raw((key, kubeproto.stored(obj)) for key, obj in self.objects())

    # ---- what DNS has to say ----

    def answers(self, number):
        """{question: sorted rdata} about one service: its own name, one endpoint's, and that one's reverse name."""
        name = f"{self.name(number)}.{self.namespace(number)}.svc.cluster.local"
        address, all_of_it = self.cluster_ip(number), range(self.endpoints)
        pod = self.endpoint(number, number % self.endpoints)
        label = pod.replace(".", "-")
        own = sorted(self.endpoint(number, index) for index in all_of_it) if address == "None" else [address]
        return {
            f"{name} A": own,
            f"{label}.{name} A": [pod],
            f"ptr:{pod} PTR": [f"{label}.{name}."],
        }
