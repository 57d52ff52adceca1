# SPDX-License-Identifier: Apache-2.0
"""Our server against recorded API traffic: the protocol as the real API server speaks it, and everything that can go
wrong on the way. Needs no control plane."""

import copy
import json

import pytest
import servers
from apireplay import ApiReplay, Body, ErrorEvent, Recorded, Reset, Slow, Stall, Status, Truncate, line_of, recording
from processes import wait_for

SOON = 10  # seconds for what takes one or two of the client's pauses
ZONE = "shop.svc.cluster.local"
USUAL = ("namespaces", "services", "endpointslices")

BEFORE = {
    f"web.{ZONE} A": ["10.96.0.80"],
    f"db.{ZONE} A": ["10.244.0.2", "10.244.0.4"],
    f"by-hand.{ZONE} A": ["10.96.0.81"],
    f"192-0-2-77.by-hand.{ZONE} A": ["192.0.2.77"],
    f"outside.{ZONE} CNAME": ["www.example.com."],
    "ptr:10.96.0.80 PTR": [f"web.{ZONE}."],
    "kubernetes.default.svc.cluster.local A": ["10.96.0.1"],
}


def names(resource, suffix=""):
    """What a recorded list says, as answers that are expected."""
    return json.loads(recording(f"{resource}.list{suffix}")[2])["items"]


def headless(suffix=""):
    """The addresses of db by its recorded slices."""
    mine = [s for s in names("endpointslices", suffix) if s["metadata"]["name"].startswith("db-")]
    return sorted(address for s in mine for e in s["endpoints"] for address in e["addresses"])


BEFORE[f"db.{ZONE} A"] = headless()
AFTER = {
    f"web.{ZONE} A": ["10.96.0.80"],
    f"db.{ZONE} A": headless("-after"),
    f"new.{ZONE} A": ["10.96.0.82"],
    f"by-hand.{ZONE} A": [],
    f"outside.{ZONE} CNAME": ["www.example.net."],
    "ptr:10.96.0.81 PTR": [],
    "kubernetes.default.svc.cluster.local A": ["10.96.0.1"],
}


def service(name, address, namespace="shop"):
    spec = {"clusterIP": address, "clusterIPs": [address], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}
    return {"metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}"}, "spec": spec}


@pytest.fixture
def api():
    with ApiReplay() as api:
        yield api


@pytest.fixture
def start(api, tmp_path):
    """Starts our server on the replayed API; `ready=False`: waits until it listens, not until it is synced."""
    running = []

    def start(*options, ready=True, **user):
        kubeconfig = api.kubeconfig(str(tmp_path / "kubeconfig"), **user)
        server = servers.clusterdns(servers.corefile("startup_timeout 1s", *options), ready=ready, KUBECONFIG=kubeconfig)
        running.append(server)
        server.wait_listening()
        return server

    yield start
    statuses = [server.stop() for server in running]
    assert statuses == [0] * len(statuses)


def answers(server, wanted):
    got = {line: server.ask(line) for line in wanted}
    return {line: answer.rdata() if answer.rcode == "NOERROR" else [] for line, answer in got.items()}


def expect(server, wanted, seconds=SOON):
    wait_for(lambda: answers(server, wanted) == wanted, seconds, f"{wanted}")


def kinds(api, resource):
    return [request.kind for request in api.seen(resource)]


# ---- the protocol ----


def test_first_sync(api, start):
    server = start()
    assert answers(server, BEFORE) == BEFORE
    assert {request.resource for request in api.requests} == set(USUAL), "pods are watched for `pods verified` only"
    for resource in USUAL:
        (request,) = api.seen(resource)
        assert request.kind == "watchlist"
        assert request.query["resourceVersionMatch"] == "NotOlderThan"
        assert request.query["allowWatchBookmarks"] == "true"
        assert 60 <= int(request.query["timeoutSeconds"]) <= 600
        assert request.headers["Authorization"] == f"Bearer {api.token}"
        assert "clusterdns" in request.headers["User-Agent"]


def test_pods_for_verified_only(api, start):
    server = start("pods verified")
    addresses = [pod["status"]["podIP"] for pod in names("pods")]
    assert addresses
    for address in addresses:
        assert server.ask(f"{address.replace('.', '-')}.shop.pod.cluster.local A").addresses() == [address]
    assert server.ask("10-244-0-250.shop.pod.cluster.local A").rcode == "NXDOMAIN"
    assert kinds(api, "pods") == ["watchlist"]


