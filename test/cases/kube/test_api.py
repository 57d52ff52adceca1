# SPDX-License-Identifier: Apache-2.0
"""The whole program against an API server that plays recorded traffic, with the faults that real ones have.

What must hold in all of them: nobody is told that a name is gone unless it is, changes show within a second once they
can be had, and the log says what is wrong.
"""

import json
import os
import re
import shutil
import sys
import tempfile
import time
import zlib

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "lib"))

from apireplay import (  # noqa: E402
    JSON, PROTOBUF, ApiReplay, Body, ErrorEvent, HalfEvent, NotAcceptable, Recorded, Reset, Silent, Slow, Stall, Status,
    Truncate, recording,
)
import exposition  # noqa: E402
import kubeproto  # noqa: E402
import memory  # noqa: E402
from asking import ask  # noqa: E402
from processes import free_port, wait_for  # noqa: E402
from servers import DnsServer, clusterdns_binary  # noqa: E402

COREFILE = """. {
    errors
    ready 127.0.0.1:@READY@
    prometheus 127.0.0.1:@METRICS@
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        @SOURCE@
        pods verified
        startup_timeout 10ms
    }
}
"""
SOON = 1.0  # seconds in which a change has to show
RETRY = 8.0  # … after a failure or two, with the waits between attempts
WATCHED = ("namespaces", "services", "endpointslices", "pods")


class Setup:
    """An API server and our server, which watches it."""

    def __init__(self, protobuf):
        self.folder = tempfile.mkdtemp(prefix="clusterdns-api-")
        self.api = self.server = None
        self.metrics = free_port()
        self.protobuf = protobuf

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, source=None, synced=True, env=None, **options):
        """Call `prepare` first where the API server is to have faults from the start."""
        api = self.prepare(**options)
        source = source or f"kubeconfig {api.kubeconfig(self.path('kubeconfig'))}"
        texts = {"SOURCE": source, "METRICS": self.metrics}
        self.server = DnsServer("clusterdns", clusterdns_binary(), COREFILE, ready=synced, env=env, **texts)
        return api, self.server

    def prepare(self, **options):
        if self.api is None:
            self.api = ApiReplay(protobuf=self.protobuf, **options).up()
        return self.api

    def stop(self):
        try:
            if self.server:
                status = self.server.process.stop()
                log = self.server.process.log()
                self.server.stop()  # removes its folder
                assert status == 0, log
                assert "runtime error" not in log and "Sanitizer" not in log, log
        finally:
            if self.api:
                self.api.__exit__()
            shutil.rmtree(self.folder)

    # ---- looking ----

    def addresses(self, name):
        return ask(self.server.port, f"{name}.svc.cluster.local A").addresses()

    def rcode(self, name):
        answer = ask(self.server.port, f"{name}.svc.cluster.local A")
        return answer.rcode or answer.result

    def wait_addresses(self, name, expected, seconds=SOON):
        wait_for(lambda: self.addresses(name) == expected, seconds, f"{name} to have {expected}")

    def wait_log(self, pattern, seconds=RETRY):
        return wait_for(lambda: re.search(pattern, self.server.process.log()), seconds, f"{pattern} in the log")

    def wait_away(self):
        """Until every resource has been asked for in vain: nobody listens."""
        name = "clusterdns_kubernetes_last_error_timestamp_seconds"
        for resource in WATCHED:
            selector = f'{name}{{resource="{resource}",code="unreachable"}}'
            wait_for(lambda selector=selector: exposition.scrape(self.metrics).value(selector), RETRY, selector)

    def check_recorded(self):
        """The recorded cluster is served: a ClusterIP, a headless service's hostname, slices by hand, an alias, a pod."""
        services = {key: o for key, o in self.api.resources["services"].objects.items() if key[0] == "shop"}
        assert self.addresses("web.shop") == [services["shop", "web"]["spec"]["clusterIP"]]
        assert len(self.addresses("db.shop")) == 2 and len(self.addresses("db-0.db.shop")) == 1
        assert self.rcode("none.shop") == "NXDOMAIN"
        pod = self.api.resources["pods"].objects["shop", "db-0"]["status"]["podIP"].replace(".", "-")
        assert ask(self.server.port, f"{pod}.shop.pod.cluster.local A").rcode == "NOERROR"


