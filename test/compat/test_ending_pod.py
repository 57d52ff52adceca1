# SPDX-License-Identifier: Apache-2.0
"""A pod that ends, but is held by a finalizer, with `pods verified`: who saw it before goes on answering for it until it is
gone, also when everything has to be listed anew; who did not knows nothing of it. Both servers do."""

import compare
import servers
from controlplane import ControlPlane
from processes import wait_for
from random_cluster import FINALIZER

NAMESPACE = "ending"
SEEN_SECONDS = 30


def put_pod(plane, name, address, **metadata):
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, **metadata},
        "spec": {"containers": [{"name": "c", "image": "none"}]},
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
    }
    plane.apply_object(pod)
    return pod


def wait_known(pair, address):
    question = f"{address.replace('.', '-')}.{NAMESPACE}.pod.cluster.local. A"
    for server in (pair.left, pair.right):
        wait_for(lambda server=server: server.ask(question).addresses() == [address], SEEN_SECONDS, f"{server.name}: {question}")


def rcodes(pair):
    return [server.ask(f"10-244-0-1.{NAMESPACE}.pod.cluster.local. A").rcode for server in (pair.left, pair.right)]


def test_ending_pod():
    variant = {"corefile": servers.corefile("pods verified")}
    with ControlPlane() as plane:
        plane.apply_object({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        with compare.running(plane, variant, servers.coredns, servers.clusterdns) as pair:
            held = put_pod(plane, "held", "10.244.0.1", finalizers=[FINALIZER])
            wait_known(pair, "10.244.0.1")
            plane.delete_object(held)
            assert plane.call("GET", plane.object_path(held))["metadata"]["deletionTimestamp"]
            put_pod(plane, "later", "10.244.0.2")  # seen after it
            wait_known(pair, "10.244.0.2")
            assert rcodes(pair) == ["NOERROR", "NOERROR"]
            plane.kill_api()
            plane.delete_raw(f"/registry/pods/{NAMESPACE}/later")  # what nobody can go on from
            plane.compact()
            plane.start_api()
            put_pod(plane, "last", "10.244.0.3")
            wait_known(pair, "10.244.0.3")
            assert rcodes(pair) == ["NOERROR", "NOERROR"]
        with compare.running(plane, variant, servers.coredns, servers.clusterdns) as pair:
            wait_known(pair, "10.244.0.3")
            assert rcodes(pair) == ["NXDOMAIN", "NXDOMAIN"]
