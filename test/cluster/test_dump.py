# SPDX-License-Identifier: Apache-2.0
"""`kubectl get … -A -o yaml` of the real API server, loaded with `manifests`, answers as the live API does."""

import compare
import pytest
import servers
from controlplane import ControlPlane

KINDS = "namespaces,services,endpointslices,pods"
MODES = {"default": ["pods disabled"], "kubeadm": ["pods insecure", "ttl 30"], "verified": ["pods verified"]}


@pytest.fixture(scope="module")
def dumped(tmp_path_factory):
    """The compared cluster and its dumps: (plane, {format: path})."""
    folder = tmp_path_factory.mktemp("dump")
    with ControlPlane() as plane:
        compare.prepare(plane)
        paths = {}
        for kind in ("yaml", "json"):
            paths[kind] = folder / f"dump.{kind}"
            paths[kind].write_text(plane.kubectl("get", KINDS, "-A", "-o", kind))
        yield plane, paths


@pytest.mark.parametrize("form", ["yaml", "json"])
@pytest.mark.parametrize("mode", MODES)
def test_same_answers(dumped, mode, form):
    plane, paths = dumped
    cases = [case for case in compare.load()[1] if case.variant == mode and not case.silent]
    assert len({case.line for case in cases}) >= 200 or mode == "verified"
    live = servers.clusterdns(servers.corefile(*MODES[mode]), KUBECONFIG=plane.kubeconfig("dns"))
    with live, servers.clusterdns(servers.corefile(*MODES[mode], source=f"manifests {paths[form]}")) as loaded:
        different = []
        for case in cases:
            lines = compare.differences(live.ask(case.line), loaded.ask(case.line))
            if lines:
                different.append("\n  ".join([case.line, *lines]))
    assert not different, "live | dump\n" + "\n".join(different[:20])