def test_recorded_changes(api, start):
    server = start()
    for resource in USUAL:
        api.wait_streams(resource)
        api.play(resource)
    expect(server, AFTER, 1)
    assert server.ask("short-lived.svc.cluster.local A").rcode == "NXDOMAIN"


def test_without_watch_list(api, start):
    """A server that answers 422 to WatchList is listed and then watched from the list's version."""
    api.watchlist = False
    server = start()
    assert answers(server, BEFORE) == BEFORE
    api.wait_streams("services")
    assert kinds(api, "services") == ["watchlist", "list", "watch"]
    version = json.loads(recording("services.list")[2])["metadata"]["resourceVersion"]
    assert api.seen("services", "watch")[0].query["resourceVersion"] == version
    api.play("services")
    expect(server, {f"new.{ZONE} A": ["10.96.0.82"]}, 1)


def test_pages(api, start):
    """A list longer than a page is fetched in pages, each continued from the one before."""
    api.watchlist = False
    many = {f"many-{n}.{ZONE} A": [f"10.97.{n >> 8}.{n & 255}"] for n in range(1100)}
    for line, (address,) in many.items():
        api.put("services", service(line.split(".")[0], address))
    server = start()
    assert answers(server, many) == many
    pages = api.seen("services", "list")
    assert len(pages) == 3
    assert ["continue" in page.query for page in pages] == [False, True, True]
    assert all("resourceVersion" not in page.query and "resourceVersionMatch" not in page.query for page in pages[1:])


def test_page_expired(api, start):
    """410 for a continue token: the list is fetched anew."""
    api.watchlist = False
    for n in range(600):
        api.put("services", service(f"many-{n}", f"10.97.{n >> 8}.{n & 255}"))
    resources = iter(["first page"])

    class ThenExpired:
        def answer(self, request):
            request.usual()
            next(resources)
            api.script("services", "list", Recorded("services.continue-expired"))

    api.script("services", "list", ThenExpired())
    server = start()
    expect(server, {f"many-0.{ZONE} A": ["10.97.0.0"], f"many-599.{ZONE} A": ["10.97.2.87"]})


def test_resume(api, start):
    """A watch that is cut or ends goes on from the last version it saw, without a new list."""
    server = start()
    api.wait_streams("services")
    api.put("services", service("one", "10.97.0.1"))
    expect(server, {f"one.{ZONE} A": ["10.97.0.1"]}, 1)
    version = str(api.resources["services"].version)
    api.end("services")
    api.wait_requests("services", "watch", 1)
    assert api.seen("services", "watch")[0].query["resourceVersion"] == version
    api.wait_streams("services")
    api.cut("services")
    api.put("services", service("two", "10.97.0.2"))
    api.remove("services", "shop", "one")
    expect(server, {f"two.{ZONE} A": ["10.97.0.2"], f"one.{ZONE} A": []})
    assert kinds(api, "services").count("watchlist") == 1
    assert kinds(api, "services").count("list") == 0


def test_resume_from_bookmark(api, start):
    server = start()
    api.wait_streams("services")
    state = api.resources["services"]
    state.version += 1000
    api.bookmark("services")
    api.put("namespaces", {"metadata": {"name": "marker"}})
    expect(server, {}, 1)
    wait_for(lambda: server.ask("marker.svc.cluster.local A").rcode == "NOERROR", 2, "the event behind the bookmark")
    api.end("services")
    api.wait_requests("services", "watch", 1)
    wait_for(lambda: api.seen("services", "watch"), SOON, "the next watch")
    assert api.seen("services", "watch")[-1].query["resourceVersion"] == str(state.version)


# ---- history that is gone ----


@pytest.mark.parametrize("fault", [ErrorEvent(), Recorded("services.watch-expired"), Recorded("services.continue-expired")])
def test_expired(api, start, fault):
    """410, as an event or as a status: everything is fetched again; what is gone goes, what stays never blinks."""
    server = start()
    api.wait_streams("services")
    api.down()
    api.remove("services", "shop", "by-hand")
    api.put("services", service("three", "10.97.0.3"))
    api.script("services", "watch", fault)
    api.up()
    seen = []

    def relisted():
        seen.append(server.ask(f"web.{ZONE} A").addresses())
        return server.ask(f"three.{ZONE} A").addresses() == ["10.97.0.3"]

    wait_for(relisted, SOON, "the new list")
    expect(server, {f"by-hand.{ZONE} A": [], f"web.{ZONE} A": ["10.96.0.80"]})
    assert all(addresses == ["10.96.0.80"] for addresses in seen)


