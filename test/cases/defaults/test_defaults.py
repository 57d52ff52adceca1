# SPDX-License-Identifier: Apache-2.0
"""The Corefiles that clusters come with, byte for byte: each loads, and serves a pod's network, files and API server.

Every Corefile has a machine of its own: a network in which its ports are free, joined by a cable to one with the upstream
that /etc/resolv.conf names; a service account's files; an API server that plays recorded traffic. CASES_ON says who
serves: ours (any way of playing it), CoreDNS (`coredns`).
"""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "lib"))

import exposition  # noqa: E402
from apireplay import ApiReplay  # noqa: E402
from asking import ask  # noqa: E402
from controlplane import binaries  # noqa: E402
from processes import Process, wait_for  # noqa: E402
from runner import check_sanitizers  # noqa: E402
from servers import clusterdns_binary  # noqa: E402
from spaces import Network, in_mounts  # noqa: E402
from upstream import Upstream  # noqa: E402

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
POD, RESOLVER = "192.0.2.10", "192.0.2.53"
OUTSIDE = [
    "example.org. 600 IN SOA ns.example.org. admin.example.org. 1 7200 900 86400 60",
    "www.example.org. 600 IN A 192.0.2.80",
    "7.2.0.192.in-addr.arpa. 600 IN PTR www.example.org.",
]
START_SECONDS, STOP_SECONDS = 30, 30


@dataclass
class Default:
    """`ttl` of the cluster's records; seconds that the cache keeps and shows at most; questions of its own and their answers."""

    ttl: int
    kept: int = 30
    own: dict = field(default_factory=dict)
    files: tuple = ()


DEFAULTS = {
    "seed": Default(ttl=5),
    "kubeadm": Default(ttl=30),  # and kind
    "addon": Default(ttl=30),
    "eks": Default(ttl=5),
    "helm": Default(ttl=30),
    "k3s": Default(
        ttl=5,
        own={
            "server-0. A": ["server-0. 30 IN A 192.0.2.101"],
            "ptr:192.0.2.102 PTR": ["102.2.0.192.in-addr.arpa. 30 IN PTR agent-0."],
        },
        files=("NodeHosts",),
    ),
}


class Pod:
    """A server with one of the Corefiles, and everything around it."""

    def __init__(self, folder, name, program):
        self.folder, self.name = folder, name
        self.api = self.upstream = None
        self.own, self.outside = Network(folder, "pod"), Network(folder, "outside")
        config, account = folder / "coredns", folder / "account"
        for path in (config, account):
            path.mkdir()
        for file in ("Corefile", *DEFAULTS[name].files):
            (config / file).write_bytes(open(os.path.join(HERE, name, file), "rb").read())
        (folder / "resolv.conf").write_text(f"search example.org\nnameserver {RESOLVER}\noptions ndots:5\n")
        mounts = {"/etc/resolv.conf": folder / "resolv.conf", "/etc/coredns": config, ACCOUNT: account}
        self.program = in_mounts(folder, mounts, program)
        self.server = None

    def __enter__(self):
        self.outside.__enter__()
        self.own.__enter__()
        self.own.join(self.outside, f"{POD}/24", f"{RESOLVER}/24")
        with self.outside.entered():
            self.upstream = Upstream(address=RESOLVER, port=53, records=OUTSIDE)
        with self.own.entered():
            self.api = ApiReplay().up()
        (self.folder / "account" / "token").write_text(self.api.token)
        (self.folder / "account" / "namespace").write_text("kube-system")
        (self.folder / "account" / "ca.crt").write_bytes(open(self.api.certificate, "rb").read())
        return self

    def __exit__(self, *unused):
        if self.server is not None:
            self.server.kill()
        self.api.__exit__()
        self.upstream.close()
        self.own.__exit__()
        self.outside.__exit__()

    def start(self):
        where = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.api.port)}
        command = [self.program, "-conf", "/etc/coredns/Corefile"]
        self.server = Process("the server", command, self.folder / "log", {**os.environ, **where}, self.folder)
        with self.own.entered():
            self.server.start()
        wait_for(self.is_ready, START_SECONDS, "the server to be ready")
        self.upstream.forget()

    def is_ready(self):
        self.server.check_alive()
        return self.get(8181, "ready") == (200, "OK") and self.ask("ready.invalid. A", seconds=0.1).result == "reply"

    def ask(self, line, seconds=5):
        with self.own.entered():
            return ask(53, line, seconds)

    def get(self, port, path):
        with self.own.entered():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()
            except OSError:
                return None