@pytest.fixture
def setup(request):
    """The API server speaks protobuf, where the test does not say "json"."""
    made = Setup(getattr(request, "param", "protobuf") == "protobuf")
    yield made
    made.stop()


BOTH = pytest.mark.parametrize("setup", ["protobuf", "json"], indirect=True)


def service(name, address, **meta):
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop", **meta},
        "spec": {"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ports": [{"name": "http", "port": 80}]},
    }  # fmt: skip


def hidden(api, resource, obj=None, remove=None):
    """A change that open watches are not told of."""
    with api.lock:
        streams, api.resources[resource].streams = api.resources[resource].streams, set()
        if remove:
            api.remove(resource, *remove)
        if obj:
            api.put(resource, obj)
        api.resources[resource].streams = streams


# ---- in good order ----


@BOTH
def test_recorded_watchlist(setup):
    api, _ = setup.start()
    setup.check_recorded()
    assert [len(api.seen(r, "list")) for r in WATCHED] == [0, 0, 0, 0]
    seen = api.seen("services")[0]
    assert seen.headers["Accept"] == "application/vnd.kubernetes.protobuf,application/json"
    assert seen.headers["User-Agent"].startswith("clusterdns/")
    assert 300 <= int(seen.query["timeoutSeconds"]) <= 600
    assert api.seen("pods")[0].query["fieldSelector"] == (
        "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown"
    )
    api.put("services", service("new", "10.96.7.7"))
    setup.wait_addresses("new.shop", ["10.96.7.7"])
    api.put("services", service("new", "10.96.7.8"))
    setup.wait_addresses("new.shop", ["10.96.7.8"])
    api.remove("services", "shop", "new")
    setup.wait_addresses("new.shop", [])


@BOTH
@pytest.mark.parametrize("resource", ["services", "endpointslices", "pods", "namespaces"])
def test_recorded_changes(setup, resource):
    """After the recorded changes the server answers as one that starts with the recorded end."""
    api, _ = setup.start()
    api.play(resource)
    api.put("services", service("last", "10.96.7.9"))
    setup.wait_addresses("last.shop", ["10.96.7.9"])
    after = json.loads(recording(f"{resource}.list-after")[2])
    assert {(o["metadata"].get("namespace", ""), o["metadata"]["name"]) for o in after["items"]} == set(
        api.resources[resource].objects
    ) - {("shop", "last")}
    if resource == "services":
        for obj in after["items"]:
            spec, meta = obj["spec"], obj["metadata"]
            if spec.get("clusterIP", "None") != "None":
                expected = [a for a in spec["clusterIPs"] if ":" not in a]
                setup.wait_addresses(f"{meta['name']}.{meta['namespace']}", expected)


@BOTH
def test_paged_list(setup):
    api, _ = setup.start(watchlist=False, tls=False)
    setup.check_recorded()
    lists = api.seen("services", "list")
    assert lists[0].query == {"limit": "500", "resourceVersion": "0"}
    api.wait_streams("services")
    assert api.seen("services", "watch")[0].query["resourceVersion"] == "254"
    api.put("services", service("new", "10.96.7.7"))
    setup.wait_addresses("new.shop", ["10.96.7.7"])


@BOTH
def test_recorded_pages(setup):
    """Three recorded pages; the token of the third has expired the first time."""
    api = setup.prepare(watchlist=False)
    api.script("services", "list", Recorded("services.page-1"), Recorded("services.continue-expired"))
    setup.start()
    setup.check_recorded()
    queries = [r.query for r in api.seen("services", "list")]
    assert "continue" in queries[1] and "resourceVersion" not in queries[1]
    assert queries[2] == {}  # the newest state, in one page


