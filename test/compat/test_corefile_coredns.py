# SPDX-License-Identifier: Apache-2.0
"""Real CoreDNS on every Corefile of the corpus: it says what the case says that it says."""

import os
import re
import subprocess
import sys
import time

import pytest

from controlplane import binaries

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "cases", "corefile"))

import corpus  # noqa: E402

HANGS_SECONDS = 1.5
START_SECONDS = 20
SELF_IMPORT_SECONDS = 60
PLAYED = [case for case in corpus.cases() if case.fields.get("coredns") != "not asked"]


@pytest.fixture(scope="module")
def coredns():
    return binaries("coredns")["coredns"]


def run(program, case, directory, seconds):
    """What CoreDNS makes of the Corefile: "ok" when it serves, "hangs" when nothing happens, or its error."""
    output = os.path.join(directory, ".output")
    with open(output, "wb") as file, subprocess.Popen(
        [program, "-conf", "Corefile", "-dns.port", "0"],
        cwd=directory,
        env=case.environment(),
        stdin=subprocess.DEVNULL,
        stdout=file,
        stderr=subprocess.STDOUT,
    ) as process:
        deadline = time.monotonic() + seconds
        try:
            while True:
                ended = process.poll() is not None
                with open(output, encoding="utf-8", errors="replace", newline="") as text:
                    said = text.read()
                if "\nCoreDNS-1." in "\n" + said:
                    return "ok"
                if ended:
                    return re.sub(r"(^|\n)(\[WARNING\]|maxprocs:)[^\n]*(?=\n)", "", said).strip("\n")
                if time.monotonic() > deadline:
                    return "hangs"
                time.sleep(0.01)
        finally:
            process.kill()


@pytest.mark.parametrize("case", PLAYED, ids=lambda case: case.name)
def test_coredns(case, coredns, tmp_path):
    directory = os.path.realpath(tmp_path)
    case.write(directory)
    expected = case.text("coredns", directory)
    if expected is None:
        error = case.text("error", directory)
        expected = "ok" if error is None else re.sub(r" \([^()]*:\d+\)$", "", error).strip("\n")
    seconds = HANGS_SECONDS if expected == "hangs" else START_SECONDS
    if "imports itself" in case.fields.get("error", ""):
        seconds = SELF_IMPORT_SECONDS
    assert run(coredns, case, directory, seconds) == expected
