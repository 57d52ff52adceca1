# SPDX-License-Identifier: Apache-2.0
"""Reads the questions, prepares the cluster they are about, and compares two servers' answers.

compare.py dump [VARIANT…]     prints CoreDNS's answers as YAML
compare.py diff [VARIANT…]     prints every difference between CoreDNS and our server
compare.py self [VARIANT…]     CoreDNS against CoreDNS: what is left is noise of the comparison itself
"""

import contextlib
import os
import sys
from collections import Counter
from dataclasses import dataclass

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cluster"))

import accepted  # noqa: E402
import asking  # noqa: E402
import imports  # noqa: E402
import servers  # noqa: E402
from controlplane import ControlPlane, yaml_objects  # noqa: E402
from processes import free_port, wait_for  # noqa: E402
from world import World, own_address  # noqa: E402


@dataclass(frozen=True)
class Case:
    """One question under one variant; `silent`: there may be no answer to wait for."""

    variant: str
    group: str
    line: str
    world: World
    silent: bool = False

    def __str__(self):
        return f"{self.variant}/{self.group}/{self.line}"


def _read(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return file.read()


def load():
    """(variants, cases) of questions.yaml; cases are ordered by variant."""
    document = yaml.safe_load(_read("questions.yaml"))
    objects = list(yaml_objects(_read("objects.yaml")))
    cases = []
    for variant, its in document["variants"].items():
        world = World([*objects, *yaml_objects(its.get("objects", "").replace("@HOST@", own_address() or "192.0.2.1"))], its["corefile"])
        for group in document["groups"]:
            if variant not in group["variants"]:
                continue
            lines = list(group.get("ask", []))
            lines += [f"{name} {kind}" for name in group.get("names", []) for kind in group.get("types", [])]
            assert all(isinstance(line, str) for line in lines), f"group {group['name']}: quote lines with ': '"
            cases += [Case(variant, group["name"], line, world, group.get("silent", False)) for line in lines]
    return document["variants"], cases


def prepare(plane):
    """Loads the compared cluster into a control plane (without controllers)."""
    imports.prepare(plane)
    objects = plane.apply(_read("objects.yaml")) + plane.apply(_read("objects-big.yaml"))
    for obj in objects:
        labels = obj["metadata"].get("labels", {})
        if labels.get("clusterdns.test/delete"):
            plane.delete_object(obj)
        if labels.get("clusterdns.test/vanish"):
            plane.delete_raw(f"/registry/namespaces/{obj['metadata']['name']}")
            path = plane.object_path(obj)
            wait_for(lambda path=path: plane.request("GET", path)[0] == 404, 10, f"{path} to vanish")


@contextlib.contextmanager
def variant_objects(plane, variant):
    """The objects that are there only for one variant."""
    text = variant.get("objects", "")
    if not text:
        yield
        return
    host = own_address()
    if host is None:
        raise AssertionError("this machine has no address but loopback: the variant cannot be asked")
    objects = list(yaml_objects(text.replace("@HOST@", host)))
    for obj in objects:
        plane.apply_object(obj)
    try:
        yield
    finally:
        for obj in objects:
            plane.delete_object(obj)


def start(server, plane, variant):
    """Starts one server (servers.coredns or servers.clusterdns) with a variant's Corefile."""
    dead = plane.kubeconfig("dns", server=f"https://127.0.0.1:{free_port()}")
    return server(variant["corefile"], KUBECONFIG=plane.kubeconfig("dns"), DEAD=dead)


class Pair:
    """Two running servers that are asked the same."""

    def __init__(self, left, right):
        self.left, self.right, self.asker = left, right, asking.Asker()

    def ask(self, case):
        seconds = asking.SILENCE_SECONDS if case.silent else asking.ANSWER_SECONDS
        question = asking.parse(case.line)
        self.asker.next_id()
        return self.asker.ask_all((self.left.port, self.right.port), question, seconds)

    def close(self):
        self.asker.close()


@contextlib.contextmanager
def running(plane, variant, *two):
    """A Pair of two servers (servers.coredns, servers.clusterdns) under a variant."""
    with variant_objects(plane, variant):
        with start(two[0], plane, variant) as left, start(two[1], plane, variant) as right:
            with contextlib.closing(Pair(left, right)) as pair:
                yield pair


def differences(left, right):
    """What differs between two answers, as lines; empty if nothing does.

    Of two truncated answers the records are not compared: CoreDNS keeps those that its cache lists first, which differs
    from run to run, and a client asks again over TCP.
    """
    lines = []
    for name in ("result", "rcode", "opcode", "flags", "question", "edns"):
        ours, theirs = getattr(right, name), getattr(left, name)
        if ours != theirs:
            lines.append(f"{name}: CoreDNS {theirs or 'none'} | clusterdns {ours or 'none'}")
    truncated = "TC" in left.flags and "TC" in right.flags
    for section in () if truncated else asking.SECTIONS:
        missing = Counter(left.sections[section]) - Counter(right.sections[section])
        surplus = Counter(right.sections[section]) - Counter(left.sections[section])
        lines += [f"{section}: only CoreDNS    {record}" for record in sorted(missing.elements())]
        lines += [f"{section}: only clusterdns {record}" for record in sorted(surplus.elements())]
    return lines


def judge(case, left, right):
    """(difference lines, the accepted class that explains them or None)."""
    lines = differences(left, right)
    if not lines:
        return [], None
    return lines, next((kind for kind in accepted.CLASSES if kind.explains(case, left, right)), None)


def _run(mode, wanted):
    variants, cases = load()
    other = servers.clusterdns if mode == "diff" else servers.coredns
    totals = Counter()
    with ControlPlane() as plane:
        prepare(plane)
        for name in wanted or variants:
            with running(plane, variants[name], servers.coredns, other) as pair:
                for case in (case for case in cases if case.variant == name):
                    _report(mode, case, *pair.ask(case), totals)
    print(" ".join(f"{count} {word}" for word, count in totals.items()), file=sys.stderr)


def _report(mode, case, left, right, totals):
    if mode == "dump":
        yaml.safe_dump(
            [{"case": str(case), "answer": str(left)}], sys.stdout, default_style="|", sort_keys=False, width=1000
        )
        totals["answers"] += 1
        return
    lines, kind = judge(case, left, right)
    totals["accepted" if kind else "different" if lines else "equal"] += 1
    if lines and not kind:
        print("\n  ".join([str(case), *lines]))


if __name__ == "__main__":
    _run(sys.argv[1], sys.argv[2:])