def test_limits(setup):
    """Requests are spread, and one at a time waits for its answer; watches, which last, do not hold up the others."""
    api = setup.prepare(watchlist=False)
    limits = "apiserver_qps 5\n apiserver_burst 1\n apiserver_max_inflight 1"
    began = time.monotonic()
    setup.start(f"kubeconfig {api.kubeconfig(setup.path('kubeconfig'))}\n {limits}")
    setup.check_recorded()
    for resource in WATCHED:
        api.wait_streams(resource)
        assert [r.kind for r in api.seen(resource)] == ["watchlist", "list", "watch"]
    assert api.requests[11].time - began >= 11 / 5
    api.put("services", service("new", "10.96.7.7"))
    setup.wait_addresses("new.shop", ["10.96.7.7"])


def test_selectors_are_sent(setup):
    """With each request, beside what the server asks for by itself."""
    api = setup.prepare(watchlist=False)
    options = "labels app in (b, a),!old\n namespace_labels team"
    setup.start(f"kubeconfig {api.kubeconfig(setup.path('kubeconfig'))}\n {options}")
    for resource in WATCHED:
        expected = "team" if resource == "namespaces" else "app in (a,b),!old"
        seen = api.wait_requests(resource, "any", 3)
        assert [r.query["labelSelector"] for r in seen] == [expected] * 3
    assert [r.query["fieldSelector"].count("status.phase") for r in api.seen("pods")] == [3, 3, 3]


def test_stream_ends_in_good_order(setup):
    api, _ = setup.start()
    api.put("services", service("new", "10.96.7.7"))
    setup.wait_addresses("new.shop", ["10.96.7.7"])
    api.end("services")
    assert api.wait_requests("services", "watch", 1)[0].query["resourceVersion"] == "255"
    api.wait_streams("services")
    api.put("services", service("newer", "10.96.7.8"))
    setup.wait_addresses("newer.shop", ["10.96.7.8"])
    assert len(api.seen("services", "watchlist")) == 1


@BOTH
def test_bookmark_moves_on(setup):
    api, _ = setup.start()
    api.wait_streams("services")
    api.put("namespaces", {"metadata": {"name": "later"}})  # the cluster's version moves on, that of services with it
    with api.lock:
        api.resources["services"].version = api.resources["namespaces"].version
    api.bookmark("services")
    api.put("pods", api.resources["pods"].objects["shop", "db-0"])
    api.end("services")
    assert api.wait_requests("services", "watch", 1)[0].query["resourceVersion"] == "255"


# ---- too old ----


@BOTH
@pytest.mark.parametrize("answer", [ErrorEvent(), Status(410), Recorded("services.watch-expired")])
def test_watch_expired(setup, answer):
    api, _ = setup.start()
    api.wait_streams("services")
    hidden(api, "services", service("appeared", "10.96.7.7"), remove=("shop", "by-hand"))
    api.compact("services")
    api.script("services", "watch", answer)
    web = setup.addresses("web.shop")
    api.cut("services")
    while setup.addresses("appeared.shop") != ["10.96.7.7"]:
        assert setup.addresses("web.shop") == web
    setup.wait_addresses("by-hand.shop", [])
    assert api.seen("services", "watchlist")[1].query["resourceVersion"] == "254"  # not older than what was seen


@BOTH
def test_version_too_large(setup):
    """After a restore from a backup the server is behind what was seen: its newest state is taken."""
    api, _ = setup.start()
    api.wait_streams("services")
    api.script("services", "watch", ErrorEvent())
    api.script("services", "watchlist", Recorded("services.version-too-large"))
    hidden(api, "services", remove=("shop", "by-hand"))
    api.cut("services")
    setup.wait_addresses("by-hand.shop", [], RETRY)
    assert "resourceVersion" not in api.seen("services", "watchlist")[-1].query


# ---- cut, stalled, refused ----