def check_cluster(pod, ttl):
    for name, kind, value in (
        ("web.shop.svc.cluster.local.", "A", "10.96.0.80"),
        ("kubernetes.default.svc.cluster.local.", "A", "10.96.0.1"),
        ("10-244-0-11.shop.pod.cluster.local.", "A", "10.244.0.11"),
        ("80.0.96.10.in-addr.arpa.", "PTR", "web.shop.svc.cluster.local."),
    ):
        for over in ("", " tcp"):
            answer = pod.ask(f"{name} {kind}{over}")
            assert answer.sections["answer"] == [f"{name} {ttl} IN {kind} {value}"], answer
            assert answer.flags == "QR AA RD", answer
    assert pod.ask("no-such.shop.svc.cluster.local. A").rcode == "NXDOMAIN"
    assert pod.upstream.count("web.shop.svc.cluster.local.") == 0


def check_outside(pod, kept):
    """Asked of the upstream once, then kept; whatever is no name of the cluster's goes there."""
    for line, value, names in (
        ("www.example.org. A", "192.0.2.80", "www.example.org. A"),
        ("ptr:192.0.2.7 PTR", "www.example.org.", "7.2.0.192.in-addr.arpa. PTR"),
    ):
        for _ in range(3):
            answer = pod.ask(line)
            assert answer.rdata() == [value], answer
            assert kept - 5 <= int(answer.sections["answer"][0].split()[1]) <= kept, answer
        assert pod.upstream.count(names) == 1, pod.upstream.listing()
    for _ in range(2):
        answer = pod.ask("gone.example.org. A")
        assert answer.rcode == "NXDOMAIN" and answer.rdata("authority") == ["ns.example.org. admin.example.org. * 7200 900 86400 60"]
    assert pod.upstream.count("gone.example.org.") == 1, pod.upstream.listing()


def check_metrics(pod, name):
    with pod.own.entered():
        shown = exposition.scrape(9153)
    with open(os.path.join(HERE, name, "Corefile"), encoding="utf-8") as file:
        plugins = {line.split()[0] for line in file if line.startswith("    ") and line[4].isalpha()}
    enabled = {labels["name"] for sample, labels, _ in shown.samples if sample == "coredns_plugin_enabled"}
    assert plugins - {"import", "reload", "ready", "health", "prometheus"} <= enabled, shown.text
    for selector, least in (
        ('coredns_dns_requests_total{server="dns://:53",zone=".",type="A"}', 10),
        ('coredns_dns_responses_total{server="dns://:53",rcode="NXDOMAIN"}', 2),
        ('coredns_cache_hits_total{server="dns://:53",type="success"}', 4),
        ('coredns_cache_hits_total{server="dns://:53",type="denial"}', 1),
        (f'coredns_proxy_request_duration_seconds_count{{proxy_name="forward",to="{RESOLVER}:53",rcode="NOERROR"}}', 2),
    ):
        assert (shown.value(selector) or 0) >= least, f"{selector}: {shown.value(selector)}\n{shown.text}"


def as_root(request, folder):
    """Who is not root is root in a user namespace."""
    again = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    again += [f"--basetemp={folder}/again", request.node.nodeid]
    done = subprocess.run(again, cwd=request.config.rootpath, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout


def served_by():
    ways = os.environ.get("CASES_ON", "manifests").split()
    return sorted({"coredns" if way == "coredns" else "clusterdns" for way in ways})


@pytest.mark.parametrize("who", served_by())
@pytest.mark.parametrize("name", DEFAULTS)
def test_default(name, who, request, tmp_path):
    if os.geteuid() != 0:
        as_root(request, tmp_path)
        return
    default = DEFAULTS[name]
    program = clusterdns_binary() if who == "clusterdns" else binaries("coredns")["coredns"]
    with Pod(tmp_path, name, program) as pod:
        if who == "clusterdns":
            done = subprocess.run([pod.program, "check", "/etc/coredns/Corefile"], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        pod.start()
        check_cluster(pod, default.ttl)
        check_outside(pod, default.kept)
        for line, records in default.own.items():
            assert pod.ask(line).sections["answer"] == records
        assert pod.get(8080, "health") == (200, "OK")
        check_metrics(pod, name)
        assert pod.server.stop(STOP_SECONDS) == 0
        log = (tmp_path / "log").read_text()
        assert "[FATAL]" not in log and "[ERROR]" not in log, log
        check_sanitizers(log)
