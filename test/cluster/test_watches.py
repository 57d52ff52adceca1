# SPDX-License-Identifier: Apache-2.0
"""What a real API server is asked for, and when, by its own audit log: watches that resume, bookmarks, lists whose pages
expire, a path that dies without a word.

Two of these take a minute of waiting. They begin with the first test of this file and are looked at by the last ones.
"""

import threading
import time
from dataclasses import dataclass

import exposition
import pytest
import servers
from controlplane import ControlPlane
from gateways import Http2Front, PlaceProxy
from processes import free_port, wait_for
from proxy import Proxy
from seed import Cluster
from spaces import Network, Remote
from test_protocol import kubeconfig

ZONE = "svc.cluster.local"
NAME = f"kubernetes.default.{ZONE} A"
WATCHED = ("namespaces", "services", "endpointslices")
BACK_SECONDS = 8  # after a refused attempt or two
BOOKMARK_SECONDS = 90  # one a minute is usual
DEAD_SECONDS = 65  # TCP notices a dead path in 45 to 51; an attempt to connect anew has 10


def exists(server, namespace):
    return server.ask(f"{namespace}.{ZONE} A").rcode == "NOERROR"


def assert_change(plane, server, namespace, seconds):
    """Makes a namespace, which must be seen; returns its version."""
    plane.kubectl("create", "namespace", namespace)
    wait_for(lambda: exists(server, namespace), seconds, f"namespace {namespace} to be answered")
    return int(plane.call("GET", f"/api/v1/namespaces/{namespace}")["metadata"]["resourceVersion"])


def assert_resumed(asked):
    """For each resource: changes since a version, behind a look at that version if the server was away; no objects."""
    for resource in WATCHED:
        own = [one for one in asked if one.resource == resource]
        assert own and own[-1].what == "watch", own
        for one in own:
            assert one.what == "watch" or (one.what == "list" and one.query["limit"] == "1"), own
            assert int(one.version) > 0, own


# ---- a minute's waiting ----


@dataclass
class Patient:
    """Our server, which watches pods that run; `version` is that of the latest change of one that does not."""

    server: servers.DnsServer
    proxy: Proxy
    metrics: int
    version: int = 0

    def silence(self):
        """Seconds since the watch of pods has brought anything."""
        return exposition.scrape(self.metrics).value('clusterdns_kubernetes_watch_age_seconds{resource="pods"}')


def finished_pod(plane):
    """A pod that has ended, changed a few times after that; returns the last change's version."""
    spec = {"nodeName": "node-0", "containers": [{"name": "c", "image": "none"}]}
    meta = {"name": "finished", "namespace": "default"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {"phase": "Succeeded"}}
    plane.apply_object(pod)
    for number in range(3):
        changed = plane.call(
            "PATCH", plane.object_path(pod), {"metadata": {"labels": {"n": str(number)}}},
            content="application/merge-patch+json",
        )  # fmt: skip
    return int(changed["metadata"]["resourceVersion"])


@pytest.fixture(scope="module", autouse=True)
def patient(quiet):
    port = free_port()
    corefile = servers.corefile("pods verified").replace("errors\n", f"errors\n    prometheus 127.0.0.1:{port}\n")
    with Proxy(quiet.api_port) as proxy:
        path = quiet.kubeconfig("certificate", server=proxy.url)
        with servers.clusterdns(corefile, KUBECONFIG=path) as server:
            patient = Patient(server, proxy, port)
            patient.version = finished_pod(quiet)
            yield patient


@pytest.fixture(scope="module", autouse=True)
def remote(quiet, tmp_path_factory):
    """Our server in a network of its own, to which one cable leads, that is cut since `cut` (monotonic seconds)."""
    folder = tmp_path_factory.mktemp("networks")
    with Network(folder, "near") as near, Network(folder, "far") as far:
        near.join(far, "10.77.0.1/24", "10.77.0.2/24")
        with PlaceProxy(quiet.api_port, "10.77.0.2", network=far) as proxy:
            place = {"server": proxy.url, "tls-server-name": "kubernetes.default.svc"}
            path = kubeconfig(quiet, folder, user="admin", **place)
            with Remote(near, servers.clusterdns, servers.corefile(), KUBECONFIG=path) as remote:
                assert remote.ask(NAME).addresses() == ["10.96.0.1"]
                far.ip("link", "set", "cable", "down")
                remote.far, remote.cut = far, time.monotonic()
                yield remote