@BOTH
@pytest.mark.parametrize("size", [0, 1000])
def test_cut_inside_an_object(setup, size):
    api = setup.prepare()
    api.script("services", "watchlist", Truncate(size))
    api.script("endpointslices", "watchlist", Truncate(size))
    setup.start()
    setup.check_recorded()


@BOTH
def test_cut_event(setup):
    """Half an event of a deletion: the record stays until the whole one comes."""
    api, _ = setup.start()
    api.wait_streams("services")
    obj = api.resources["services"].item(api.resources["services"].objects["shop", "web"])
    api.script("services", "watch", HalfEvent("DELETED", obj, 10))
    api.cut("services")
    api.wait_requests("services", "watch", 2)
    assert setup.addresses("web.shop")


@BOTH
def test_slow_network(setup):
    api = setup.prepare(tls=False)
    api.script("services", "watchlist", Slow(7, 0.0002))
    setup.start()
    setup.check_recorded()


def test_reset_and_stall(setup):
    """One resource whose connection is reset does not keep the others waiting, nor does one that says nothing."""
    api = setup.prepare(tls=False)
    api.script("pods", "watchlist", Stall())
    api.script("services", "watchlist", Reset(), Reset())
    setup.start(synced=False)
    api.wait_requests("services", "watchlist", 3)
    api.wait_streams("services")
    assert setup.rcode("none.shop") == "SERVFAIL"  # pods are wanted, too
    assert len(api.seen("pods")) == 1


def test_api_away(setup):
    """Last known good for as long as the API is away; what changed meanwhile is right once it is back."""
    api, server = setup.start()
    web = setup.addresses("web.shop")
    api.down()
    setup.wait_log("the API server cannot be reached")
    assert setup.addresses("web.shop") == web
    api.put("services", service("new", "10.96.7.7"))
    api.remove("services", "shop", "by-hand")
    api.up()
    setup.wait_addresses("new.shop", ["10.96.7.7"], RETRY)
    setup.wait_addresses("by-hand.shop", [])
    assert setup.addresses("web.shop") == web
    assert len(api.seen("services", "watchlist")) == 1  # the watch went on; nothing was listed again
    wait_for(lambda: "answers again" in server.process.log(), SOON, "the recovery in the log")


def test_api_away_at_the_start(setup):
    api = setup.prepare()
    config = api.kubeconfig(setup.path("kubeconfig"))
    api.down()
    setup.start(f"kubeconfig {config}", synced=False)
    setup.wait_log("the API server cannot be reached")
    wait_for(lambda: setup.rcode("none.shop") == "SERVFAIL", RETRY, "SERVFAIL before the first sync")
    api.up()
    wait_for(lambda: setup.rcode("none.shop") == "NXDOMAIN", RETRY, "the sync")
    setup.check_recorded()


def test_busy(setup):
    """429 with Retry-After is obeyed; the watch is tried again, not the list."""
    api, _ = setup.start()
    api.wait_streams("services")
    api.script("services", "watch", Status(429, headers={"Retry-After": "2"}), Status(503))
    api.cut("services")
    first, second = (r.time for r in api.wait_requests("services", "watch", 2)[:2])
    assert 1.9 <= second - first <= 3
    api.wait_requests("services", "watch", 3)
    api.put("services", service("new", "10.96.7.7"))
    setup.wait_addresses("new.shop", ["10.96.7.7"], RETRY)
    assert len(api.seen("services", "watchlist")) == 1
    setup.wait_log("services: HTTP status 429: ")


def test_recovery_is_logged(setup):
    """However soon one trouble follows another: the log's last word about a resource is how it is now."""
    api, server = setup.start()
    for code in (500, 502):
        api.wait_streams("services")
        api.script("services", "watch", Status(code))
        api.cut("services")
        setup.wait_log(f"services: HTTP status {code}: ")
        api.put("services", service("new", f"10.96.7.{code - 400}"))
        setup.wait_addresses("new.shop", [f"10.96.7.{code - 400}"], RETRY)
        last = lambda: [line for line in server.process.log().splitlines() if " services: " in line][-1]
        wait_for(lambda: last().endswith("services: the API server answers again"), SOON, "the recovery in the log")


