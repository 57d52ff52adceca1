# SPDX-License-Identifier: Apache-2.0
"""As test_faults.py, with the faults that no real API server can be told to have: it is played by test/lib/apireplay.py."""

import os
import random
import sys
import time

import pytest
import servers
from controlplane import PATHS
from faulty import fault, wait_newest
from moving import Moving
from processes import wait_for

sys.path.insert(0, os.path.join(servers.ROOT, "test", "lib"))

from apireplay import ApiReplay, Body, ErrorEvent, Recorded, Reset, Slow, Stall, Status, Truncate, line_of  # noqa: E402

WATCHED = ("namespaces", "services", "endpointslices", "pods")
RETRY_SECONDS = 20  # for faults after which the client may be in its third or fourth wait
LIVED_SECONDS = 1.1  # a watch that has lived for longer counts as good (kube/plan.h: PLAN_LIVED_MS) …
REST_SECONDS = 45  # … and comes in that time after whatever went wrong
FILLERS = 1200  # services that make lists longer than two pages


class World:
    """The played API, our server on it, and objects that change."""

    def __init__(self, api):
        self.api, self.server = api, None
        self.moving = Moving(self._put, self._remove)

    def _put(self, obj):
        self.api.put(PATHS[obj["kind"]][1], obj)

    def _remove(self, obj):
        meta = obj["metadata"]
        self.api.remove(PATHS[obj["kind"]][1], meta.get("namespace", ""), meta["name"])

    def change(self):
        self.moving.change(self._put, self._remove)

    def fault(self, name):
        """From a state in which nothing is wrong: else what failed before would lengthen the waits of this fault."""
        for resource in WATCHED:
            self.api.wait_streams(resource, seconds=REST_SECONDS, lived=LIVED_SECONDS)
        return fault(self.server, self.moving, name, within=RETRY_SECONDS)

    def interrupt(self, *answers, kind="any", resources=WATCHED):
        """Cuts the streams; the next requests of these resources get these answers."""
        for resource in resources:
            self.api.script(resource, kind, *answers)
        for resource in resources:
            self.api.cut(resource)

    def relist(self, *answers, kind="any", resources=WATCHED):
        """As interrupt, but what happened so far cannot be watched any more."""
        for resource in resources:
            self.api.compact(resource)
        self.interrupt(*answers, kind=kind, resources=resources)

    def wait_used(self, resources=WATCHED):
        """Until each scripted answer has been given."""
        wait_for(
            lambda: not any(self.api.scripts[resource, kind] for resource in resources for kind in ("any", "list", "watch")),
            RETRY_SECONDS,
            "the scripted answers to be given",
        )


