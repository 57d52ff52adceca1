# SPDX-License-Identifier: Apache-2.0
"""Every way to reach a real API server and to prove who we are, and an API server that says no."""

import subprocess

import servers
import yaml
from controlplane import TOKENS, ControlPlane, role_binding
from processes import wait_for

NAME = "kubernetes.default.svc.cluster.local A"
AGAIN_SECONDS = 45  # the client's longest pause, and a list


def assert_live(plane, server, namespace):
    """The first answers are there, and a change arrives."""
    assert server.ask(NAME).addresses() == ["10.96.0.1"]
    plane.kubectl("create", "namespace", namespace)
    wait_for(lambda: server.ask(f"{namespace}.svc.cluster.local A").rcode == "NOERROR", 2, "a change")


def test_client_certificate(quiet):
    with servers.clusterdns(servers.corefile(), KUBECONFIG=quiet.kubeconfig("certificate")) as server:
        assert_live(quiet, server, "certificate")


def test_endpoint_and_tls(quiet):
    source = f"endpoint {quiet.url}"
    tls = f"tls {quiet.path('client.crt')} {quiet.path('client.key')} {quiet.path('ca.crt')}"
    with servers.clusterdns(servers.corefile(tls, source=source)) as server:
        assert_live(quiet, server, "endpoint")


def test_wrong_authority(quiet, tmp_path):
    """A certificate that the kubeconfig's CA has not signed is refused, and said so."""
    other = ["-subj", "/CN=other", "-keyout", tmp_path / "other.key", "-out", tmp_path / "other.crt"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *other], check=True, capture_output=True
    )
    with open(quiet.kubeconfig("dns"), encoding="utf-8") as file:
        config = yaml.safe_load(file)
    config["clusters"][0]["cluster"] = {"server": quiet.url, "certificate-authority": str(tmp_path / "other.crt")}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    corefile = servers.corefile("startup_timeout 1s")
    with servers.clusterdns(corefile, ready=False, KUBECONFIG=tmp_path / "kubeconfig") as server:
        wait_for(lambda: "certificate" in server.log().lower(), 10, "a log line that names the certificate")
        wait_for(lambda: server.ask(NAME, 0.5).result == "reply", 10, "the server to listen")
        assert server.ask(NAME).rcode == "SERVFAIL"
        assert not server.http_ready()


def test_forbidden_slices(quiet):
    """403 for one resource: not ready, logged, SERVFAIL and never NXDOMAIN; once the role allows it, all is well."""
    corefile = servers.corefile("startup_timeout 1s")
    with servers.clusterdns(corefile, ready=False, KUBECONFIG=quiet.kubeconfig("partial")) as server:
        wait_for(
            lambda: "endpointslices" in server.log() and "403" in server.log(),
            10,
            "a log line with resource and status",
        )
        wait_for(lambda: server.ask(NAME, 0.5).result == "reply", 10, "the server to listen")
        assert server.ask("nothing.default.svc.cluster.local A").rcode == "SERVFAIL"
        assert not server.http_ready()
        binding = role_binding("system:coredns", TOKENS["partial"][1])
        binding["metadata"]["name"] = "test:partial-allowed"
        quiet.apply_object(binding)
        server.wait_ready(AGAIN_SECONDS)
        assert_live(quiet, server, "allowed")


def test_server_without_watch_list():
    """An API server that refuses WatchList: paged list, then watch."""
    with ControlPlane(api_flags=["--feature-gates", "WatchList=false"]) as plane:
        with servers.clusterdns(servers.corefile(), KUBECONFIG=plane.kubeconfig("dns")) as server:
            assert_live(plane, server, "listed")
            plane.kubectl("delete", "namespace", "listed", "--wait=false")
            plane.kubectl("create", "service", "clusterip", "late", "--tcp=80")
            wait_for(lambda: server.ask("late.default.svc.cluster.local A").rcode == "NOERROR", 2, "a later change")
