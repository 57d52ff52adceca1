# SPDX-License-Identifier: Apache-2.0
"""Real CoreDNS on every Corefile of the corpus: it says what the case says that it says."""

import os
import sys

import pytest
from controlplane import binaries
from starting import START_SECONDS, coredns_outcome, without_place

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "cases", "corefile"))

import corpus  # noqa: E402

HANGS_SECONDS = 1.5
SELF_IMPORT_SECONDS = 60
PLAYED = [case for case in corpus.cases() if case.fields.get("coredns") != "not asked"]


@pytest.fixture(scope="module")
def coredns():
    return binaries("coredns")["coredns"]


@pytest.mark.parametrize("case", PLAYED, ids=lambda case: case.name)
def test_coredns(case, coredns, tmp_path):
    directory = os.path.realpath(tmp_path)
    case.write(directory)
    expected = case.text("coredns", directory)
    if expected is None:
        error = case.text("error", directory)
        expected = "ok" if error is None else without_place(error)
    seconds = HANGS_SECONDS if expected == "hangs" else START_SECONDS
    if "imports itself" in case.fields.get("error", ""):
        seconds = SELF_IMPORT_SECONDS
    assert coredns_outcome(coredns, directory, seconds, case.environment()) == expected
