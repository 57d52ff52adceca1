# SPDX-License-Identifier: Apache-2.0
"""Every fault that a real control plane, its network and its certificates can be made to have, under a thousand
questions a second: each answer is of the old or of a new state, and when the fault is over the newest comes soon."""

import contextlib
import os
import random
import shutil
import threading
import time

import pytest
import servers
from controlplane import ControlPlane
from faulty import fault, wait_newest
from moving import Moving
from processes import wait_for
from proxy import Proxy
from writer import Writer

HOLD_SECONDS = 1.5  # a fault lasts so long at least
RETRY_SECONDS = 20  # for faults after which the client may be in its third or fourth wait
CONTROLLER_SECONDS = 60  # in which the controllers notice that the API server is back: their waits grow to half a minute
SYSTEM_ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:coredns"


class World:
    """A control plane, a proxy in front of it, our server behind that, and objects that change."""

    def __init__(self, plane, proxy):
        self.plane, self.proxy, self.server = plane, proxy, None
        self.writer = Writer(plane)
        self.moving = Moving(self._put, self._remove, controllers=True)

    def _put(self, obj, raw=False):
        (self.writer.put_raw if raw or obj["kind"] == "Namespace" else self.writer.put)(obj)
        if obj["kind"] == "Namespace" and not raw:
            self.plane.wait_for_object(self.plane.object_path(obj))

    def _remove(self, obj, raw=False):
        (self.writer.remove_raw if raw or obj["kind"] == "Namespace" else self.writer.remove)(obj)

    def change(self, raw=False, names=None):
        """`raw`: behind the API server's back, which may be away."""
        self.moving.change(lambda obj: self._put(obj, raw), lambda obj: self._remove(obj, raw), names)

    def fault(self, name, **options):
        return fault(self.server, self.moving, name, **options)

    def forget_history(self):
        """The proxy is down; what happened so far cannot be watched any more, so that a list has to come."""
        self.plane.compact()
        self.plane.restart_api()


