# SPDX-License-Identifier: Apache-2.0
"""The API server goes away: no answer changes. It comes back: everything that changed meanwhile is right."""

import time

import compare
import pytest
import servers
from controlplane import ControlPlane
from processes import wait_for
from proxy import Proxy

OUTAGE_SECONDS = 60
ROUND_SECONDS = 5  # between two rounds of all questions during the outage
BACK_SECONDS = 10  # from the API server's return to right answers
ZONE = "svc.cluster.local"

NEW = """
apiVersion: v1
kind: Namespace
metadata: { name: born }
---
apiVersion: v1
kind: Service
metadata: { name: baby, namespace: born }
spec: { clusterIP: 10.96.60.1, ports: [{ name: http, port: 80 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: db-1, namespace: shop, labels: { kubernetes.io/service-name: db } }
addressType: IPv4
ports: [{ name: mysql, port: 3306, protocol: TCP }]
endpoints: [{ addresses: [10.244.2.10], hostname: db-0 }, { addresses: [10.244.2.99], hostname: db-9 }]
"""


@pytest.fixture
def world():
    """The compared cluster, our server on it through a proxy."""
    with ControlPlane() as plane:
        compare.prepare(plane)
        with Proxy(plane.api_port) as proxy:
            kubeconfig = plane.kubeconfig("dns", server=proxy.url)
            with servers.clusterdns(servers.corefile(), KUBECONFIG=kubeconfig) as server:
                yield plane, proxy, server


def questions():
    cases = compare.load()[1]
    return [case.line for case in cases if case.variant == "default" and not case.silent]


def answers(server, lines):
    """{question: answer}, without what is cut off at random in a truncated one."""
    everything = {line: server.ask(line) for line in lines}
    return {line: answer.flags if "TC" in answer.flags else str(answer) for line, answer in everything.items()}


def change(plane):
    """A birth, a death and an edit of everything that names are made of."""
    plane.kubectl("apply", "-f", "-", stdin=NEW)
    plane.kubectl("delete", "-n", "shop", "service/web", "endpointslice/shared-1")
    plane.kubectl("patch", "-n", "shop", "service", "ext-out", "-p", '{"spec":{"externalName":"www.example.net"}}')
    plane.kubectl("patch", "-n", "shop", "service", "plain", "-p", '{"spec":{"ports":[{"port":80,"name":"now"}]}}')


CHANGED = {
    "baby.born.svc.cluster.local A": ("NOERROR", ["10.96.60.1"]),
    "ptr:10.96.60.1 PTR": ("NOERROR", ["baby.born.svc.cluster.local."]),
    "web.shop.svc.cluster.local A": ("NXDOMAIN", []),
    "ptr:10.96.10.1 PTR": ("NOERROR", ["10-96-10-1.twin-a.shop.svc.cluster.local."]),
    "pair.shared.shop.svc.cluster.local A": ("NXDOMAIN", []),
    "ptr:10.244.7.10 PTR": ("NXDOMAIN", []),
    "db.shop.svc.cluster.local A": ("NOERROR", ["10.244.2.10", "10.244.2.99"]),
    "db-9.db.shop.svc.cluster.local A": ("NOERROR", ["10.244.2.99"]),
    "db-1.db.shop.svc.cluster.local A": ("NXDOMAIN", []),
    "ext-out.shop.svc.cluster.local CNAME": ("NOERROR", ["www.example.net."]),
    "_now._tcp.plain.shop.svc.cluster.local SRV": ("NOERROR", ["0 100 80 plain.shop.svc.cluster.local."]),
    "plain.shop.svc.cluster.local A": ("NOERROR", ["10.96.10.2"]),
}


def assert_changed(server):
    def wrong():
        got = {line: server.ask(line) for line in CHANGED}
        return {
            line: str(a)
            for line, a in got.items()
            if (a.rcode, a.rdata() if a.rcode == "NOERROR" else []) != CHANGED[line]
        }

    try:
        wait_for(lambda: not wrong(), BACK_SECONDS, "the changes", interval=0.1)
    finally:
        assert not wrong()


def test_no_answer_changes(world):
    """API server killed for a minute, and etcd with it for half of that."""
    plane, _, server = world
    lines = questions()
    before = answers(server, lines)
    plane.kill_api()
    rounds, start = 0, time.monotonic()
    while time.monotonic() < start + OUTAGE_SECONDS:
        if plane.etcd.alive() and time.monotonic() > start + OUTAGE_SECONDS / 2:
            plane.etcd.kill()
        assert answers(server, lines) == before
        rounds += 1
        time.sleep(ROUND_SECONDS)
    assert rounds > 3
    assert server.http_ready()
    plane.start_etcd()
    plane.start_api()
    plane.kubectl("create", "namespace", "afterwards")
    wait_for(lambda: server.ask(f"afterwards.{ZONE} A").rcode == "NOERROR", BACK_SECONDS, "the watch to be back")
    assert answers(server, lines) == before


def test_changes_while_cut(world):
    """The connections of our server alone are cut; its watches resume where they were."""
    plane, proxy, server = world
    proxy.cut()
    change(plane)
    assert server.ask("web.shop.svc.cluster.local A").addresses() == ["10.96.10.1"]
    proxy.up()
    assert_changed(server)


def test_changes_while_cut_and_history_gone(world):
    """The same, but what happened is compacted away: 410, and a new list is compared with what there was.

    While it comes in, every answer is the old one or the new one: a relist never empties the store.
    """
    plane, proxy, server = world
    lines = questions()
    before = answers(server, lines)
    proxy.cut()
    change(plane)
    plane.compact()
    plane.restart_api()
    proxy.up()
    seen = []
    wait_for(
        lambda: seen.append(answers(server, lines)) or server.ask(f"baby.born.{ZONE} A").rcode == "NOERROR",
        BACK_SECONDS,
        "the new list",
    )
    assert_changed(server)
    after = answers(server, lines)
    strange = {line: got[line] for got in seen for line in lines if got[line] not in (before[line], after[line])}
    assert not strange


def test_changes_while_api_is_down(world):
    """Objects change in etcd while no API server runs, as they do for a replica that is down longer than others."""
    plane, _, server = world
    plane.kill_api()
    plane.delete_raw("/registry/services/specs/shop/web")
    born = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "raw"}, "status": {"phase": "Active"}}
    plane.put_raw([("/registry/namespaces/raw", born)])
    assert server.ask("web.shop.svc.cluster.local A").rcode == "NOERROR"
    plane.start_api()
    wait_for(lambda: server.ask(f"raw.{ZONE} A").rcode == "NOERROR", BACK_SECONDS, "the new namespace")
    wait_for(lambda: server.ask(f"web.shop.{ZONE} A").rcode == "NXDOMAIN", BACK_SECONDS, "the service to be gone")
    assert server.ask(f"plain.shop.{ZONE} A").addresses() == ["10.96.10.2"]