def test_server_that_starts_knows_no_roles(setup):
    """An API server that has just come back refuses everything for a moment: nobody is sent to look at roles for that."""
    api, server = setup.start()
    api.wait_streams("services")
    api.down()
    setup.wait_away()
    for resource in WATCHED:
        api.refuse(resource, Recorded("services.forbidden"))
    api.up()
    for resource in WATCHED:
        api.wait_requests(resource, "list", 2)  # the look before the watch
        api.refuse(resource, None)
    setup.wait_log("services: the API server answers again")
    assert " 403 " not in server.process.log()
    api.wait_streams("services")
    api.script("services", "watch", Recorded("services.forbidden"))
    api.cut("services")
    setup.wait_log("services: 403 Forbidden: ")  # by a server that was there all the time


# ---- who are you ----


@BOTH
def test_forbidden_resource(setup):
    """403 for one resource: the log says which role is missing, the others go on, and it is not ready."""
    api = setup.prepare()
    api.script("endpointslices", "any", *[Recorded("endpointslices.forbidden")] * 20)
    setup.start(synced=False)
    setup.wait_log(
        r'endpointslices: 403 Forbidden: .*User "partial" cannot list .*; this server\'s role needs the verbs list and '
        r'watch for resource "endpointslices" of API group "discovery.k8s.io"'
    )
    api.wait_streams("services")
    assert setup.rcode("none.shop") == "SERVFAIL"


def test_token_is_read_again(setup):
    """A projected token is rotated: the next request has the new one."""
    account = setup.path("account")
    os.mkdir(account)
    api = setup.prepare(token="first")
    shutil.copy(api.certificate, os.path.join(account, "ca.crt"))
    env = {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(api.port),
        "CLUSTERDNS_SERVICEACCOUNT_DIR": account,
    }
    with open(os.path.join(account, "token"), "w", encoding="utf-8") as file:
        file.write("first\n")
    setup.start("ttl 5", env=env)
    setup.check_recorded()
    api.token = "second"
    api.wait_streams("services")
    api.cut("services")
    setup.wait_log("services: 401 Unauthorized: Unauthorized; the token")
    with open(os.path.join(account, "token.new"), "w", encoding="utf-8") as file:
        file.write("second\n")
    os.rename(os.path.join(account, "token.new"), os.path.join(account, "token"))
    api.put("services", service("new", "10.96.7.7"))
    setup.wait_addresses("new.shop", ["10.96.7.7"], RETRY)


def test_wrong_authority(setup):
    """A server that the kubeconfig's CA did not sign is not talked to."""
    api = setup.prepare()
    config = api.kubeconfig(setup.path("kubeconfig"))
    with open(config, encoding="utf-8") as file:
        text = file.read()
    with ApiReplay() as other:
        with open(other.kubeconfig(setup.path("other")), encoding="utf-8") as file:
            wrong = json.load(file)["clusters"][0]["cluster"]["certificate-authority-data"]
    right = json.loads(text)["clusters"][0]["cluster"]["certificate-authority-data"]
    with open(config, "w", encoding="utf-8") as file:
        file.write(text.replace(right, wrong))
    setup.start(f"kubeconfig {config}", synced=False)
    setup.wait_log("the API server cannot be reached: SSL certificate problem")
    assert api.requests == []
    with open(config, "w", encoding="utf-8") as file:  # corrected under the running server
        file.write(text)
    wait_for(lambda: setup.rcode("none.shop") == "NXDOMAIN", RETRY, "the sync")


