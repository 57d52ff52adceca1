# SPDX-License-Identifier: Apache-2.0
"""`clusterdns check` on every Corefile of the corpus: the same error as expected, or none."""

import os
import subprocess

import pytest

import corpus

CLUSTERDNS = os.environ.get("CLUSTERDNS", "build/clusterdns")
PLAYED = [case for case in corpus.cases() if "error" in case.fields or not case.fields.get("parse_only")]


@pytest.mark.parametrize("case", PLAYED, ids=lambda case: case.name)
def test_check(case, tmp_path):
    directory = os.path.realpath(tmp_path)
    case.write(directory)
    run = subprocess.run(
        [os.path.abspath(CLUSTERDNS), "check", "Corefile"],
        cwd=directory,
        env=case.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=20,
        check=False,
    )
    error = case.text("error", directory)
    if error is None:
        assert (run.stdout.splitlines()[-1:], run.returncode) == (["Corefile: ok"], 0), run.stderr
    else:
        # Warnings may come before it.
        assert ("\n" + run.stderr).rstrip("\n").endswith("\n" + error.rstrip("\n")) and run.returncode == 1, run.stderr