# ---- lists ----


def test_expired_page():
    """The history that a list's next page would come from is compacted away: one whole list of the newest state."""
    cluster, late, lock = Cluster(services=600, endpoints=1), [], threading.Lock()

    def compact(path):
        if "continue=" not in path:
            return
        with lock:
            late.append(path.split("?")[0])
            if len(late) == 1:
                plane.put_raw([("/registry/configmaps/default/late", {"apiVersion": "v1", "kind": "ConfigMap"})])
                plane.compact()

    with ControlPlane(api_flags=["--watch-cache=false", "--feature-gates", "WatchList=false"], fill=cluster.fill) as plane, Http2Front(plane) as front:
        front.before = compact
        with servers.clusterdns(servers.corefile(), KUBECONFIG=plane.kubeconfig("dns", server=front.url)) as server:
            for line, rdata in cluster.answers(599).items():
                assert server.ask(line).rdata() == rdata
            assert sorted(late) == ["/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices"]
            for resource in late:
                asked = [path for path in front.requests if path.split("?")[0] == resource and "watch=" not in path]
                assert "limit=500" in asked[0] and "continue=" in asked[1] and asked[2:] == [resource]


# ---- watches ----


def test_watch_resumes(quiet, audit):
    """Cut watches go on where they were; refused ones, too."""
    with Proxy(quiet.api_port) as proxy:
        with servers.clusterdns(servers.corefile(), KUBECONFIG=quiet.kubeconfig("dns", server=proxy.url)) as server:
            version = assert_change(quiet, server, "before-the-cut", 2)
            mark = audit.mark()
            proxy.interrupt()
            asked = audit.wait(mark, len(WATCHED), BACK_SECONDS, user="clusterdns")
            assert [one.what for one in asked] == ["watch"] * len(WATCHED)
            assert {one.resource: int(one.version) for one in asked}["namespaces"] == version
            assert_change(quiet, server, "after-the-cut", 2)
            mark = audit.mark()
            proxy.cut()
            wait_for(lambda: "Connection refused" in server.log(), 10, "the refusal in the log")
            quiet.kubectl("create", "namespace", "during-the-cut")
            proxy.up()
            wait_for(lambda: exists(server, "during-the-cut"), BACK_SECONDS, "what happened meanwhile")
            assert_resumed(audit.wait(mark, 2 * len(WATCHED), BACK_SECONDS, user="clusterdns"))


def test_bookmark(quiet, audit, patient):
    """Changes of pods that are not watched move the watch on all the same: it resumes behind them."""
    longest = 0

    def heard():
        nonlocal longest
        silence = patient.silence()
        longest = max(longest, silence)
        return silence < longest - 1

    wait_for(heard, BOOKMARK_SECONDS, "a bookmark", interval=0.2)
    mark = audit.mark()
    patient.proxy.interrupt()
    (asked,) = audit.wait(mark, 1, BACK_SECONDS, resource="pods")
    assert asked.what == "watch" and int(asked.version) >= patient.version


def test_dead_path(quiet, remote):
    """Nothing comes, not even a refusal: it is noticed all the same, and answers stay; when the path is back, all is."""
    left = remote.cut + DEAD_SECONDS - time.monotonic()
    wait_for(lambda: "cannot be reached" in remote.log(), left, "the dead path in the log")
    assert remote.ask(NAME).addresses() == ["10.96.0.1"]
    quiet.kubectl("create", "namespace", "after-the-dead-path")
    remote.far.ip("link", "set", "cable", "up")
    wait_for(lambda: exists(remote, "after-the-dead-path"), 2 * BACK_SECONDS, "what happened meanwhile")
