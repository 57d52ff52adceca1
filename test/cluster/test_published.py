# SPDX-License-Identifier: Apache-2.0
"""The manifests that the project gives away are ones that a real API server takes, without an unknown field."""

import os

import pytest

from controlplane import ControlPlane
from servers import ROOT


@pytest.mark.parametrize("path", ["zones/example-cluster", "deploy/clusterdns.yaml", "deploy/multicluster.yaml"])
def test_api_server_takes(path):
    with ControlPlane() as plane:
        plane.kubectl("apply", "--validate=strict", "-f", os.path.join(ROOT, path))
