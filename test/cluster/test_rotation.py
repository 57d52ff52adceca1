# SPDX-License-Identifier: Apache-2.0
"""In a pod: the service account's files, as kubelet mounts and rotates them. Tokens and certificates that end."""

import base64
import json
import os
import shutil
import subprocess
import time

import pytest
import servers
import yaml
from controlplane import role_binding
from processes import wait_for
from proxy import Proxy
from spaces import in_mounts

ZONE = "svc.cluster.local"
NAME = f"kubernetes.default.{ZONE} A"
FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
AGAIN_SECONDS = 10  # after a refused attempt or three
LEEWAY_SECONDS = 60  # the API server's clock may be so far from the token's
END_SECONDS = 30  # the API server accepts a token that it knows for some ten seconds after its end


def assert_change(plane, server, namespace, seconds=AGAIN_SECONDS):
    plane.kubectl("create", "namespace", namespace)
    wait_for(lambda: server.ask(f"{namespace}.{ZONE} A").rcode == "NOERROR", seconds, f"namespace {namespace}")


@pytest.fixture(scope="module")
def account(quiet):
    """The path of kube-system/coredns, which has the stock role."""
    path = "/api/v1/namespaces/kube-system/serviceaccounts"
    quiet.call("POST", path, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "coredns"}})
    binding = role_binding("system:coredns", "system:serviceaccount:kube-system:coredns")
    binding["metadata"]["name"] = "system:coredns-account"
    quiet.apply_object(binding)
    return f"{path}/coredns"


def request_token(plane, account):
    wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    return plane.call("POST", f"{account}/token", wanted)["status"]["token"]


def decode(token):
    """The parts of a JSON Web Token (RFC 7519) before its signature."""
    return [json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in token.split(".")[:2]]


def _encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def short_token(plane, token, seconds):
    """The same token, but accepted for `seconds` alone: the API server's own key signs it (ES256, RFC 7518)."""
    header, claims = decode(token)
    claims["exp"] = int(time.time()) - LEEWAY_SECONDS + seconds
    signed = ".".join(_encode(json.dumps(part).encode()) for part in (header, claims))
    sign = ["openssl", "dgst", "-sha256", "-sign", plane.path("sa.key")]
    der = subprocess.run(sign, input=signed.encode(), check=True, capture_output=True).stdout
    listed = ["openssl", "asn1parse", "-inform", "DER"]
    lines = subprocess.run(listed, input=der, check=True, capture_output=True, text=False).stdout.decode().splitlines()
    numbers = [int(line.rsplit(":", 1)[1], 16) for line in lines if "INTEGER" in line]
    return f"{signed}.{_encode(b''.join(number.to_bytes(32, 'big') for number in numbers))}"


class Volume:
    """A projected volume: all files change at once, with the symbolic link `..data`."""

    def __init__(self, folder):
        self.folder, self.number = folder, 0
        folder.mkdir()

    def write(self, **files):
        """Names stand for their dots and dashes: ca_crt is ca.crt."""
        files = {name.replace("_", "."): text for name, text in files.items()}
        self.number += 1
        new, old = f"..{self.number}", f"..{self.number - 1}"
        (self.folder / new).mkdir()
        for name, text in files.items():
            (self.folder / new / name).write_text(text)
        (self.folder / "..data_tmp").symlink_to(new)
        os.rename(self.folder / "..data_tmp", self.folder / "..data")
        for name in files:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        shutil.rmtree(self.folder / old, ignore_errors=True)


def test_in_cluster(quiet, audit, account, tmp_path):
    """Token and CA are wrong at first, then right, then rotated: each request is made with what is there then."""
    volume, authority = Volume(tmp_path / "volume"), quiet.certificate("ca")
    quiet.make_authority("stranger")
    volume.write(token="not-yet", ca_crt=quiet.certificate("stranger"), namespace="kube-system")
    with Proxy(quiet.api_port) as proxy:
        env = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(proxy.port)}
        corefile = servers.corefile("startup_timeout 100ms", source="pods disabled")
        program = in_mounts(tmp_path, {FOLDER: volume.folder})
        with servers.clusterdns(corefile, program=program, ready=False, env=env) as server:
            wait_for(lambda: "SSL certificate problem" in server.log(), AGAIN_SECONDS, "a line about the certificate")
            volume.write(token="not-yet", ca_crt=authority)
            # Not at once: who could not be reached before may not know anybody yet.
            wait_for(lambda: "401 Unauthorized" in server.log(), 2 * AGAIN_SECONDS, "a line about the token")
            assert not server.http_ready()
            for number in range(2):
                token, mark = request_token(quiet, account), audit.mark()
                volume.write(token=token, ca_crt=authority)
                proxy.interrupt()
                asked = audit.wait(mark, 3, AGAIN_SECONDS, user="system:serviceaccount:kube-system:coredns")
                assert {one.credential for one in asked} == {f"JTI={decode(token)[1]['jti']}"}
                server.wait_ready(AGAIN_SECONDS)
                assert_change(quiet, server, f"in-cluster-{number}")
            assert server.ask(NAME).addresses() == ["10.96.0.1"]


def test_token_ends(quiet, account, tmp_path):
    """A token ends: what is known is still answered, the log says why no more comes; a new token is taken from its file."""
    token, path = request_token(quiet, account), tmp_path / "token"
    with Proxy(quiet.api_port) as proxy:
        config = quiet.kubeconfig("dns", server=proxy.url, token_file=path)
        path.write_text(short_token(quiet, token, 3))
        with servers.clusterdns(servers.corefile(), KUBECONFIG=config) as server:

            def refused():
                proxy.interrupt()
                return "401 Unauthorized" in server.log()

            wait_for(refused, END_SECONDS, "the token's end", interval=0.5)
            assert server.ask(NAME).addresses() == ["10.96.0.1"]
            path.write_text(token)
            assert_change(quiet, server, "token-ends", 3 * AGAIN_SECONDS)


def test_client_certificate_ends(quiet, tmp_path):
    quiet.make_client_certificate("ended", days=0)
    quiet.make_client_certificate("renewed-client")

    def use(name):
        for end in ("key", "crt"):
            shutil.copy(quiet.path(f"{name}.{end}"), tmp_path / f"new.{end}")
            os.replace(tmp_path / f"new.{end}", tmp_path / f"tls.{end}")

    with Proxy(quiet.api_port) as proxy:
        with open(quiet.kubeconfig("certificate", server=proxy.url), encoding="utf-8") as file:
            config = yaml.safe_load(file)
        config["users"][0]["user"] = {"client-certificate": "tls.crt", "client-key": "tls.key"}
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
        use("client")
        with servers.clusterdns(servers.corefile(), KUBECONFIG=tmp_path / "kubeconfig") as server:
            use("ended")
            proxy.interrupt()
            wait_for(lambda: "401 Unauthorized" in server.log(), AGAIN_SECONDS, "a line about the certificate")
            assert server.ask(NAME).addresses() == ["10.96.0.1"]
            use("renewed-client")
            assert_change(quiet, server, "certificate-ends", 2 * AGAIN_SECONDS)
