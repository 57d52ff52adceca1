# SPDX-License-Identifier: Apache-2.0
"""What dashboards and alerts for CoreDNS query (dashboards.yaml), asked of a real Prometheus that scrapes our server while
it has traffic of every kind: each query shows something, each metric exists, and each counter counts."""

import json
import os
import re
import sys
import threading
import time
import urllib.parse
import urllib.request

import pytest
import servers
import yaml
from asking import Asker
from processes import Process, free_port, packaged, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))

from upstream import Upstream  # noqa: E402

NAMESPACE = "on-dashboards"
ROUNDS, ROUND_SECONDS = 6, 1.0  # a query's rate needs several scrapes, one a second
COREFILE = """. {
    errors
    ready 127.0.0.1:@READY@
    prometheus 127.0.0.1:@METRICS@
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig @KUBECONFIG@
    }
    forward dead.example 127.0.0.1:@DEAD@ {
        health_check 0.2s
        max_fails 1
    }
    forward . 127.0.0.1:@UPSTREAM@
    cache 30
    loop
    reload
    loadbalance
}
"""
RECORDS = [
    "example.org. 60 IN SOA ns.example.org. admin.example.org. 1 7200 900 86400 60",
    "www.example.org. 60 IN A 192.0.2.80",
    "*.new.example.org. 60 IN A 192.0.2.81",
]
QUESTIONS = [
    "kubernetes.default.svc.cluster.local. A", "kubernetes.default.svc.cluster.local. AAAA tcp",
    "www.example.org. A", "www.example.org. A do", "www.example.org. A tcp", "gone.example.org. A", "gone.example.org. MX",
    "{}.new.example.org. A", "{}.new.example.org. A tcp", "{}.broken.example.org. A", "{}.dead.example. A",
]  # fmt: skip
FILLED = {  # what stands in the queries for the labels of our one server
    "%(corednsSelector)s": 'job=~"kube-dns"', "%(instanceLabel)s": "pod", "%(pluginNameLabel)s": "name",
    "%(corednsLatencyCriticalSeconds)s": "4", "%(corednsForwardLatencyCriticalSeconds)s": "4",
    "$job": ".*", "$cluster": ".*", "$instance": ".*",
}  # fmt: skip
SUPERSEDED = {  # names of CoreDNS before 1.7 that stand before an `or`; CoreDNS 1.15 has none of them either
    "coredns_dns_request_count_total", "coredns_dns_request_type_count_total", "coredns_dns_request_do_count_total",
    "coredns_dns_response_rcode_count_total", "coredns_cache_size", "coredns_dns_request_size_bytes",
    "coredns_dns_response_size_bytes", "coredns_dns_request_duration_seconds",
}  # fmt: skip
METRIC = re.compile(r"\b(?:coredns|process|go)_\w+")


def load():
    """[(expression, what it shows)]"""
    with open(os.path.join(HERE, "dashboards.yaml"), encoding="utf-8") as file:
        sources = yaml.safe_load(file)
    return [(query["expr"], query.get("expect", "> 0")) for source in sources for query in source["queries"]]


QUERIES = load()
METRICS = sorted({name for expression, _ in QUERIES for name in METRIC.findall(expression)} - SUPERSEDED)


class Prometheus:
    def __init__(self, folder, target):
        self.port = free_port()
        scraped = {
            "job_name": "kube-dns", "scrape_interval": "1s",
            "static_configs": [{"targets": [target], "labels": {"pod": "dns-0", "cluster": "here"}}],
        }  # fmt: skip
        (folder / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [scraped]}))
        flags = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{self.port}"]
        self.process = Process("prometheus", [packaged("prometheus", "prometheus"), *flags], folder / "prometheus.log")

    def __enter__(self):
        self.process.start()
        wait_for(self.is_scraping, 30, "prometheus to scrape", interval=0.1)
        return self

    def __exit__(self, *unused):
        self.process.stop()

    def is_scraping(self):
        self.process.check_alive()
        try:
            return self.values("up == 1")
        except OSError:
            return False

    def values(self, expression):
        """The values of all series that it has now."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{query}", timeout=10) as answer:
            return [float(one["value"][1]) for one in json.load(answer)["data"]["result"]]


def traffic(port, number):
    asker = Asker()
    for line in QUESTIONS:
        asker.next_id()
        asker.ask(port, line.format(f"n{number}"))
    asker.close()


def change_slice(plane, number):
    """What the programming latency is counted of."""
    path = plane.object_path(
        obj := {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {
                "name": f"web-{number}", "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": "web"},
                "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))},
            },
            "endpoints": [{"addresses": [f"10.244.9.{number + 1}"]}], "ports": [{"name": "http", "port": 80}],
        }
    )  # fmt: skip
    plane.call("POST", path.rpartition("/")[0], obj)


@pytest.fixture(scope="module")
def prometheus(quiet, tmp_path_factory):
    """A Prometheus that has seen our server under traffic."""
    folder, metrics = tmp_path_factory.mktemp("prometheus"), free_port()
    quiet.apply_object({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    spec = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]}
    quiet.apply_object({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": NAMESPACE}, "spec": spec})
    with Upstream(records=RECORDS, faults=["rcode SERVFAIL for *.broken.example.org."]) as upstream:
        values = {"METRICS": metrics, "DEAD": free_port(), "UPSTREAM": upstream.port, "KUBECONFIG": quiet.kubeconfig("dns")}
        with servers.clusterdns(COREFILE, **values) as server, Prometheus(folder, f"127.0.0.1:{metrics}") as running:
            for number in range(ROUNDS):
                tick = threading.Timer(ROUND_SECONDS, lambda: None)  # a round lasts so long, however fast the answers are
                tick.start()
                traffic(server.port, number)
                change_slice(quiet, number)
                tick.join()
            scrapes = 'min(count_over_time(up{job="kube-dns"}[5m]))'
            wait_for(lambda: running.values(scrapes)[0] >= ROUNDS + 1, 30, "the last scrape", interval=0.2)
            yield running


@pytest.mark.parametrize("expression, expected", QUERIES, ids=[f"{n}: {expression[:60]}" for n, (expression, _) in enumerate(QUERIES)])
def test_query(prometheus, expression, expected):
    for name, value in FILLED.items():
        expression = expression.replace(name, value)
    listed = re.fullmatch(r"label_values\((\w+(?:\{.*\})?), ?(\w+)\)", expression)
    if listed:
        assert prometheus.values(f"count({listed[1]}) by ({listed[2]})"), expression
        return
    if expected == "nothing":
        assert not prometheus.values(expression)
        return
    found = prometheus.values(re.sub(r" > [\d.]+$", "", expression))
    assert found, f"nothing to show: {expression}"
    if expected == "> 0":
        assert any(value > 0 for value in found), f"{found}: {expression}"


@pytest.mark.parametrize("name", METRICS)
def test_metric(prometheus, name):
    assert prometheus.values(name), f"{name} is not there"
    if name.endswith(("_total", "_bucket")) and name != "coredns_panics_total":
        assert sum(prometheus.values(f"increase({name}[5m])")) > 0, f"{name} does not move"
