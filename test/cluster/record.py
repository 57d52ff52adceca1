#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Records what a real API server answers to the requests our client makes, into test/recordings/NAME.http, and what it
answers to those who prefer protobuf into NAME.pb.http.

A file holds the request line, the answer's status line and headers, and the body without its chunking. The cluster is
small, and real: the controller manager writes the EndpointSlices for pods that kwok runs.
"""

import concurrent.futures
import glob
import os

import yaml

from controlplane import HERE, ControlPlane
from processes import wait_for

FOLDER = os.path.join(os.path.dirname(HERE), "recordings")
RESOURCES = {
    "namespaces": "/api/v1/namespaces",
    "services": "/api/v1/services",
    "endpointslices": "/apis/discovery.k8s.io/v1/endpointslices",
    "pods": "/api/v1/pods",
}
WATCHLIST = "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
KEPT_HEADERS = ("Content-Type", "Retry-After")
FORMATS = {"": "application/json", ".pb": "application/vnd.kubernetes.protobuf,application/json"}

POD = {
    "nodeName": "node-0",
    "automountServiceAccountToken": False,
    "containers": [{"name": "c", "image": "none", "ports": [{"name": "web", "containerPort": 8080}]}],
}


def workload(kind, name, replicas, **more):
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": POD},
            **more,
        },
    }


def service(name, **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def by_hand(addresses):
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "by-hand-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "by-hand"}},
        "addressType": "IPv4",
        "ports": [{"name": "db", "port": 5432, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address]} for address in addresses],
    }


HTTP = {"name": "http", "port": 80, "targetPort": "web"}
OBJECTS = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
    service("web", clusterIP="10.96.0.80", selector={"app": "web"}, ports=[HTTP], ipFamilyPolicy="PreferDualStack"),
    service("db", clusterIP="None", selector={"app": "db"}, ports=[HTTP]),
    service("by-hand", clusterIP="10.96.0.81", ports=[{"name": "db", "port": 5432}]),
    service("outside", type="ExternalName", externalName="www.example.com"),
    by_hand(["192.0.2.77"]),
    workload("Deployment", "web", 2),
    workload("StatefulSet", "db", 2, serviceName="db"),
]


def ready_pods(plane):
    pods = plane.call("GET", "/api/v1/namespaces/shop/pods")["items"]
    conditions = [c for pod in pods for c in pod.get("status", {}).get("conditions", [])]
    return sum(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def ready_addresses(plane):
    slices = plane.call("GET", "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices")["items"]
    return sum(e["conditions"].get("ready", True) for s in slices for e in s["endpoints"] or [])


def exchange_in(plane, suffix, name, path, user, headers):
    """One request in one format, answered to the end, into a file; returns the body."""
    connection = plane.connect(timeout=90)
    connection.request("GET", path, headers={**plane.headers(user, Accept=FORMATS[suffix]), **(headers or {})})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    head = [f"GET {path}", f"HTTP/1.1 {answer.status} {answer.reason}"]
    head += [f"{key}: {value}" for key, value in answer.getheaders() if key in KEPT_HEADERS]
    with open(os.path.join(FOLDER, f"{name}{suffix}.http"), "wb") as file:
        file.write("\n".join([*head, "", ""]).encode() + body)
    return body


def exchange(plane, name, path, user="dns", headers=None):
    """A request in all formats at once, so that streams of changes show the same ones; returns the body in JSON."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = [pool.submit(exchange_in, plane, suffix, name, path, user, headers) for suffix in FORMATS]
        return [answer.result() for answer in answers][0]


def record_state(plane, suffix=""):
    """All four lists; returns {resource: resource version}."""
    bodies = {name: exchange(plane, f"{name}.list{suffix}", f"{path}?limit=500") for name, path in RESOURCES.items()}
    return {name: yaml.safe_load(body)["metadata"]["resourceVersion"] for name, body in bodies.items()}


