# SPDX-License-Identifier: Apache-2.0
"""CoreDNS and our server on the same API server, asked the same: what their /metrics have in common has to be the same.

Names, types and label names of all of CoreDNS's own metrics, for the plugins that the Corefile names; and what the
questions come to, series by series. What is different on purpose: docs/plugins/prometheus.md, "Differences".
"""

import compare
import exposition
import pytest
import servers
from processes import free_port

COREFILE = """example.org {{
    prometheus 127.0.0.1:{port}
    errors
    whoami
}}
cluster.local in-addr.arpa ip6.arpa {{
    prometheus 127.0.0.1:{port}
    errors
    ready 127.0.0.1:@READY@
    health 127.0.0.1:{health}
    kubernetes {{
        kubeconfig @KUBECONFIG@
        pods insecure
    }}
}}
"""

QUESTIONS = """
whoami.example.org A
whoami.example.org AAAA tcp
whoami.example.org TYPE65280
WHOAMI.Example.org HTTPS edns=4096 do
whoami.example.org A class=CH
kubernetes.default.svc.cluster.local A
kubernetes.default.svc.cluster.local A tcp
kubernetes.default.svc.cluster.local AAAA do
kubernetes.default.svc.cluster.local SRV
_https._tcp.kubernetes.default.svc.cluster.local SRV do tcp
nobody.default.svc.cluster.local A
nobody.default.svc.cluster.local MX
nobody.default.svc.cluster.local CAA
cluster.local SOA
cluster.local NS
cluster.local ANY
cluster.local AXFR tcp
dns-version.cluster.local TXT
10-1-2-3.default.pod.cluster.local A
1.0.96.10.in-addr.arpa PTR
7.7.7.7.in-addr.arpa PTR do
cluster.local SOA opcode=NOTIFY
cluster.local SOA opcode=STATUS
elsewhere.test A
elsewhere.test DS tcp
cluster.local A ver=1
raw 000001000000000000000000
raw 0000
"""

# CoreDNS shows these whether a Corefile has the plugin or not; ours is still to come, or has nothing like it.
ABSENT = {
    "coredns_hosts_reload_timestamp_seconds",
    "coredns_local_localhost_requests_total",
    "coredns_reload_failed_total",
    "coredns_forward_max_concurrent_rejects_total",
    "coredns_forward_healthcheck_broken_total",
}
BY_SERIES = ["coredns_dns_requests_total", "coredns_dns_do_requests_total"]
COUNTS = [
    "coredns_dns_request_duration_seconds_count",
    "coredns_dns_request_size_bytes_count",
    "coredns_dns_request_size_bytes_bucket",
    "coredns_dns_request_size_bytes_sum",
    "coredns_dns_response_size_bytes_count",
]


@pytest.fixture(scope="module")
def shown():
    """(CoreDNS's exposition, ours) after the same questions."""
    both = []
    with compare.ControlPlane() as plane:
        for start in (servers.coredns, servers.clusterdns):
            port = free_port()
            text = COREFILE.format(port=port, health=free_port())
            with start(text, KUBECONFIG=plane.kubeconfig("dns")) as server:
                before = exposition.scrape(port)  # the harness has asked, to see whether it is there
                for line in QUESTIONS.split("\n")[1:-1]:
                    server.ask(line, seconds=1 if line.startswith("raw") else 5)
                compare.wait_for(
                    lambda port=port: exposition.scrape(port).value("coredns_health_request_duration_seconds_count"),
                    10,
                    "the server to ask its own health",
                )
                both.append((before, exposition.scrape(port), server.port))
    return both


def own(exposed):
    """CoreDNS's own families and what a process shows."""
    return {name for name in exposed.types if name.startswith("coredns_")}


def test_names_types_and_labels(shown):
    (_, theirs, _), (_, ours, _) = shown
    missing = own(theirs) - own(ours) - ABSENT
    assert not missing
    for name in own(theirs) - ABSENT:
        assert ours.types[name] == theirs.types[name], name
        labels = [
            {frozenset(label) for sample, label, _ in exposed.samples if exposed.family_of(sample) == name}
            for exposed in (theirs, ours)
        ]
        assert labels[0] == labels[1], name
    assert not exposition.check(ours.text)


def test_buckets(shown):
    (_, theirs, _), (_, ours, _) = shown
    for name in own(theirs):
        if theirs.types[name] == "histogram":
            bounds = [
                {labels["le"] for sample, labels, _ in exposed.samples if sample == f"{name}_bucket"}
                for exposed in (theirs, ours)
            ]
            assert bounds[0] == bounds[1], name


def counted(before, after, port, names, without=()):
    """What the questions added: {(name, labels): number}; the server's port is not part of it."""

    def series(exposed):
        found = {}
        for name, labels, value in exposed.samples:
            if name in names:
                kept = {key: text.replace(str(port), "PORT") for key, text in labels.items() if key not in without}
                key = (name, tuple(sorted(kept.items())))
                found[key] = found.get(key, 0) + value
        return found

    old, new = series(before), series(after)
    return {key: value - old.get(key, 0) for key, value in new.items() if value != old.get(key, 0)}


def same(shown, names, without=()):
    theirs, ours = [counted(*exposed, names, without) for exposed in shown]
    different = [f"{key}: CoreDNS {theirs.get(key, 0)}, clusterdns {ours.get(key, 0)}" for key in theirs | ours
                 if theirs.get(key) != ours.get(key)]  # fmt: skip
    assert theirs and not different, "\n".join(different)


def test_questions(shown):
    same(shown, BY_SERIES)


def test_histograms(shown):
    same(shown, COUNTS)


def test_answers(shown):
    """By rcode; the plugin is in CoreDNS the first that writes, here the one that answers."""
    same(shown, ["coredns_dns_responses_total"], without=["plugin"])


def test_plugins_that_answered(shown):
    _, (before, after, port) = shown
    found = counted(before, after, port, ["coredns_dns_responses_total"])
    answered = {(labels["zone"], labels["plugin"]) for labels in (dict(key[1]) for key in found)}
    assert answered == {
        ("example.org.", "whoami"),
        ("cluster.local.", "kubernetes"),
        ("in-addr.arpa.", "kubernetes"),
        ("dropped", ""),
    }