@pytest.mark.parametrize(("name", "good"), [("localhost", True), ("wrong.example", False)])
def test_tls_server_name(setup, name, good):
    """The certificate is verified by the name that the kubeconfig gives, not by the address."""
    api = setup.prepare()
    path = api.kubeconfig(setup.path("kubeconfig"))
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    config["clusters"][0]["cluster"]["tls-server-name"] = name
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)
    setup.start(f"kubeconfig {path}", synced=good)
    if good:
        assert api.requests[0].headers["Host"] == f"127.0.0.1:{api.port}"
    else:
        setup.wait_log("the API server cannot be reached: SSL: no alternative certificate subject name matches")


def test_basic_auth(setup):
    """API servers know it no more, those who stand before them do."""
    api = setup.prepare(basic="me:secret word")
    user = {"username": "me", "password": "secret word", "token": None}
    setup.start(f"kubeconfig {api.kubeconfig(setup.path('kubeconfig'), **user)}")
    setup.check_recorded()


def test_endpoint(setup):
    api = setup.prepare(tls=False, token=None)
    setup.start(f"endpoint {api.url}")
    setup.check_recorded()
    assert "Authorization" not in api.requests[0].headers


# ---- formats ----


def test_not_acceptable(setup):
    """Who refuses protobuf is asked for JSON, and from then on for nothing else; the other resources are not touched."""
    api = setup.prepare()
    api.refuse("services", NotAcceptable())
    setup.start()
    setup.check_recorded()
    accepted = [seen.headers["Accept"] for seen in api.seen("services")]
    assert accepted == [f"{PROTOBUF},{JSON}", JSON]
    api.cut("services")
    assert api.wait_requests("services", "watch", 1)[0].headers["Accept"] == JSON
    assert {seen.headers["Accept"] for seen in api.seen("endpointslices")} == {f"{PROTOBUF},{JSON}"}
    assert "services" not in setup.server.process.log()


def test_other_content_type(setup):
    """A captive portal's page is no API server's answer, and the log says so."""
    api, _ = setup.start(tls=False)
    api.wait_streams("services")
    api.script("services", "watch", Body(b"<html>Please sign in</html>", media="text/html; charset=utf-8"))
    web = setup.addresses("web.shop")
    api.cut("services")
    setup.wait_log(
        r"services: the answer is neither JSON nor protobuf \(its content type: text/html; charset=utf-8\): that is no "
        "API server, or a proxy answers in its place"
    )
    api.put("services", service("new", "10.96.7.7"))
    setup.wait_addresses("new.shop", ["10.96.7.7"], RETRY)
    assert setup.addresses("web.shop") == web


@BOTH
def test_compressed_list(setup):
    api = setup.prepare(watchlist=False)
    for i in range(1500):
        api.put("services", service(f"many-{i}", f"10.98.{i >> 8}.{i & 255}", annotations={"text": "x" * 200}))
    api.script("services", "watch", Status(410))  # the first list has pages, which are small; a later one has not
    setup.start()
    api.wait_requests("services", "watch", 2, RETRY)
    assert api.compressed
    for i in range(0, 1500, 100):
        assert setup.addresses(f"many-{i}.shop") == [f"10.98.{i >> 8}.{i & 255}"]


BOMB = 128 << 20


def bomb(head, filling):
    """gzip of a list that goes on and on: a two hundredth of it is on the wire."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    data = packer.compress(head) + b"".join(packer.compress(filling) for _ in range(BOMB // len(filling)))
    return data + packer.flush()


@pytest.mark.alone
@pytest.mark.parametrize("setup", ["json"], indirect=True)
@pytest.mark.parametrize("filling", [b"a" * (1 << 20), b" " * (1 << 20)], ids=["one element", "between elements"])
def test_gzip_bomb(setup, filling):
    """It is inflated as it streams: nobody's memory holds it, and what was known is still answered."""
    api, server = setup.start(tls=False, watchlist=False)
    api.wait_streams("services")
    head = b'{"kind":"ServiceList","apiVersion":"v1","metadata":{},"items":[' + filling[:1].replace(b"a", b'"')
    api.script("services", "list", Body(bomb(head, filling), headers={"Content-Encoding": "gzip"}))
    web, before = setup.addresses("web.shop"), memory.usage(server.process.pid)["rss"]
    api.script("services", "watch", Status(410))
    api.cut("services")
    setup.wait_log("services: what the API server sends cannot be understood", 60)  # a gigabyte, with a sanitizer
    assert setup.addresses("web.shop") == web
    assert memory.usage(server.process.pid)["peak"] < before + BOMB // 2


