# SPDX-License-Identifier: Apache-2.0
"""Every option of CoreDNS's kubernetes plugin is taken, and what CoreDNS refuses is refused with the same words."""

import os
import re

import pytest
import yaml
from controlplane import binaries
from servers import clusterdns_binary
from starting import checked, coredns_outcome

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "stanzas.yaml"), encoding="utf-8") as table:
    STANZAS = yaml.safe_load(table)
BLOCKS = STANZAS.pop("blocks inside")
KUBECONFIG = """apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: test, user: {}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
"""
WHOLE = [  # directives, not only their bodies
    "kubernetes",
    "kubernetes coredns.local test.local",
    "kubernetes coredns.local {\n}",
    "kubernetes CoreDNS.local. 10.0.0.0/9 2001:db8::/45",
    "kubernetes 10.0.0.0/8",
    "kubernetes 10.0.0.0/8 2001:db8::/32",
    "kubernetes x.in-addr.arpa y.ip6.arpa",
    "kubernetes 10.in-addr.arpa {\nttl -1\n}",
    "kubernetes bad..zone",
    "kubernetes bad..zone good.zone",
    "kubernetes coredns.local\nkubernetes cluster.local",
    "kubernetes coredns.local {\n}\nkubernetes cluster.local {\ngiant_seed\n}",
    "kubernetes coredns.local {\ngiant_seed\n}\nkubernetes cluster.local",
    "kubernetes coredns.local {\nzonal\nnoendpoints\n}\nkubernetes cluster.local",
    "kubernetes coredns.local clusterset.local {\nmulticluster clusterset.local\n}",
    "kubernetes coredns.local clusterset.local {\nmulticluster clusterset.local test.local\n}",
    "kubernetes a.test 10.0.0.0/7 {\nmulticluster 12.0.0.0/8\n}",
    "kubernetes {\nmulticluster a.test\n}",
]
START = "endpoint http://127.0.0.1:1\nstartup_timeout 1ms\n"  # without a cluster
PLACE = re.compile(r"Corefile:(\d+) - ")
# The checks that are made last, of which CoreDNS names the line where the block ends; ours is the option's.
LAST = ("cannot both be set", "is not authoritative for", "requires the endpoint cache")


def compare(folder, directive):
    """Asserts that both servers say the same of a directive."""
    directive = directive.replace("@DIR@", folder)
    with open(os.path.join(folder, "kubeconfig"), "w", encoding="utf-8") as file:
        file.write(KUBECONFIG)
    with open(os.path.join(folder, "Corefile"), "w", encoding="utf-8") as file:
        file.write(f".:0 {{\n{directive}\n}}\n")
    theirs, ours = coredns_outcome(binaries("coredns")["coredns"], folder), checked(clusterdns_binary(), folder)
    if any(words in theirs for words in LAST):
        last, first = (int(PLACE.search(text)[1]) for text in (theirs, ours))
        assert 2 <= first <= last
        theirs, ours = PLACE.sub("", theirs), PLACE.sub("", ours)
    assert ours == theirs
    return theirs


@pytest.mark.parametrize("body", [body for group in STANZAS.values() for body in group])
def test_body(body, tmp_path):
    said = compare(os.path.realpath(tmp_path), f"kubernetes cluster.local {{\n{body}\n{START}}}")
    assert said != "hangs"


@pytest.mark.parametrize("directive", WHOLE)
def test_directive(directive, tmp_path):
    folder = os.path.realpath(tmp_path)
    # A directive with an end of its own gets the lines that let CoreDNS start, if it would.
    compare(folder, re.sub(r"\}$", START + "}", directive) if directive.endswith("}") else f"{directive} {{\n{START}}}")


@pytest.mark.parametrize("body", BLOCKS)
def test_block_inside(body, tmp_path):
    """Refused by both. What CoreDNS says depends on what stands behind the block; we name the place."""
    folder = os.path.realpath(tmp_path)
    with open(os.path.join(folder, "Corefile"), "w", encoding="utf-8") as file:
        file.write(f".:0 {{\nkubernetes cluster.local {{\n{body}\n{START}}}\n}}\n")
    assert coredns_outcome(binaries("coredns")["coredns"], folder) not in ("ok", "hangs")
    assert re.search(r"Corefile:3 - .*'\{'", checked(clusterdns_binary(), folder))


def test_options_are_taken(tmp_path):
    folder = os.path.realpath(tmp_path)
    for body in STANZAS["each option, as it is meant"]:
        assert compare(folder, f"kubernetes cluster.local {{\n{body}\n{START}}}") == "ok", body
