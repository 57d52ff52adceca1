# SPDX-License-Identifier: Apache-2.0
"""Makes the tests' common parts importable, and lends a control plane to the ways of playing that need one."""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "cluster")]


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: loads the machine, or measures; nothing else may run meanwhile")


@pytest.fixture(scope="session")
def plane():
    """A real API server, started when the first case asks for it."""
    import imports
    from controlplane import ControlPlane

    with ControlPlane() as running:
        imports.prepare(running)
        yield running