# ---- nonsense ----

BROKEN = {  # as a stream or a list: not to be understood
    "html": b"<html>Please sign in</html>\n",
    "deep": b"[" * 5000 + b"\n",
    "binary": b"\xff\xfe\x00\n" * 100,
}
NO_LIST = {
    "empty object": b"{}",
    "no items": b'{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"9"}}',
    "other kind": b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[]}',
    "broken element": b'{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[{]}',
}
PASSED_OVER = [
    b"{}\n",
    b"[]\n",
    b'{"type":"ADDED","object":null}\n',
    b'{"type":"ADDED","object":{"kind":"Service"}}\n' * 50,
    b'{"type":"ADDED","object":{"kind":"Service","metadata":{"name":"\\u0000","namespace":"shop"}}}\n',
    b'{"type":"ADDED","object":{"kind":"Service","metadata":{"name":"' + b"x" * 70000 + b'","namespace":"shop"}}}\n',
    b'{"type":"MODIFIED","object":{"kind":"Service","metadata":{"name":["web"],"namespace":{"shop":1}},"spec":7}}\n',
    b'{"type":"DELETED","object":{"kind":"Service","metadata":{"name":"web"}}}\n',
    b'{"type":"GUESS","object":{"kind":"Service","metadata":{"name":"web","namespace":"shop"}}}\n',
    b'{"type":"BOOKMARK","object":{"kind":"Service","metadata":7}}\n',
    b"\n" * 10000,
]


def strange_frame(kind, obj_kind, *names):
    """An event about objects that are Services in nothing but their kind."""
    meta = b"".join(b"\x0a%c" % len(name) + name + b"\x1a\x04shop" for name in names)
    raw = b"\x0a%c" % len(meta) + meta + b"\x12\x02\x18\x05\x9a\x06\x03???"
    return kubeproto.frame(kind, kubeproto.envelope("v1", obj_kind, raw))


PASSED_OVER_PROTOBUF = [
    b"\0\0\0\0" * 50,
    kubeproto.frame("ADDED", kubeproto.envelope("v1", "Service", b"")) * 50,
    strange_frame("ADDED", "Pod", b"web"),
    strange_frame("ADDED", "Service", b"nul\0byte"),
    strange_frame("ADDED", "Service", b"x" * 80),
    strange_frame("MODIFIED", "Service", b"web", b""),
    strange_frame("DELETED", "Service", b"Web"),
    strange_frame("GUESS", "Service", b"web"),
    strange_frame("BOOKMARK", "Service", b"web"),
]
BROKEN_PROTOBUF = {
    "html": b"<html>Please sign in</html>\n",
    "no envelope": b"\0\0\0\x0b\x0a\5ADDED\x12\2\x0a\0",
    "cut object": b"\0\0\0\x09\x0a\5ADDED\x12\x7f",
    "huge": b"\xff\xff\xff\xff",
}
NO_LIST_PROTOBUF = {
    "json": b'{"kind":"ServiceList","metadata":{"resourceVersion":"9"},"items":[]}',
    "other kind": kubeproto.envelope("v1", "PodList", kubeproto.page({"resourceVersion": "9"}, [])),
    "no version": kubeproto.envelope("v1", "ServiceList", kubeproto.page({}, [])),
    "no list": kubeproto.envelope("v1", "Status", kubeproto.message("Status", {"status": "Success"})),
    "broken element": kubeproto.envelope("v1", "ServiceList", kubeproto.page({"resourceVersion": "9"}, [b"\x0a\x7f"])),
    "cut": kubeproto.envelope("v1", "ServiceList", kubeproto.page({"resourceVersion": "9"}, [b"\0" * 99]))[:60],
}


