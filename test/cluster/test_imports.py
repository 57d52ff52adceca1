# SPDX-License-Identifier: Apache-2.0
"""Services of other clusters on a real API server that has no such thing, does not show it, or has it only later: all else
is served, and nothing needs a restart."""

import exposition
import imports
import pytest
import servers
from controlplane import ControlPlane
from processes import free_port, wait_for

AGAIN_SECONDS = 45  # the longest pause before imports are asked for again, and a list
WEB = "web.default.svc.clusterset.local A"
COREFILE = """. {
    errors
    ready 127.0.0.1:@READY@
    prometheus 127.0.0.1:@METRICS@
    kubernetes cluster.local clusterset.local {
        kubeconfig @KUBECONFIG@
        multicluster clusterset.local
    }
}
"""


@pytest.fixture
def bare():
    """A control plane without ServiceImports; its user "dns" has the rights of the stock role."""
    with ControlPlane() as bare:
        yield bare


def clusterdns(plane, user="dns"):
    metrics = free_port()
    server = servers.clusterdns(COREFILE, KUBECONFIG=plane.kubeconfig(user), METRICS=metrics)
    server.metrics_port = metrics
    return server


def import_age(server):
    return exposition.scrape(server.metrics_port).value(
        'clusterdns_kubernetes_watch_age_seconds{resource="serviceimports"}'
    )


def export(plane, version="v1alpha1", name="web", ip="10.128.0.1"):
    """What an implementation of the Multi-Cluster Services API would make of a service of another cluster."""
    spec = {"type": "ClusterSetIP", "ips": [ip], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}
    meta = {"name": name, "namespace": "default"}
    path = f"/apis/{imports.GROUP}/{version}/namespaces/default/serviceimports"
    body = {"apiVersion": f"{imports.GROUP}/{version}", "kind": "ServiceImport", "metadata": meta, "spec": spec}
    plane.call("POST", path, body)


def assert_serves_the_rest(plane, server, namespace):
    assert server.http_ready()
    assert server.ask("kubernetes.default.svc.cluster.local A").addresses() == ["10.96.0.1"]
    assert server.ask("nosuch.default.svc.cluster.local A").rcode == "NXDOMAIN"
    plane.kubectl("create", "namespace", namespace)
    wait_for(lambda: server.ask(f"{namespace}.svc.cluster.local A").rcode == "NOERROR", 2, "a change")
    assert server.ask(f"{namespace}.svc.clusterset.local A").rcode == "NOERROR"


def wait_for_import(server, line=WEB, address="10.128.0.1"):
    wait_for(lambda: server.ask(line).addresses() == [address], AGAIN_SECONDS, "the import", interval=0.2)


def test_no_definition(bare):
    """404: there is nothing to import. The definition comes, and with it the objects; it goes, and so do they."""
    imports.allow(bare)
    with clusterdns(bare) as server:
        assert_serves_the_rest(bare, server, "absent")
        assert server.ask(WEB).rcode == "NXDOMAIN"
        assert server.log().count("custom resource definition is not installed") == 1
        # Nothing is old for it: no alert.
        wait_for(lambda: import_age(server) > 1, AGAIN_SECONDS, "time to pass", interval=0.1)
        wait_for(lambda: import_age(server) < 1, AGAIN_SECONDS, "imports to be asked for again", interval=0.1)
        imports.define(bare, "v1alpha1", "v1beta1")
        export(bare)
        wait_for_import(server)
        assert "serviceimports: the API server answers again" in server.log()
        export(bare, name="late", ip="10.128.0.2")
        wait_for_import(server, "late.default.svc.clusterset.local A", "10.128.0.2")
        bare.delete_object(imports.definition("v1alpha1"))
        wait_for(lambda: server.ask(WEB).rcode == "NXDOMAIN", AGAIN_SECONDS, "the imports to go", interval=0.2)
        assert_serves_the_rest(bare, server, "gone")


def test_no_rights(bare):
    """403: what is imported is not known, and answered so; the log names the rule that the role needs, once."""
    imports.define(bare, "v1alpha1")
    export(bare)
    with clusterdns(bare) as server:
        assert_serves_the_rest(bare, server, "forbidden")
        assert server.ask(WEB).rcode == "SERVFAIL"
        wanted = 'the verbs list and watch for resource "serviceimports" of API group "multicluster.x-k8s.io"'
        assert server.log().count(wanted) == 1
        imports.allow(bare)
        wait_for_import(server)
        assert server.ask("nosuch.default.svc.clusterset.local A").rcode == "NXDOMAIN"
        assert server.log().count(wanted) == 1


def test_only_v1beta1(bare):
    imports.define(bare, "v1beta1")
    imports.allow(bare)
    export(bare, "v1beta1")
    with clusterdns(bare) as server:
        assert server.ask(WEB).addresses() == ["10.128.0.1"]
        assert "Failed to watch" not in server.log()
        export(bare, "v1beta1", name="late", ip="10.128.0.2")
        wait_for(
            lambda: server.ask("late.default.svc.clusterset.local A").addresses() == ["10.128.0.2"], 2, "a change", interval=0.1
        )


def test_neither_slices_nor_imports(bare):
    """Slices are not optional: a role without them keeps the server from being ready, as ever."""
    corefile = COREFILE.replace("multicluster", "startup_timeout 1s\n        multicluster", 1)
    with servers.clusterdns(corefile, ready=False, KUBECONFIG=bare.kubeconfig("partial"), METRICS=free_port()) as server:
        server.wait_listening()
        assert not server.http_ready()
        assert server.ask("nosuch.default.svc.cluster.local A").rcode == "SERVFAIL"
