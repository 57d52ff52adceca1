# SPDX-License-Identifier: Apache-2.0
"""The ways to a real API server: through proxies, over IPv6 and HTTP/2, with every form of kubeconfig."""

import base64
import contextlib
import shutil
import subprocess

import pytest
import servers
import yaml
from controlplane import TOKENS
from gateways import Http2Front, HttpProxy, HttpsProxy, PlaceProxy, SocksProxy
from processes import wait_for
from spaces import Network, Remote, in_mounts

ZONE = "svc.cluster.local"
NAME = f"kubernetes.default.{ZONE} A"
AGAIN_SECONDS = 45  # the client's longest pause, and a list


def exists(server, namespace):
    return server.ask(f"{namespace}.{ZONE} A").rcode == "NOERROR"


def assert_live(plane, server, namespace, seconds=2):
    """The first answers are there, and a change arrives."""
    assert server.ask(NAME).addresses() == ["10.96.0.1"]
    plane.kubectl("create", "namespace", namespace)
    wait_for(lambda: exists(server, namespace), seconds, f"namespace {namespace} to be answered")


def wait_log(server, *words, seconds=15):
    wait_for(lambda: all(word in server.log() for word in words), seconds, f"{words} in the log")


@contextlib.contextmanager
def unready(kubeconfig, **options):
    """Our server, which must not become ready yet but answers, with SERVFAIL."""
    with servers.clusterdns(
        servers.corefile("startup_timeout 100ms"), ready=False, KUBECONFIG=kubeconfig, **options
    ) as server:
        server.wait_listening()
        assert server.ask(NAME).rcode == "SERVFAIL"
        yield server


def kubeconfig(plane, tmp_path, user="dns", **changes):
    """A kubeconfig of the plane's with changes in its cluster; its path."""
    with open(plane.kubeconfig(user), encoding="utf-8") as file:
        config = yaml.safe_load(file)
    config["clusters"][0]["cluster"].update(changes)
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