def bodies(json_bodies, protobuf_bodies):
    """Answers with each of these, as the first argument of a test."""
    made = {f"json, {name}": Body(data) for name, data in json_bodies.items()}
    made.update({f"protobuf, {name}": Body(data, media=PROTOBUF) for name, data in protobuf_bodies.items()})
    return pytest.mark.parametrize("answer", made.values(), ids=made)


@bodies({"html": BROKEN["html"], "deep": BROKEN["deep"]}, BROKEN_PROTOBUF)
def test_broken_initial_events(setup, answer):
    api = setup.prepare(tls=False)
    api.script("services", "watchlist", answer)
    setup.start()
    setup.check_recorded()


@bodies({"html": BROKEN["html"], **NO_LIST}, {"html": BROKEN["html"], **NO_LIST_PROTOBUF})
def test_broken_relist(setup, answer):
    """What is no list of services is not taken for an empty one."""
    api, _ = setup.start(tls=False, watchlist=False)
    api.wait_streams("services")
    web = setup.addresses("web.shop")
    hidden(api, "services", service("new", "10.96.7.7"))
    api.script("services", "watch", Status(410))
    api.script("services", "list", answer)
    api.cut("services")
    while setup.addresses("new.shop") != ["10.96.7.7"]:
        assert setup.addresses("web.shop") == web
        time.sleep(0.01)
    assert setup.addresses("web.shop") == web


@BOTH
def test_broken_stream(setup):
    """Nobody knows what the broken line would have said: the state is fetched anew, and nothing goes away meanwhile."""
    api, _ = setup.start(tls=False)
    api.wait_streams("services")
    web = setup.addresses("web.shop")
    hidden(api, "services", remove=("shop", "by-hand"))
    api.send_raw("services", BROKEN["binary"])
    while setup.addresses("by-hand.shop"):
        assert setup.addresses("web.shop") == web
        time.sleep(0.01)
    assert setup.addresses("web.shop") == web
    setup.wait_log("services: what the API server sends cannot be understood")


@BOTH
def test_undecodable_events(setup):
    """Objects that make no sense are passed over; the stream goes on without a new request."""
    api, _ = setup.start()
    api.wait_streams("services")
    for body in PASSED_OVER_PROTOBUF if setup.protobuf else PASSED_OVER:
        api.send_raw("services", body)
    api.put("services", service("Bad.Name", "10.96.7.6"))
    api.put("services", service("new", "10.96.7.7", annotations={"text": "\0\ud83d\ude00"}))
    setup.wait_addresses("new.shop", ["10.96.7.7"])
    setup.wait_log("services: object passed over")
    assert setup.addresses("web.shop") and len(api.seen("services")) == 1


def test_burst(setup):
    """Five thousand changes in one go: all of them are applied, soon."""
    api, _ = setup.start(tls=False)
    api.wait_streams("services")
    started = time.monotonic()
    for i in range(5000):
        api.put("services", service(f"burst-{i}", f"10.97.{i // 250}.{i % 250 + 1}"))
    setup.wait_addresses("burst-4999.shop", ["10.97.19.250"], 10)
    assert setup.addresses("burst-0.shop") == ["10.97.0.1"]
    for i in range(5000):
        api.remove("services", "shop", f"burst-{i}")
    setup.wait_addresses("burst-4999.shop", [], 10)
    assert setup.rcode("burst-0.shop") == "NXDOMAIN"
    assert time.monotonic() - started < 20


def test_silent_watch_is_not_for_ever(setup):
    """A stream on which nothing comes is fine; the next change is seen after the server ends it."""
    api = setup.prepare()
    api.script("services", "watchlist", Silent())
    setup.start()
    setup.check_recorded()
    api.put("services", service("new", "10.96.7.7"))
    assert setup.rcode("new.shop") == "NXDOMAIN"
    api.cut()
    setup.wait_addresses("new.shop", ["10.96.7.7"], RETRY)
