# SPDX-License-Identifier: Apache-2.0
"""What several files here use: one control plane with controllers and nodes, and Corefiles."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "compat"))

import faulty  # noqa: E402
import servers  # noqa: E402
from audit import Audit  # noqa: E402
from controlplane import ControlPlane  # noqa: E402


@pytest.fixture(scope="session")
def plane():
    """A control plane with controllers and two nodes; every test uses namespaces of its own."""
    with ControlPlane(controllers=True, nodes=2) as plane:
        yield plane


@pytest.fixture(scope="session")
def server(plane):
    """Our server on that control plane, with `pods verified`."""
    with servers.clusterdns(servers.corefile("pods verified"), KUBECONFIG=plane.kubeconfig("dns")) as server:
        yield server


@pytest.fixture(scope="session")
def audit(tmp_path_factory):
    return Audit(tmp_path_factory.mktemp("audit"))


@pytest.fixture(scope="session")
def quiet(audit):
    """A control plane without controllers, on which little happens, and that keeps an `audit` log."""
    with ControlPlane(api_flags=audit.flags) as quiet:
        yield quiet


def pytest_terminal_summary(terminalreporter):
    """The counts of test_faults.py, which are to be seen when all is well, too."""
    if faulty.LINES:
        terminalreporter.section("answers under faults")
    for line in faulty.LINES:
        terminalreporter.write_line(line)