def test_version_from_the_future(api, start):
    """504 "Too large resource version" for a relist (another API server, that is behind): asked without a version."""
    server = start()
    api.wait_streams("services")
    api.compact("services")
    api.script("services", "watchlist", Recorded("services.version-too-large"))
    api.script("services", "list", Recorded("services.version-too-large"))
    api.cut("services")
    api.put("services", service("four", "10.97.0.4"))
    expect(server, {f"four.{ZONE} A": ["10.97.0.4"]}, 30)


# ---- refusals ----


def test_unauthorized(api, start, tmp_path):
    """401 until the token file holds the right one."""
    (tmp_path / "token").write_text("old")
    server = start(ready=False, token="", tokenFile=str(tmp_path / "token"))
    wait_for(lambda: "401" in server.log(), SOON, "a log line")
    assert server.ask(f"web.{ZONE} A").rcode == "SERVFAIL"
    assert server.ask("nothing.shop.svc.cluster.local A").rcode == "SERVFAIL"
    (tmp_path / "token").write_text(api.token)
    expect(server, BEFORE, 30)
    server.wait_ready()


def test_forbidden(api, start):
    """403 for one resource: its name and the status are logged; nothing is answered from half of the facts."""
    api.refuse("endpointslices", Recorded("endpointslices.forbidden"))
    server = start(ready=False)
    wait_for(lambda: "403" in server.log() and "endpointslices" in server.log(), SOON, "a log line")
    assert server.ask(f"db.{ZONE} A").rcode == "SERVFAIL"
    assert not server.http_ready()
    api.refuse("endpointslices", None)
    expect(server, BEFORE)


@pytest.mark.parametrize("code", [429, 500, 503])
def test_retry_after(api, start, code):
    """What the server asks for is waited for."""
    api.script("services", "watchlist", Status(code, headers={"Retry-After": "2"}))
    server = start(ready=False)
    expect(server, BEFORE)
    first, second = (request.time for request in api.seen("services")[:2])
    assert 1.9 <= second - first < 4.0


# ---- broken transport ----


@pytest.mark.parametrize("size", [0, 1, 10, 700, 1500, 3000, 4500])
def test_cut_in_the_first_sync(api, start, size):
    """The stream ends in the middle of an object: nothing of it is kept, the rest comes with the next try."""
    api.script("services", "watchlist", Truncate(size))
    api.script("endpointslices", "watchlist", Truncate(size))
    expect(start(ready=False), BEFORE)


@pytest.mark.parametrize("size", [0, 50, 1000, 2500])
def test_cut_in_a_list(api, start, size):
    api.watchlist = False
    api.script("services", "list", Truncate(size))
    expect(start(ready=False), BEFORE)


