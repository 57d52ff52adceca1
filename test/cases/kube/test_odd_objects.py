# SPDX-License-Identifier: Apache-2.0
"""Objects that no API server would store, between good ones: never a crash, never a good neighbour lost."""

import json
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "lib"))

from apireplay import ApiReplay, line_of  # noqa: E402
from processes import wait_for  # noqa: E402
from servers import clusterdns, corefile  # noqa: E402

SOON = 10
ZONE = "shop.svc.cluster.local"
DEEP = json.loads("[" * 200 + "]" * 200)
SPEC = {
    "clusterIP": "10.97.2.1",
    "clusterIPs": ["10.97.2.1"],
    "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
}


def meta(name="odd", **more):
    return {"name": name, "namespace": "shop", **more}


def service(name, address):
    return {"metadata": meta(name, uid=f"uid-{name}"), "spec": {**SPEC, "clusterIP": address, "clusterIPs": [address]}}


def slice_of(*endpoints, **more):
    labels = {"kubernetes.io/service-name": "db"}
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return {
        "metadata": meta("db-odd", labels=labels),
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": list(endpoints),
        **more,
    }


ODD = {
    "namespaces": [
        {},
        {"metadata": {}},
        {"metadata": {"name": None}},
        {"metadata": {"name": "x" * 5000}},
        {"metadata": DEEP},
    ],
    "services": [
        {"spec": SPEC},
        {"metadata": None, "spec": SPEC},
        {"metadata": [], "spec": SPEC},
        {"metadata": {"namespace": "shop"}, "spec": SPEC},
        {"metadata": {"name": "free"}, "spec": SPEC},
        {"metadata": meta(""), "spec": SPEC},
        {"metadata": meta(7), "spec": SPEC},
        {"metadata": meta("x" * 300), "spec": SPEC},
        {"metadata": meta("a.b.c"), "spec": SPEC},
        {"metadata": meta("nul\0byte"), "spec": SPEC},
        {"metadata": meta("bare")},
        {"metadata": meta("list"), "spec": []},
        {"metadata": meta("deep"), "spec": DEEP},
        {"metadata": meta("null"), "spec": dict.fromkeys(SPEC)},
        {"metadata": meta("text"), "spec": {**SPEC, "ports": "80"}},
        {
            "metadata": meta("range"),
            "spec": {**SPEC, "ports": [{"port": 70000}, {"port": -1}, {"port": 1e99}, {"port": "80"}]},
        },
        {"metadata": meta("badip"), "spec": {**SPEC, "clusterIPs": ["999.1.2.3", "::g", "", None, 7, "10.97.2.1/24"]}},
        {"metadata": meta("wide"), "spec": {**SPEC, "clusterIPs": [f"10.97.{n >> 8}.{n & 255}" for n in range(1000)]}},
        {"metadata": meta("ports"), "spec": {**SPEC, "ports": [{"name": f"p{n}", "port": n} for n in range(1, 3000)]}},
        {"metadata": meta("type"), "spec": {**SPEC, "type": "Teapot"}},
        {"metadata": meta("ext"), "spec": {"type": "ExternalName", "externalName": "a" * 70 + ".example"}},
        {"metadata": meta("ext2"), "spec": {"type": "ExternalName", "externalName": 7}},
        {"metadata": meta("ext3"), "spec": {"type": "ExternalName", "externalName": "." * 300}},
    ],
    "endpointslices": [
        slice_of(endpoints=7),
        slice_of(7, None, [], "x"),
        slice_of({}, {"addresses": None}, {"addresses": []}, {"addresses": 7}, {"addresses": [None, 7, {}]}),
        slice_of({"addresses": ["10.1.1"]}, {"addresses": ["1::2::3"]}, {"addresses": ["x" * 5000]}),
        slice_of(
            {"addresses": ["10.1.1.1"], "conditions": 7}, {"addresses": ["10.1.1.2"], "conditions": {"ready": "yes"}}
        ),
        slice_of({"addresses": ["10.1.1.3"], "hostname": "x" * 300}, {"addresses": ["10.1.1.4"], "hostname": "a.b"}),
        slice_of(
            {"addresses": ["10.1.1.5"], "hostname": 7, "targetRef": 7},
            {"addresses": ["10.1.1.6"], "targetRef": {"name": 7}},
        ),
        slice_of({"addresses": ["10.1.1.7"]}, ports=7),
        slice_of({"addresses": ["10.1.1.8"]}, ports=[None, 7, {}, {"port": 99999}, {"name": "x" * 300, "port": 1}]),
        slice_of({"addresses": ["fd00::1"]}),
        slice_of({"addresses": ["10.1.1.9"]}, addressType="Carrier pigeon"),
        slice_of({"addresses": ["10.1.1.10"]}, metadata=meta("free", labels={"kubernetes.io/service-name": 7})),
        slice_of({"addresses": ["10.1.1.11"]}, metadata=meta("free", labels={"kubernetes.io/service-name": "x" * 300})),
        slice_of({"addresses": ["10.1.1.12"]}, metadata=meta("free", labels=[])),
    ],
    "pods": [
        {"metadata": meta("p")},
        {"metadata": meta("p"), "status": 7},
        {"metadata": meta("p"), "status": {"podIPs": 7, "podIP": 7}},
        {
            "metadata": meta("p"),
            "status": {"podIPs": [None, 7, {}, {"ip": 7}, {"ip": "x"}, {"ip": "10.9.9.9"}], "phase": 7},
        },
    ],
}
KINDS = {"namespaces": "Namespace", "services": "Service", "endpointslices": "EndpointSlice", "pods": "Pod"}


