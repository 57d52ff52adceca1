# SPDX-License-Identifier: Apache-2.0
"""Every case (a YAML file with `steps`) below this folder is a test, once for each way of playing it.

The environment variable CASES_ON names the ways: "manifests" (the default) gives our server the cluster's objects as
files; "live" gives them to a real API server and lets ours watch it; "coredns" plays the cases with `peer: true` against
CoreDNS, on that same API server.
"""

import glob
import os
import re

import pytest

from runner import Case, Player
from servers import clusterdns_binary

HERE = os.path.dirname(os.path.abspath(__file__))
WAYS = {
    "manifests": lambda case: True,
    "live": lambda case: "@CLUSTER@" in case.text,
    "coredns": lambda case: case["peer"],
}


def cases():
    for path in sorted(glob.glob(f"{HERE}/**/*.yaml", recursive=True)):
        with open(path, encoding="utf-8") as file:
            if re.search(r"^steps:", file.read(), re.M):
                yield Case(os.path.relpath(path))


def pytest_generate_tests(metafunc):
    if "case" not in metafunc.fixturenames:
        return
    ways = os.environ.get("CASES_ON", "manifests").split()
    played = [(case, way) for case in cases() for way in ways if WAYS[way](case)]
    names = [f"{os.path.relpath(case.path, HERE).removesuffix('.yaml')}-{way}" for case, way in played]
    metafunc.parametrize(("case", "way"), played, ids=names)


def test_case(case, way, request):
    plane = request.getfixturevalue("plane") if way != "manifests" and "@CLUSTER@" in case.text else None
    if way == "coredns":
        from controlplane import binaries

        program = binaries("coredns")["coredns"]
    else:
        program = clusterdns_binary()
    failure = None
    try:
        Player(case, program, plane, peer=way == "coredns").play()
    except AssertionError as error:
        failure = str(error)
    if failure:
        pytest.fail(failure, pytrace=False)


def test_rules_are_compared():
    """Each rule of the specification is one case, which CoreDNS plays too."""
    rules = [case for case in cases() if "/rule-" in case.path]
    assert len(rules) == 17 and all(case["peer"] for case in rules)