class Meanwhile:
    """The usual answer, before which something happens."""

    def __init__(self, happens):
        self.happens = happens

    def answer(self, request):
        self.happens()
        request.usual()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripted")
    with ApiReplay() as api:
        world = World(api)
        for number in range(FILLERS):
            spec = {"type": "ExternalName", "externalName": "example.com"}
            meta = {"name": f"filler-{number}", "namespace": "still"}
            api.put("services", {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
        kubeconfig = api.kubeconfig(folder / "kubeconfig")
        corefile = servers.corefile("pods verified", source=f"kubeconfig {kubeconfig}")
        with servers.clusterdns(corefile) as world.server:
            yield world


def test_relists_in_a_row(world):
    """The first of all, for each failure lengthens the pause before the next list."""
    with world.fault("three relists while objects change") as one:
        for _ in range(3):
            world.relist()
            world.change()
            wait_newest(world.server, world.moving, RETRY_SECONDS)
        one.over()


@pytest.mark.parametrize("code", [500, 503])
def test_server_errors(world, code):
    with world.fault(f"HTTP {code} three times") as one:
        world.interrupt(*[Status(code)] * 3)
        world.change()
        world.wait_used()
        one.over()


def test_retry_after(world):
    with world.fault("429 and 503 with Retry-After") as one:
        world.interrupt(Status(429, headers={"Retry-After": "1"}), Status(503, b"no", {"Retry-After": "2"}))
        world.change()
        world.wait_used()
        one.over()


def test_version_too_large(world):
    """Of a replica that is behind: the list is asked for anew, without a version."""
    with world.fault("too large resource version") as one:
        world.relist(ErrorEvent(), Recorded("services.version-too-large"))
        world.change()
        world.wait_used()
        one.over()


def test_token_of_a_page_expires(world):
    """Between two pages the objects change, and the second page is not to be had any more."""
    world.api.watchlist = False
    with world.fault("continue token expired in a paged list") as one:
        too_large = Recorded("services.version-too-large")
        refused = Recorded("services.watchlist-refused")
        meanwhile = Meanwhile(world.change)
        expired = Recorded("services.continue-expired")
        # watch, WatchList, list; since its version is too large, WatchList and list of the newest state, in pages
        world.relist(ErrorEvent(), refused, too_large, refused, meanwhile, expired, resources=("services",))
        world.wait_used(("services",))
        one.over()
    world.api.watchlist = True


def test_watch_list_refused(world):
    world.api.watchlist = False
    with world.fault("WatchList refused from now on") as one:
        world.relist()
        world.change()
        one.over()
    world.api.watchlist = True


def test_streams_cut_anywhere(world):
    places = random.Random(7)
    with world.fault("streams cut after any number of bytes") as one:
        for _ in range(4):
            world.interrupt(Truncate(places.randrange(80_000)), resources=("endpointslices", "services"))
            world.change()
            world.wait_used()
        one.over()


def test_lists_cut_anywhere(world):
    places = random.Random(8)
    with world.fault("relists cut after any number of bytes") as one:
        cuts = [Truncate(places.randrange(50_000)) for _ in range(3)]  # the lists are longer
        world.relist(ErrorEvent(), *cuts, resources=("services", "endpointslices"))
        world.change()
        world.wait_used()
        one.over()


def test_slow(world):
    with world.fault("slow relist") as one:
        world.relist(ErrorEvent(), Slow(2000, 0.01))
        world.change()
        world.wait_used()
        world.change()
        one.over()


def test_reset(world):
    with world.fault("connections reset") as one:
        world.interrupt(Reset(), Reset())
        world.change()
        world.wait_used()
        one.over()


def test_no_answer(world):
    with world.fault("requests without an answer, cut after a second") as one:
        world.interrupt(Stall())
        world.change()
        world.wait_used()
        time.sleep(1)
        world.api.cut()
        one.over()


NONSENSE = {
    "no JSON": Body(b"\0\1\2 this is no event\n"),
    "a portal's page": Body(b"<!DOCTYPE html><title>Log in</title>\n"),
    "half of an event at the end": Body(b'{"type":"MODIFIED","object":{"kind":"Serv'),
    "an empty body": Body(b""),
    "events of another kind": Body(line_of("DELETED", {"kind": "Table", "metadata": {"name": "web", "namespace": "still"}})),
    "an empty list in place of a watch": Body(
        b'{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[]}\n'
    ),
    "a redirect": Status(302, b"", {"Location": "https://127.0.0.1:1/"}),
    "another server's token": Recorded("services.unauthorized"),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense(world, what):
    with world.fault(what) as one:
        world.interrupt(NONSENSE[what])
        world.change()
        world.wait_used()
        one.over()


def test_nonsense_in_place_of_a_list(world):
    """Neither an error page nor another kind's empty list is taken for a list of nothing."""
    world.api.watchlist = False
    table = Body(b'{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"9"},"items":[]}\n')
    cut = Body(b'{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[')
    with world.fault("nonsense in place of a list") as one:
        world.relist(table, cut, Body(b"{}\n"), kind="list")
        world.change()
        world.wait_used()
        one.over()
    world.api.watchlist = True


def test_down(world):
    with world.fault("nobody listens for two seconds") as one:
        world.api.down()
        world.change()
        time.sleep(2)
        world.api.up()
        one.over()