def record_pages(plane):
    token, number = "", 1
    while token or number == 1:
        more = f"&continue={token}" if token else ""
        body = exchange(plane, f"services.page-{number}", f"/api/v1/services?limit=2{more}")
        token, number = yaml.safe_load(body)["metadata"].get("continue"), number + 1


def change(plane):
    """Changes that make every kind of event: the watches that are open meanwhile record them."""
    plane.apply_object({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "short-lived"}})
    plane.apply_object(service("new", clusterIP="10.96.0.82", ports=[{"name": "http", "port": 80}]))
    plane.apply_object(service("outside", type="ExternalName", externalName="www.example.net"))
    plane.apply_object(by_hand(["192.0.2.77", "192.0.2.78"]))
    scale(plane, "statefulsets", "db", 3)
    wait_for(lambda: ready_pods(plane) == 5 and ready_addresses(plane) == 9, 30, "the third pod")
    plane.delete_object(service("by-hand"))
    plane.delete_object(by_hand([]))
    scale(plane, "deployments", "web", 1)
    wait_for(lambda: ready_pods(plane) == 4 and ready_addresses(plane) == 5, 30, "a pod less")
    plane.call("DELETE", "/api/v1/namespaces/short-lived")
    wait_for(lambda: plane.request("GET", "/api/v1/namespaces/short-lived")[0] == 404, 30, "the namespace to go")


def scale(plane, plural, name, replicas):
    path = f"/apis/apps/v1/namespaces/shop/{plural}/{name}"
    plane.call("PATCH", path, {"spec": {"replicas": replicas}}, content="application/merge-patch+json")


def record_changes(plane, versions):
    seconds = 15  # the server sends a bookmark two seconds before it ends a watch
    streams = []
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for name, path in RESOURCES.items():
            query = f"watch=true&allowWatchBookmarks=true&resourceVersion={versions[name]}&timeoutSeconds={seconds}"
            streams.append(pool.submit(exchange, plane, f"{name}.watch", f"{path}?{query}"))
        change(plane)
        for stream in streams:
            stream.result()


def record_refusals(plane, old_version):
    services = RESOURCES["services"]
    exchange(plane, "services.unauthorized", f"{services}?limit=500", headers={"Authorization": "Bearer wrong"})
    exchange(plane, "services.forbidden", f"{services}?limit=500", user="nobody")
    exchange(plane, "services.watchlist-forbidden", f"{services}?{WATCHLIST}", user="nobody")
    exchange(plane, "endpointslices.forbidden", f"{RESOURCES['endpointslices']}?limit=500", user="partial")
    future = "resourceVersion=99999999&resourceVersionMatch=NotOlderThan"
    exchange(plane, "services.version-too-large", f"{services}?{future}")
    token = plane.call("GET", f"{services}?limit=2")["metadata"]["continue"]
    plane.apply_object(service("later", clusterIP="10.96.0.83", ports=[{"name": "http", "port": 80}]))
    plane.compact()
    plane.restart_api()  # with an empty watch cache, which would know the old versions still
    exchange(plane, "services.watch-expired", f"{services}?watch=true&resourceVersion={old_version}&timeoutSeconds=5")
    exchange(plane, "services.continue-expired", f"{services}?limit=2&continue={token}")


def main():
    for old in glob.glob(os.path.join(FOLDER, "*.http")):
        os.remove(old)
    with ControlPlane(controllers=True, nodes=1) as plane:
        for obj in OBJECTS:
            plane.apply_object(obj)
        wait_for(lambda: ready_pods(plane) == 4 and ready_addresses(plane) == 7, 60, "four ready pods in their slices")
        versions = record_state(plane)
        record_pages(plane)
        for name, path in RESOURCES.items():
            exchange(plane, f"{name}.watchlist", f"{path}?{WATCHLIST}&timeoutSeconds=2")
        record_changes(plane, versions)
        record_state(plane, "-after")
        record_refusals(plane, versions["services"])
    with ControlPlane(api_flags=["--feature-gates", "WatchList=false"]) as plane:
        exchange(plane, "services.watchlist-refused", f"{RESOURCES['services']}?{WATCHLIST}")


if __name__ == "__main__":
    main()
