# SPDX-License-Identifier: Apache-2.0
"""Directives of the small plugins: what CoreDNS takes is taken, and what it refuses is refused with the same words."""

import os

import pytest
import yaml
from controlplane import binaries
from servers import clusterdns_binary
from starting import checked, coredns_outcome

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "directives.yaml"), encoding="utf-8") as table:
    DIRECTIVES = [(name, text) for name, texts in yaml.safe_load(table).items() for text in texts]


@pytest.mark.parametrize(("name", "directive"), DIRECTIVES)
def test_directive(name, directive, tmp_path):
    folder = os.path.realpath(tmp_path)
    lines = directive.split("|") + (["whoami"] if name != "whoami" else [])  # something has to answer
    with open(os.path.join(folder, "Corefile"), "w", encoding="utf-8") as file:
        file.write("\n".join([".:0 {", *lines, "}", ""]))
    theirs = coredns_outcome(binaries("coredns")["coredns"], folder)
    assert theirs != "hangs"
    assert checked(clusterdns_binary(), folder) == theirs
