# SPDX-License-Identifier: Apache-2.0
"""dnsbench --churn and --pid on a real API server: every change is seen, and nothing is left behind."""

import json
import os
import signal
import subprocess

import pytest
import servers
from controlplane import TOKENS
from processes import wait_for

CHANGES, SECONDS = 25, 3
NAMES = "kubernetes.default.svc.cluster.local A\nnothing.default.svc.cluster.local A\n"
TIMES = ("sent_to_answer_ns", "acknowledged_to_answer_ns")


@pytest.fixture(scope="module", params=["clusterdns", "coredns"])
def asked(request, quiet):
    """A server that follows the API."""
    with getattr(servers, request.param)(servers.corefile(), KUBECONFIG=quiet.kubeconfig("dns")) as server:
        yield server


@pytest.fixture
def questions(tmp_path):
    (tmp_path / "names").write_text(NAMES)
    return tmp_path / "names"


def command(questions, port, kubeconfig, *more, seconds=SECONDS):
    """A load that no busy machine makes invalid."""
    program = os.path.join(os.path.dirname(servers.clusterdns_binary()), "dnsbench")
    load = ["-q", questions, "-r", 200, "-d", seconds, "--max-lag", "5s", "--quiet"]
    churn = ["--kubeconfig", kubeconfig, "--churn", CHANGES, *more]
    return [str(word) for word in [program, *load, *churn, f"127.0.0.1:{port}"]]


def bench(*arguments, **options):
    return subprocess.run(command(*arguments, **options), capture_output=True, text=True, timeout=60, check=False)


def left_behind(plane, namespace="default"):
    """The names of objects that dnsbench made."""
    kinds = ("/api/v1", "services"), ("/apis/discovery.k8s.io/v1", "endpointslices")
    lists = [plane.call("GET", f"{group}/namespaces/{namespace}/{plural}")["items"] for group, plural in kinds]
    names = [item["metadata"]["name"] for items in lists for item in items]
    return [name for name in names if "dnsbench" in name]


def test_every_change_is_seen(quiet, asked, questions, tmp_path):
    files = ["--json", tmp_path / "json", "--html", tmp_path / "html", "--pid", asked.process.pid]
    done = bench(questions, asked.port, quiet.kubeconfig(), *files)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "json").read_text())
    churn = report["churn"]
    assert churn["planned"] == CHANGES * SECONDS == churn["changes"] + churn["not_made"]
    assert churn["seen"] == churn["changes"] > CHANGES
    assert [churn[name] for name in ("lost", "unsettled", "api_errors", "stale", "wrong")] == [0] * 5
    sent, acknowledged = (churn[name] for name in TIMES)
    assert sent["count"] == acknowledged["count"] == churn["seen"]
    assert 0 < sent["min"] <= sent["p50"] <= sent["p99"] <= sent["p99.99"] <= sent["max"] < 10e9
    assert sent["p50"] > acknowledged["p50"]
    assert acknowledged["max"] > 0
    assert churn["answered"] <= churn["asked"]
    assert "propagation" in done.stdout and "after ack" in done.stdout
    assert '<table id="churn">' in (tmp_path / "html").read_text()
    assert report["counts"]["sent"] == 200 * SECONDS  # questions for the name are not the load's
    assert left_behind(quiet) == []


def test_process(quiet, asked, questions, tmp_path):
    """What --pid reports is what the kernel's clock of the process says."""
    before = asked.process.cpu_seconds()
    bench(questions, asked.port, quiet.kubeconfig(), "--json", tmp_path / "json", "--pid", asked.process.pid)
    server = json.loads((tmp_path / "json").read_text())["server"]
    used = asked.process.cpu_seconds() - before
    assert 0 < server["cpu_ns"] / 1e9 <= used
    assert server["cpu_ns"] / 1e9 > 0.7 * used  # the rest is before and after the load
    assert server["name"] in asked.name
    assert server["rss_peak"] >= server["rss_end"] > 1e6
    assert len(server["samples"]) == SECONDS + 1


def test_without_rights(quiet, asked, questions):
    done = bench(questions, asked.port, quiet.kubeconfig("nobody"))
    assert done.returncode == 1
    assert 'User "nobody" cannot create resource "services"' in done.stderr
    assert "create and delete on services and create, patch and delete on endpointslices" in done.stderr
    assert left_behind(quiet) == []


def test_with_the_rights_that_the_remedy_names(quiet, asked, questions):
    user, namespace = TOKENS["nobody"][1], f"churned-{asked.name}"
    quiet.kubectl("create", "namespace", namespace)
    for kind, verbs in (("services", "create,delete"), ("endpointslices.discovery.k8s.io", "create,patch,delete")):
        name = kind.partition(".")[0]
        quiet.kubectl("create", "role", name, "-n", namespace, f"--verb={verbs}", f"--resource={kind}")
        quiet.kubectl("create", "rolebinding", name, "-n", namespace, f"--role={name}", f"--user={user}")
    done = bench(questions, asked.port, quiet.kubeconfig("nobody"), "--namespace", namespace)
    assert done.returncode == 0, done.stdout + done.stderr
    assert left_behind(quiet, namespace) == []


def test_interrupted(quiet, asked, questions):
    running = command(questions, asked.port, quiet.kubeconfig(), seconds=30)
    with subprocess.Popen(running, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        wait_for(lambda: child.poll() is not None or len(left_behind(quiet)) == 2, 20, "the objects")
        child.send_signal(signal.SIGINT)
        output = child.communicate(timeout=20)
    assert "interrupted" in "".join(output), output  # before the load, or in it
    assert child.returncode in (1, 3)
    assert left_behind(quiet) == []


def test_not_the_clusters_zone(quiet, asked, questions):
    done = bench(questions, asked.port, quiet.kubeconfig(), "--zone", "cluster.elsewhere")
    assert done.returncode == 1
    assert "--zone cluster.elsewhere" in done.stderr
    assert left_behind(quiet) == []
