# SPDX-License-Identifier: Apache-2.0
"""dnsbench --stub asks what glibc's getaddrinfo() asks: the same questions as often, with the same result, in the same time."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(folder) for folder in (HERE, HERE.parents[1] / "cluster", HERE.parents[1] / "lib")]

from bench import DNSBENCH  # noqa: E402
from spaces import OWN_MOUNTS  # noqa: E402

SECONDS = 300


def test_as_glibc():
    command = ["unshare", "--net", sys.executable, OWN_MOUNTS, sys.executable, HERE / "glibc.py", DNSBENCH]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert run.returncode == 0, run.stdout + run.stderr
