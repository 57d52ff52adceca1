# SPDX-License-Identifier: Apache-2.0
"""The programming latency beside CoreDNS's: real controllers change EndpointSlices, both servers count the same changes."""

import contextlib

import exposition
import pytest
import servers
from asking import ask
from processes import free_port, wait_for
from test_controllers import POD_SPEC

SETTLE_SECONDS = 30
NAMESPACE = "counted"
FAMILY = "coredns_kubernetes_dns_programming_duration_seconds"
KINDS = ("cluster_ip", "headless_with_selector")
COREFILE = """. {{
    prometheus 127.0.0.1:{port}
    ready 127.0.0.1:@READY@
    kubernetes cluster.local {{
        kubeconfig @KUBECONFIG@
    }}
}}
"""


def service(name, **spec):
    spec = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def deployment(replicas):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD_SPEC},
        },
    }


@pytest.fixture
def both(plane):
    """[(server, port of its metrics)]: CoreDNS, then ours, with two services but no pods yet."""
    plane.kubectl("create", "namespace", NAMESPACE)
    plane.apply_object(service("web"))
    plane.apply_object(service("web-pods", clusterIP="None"))
    with contextlib.ExitStack() as running:
        found = []
        for start in (servers.coredns, servers.clusterdns):
            port = free_port()
            text = COREFILE.format(port=port)
            found.append((running.enter_context(start(text, KUBECONFIG=plane.kubeconfig("dns"))), port))
        for server, _ in found:
            name = f"web.{NAMESPACE}.svc.cluster.local A"
            wait_for(lambda server=server: ask(server.port, name).rcode == "NOERROR", SETTLE_SECONDS, name)
        yield found


def scale(plane, both, replicas):
    if replicas == 0:
        plane.delete_object(deployment(0))
    else:
        plane.apply_object(deployment(replicas))
    name = f"web-pods.{NAMESPACE}.svc.cluster.local A"
    for server, _ in both:
        wait_for(
            lambda server=server: len(ask(server.port, name).sections["answer"]) == replicas,
            SETTLE_SECONDS,
            f"{replicas} addresses from {server.name}",
        )


def counts(port):
    shown = exposition.scrape(port)
    return {kind: shown.value(f'{FAMILY}_count{{service_kind="{kind}"}}') or 0 for kind in KINDS}


def test_programming_latency(plane, both):
    before = [counts(port) for _, port in both]
    for replicas in (2, 5, 1):
        scale(plane, both, replicas)

    def difference(which):
        after = counts(both[which][1])
        return {kind: after[kind] - before[which][kind] for kind in KINDS}

    # The slices' last updates need not change an answer.
    wait_for(lambda: difference(0) == difference(1), SETTLE_SECONDS, "both to have counted the same changes")
    assert all(number >= 3 for number in difference(1).values())
    shown = exposition.scrape(both[1][1])
    for kind in KINDS:
        mean = shown.value(f'{FAMILY}_sum{{service_kind="{kind}"}}') / counts(both[1][1])[kind]
        # The controller's trigger times are whole seconds.
        assert 0 < mean < SETTLE_SECONDS
    assert not exposition.check(shown.text)
    reasons = shown.value('clusterdns_kubernetes_relists_total{reason="start"}')
    assert reasons == shown.value("clusterdns_kubernetes_relists_total") == 3
    assert shown.value('clusterdns_kubernetes_watch_age_seconds{resource="endpointslices"}') < SETTLE_SECONDS