@pytest.fixture
def api():
    with ApiReplay(protobuf=False) as api:  # there, a value of another type is another field
        yield api


def check_good(server, api):
    """The recorded cluster, and the marker that was stored behind everything odd."""
    pods = api.resources["pods"].objects
    wanted = {
        f"web.{ZONE} A": ["10.96.0.80"],
        f"marker.{ZONE} A": ["10.97.9.9"],
        f"db-0.db.{ZONE} A": [pods["shop", "db-0"]["status"]["podIP"]],
        f"db-1.db.{ZONE} A": [pods["shop", "db-1"]["status"]["podIP"]],
        f"192-0-2-77.by-hand.{ZONE} A": ["192.0.2.77"],
        "kubernetes.default.svc.cluster.local A": ["10.96.0.1"],
    }
    wait_for(lambda: {q: server.ask(q).addresses() for q in wanted} == wanted, SOON, "the good neighbours")
    for name in (
        "db",
        "free",
        "range",
        "badip",
        "wide",
        "ports",
        "text",
        "null",
        "bare",
        "type",
        "ext",
        "ext2",
        "ext3",
    ):
        for kind in ("A", "SRV", "SRV tcp", "CNAME"):
            assert server.ask(f"{name}.{ZONE} {kind}").result == "reply", name


def test_in_the_first_sync(api, tmp_path):
    for resource, objects in ODD.items():
        for number, obj in enumerate(objects):
            api.resources[resource].objects["", f"odd-{number}"] = {"kind": KINDS[resource], **obj}
    api.put("services", service("marker", "10.97.9.9"))
    kubeconfig = api.kubeconfig(str(tmp_path / "kubeconfig"))
    with clusterdns(corefile("pods verified"), KUBECONFIG=kubeconfig) as server:
        check_good(server, api)
        assert server.process.stop() == 0, server.log()


def test_as_events(api, tmp_path):
    kubeconfig = api.kubeconfig(str(tmp_path / "kubeconfig"))
    with clusterdns(corefile("pods verified"), KUBECONFIG=kubeconfig) as server:
        for resource, objects in ODD.items():
            api.wait_streams(resource)
            for obj in objects:
                for kind in ("ADDED", "MODIFIED", "DELETED"):
                    api.send_raw(resource, line_of(kind, {"kind": KINDS[resource], **obj}))
        api.put("services", service("marker", "10.97.9.9"))
        check_good(server, api)
        assert server.process.stop() == 0, server.log()