# ---- proxies ----


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
def test_proxy_url(quiet, tmp_path, kind):
    """The kubeconfig's own proxy is used whatever the environment says."""
    with kind(quiet.api_port) as proxy:
        path = kubeconfig(quiet, tmp_path, **{"proxy-url": proxy.url})
        env = {"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "*"}
        with servers.clusterdns(servers.corefile(), KUBECONFIG=path, env=env) as server:
            assert_live(quiet, server, f"proxy-{kind.__name__.lower()}")
        assert set(proxy.asked) == {("127.0.0.1", quiet.api_port)}


def test_proxy_over_tls(quiet, tmp_path):
    """The proxy's certificate is verified by the kubeconfig's CA, as client-go does."""
    with HttpsProxy(quiet.api_port, quiet.path("apiserver.crt"), quiet.path("apiserver.key")) as proxy:
        path = kubeconfig(quiet, tmp_path, **{"proxy-url": proxy.url})
        with servers.clusterdns(servers.corefile(), KUBECONFIG=path) as server:
            assert_live(quiet, server, "proxy-https")
        assert proxy.asked
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=stranger"]
    files = ["-keyout", tmp_path / "key", "-out", tmp_path / "crt", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", *new, *files], check=True, capture_output=True)
    with HttpsProxy(quiet.api_port, tmp_path / "crt", tmp_path / "key") as proxy:
        with unready(kubeconfig(quiet, tmp_path, **{"proxy-url": proxy.url})) as server:
            wait_log(server, "cannot be reached", "self-signed certificate")
        assert not proxy.asked


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
def test_proxy_resolves_names(quiet, tmp_path, kind):
    """A name that is known only beyond the proxy is the proxy's to look up."""
    with kind(quiet.api_port) as proxy:
        place = {"server": "https://kubernetes.default.svc:6443", "proxy-url": proxy.url}
        with servers.clusterdns(servers.corefile(), KUBECONFIG=kubeconfig(quiet, tmp_path, **place)) as server:
            assert_live(quiet, server, f"beyond-{kind.__name__.lower()}")
        assert set(proxy.asked) == {("kubernetes.default.svc", 6443)}


def test_proxy_of_the_environment(quiet, tmp_path):
    """HTTPS_PROXY is used, but not for what NO_PROXY names, nor for this machine."""
    with HttpProxy(quiet.api_port) as proxy:
        env = {"HTTPS_PROXY": proxy.url}
        path = kubeconfig(quiet, tmp_path, server="https://kubernetes.default.svc:6443")
        with servers.clusterdns(servers.corefile(), KUBECONFIG=path, env=env) as server:
            assert_live(quiet, server, "proxied")
        assert proxy.asked
        proxy.asked.clear()
        with unready(path, env={**env, "NO_PROXY": "example.com,.default.svc"}) as server:
            wait_log(server, "resolve", "kubernetes.default.svc")
        with servers.clusterdns(servers.corefile(), KUBECONFIG=quiet.kubeconfig("dns"), env=env) as server:
            assert_live(quiet, server, "not-proxied")
        assert not proxy.asked


def test_proxy_that_refuses(quiet, tmp_path):
    with HttpProxy(quiet.api_port, refuse=True) as proxy:
        with unready(kubeconfig(quiet, tmp_path, **{"proxy-url": proxy.url})) as server:
            wait_log(server, "CONNECT", "403")
            proxy.refuse = False
            server.wait_ready(AGAIN_SECONDS)
            assert_live(quiet, server, "allowed-by-proxy")


# ---- IPv6 ----


@pytest.mark.parametrize("source", ["kubeconfig", "endpoint", "in-cluster"])
def test_ipv6_address(quiet, tmp_path, source):
    # Not every machine has ::1, but a new network has.
    with Network(tmp_path, "six") as network, PlaceProxy(quiet.api_port, "::1", network=network) as six:
        env = {}
        if source == "kubeconfig":
            corefile = servers.corefile()
        elif source == "endpoint":
            tls = f"tls {quiet.path('client.crt')} {quiet.path('client.key')} {quiet.path('ca.crt')}"
            corefile = servers.corefile(tls, source=f"endpoint {six.url}")
        else:
            shutil.copy(quiet.path("ca.crt"), tmp_path / "ca.crt")
            (tmp_path / "token").write_text(TOKENS["dns"][0])
            env = {
                "KUBERNETES_SERVICE_HOST": "::1",
                "KUBERNETES_SERVICE_PORT": str(six.port),
                "CLUSTERDNS_SERVICEACCOUNT_DIR": str(tmp_path),
            }
            corefile = servers.corefile(source="pods disabled")
        path = quiet.kubeconfig("dns", server=six.url)
        with Remote(network, servers.clusterdns, corefile, KUBECONFIG=path, env=env) as server:
            assert_live(quiet, server, f"six-{source}")
            assert six.connections() > 0


# ---- addresses that change ----


def test_name_moves(quiet, tmp_path):
    """The API server's name leads to another address: the next connection goes there."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.2 kubernetes.default.svc\n")
    program = in_mounts(tmp_path, {"/etc/hosts": hosts})
    with PlaceProxy(quiet.api_port, "127.0.0.2") as old, PlaceProxy(quiet.api_port, "127.0.0.3", old.port) as new:
        path = kubeconfig(quiet, tmp_path, server=f"https://kubernetes.default.svc:{old.port}")
        with servers.clusterdns(servers.corefile(), program=program, KUBECONFIG=path) as server:
            assert_live(quiet, server, "first-address")
            assert old.connections() > 0 and new.connections() == 0
            hosts.write_text("127.0.0.3 kubernetes.default.svc\n")
            old.cut()
            assert_live(quiet, server, "second-address", 8)
            assert new.connections() > 0


# ---- HTTP/2 ----


def test_goaway(quiet):
    """GOAWAY in a quiet moment: open watches go on, what is asked next goes over a new connection, nothing is lost."""
    with Http2Front(quiet) as front:
        path = quiet.kubeconfig("dns", server=front.url)
        with servers.clusterdns(servers.corefile(), KUBECONFIG=path) as server:
            assert_live(quiet, server, "over-http2")
            assert len(front.connections) == 1 and len(front.connections[0].paths) == 3
            front.connections[0].goaway()
            assert_live(quiet, server, "gone-away")
            for plural in ("namespaces", "services", "endpointslices"):
                (stream,) = front.streams(0, plural)
                front.connections[0].end(stream)
                wait_for(lambda: front.streams(1, plural), 10, f"a watch of {plural} on the new connection")
            assert_live(quiet, server, "new-connection")
            assert len(front.connections) == 2
            assert front.asked("namespaces", initial=True) == 1 and front.asked("namespaces", initial=False) == 1


# ---- who they are ----


def test_certificate_for_another_name(quiet, tmp_path):
    """The API server's certificate is none for the name by which it was asked for, or is meant to have."""
    with HttpProxy(quiet.api_port) as proxy:
        for place in (
            {"server": "https://other.example:6443", "proxy-url": proxy.url},
            {"server": quiet.url, "tls-server-name": "other.example"},
        ):
            with unready(kubeconfig(quiet, tmp_path, **place)) as server:
                wait_log(server, "no alternative certificate subject name matches target host name 'other.example'")


def test_kubeconfig_forms(quiet, tmp_path):
    """tokenFile and certificates by relative paths, data before files, one of several contexts."""
    shutil.copy(quiet.path("client.crt"), tmp_path / "cert.pem")
    shutil.copy(quiet.path("client.key"), tmp_path / "key.pem")
    shutil.copy(quiet.path("ca.crt"), tmp_path / "ca.pem")
    (tmp_path / "token").write_text(TOKENS["dns"][0] + "\n")
    data = {name: base64.b64encode(quiet.certificate(name).encode()).decode() for name in ("ca", "client")}
    with open(quiet.path("client.key"), "rb") as file:
        key = base64.b64encode(file.read()).decode()
    named = "kubernetes.default.svc"
    clusters = {
        "files": {"server": quiet.url, "certificate-authority": "ca.pem"},
        "data": {"server": quiet.url, "certificate-authority": "missing.pem", "certificate-authority-data": data["ca"]},
        "unverified": {"server": quiet.url, "insecure-skip-tls-verify": True, "disable-compression": True},
        "named": {"server": quiet.url, "certificate-authority": "ca.pem", "tls-server-name": named},
    }
    users = {
        "files": {"client-certificate": "cert.pem", "client-key": "key.pem"},
        "data": {"client-certificate-data": data["client"], "client-key-data": key, "client-key": "missing.pem"},
        "unverified": {"tokenFile": "token", "token": "wrong"},
        "named": {"token": TOKENS["dns"][0]},
    }
    contexts = [{"name": name, "context": {"cluster": name, "user": name}} for name in clusters]
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "files", "contexts": contexts,
        "clusters": [{"name": name, "cluster": cluster} for name, cluster in clusters.items()],
        "users": [{"name": name, "user": user} for name, user in users.items()],
    }  # fmt: skip
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    for context in ("", *clusters):
        source = f"kubeconfig {tmp_path}/kubeconfig {context}"
        with servers.clusterdns(servers.corefile(source=source)) as server:
            assert_live(quiet, server, f"context-{context or 'current'}")
