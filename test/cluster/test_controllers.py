# SPDX-License-Identifier: Apache-2.0
"""Pods that kwok runs, EndpointSlices that the real controller writes: our answers are the pods' addresses."""

import compare
import pytest
import servers
from asking import ask
from processes import wait_for

SETTLE_SECONDS = 30
NAMESPACE = "fleet"
ZONE = f"{NAMESPACE}.svc.cluster.local"
POD_SPEC = {
    "nodeName": "node-1",
    "containers": [{"name": "c", "image": "none", "ports": [{"name": "web", "containerPort": 8080}]}],
}


def workload(kind, name, replicas, **more):
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": POD_SPEC},
            **more,
        },
    }


def service(name, app, **spec):
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    spec = {"selector": {"app": app}, "ports": ports, "ipFamilyPolicy": "PreferDualStack", **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


@pytest.fixture(scope="module")
def fleet(plane, server):
    plane.kubectl("create", "namespace", NAMESPACE)
    plane.apply_object(service("web", "web"))
    plane.apply_object(service("web-pods", "web", clusterIP="None"))
    plane.apply_object(service("db", "db", clusterIP="None"))
    plane.apply_object(service("db-all", "db", clusterIP="None", publishNotReadyAddresses=True))
    plane.apply_object(workload("Deployment", "web", 3))
    plane.apply_object(workload("StatefulSet", "db", 2, serviceName="db"))
    return plane


def pod_addresses(plane, app):
    """{pod name: [its addresses]} of the running pods of an app."""
    items = plane.call("GET", f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app%3D{app}")["items"]
    alive = [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]
    return {pod["metadata"]["name"]: [ip["ip"] for ip in pod["status"].get("podIPs", [])] for pod in alive}


def expect(plane, server, app, name, count):
    """Waits until `name` has exactly the addresses of the app's `count` pods, in both families."""

    def right():
        pods = pod_addresses(plane, app)
        every = sorted(address for addresses in pods.values() for address in addresses)
        both = server.ask(f"{name}.{ZONE} A").addresses() + server.ask(f"{name}.{ZONE} AAAA").addresses()
        return len(pods) == count and len(every) == 2 * count and sorted(both) == every

    wait_for(right, SETTLE_SECONDS, f"{name} to have the addresses of {count} pods", interval=0.1)


def scale(plane, plural, name, replicas):
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/{plural}/{name}"
    plane.call("PATCH", path, {"spec": {"replicas": replicas}}, content="application/merge-patch+json")


def test_deployment(fleet, server):
    expect(fleet, server, "web", "web-pods", 3)
    assert len(server.ask(f"web.{ZONE} A").addresses()) == 1
    scale(fleet, "deployments", "web", 5)
    expect(fleet, server, "web", "web-pods", 5)
    scale(fleet, "deployments", "web", 1)
    expect(fleet, server, "web", "web-pods", 1)
    scale(fleet, "deployments", "web", 0)
    wait_for(lambda: server.ask(f"web-pods.{ZONE} A").rcode == "NXDOMAIN", SETTLE_SECONDS, "the last pod to go")
    assert server.ask(f"web.{ZONE} A").rcode == "NOERROR"
    scale(fleet, "deployments", "web", 2)
    expect(fleet, server, "web", "web-pods", 2)


def test_stateful_set(fleet, server):
    """The controller gives the pods of a StatefulSet their hostnames, under the service that governs it alone."""
    expect(fleet, server, "db", "db", 2)
    pods = pod_addresses(fleet, "db")
    for name in ("db-0", "db-1"):
        assert server.ask(f"{name}.db.{ZONE} A").addresses() == [ip for ip in pods[name] if "." in ip]
        assert server.ask(f"{name}.db.{ZONE} AAAA").addresses() == [ip for ip in pods[name] if ":" in ip]
        assert f"{name}.db.{ZONE}." in server.ask(f"ptr:{pods[name][0]} PTR").rdata()
    targets = [record.split()[2:] for record in server.ask(f"_http._tcp.db.{ZONE} SRV tcp").rdata()]
    assert targets == [["8080", f"db-0.db.{ZONE}."], ["8080", f"db-1.db.{ZONE}."]]
    label = pods["db-0"][0].replace(".", "-")
    name = f"{label}.{NAMESPACE}.pod.cluster.local"
    wait_for(lambda: server.ask(f"{name} A").addresses() == [pods["db-0"][0]], 2, "the pod's own name")


def test_readiness(fleet, server):
    """A pod that is not ready leaves its services, but not one that publishes unready addresses."""
    expect(fleet, server, "db", "db", 2)
    pods = pod_addresses(fleet, "db")
    status = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/db-1/status"
    fleet.call("PATCH", path, status, content="application/strategic-merge-patch+json")
    try:  # the slices of the two families are written one after the other
        gone = f"db-1.db.{ZONE} A"
        wait_for(lambda: server.ask(gone).rcode == "NXDOMAIN", SETTLE_SECONDS, "the unready pod to leave", interval=0.1)
        assert server.ask(f"db.{ZONE} A").addresses() == [ip for ip in pods["db-0"] if "." in ip]
        assert server.ask(f"db.{ZONE} AAAA").addresses() == [ip for ip in pods["db-0"] if ":" in ip]
        expect(fleet, server, "db", "db-all", 2)
    finally:
        status["status"]["conditions"][0]["status"] = "True"
        fleet.call("PATCH", path, status, content="application/strategic-merge-patch+json")
    expect(fleet, server, "db", "db", 2)


def test_as_coredns(fleet, server):
    """CoreDNS, on the same slices, says the same."""
    expect(fleet, server, "db", "db", 2)
    expect(fleet, server, "web", "web-pods", len(pod_addresses(fleet, "web")))
    names = ["web", "web-pods", "db", "db-all", "db-0.db", "db-1.db-all", "_http._tcp.db", "_http._tcp.web"]
    lines = [f"{name}.{ZONE} {kind} tcp" for name in names for kind in ("A", "AAAA", "SRV")]
    every = [ip for app in ("web", "db") for ips in pod_addresses(fleet, app).values() for ip in ips]
    lines += [f"ptr:{ip} PTR" for ip in every]
    lines += [f"{ip.replace('.', '-')}.{NAMESPACE}.pod.cluster.local A" for ip in every if "." in ip]
    with servers.coredns(servers.corefile("pods verified"), KUBECONFIG=fleet.kubeconfig("dns")) as peer:
        different = {line: compare.differences(ask(peer.port, line), server.ask(line)) for line in lines}
    assert not {line: found for line, found in different.items() if found}