def test_cut_in_an_event(api, start):
    """Half an event, then the end: the other half is not made up, and the event comes again."""
    server = start()
    api.wait_streams("services")
    obj = service("half", "10.97.0.5")
    line = line_of("ADDED", api.resources["services"].item({**obj, "metadata": {**obj["metadata"], "resourceVersion": "900"}}))
    api.send_raw("services", line[: len(line) // 2])
    api.cut("services")
    api.put("services", obj)
    expect(server, {f"half.{ZONE} A": ["10.97.0.5"], **BEFORE})


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_slow(api, start, size):
    """Bytes that come one by one, or a few at a time, make the same objects."""
    for resource in USUAL:
        api.script(resource, "watchlist", Slow(size, 0))
    expect(start(ready=False), BEFORE)


def test_reset(api, start):
    for resource in USUAL:
        api.script(resource, "any", Reset())
    expect(start(ready=False), BEFORE)


def test_stalled_start(api, start):
    """An API server that takes the request and says nothing: we serve SERVFAIL, and go on when it is cut."""
    api.script("services", "any", Stall())
    server = start(ready=False)
    assert server.ask(f"web.{ZONE} A").rcode == "SERVFAIL"
    assert not server.http_ready()
    api.cut()
    expect(server, BEFORE)


def test_api_away(api, start):
    """The API goes away and comes back: nothing changes meanwhile, and what is new arrives."""
    server = start()
    api.down()
    wait_for(lambda: "reach" in server.log() or "connect" in server.log(), SOON, "a log line")
    assert answers(server, BEFORE) == BEFORE
    assert server.http_ready()
    api.put("services", service("six", "10.97.0.6"))
    api.up()
    expect(server, {f"six.{ZONE} A": ["10.97.0.6"], **BEFORE}, 30)


def test_plain_http(tmp_path):
    with ApiReplay(tls=False) as api:
        kubeconfig = api.kubeconfig(str(tmp_path / "kubeconfig"))
        with servers.clusterdns(servers.corefile(), KUBECONFIG=kubeconfig) as server:
            assert answers(server, BEFORE) == BEFORE


# ---- hostile content ----


def odd_services():
    """Services that no API server would store, and the neighbour that has to survive them."""
    good = service("good", "10.97.1.1")
    yield "no metadata", {"spec": good["spec"]}
    yield "no name", {"metadata": {"namespace": "shop"}, "spec": good["spec"]}
    yield "empty name", {"metadata": {"name": "", "namespace": "shop"}, "spec": good["spec"]}
    yield "a name that is a number", {"metadata": {"name": 7, "namespace": "shop"}, "spec": good["spec"]}
    yield "a name of 300 bytes", {"metadata": {"name": "x" * 300, "namespace": "shop"}, "spec": good["spec"]}
    yield "a name with dots", {"metadata": {"name": "a.b.c", "namespace": "shop"}, "spec": good["spec"]}
    yield "no namespace", {"metadata": {"name": "free"}, "spec": good["spec"]}
    yield "no spec", {"metadata": {"name": "bare", "namespace": "shop"}}
    yield "a spec that is a list", {"metadata": {"name": "list", "namespace": "shop"}, "spec": []}
    yield "ports that are text", {"metadata": {"name": "text", "namespace": "shop"}, "spec": {**good["spec"], "ports": "80"}}
    yield "null everywhere", {"metadata": {"name": "null", "namespace": "shop"}, "spec": dict.fromkeys(good["spec"])}
    yield "no address", service("zero", "999.1.2.3")
    yield "a port out of range", {"metadata": {"name": "port", "namespace": "shop"}, "spec": {**good["spec"], "ports": [{"port": 70000}]}}
    yield "a deep nest", {"metadata": {"name": "deep", "namespace": "shop"}, "spec": json.loads("[" * 200 + "]" * 200)}
    yield "a thousand addresses", {
        "metadata": {"name": "wide", "namespace": "shop"},
        "spec": {**good["spec"], "clusterIPs": [f"10.97.{n >> 8}.{n & 255}" for n in range(1000)]},
    }


@pytest.mark.parametrize("what, odd", odd_services(), ids=[what for what, _ in odd_services()])
def test_odd_object(api, start, what, odd):
    """In the first sync and as an event: never a crash, never a good neighbour lost."""
    api.resources["services"].objects["odd", ""] = {**copy.deepcopy(odd), "kind": "Service"}
    server = start(ready=False)
    expect(server, BEFORE)
    api.wait_streams("services")
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        api.send_raw("services", line_of(kind, {"kind": "Service", "apiVersion": "v1", **odd}))
    api.put("services", service("good", "10.97.1.1"))
    expect(server, {f"good.{ZONE} A": ["10.97.1.1"], **BEFORE})


@pytest.mark.parametrize(
    "data",
    [b"not json\n", b"{}\n", b"[]\n", b"null\n", b'{"type":"ADDED"}\n', b'{"type":"NEW","object":{}}\n', b"\n\n\n",
     b'{"type":"ADDED","object":7}\n', b"\x00\xff\xfe\n", b'{"type":"ERROR","object":null}\n', b"{" * 5000 + b"\n",
     b'{"type":"ADDED","object":{"kind":"Service","metadata":{"name":"\xff\xfe","namespace":"shop"}}}\n'],
    ids=lambda data: repr(data[:40]),
)  # fmt: skip
def test_garbage_in_a_watch(api, start, data):
    """Whatever comes: the server lives, and is right again soon."""
    server = start()
    api.wait_streams("services")
    api.send_raw("services", data)
    api.put("services", service("good", "10.97.1.1"))
    expect(server, {f"good.{ZONE} A": ["10.97.1.1"], **BEFORE}, 30)


@pytest.mark.parametrize("body", [b"", b"hello", b"{}", b'{"items":7}', b'{"kind":"ServiceList","items":[{]}'])
def test_wrong_answer_to_a_list(api, start, body):
    """200 with a body that is no list: tried again."""
    api.watchlist = False
    api.script("services", "list", Body(body))
    expect(start(ready=False), BEFORE)
