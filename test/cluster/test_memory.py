# SPDX-License-Identifier: Apache-2.0
"""10,000 services with 30,000 endpoints from the real API fit into 10 MB of anonymous memory and 24 MB resident."""

import random

import pytest
import servers
from controlplane import ControlPlane
from processes import wait_for

SERVICES, ENDPOINTS, NAMESPACES = 10_000, 3, 100  # ENDPOINTS a service
HEADLESS_EVERY = 5
ANONYMOUS_MAX, RESIDENT_MAX = 10 << 20, 24 << 20
SYNC_SECONDS = 120
MADE = "2026-01-01T00:00:00Z"


def meta(name, number, namespace=None, **more):
    uid = f"00000000-0000-4000-8000-{number:012x}"
    where = {"namespace": namespace} if namespace else {}
    return {"name": name, **where, "uid": uid, "creationTimestamp": MADE, **more}


def place(number):
    """(namespace, name, ClusterIP or "None") of a service."""
    address = f"10.100.{number >> 8}.{number & 255}"
    return f"team-{number % NAMESPACES}", f"service-{number}", "None" if number % HEADLESS_EVERY == 0 else address


def endpoint(number, index):
    count = number * ENDPOINTS + index
    return f"10.{128 + (count >> 16)}.{count >> 8 & 255}.{count & 255}"


def namespaces():
    for number in range(NAMESPACES):
        obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta(f"team-{number}", number)}
        obj.update(spec={"finalizers": ["kubernetes"]}, status={"phase": "Active"})
        yield f"/registry/namespaces/team-{number}", obj


def service(number):
    namespace, name, address = place(number)
    ports = [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}]
    spec = {
        "ports": ports,
        "selector": {"app": name},
        "clusterIP": address,
        "clusterIPs": [address],
        "type": "ClusterIP",
    }
    spec.update(
        sessionAffinity="None", ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack", internalTrafficPolicy="Cluster"
    )
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "test"}
    obj = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta(name, number, namespace, labels=labels),
        "spec": spec,
    }
    return f"/registry/services/specs/{namespace}/{name}", obj


def endpoint_slice(number):
    namespace, name, address = place(number)
    labels = {
        "kubernetes.io/service-name": name,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    endpoints = []
    for index in range(ENDPOINTS):
        target = {
            "kind": "Pod",
            "namespace": namespace,
            "name": f"{name}-5d9c7b9f4-x{index}",
            "uid": f"{number}-{index}",
        }
        one = {
            "addresses": [endpoint(number, index)],
            "conditions": {"ready": True, "serving": True, "terminating": False},
        }
        endpoints.append({**one, "targetRef": target, "nodeName": f"node-{index}", "zone": f"zone-{index}"})
    obj = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": endpoints}
    obj["metadata"] = meta(f"{name}-abcde", number, namespace, labels=labels, generateName=f"{name}-")
    obj["ports"] = [{"name": "http", "port": 8080, "protocol": "TCP"}]
    return f"/registry/endpointslices/{namespace}/{name}-abcde", obj


def ip_addresses():
    """The API server refuses to start with ClusterIPs that nobody has allocated."""
    for number in range(SERVICES):
        namespace, name, address = place(number)
        if address != "None":
            labels = {
                "ipaddress.kubernetes.io/ip-family": "IPv4",
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            }
            obj = {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "IPAddress",
                "metadata": meta(address, number, labels=labels),
            }
            obj["spec"] = {"parentRef": {"group": "", "resource": "services", "namespace": namespace, "name": name}}
            yield f"/registry/ipaddresses/{address}", obj


def fill(plane):
    plane.put_raw(namespaces())
    plane.put_raw(service(number) for number in range(SERVICES))
    plane.put_raw(endpoint_slice(number) for number in range(SERVICES))
    plane.put_raw(ip_addresses())


@pytest.fixture(scope="module")
def full_plane():
    with ControlPlane(fill=fill) as plane:
        yield plane


def wrong_answers(server, count=500):
    """A sample of services: those whose addresses or ports are not what was written."""
    wrong = []
    for number in random.Random(3).sample(range(SERVICES), count):
        namespace, name, address = place(number)
        full = f"{name}.{namespace}.svc.cluster.local"
        wanted = sorted(endpoint(number, index) for index in range(ENDPOINTS)) if address == "None" else [address]
        if server.ask(f"{full} A").addresses() != wanted:
            wrong.append(full)
        label = endpoint(number, 0).replace(".", "-")
        if server.ask(f"{label}.{full} A").addresses() != [endpoint(number, 0)]:
            wrong.append(f"{label}.{full}")
        if server.ask(f"ptr:{endpoint(number, 0)} PTR").rdata() != [f"{label}.{full}."]:
            wrong.append(endpoint(number, 0))
    return wrong


def assert_small(server, when):
    memory = server.memory()
    peak = next(
        line.split()[1] for line in open(f"/proc/{server.process.pid}/status", encoding="ascii") if "VmHWM" in line
    )
    sizes = f"anonymous {memory['Anonymous'] / 1e6:.1f} MB, resident {memory['Rss'] / 1e6:.1f} MB"
    text = f"{when}: {sizes}, peak {int(peak) / 1e3:.1f} MB"
    print(text)
    assert memory["Anonymous"] <= ANONYMOUS_MAX and memory["Rss"] <= RESIDENT_MAX, text


def test_memory(full_plane):
    kubeconfig = full_plane.kubeconfig("dns")
    with servers.clusterdns(servers.corefile(), ready=False, KUBECONFIG=kubeconfig) as server:
        server.wait_ready(SYNC_SECONDS)
        assert not wrong_answers(server)
        assert_small(server, "synced")
        # a relist of everything: the old versions are compacted away while the server is cut off
        full_plane.kubectl("create", "namespace", "later")
        full_plane.compact()
        full_plane.restart_api()
        full_plane.kubectl("create", "namespace", "last")
        wait_for(lambda: server.ask("last.svc.cluster.local A").rcode == "NOERROR", SYNC_SECONDS, "the relist")
        assert not wrong_answers(server)
        assert_small(server, "after a relist")