@pytest.fixture(scope="module")
def plane():
    with ControlPlane(controllers=True) as plane:
        plane.apply_object({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-0"}})
        yield plane


@pytest.fixture(scope="module")
def world(plane, tmp_path_factory):
    """The server reads its token and its CA from files, which faults replace."""
    folder = tmp_path_factory.mktemp("credentials")
    shutil.copy(plane.path("ca.crt"), folder / "ca.crt")
    with Proxy(plane.api_port) as proxy:
        world = World(plane, proxy)
        world.folder = folder
        kubeconfig = plane.kubeconfig("dns", server=proxy.url, authority=folder / "ca.crt", token_file=folder / "token")
        with servers.clusterdns(servers.corefile("pods verified", "startup_timeout 100ms"), KUBECONFIG=kubeconfig) as world.server:
            wait_newest(world.server, world.moving, 10)
            yield world


def hold():
    time.sleep(HOLD_SECONDS)


def test_no_fault(world):
    with world.fault("no fault", within=2):
        for _ in range(10):
            world.change()


def test_api_server_killed(world):
    with world.fault("API server killed, started again") as one:
        world.plane.kill_api()
        world.change(raw=True)
        hold()
        world.plane.start_api()
        one.over()


def test_api_server_stopped_in_good_order(world):
    with world.fault("API server shut down, started again") as one:
        world.plane.api.stop(2)
        world.change(raw=True)
        world.plane.start_api()
        one.over()


def test_api_server_silent(world):
    with world.fault("API server stopped (SIGSTOP)") as one:
        world.plane.api.pause()
        world.change(raw=True)
        hold()
        world.plane.api.resume()
        one.over()


def test_etcd_killed(world):
    with world.fault("etcd killed, started again") as one:
        world.plane.etcd.kill()
        hold()
        world.plane.start_etcd()
        world.change(raw=True)
        one.over()


def test_etcd_silent(world):
    with world.fault("etcd stopped (SIGSTOP)") as one:
        world.plane.etcd.pause()
        world.proxy.interrupt()
        hold()
        world.plane.etcd.resume()
        world.change(raw=True)
        one.over()


def test_connections_cut(world):
    with world.fault("connections cut, refused for a while") as one:
        world.proxy.cut()
        world.change()
        hold()
        world.proxy.up()
        one.over()


def test_history_gone(world):
    with world.fault("history compacted away (410)") as one:
        world.proxy.cut()
        world.change()
        world.forget_history()
        world.proxy.up()
        one.over()


def test_cut_inside_an_object(world):
    """An event of a thousand endpoints takes many reads; the connection ends in one of them, again and again."""
    sizes = random.Random(5)
    with world.fault("connections cut inside of an object") as one:
        for _ in range(6):
            world.proxy.cut_after(sizes.randrange(500, 25_000))
            world.change()
            wait_for(lambda: world.proxy.left is None, 10, "a cut")
        one.over()
    assert world.proxy.cuts >= 6


def test_network_stalled(world):
    with world.fault("network stalled, goes on") as one:
        world.proxy.stall()
        world.change()
        hold()
        world.proxy.flow()
        one.over()


def test_network_stalled_and_cut(world):
    with world.fault("network stalled, cut, goes on") as one:
        world.proxy.stall()
        world.change()
        hold()
        world.proxy.interrupt()
        world.proxy.flow()
        one.over()


def test_slow_relist_under_changes(world):
    """A list that takes seconds to come, while what it lists changes."""
    with world.fault("relist at 100 kB/s while objects change", within=RETRY_SECONDS) as one:
        world.proxy.cut()
        world.change()
        world.forget_history()
        world.proxy.rate = 100_000
        world.proxy.up()
        for _ in range(4):
            world.change()
            time.sleep(0.3)
        world.proxy.rate = None
        one.over()


FLOW_CONTROL = "/apis/flowcontrol.apiserver.k8s.io/v1"
NOTHING = {
    "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
    "kind": "PriorityLevelConfiguration",
    "metadata": {"name": "nothing"},
    "spec": {
        "type": "Limited",
        "limited": {
            "nominalConcurrencyShares": 0,
            "lendablePercent": 0,
            "borrowingLimitPercent": 0,
            "limitResponse": {"type": "Reject"},
        },
    },
}
NOTHING_FOR_DNS = {
    "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
    "kind": "FlowSchema",
    "metadata": {"name": "nothing-for-dns"},
    "spec": {
        "priorityLevelConfiguration": {"name": "nothing"},
        "matchingPrecedence": 50,
        "rules": [
            {
                "subjects": [{"kind": "User", "user": {"name": "clusterdns"}}],
                "resourceRules": [
                    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
                ],
            }
        ],
    },
}


@contextlib.contextmanager
def only_seat_taken(plane):
    """Even a level without seats lets one request in: requests for a state that is far ahead wait in it for seconds."""
    done = threading.Event()
    path = "/api/v1/namespaces?resourceVersion=99999999&resourceVersionMatch=NotOlderThan"

    def wait():
        while not done.wait(0.01):
            plane.request("GET", path, user="dns")

    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_too_many_requests(world):
    """The API server's own flow control refuses our server: 429 with Retry-After."""
    with world.fault("429 Too Many Requests", within=RETRY_SECONDS) as one:
        world.plane.call("POST", f"{FLOW_CONTROL}/prioritylevelconfigurations", NOTHING)
        world.plane.call("POST", f"{FLOW_CONTROL}/flowschemas", NOTHING_FOR_DNS)
        with only_seat_taken(world.plane):
            path = "/api/v1/namespaces?limit=1"
            wait_for(lambda: world.plane.request("GET", path, user="dns")[0] == 429, 10, "a refusal")
            world.proxy.interrupt()
            world.change()
            wait_for(lambda: " 429" in world.server.log(), 10, "our server to be refused")
            hold()
            world.plane.call("DELETE", f"{FLOW_CONTROL}/flowschemas/nothing-for-dns")
            one.over()


def test_role_taken_away(world):
    """403 for one kind; the others go on."""
    role = world.plane.call("GET", SYSTEM_ROLE)
    less = {**role, "rules": [rule for rule in role["rules"] if "discovery.k8s.io" not in rule["apiGroups"]]}
    path = "/apis/discovery.k8s.io/v1/endpointslices?limit=1"
    with world.fault("403 for EndpointSlices", within=RETRY_SECONDS) as one:
        world.plane.call("PUT", SYSTEM_ROLE, less)
        wait_for(lambda: world.plane.request("GET", path, user="dns")[0] == 403, 10, "a refusal")
        world.proxy.interrupt()
        world.change()
        hold()
        role["metadata"].pop("resourceVersion")
        world.plane.call("PUT", SYSTEM_ROLE, role)
        one.over()
    assert "403 Forbidden" in world.server.log()


def test_token_refused(world):
    token = (world.folder / "token").read_text()

    def write(text):
        (world.folder / "new").write_text(text)
        os.replace(world.folder / "new", world.folder / "token")

    with world.fault("token no longer accepted (401), then rotated", within=RETRY_SECONDS) as one:
        write("no-longer-good")
        world.proxy.interrupt()
        world.change()
        hold()
        write(token)
        one.over()
    assert "401 Unauthorized" in world.server.log()


def serve_certificate(world, name):
    """The API server shows NAME's certificate to new connections from here on."""
    world.plane.serve_certificate(name)
    wanted = world.plane.certificate(name)
    wait_for(lambda: world.plane.served_certificate() == wanted, 90, "the API server's new certificate", interval=0.1)


def test_authority_rotated(world):
    """The API server's certificate is signed by a new CA before our server is told of it."""
    world.plane.make_authority("new-ca")
    world.plane.make_server_certificate("renewed", authority="new-ca")
    with world.fault("CA rotated", within=RETRY_SECONDS) as one:
        world.change(raw=True)
        serve_certificate(world, "renewed")
        world.proxy.interrupt()
        world.change(raw=True)
        hold()
        shutil.copy(world.plane.path("new-ca.crt"), world.folder / "ca.new")
        os.replace(world.folder / "ca.new", world.folder / "ca.crt")
        one.over()
    assert "certificate" in world.server.log()
    with world.fault("CA rotated back, both trusted meanwhile", within=RETRY_SECONDS) as one:
        with open(world.folder / "ca.crt", "a", encoding="utf-8") as file:
            file.write(open(world.plane.path("ca.crt"), encoding="utf-8").read())
        serve_certificate(world, "apiserver")
        world.proxy.interrupt()
        world.change()
        one.over()


def test_certificate_expired(world):
    world.plane.make_server_certificate("expired", days=0)
    with world.fault("API server's certificate expired, then renewed", within=RETRY_SECONDS) as one:
        serve_certificate(world, "expired")
        time.sleep(1.1)  # until it has
        world.proxy.interrupt()
        world.change(raw=True)
        hold()
        serve_certificate(world, "apiserver")
        one.over()


def test_watch_list_refused(world):
    """The API server comes back without WatchList, and without what happened meanwhile: paged lists, then watches."""
    with world.fault("API server comes back without WatchList") as one:
        world.proxy.cut()
        world.change()
        world.plane.compact()
        world.plane.restart_api("--feature-gates", "WatchList=false")
        world.proxy.up()
        one.over()
    with world.fault("API server comes back with WatchList") as one:
        world.plane.restart_api()
        one.over()
        world.change()


def test_etcd_restored(world):
    """etcd comes back with a backup: resource versions go back, and what our server has seen is in the future."""
    plane = world.plane
    with world.fault("API server and etcd killed, started again") as one:
        plane.kill_api()
        plane.etcd.kill()
        plane.back_up()
        plane.start_etcd()
        plane.start_api()
        one.over()
    objects = dict(world.moving.objects)
    for _ in range(5):
        world.change()
    wait_newest(world.server, world.moving, 10)
    with world.fault("etcd restored from a backup", within=RETRY_SECONDS) as one:
        begin = time.monotonic()
        plane.kill_api()
        plane.etcd.kill()
        plane.restore()
        plane.start_etcd()
        plane.start_api()
        world.moving.go_back(objects, begin)
        one.over()


def test_controllers_killed(world):
    """Pods change and nobody writes it into the slices: the old state is what the API says."""
    world.change(names=["fleet"])
    wait_newest(world.server, world.moving, CONTROLLER_SECONDS)
    with world.fault("controller manager killed, started again", within=30) as one:
        world.plane.manager.kill()
        world.change(names=["fleet"])
        world.change()
        hold()
        world.plane.manager.start()
        one.over()


def test_server_restarted_without_api(world):
    """Our server starts while the API is away: SERVFAIL until it knows, and never that a name does not exist."""
    with world.fault("our server killed, started again before the API", allowed=("SERVFAIL", "lost")) as one:
        world.proxy.cut()
        world.change()
        world.server.process.kill()
        world.server.process.start()
        wait_for(world.server.is_listening, 10, "our server to listen")
        hold()
        world.proxy.up()
        one.over()
