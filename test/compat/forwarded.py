# SPDX-License-Identifier: Apache-2.0
"""Compares CoreDNS and our server over the same upstreams: forwarded.yaml says with which Corefiles and what is asked.

forwarded.py diff [VARIANT…]   prints every difference
forwarded.py self [VARIANT…]   CoreDNS against CoreDNS: what is left is noise of the comparison itself
"""

import contextlib
import os
import pathlib
import re
import sys
import tempfile
from dataclasses import dataclass, replace

import compare
import yaml
from asking import SECTIONS
from controlplane import ControlPlane
from processes import free_port
from resolvers import Knot, Unbound
from servers import clusterdns, coredns
from world import World

HERE = pathlib.Path(__file__).parent
ZONES = ("example.org", "example.net", "2.0.192.in-addr.arpa")
TIMES = 2
LATER = 2  # seconds that may lie between two servers' questions to one upstream whose TTLs count down


@dataclass(frozen=True)
class Case(compare.Case):
    """Asked `times` times in a row."""

    times: int = TIMES

    def __str__(self):
        return f"{self.variant}/{self.group}/{self.line}"


def load():
    """(variants, cases, text of the hosts file); cases are ordered by variant."""
    document = yaml.safe_load((HERE / "forwarded.yaml").read_text(encoding="utf-8"))
    cases = []
    for variant, its in document["variants"].items():
        world = World([], its["corefile"])
        for group in document["groups"]:
            if variant not in group["variants"]:
                continue
            lines = list(group.get("ask", []))
            lines += [f"{name} {kind}" for name in group.get("names", []) for kind in group.get("types", [])]
            cases += [Case(variant, group["name"], line, world, times=group.get("times", TIMES)) for line in lines]
    return document["variants"], cases, document["hosts"]


class Setting:
    """The API server, the upstreams and the files that all variants share."""

    def __init__(self, plane, hosts):
        self.plane, self.hosts = plane, hosts
        self.open = contextlib.ExitStack()
        self.values = {}

    def __enter__(self):
        folder = pathlib.Path(self.open.enter_context(tempfile.TemporaryDirectory(prefix="clusterdns-compat-")))
        knot = self.open.enter_context(Knot(folder / "knot", {zone: HERE / "zones" / f"{zone}.zone" for zone in ZONES}, ["example.org"]))
        unbound = self.open.enter_context(Unbound(folder / "unbound", knot))
        (folder / "hosts").write_text(self.hosts, encoding="utf-8")
        self.values = {
            "KUBECONFIG": self.plane.kubeconfig("dns"), "KNOT": knot.port, "UNBOUND": unbound.port, "TLS": unbound.tls_port,
            "NAME": unbound.name, "CA": unbound.authority, "DEAD": free_port(), "HOSTS": folder / "hosts",
        }  # fmt: skip
        return self

    def __exit__(self, *unused):
        self.open.close()

    @contextlib.contextmanager
    def running(self, variant, *two):
        """A Pair of two servers (servers.coredns, servers.clusterdns) under a variant."""
        with two[0](variant["corefile"], **self.values) as left, two[1](variant["corefile"], **self.values) as right:
            with contextlib.closing(compare.Pair(left, right)) as pair:
                yield pair


def _ttl_apart(record):
    owner, ttl, rest = record.split(None, 2)
    return int(ttl), f"{owner} {rest}"


def at_one_time(left, right):
    """`right` with the TTLs of `left` where they are at most LATER apart and all else is the same."""
    sections = {}
    for name in SECTIONS:
        waiting = [_ttl_apart(record) for record in left.sections[name]]
        sections[name] = []
        for record in right.sections[name]:
            ttl, text = _ttl_apart(record)
            near = next((one for one in waiting if one[1] == text and abs(one[0] - ttl) <= LATER), None)
            if near is not None:
                waiting.remove(near)
                record = re.sub(r"^(\S+) \d+", rf"\g<1> {near[0]}", record)
            sections[name].append(record)
    return replace(right, sections={name: sorted(records) for name, records in sections.items()})


def judge(case, left, right):
    """(difference lines, the accepted class that explains them or None)."""
    return compare.judge(case, left, at_one_time(left, right))


def rounds(pair, case):
    """(left, right) for each time that the question is asked."""
    for _ in range(case.times):
        yield pair.ask(case)


def _run(mode, wanted):
    variants, cases, hosts = load()
    totals = {}
    with ControlPlane() as plane:
        compare.prepare(plane)
        with Setting(plane, hosts) as setting:
            for name in wanted or variants:
                with setting.running(variants[name], coredns, clusterdns if mode == "diff" else coredns) as pair:
                    for case in (case for case in cases if case.variant == name):
                        for number, (left, right) in enumerate(rounds(pair, case)):
                            lines, kind = judge(case, left, right)
                            word = kind.name if kind else "different" if lines else "equal"
                            totals[word] = totals.get(word, 0) + 1
                            if lines and not kind:
                                print("\n  ".join([f"{case} ({number})", *lines]), flush=True)
    print(totals, file=sys.stderr)


if __name__ == "__main__":
    sys.path.insert(0, os.path.join(HERE.parent, "cluster"))
    _run(sys.argv[1], sys.argv[2:])
