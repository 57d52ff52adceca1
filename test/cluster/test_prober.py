# SPDX-License-Identifier: Apache-2.0
"""What prober.judge makes of answers: a judge that lets everything pass would make the tests of faults worth nothing."""

import pytest
from asking import Answer
from prober import Fact, Probe, judge

LINE = "web.shop.svc.cluster.local A"
OLD, NEW = ("NOERROR", ("10.0.0.1",), ()), ("NOERROR", ("10.0.0.2",), ())
GONE = ("NXDOMAIN", (), ())
CHANGED = [Fact(0, 0, OLD), Fact(10.0, 10.1, NEW)]


def answer(expected, **more):
    rcode, rdata, _ = expected
    records = {"answer": [f"web. 5 IN A {one}" for one in rdata], "authority": [], "additional": []}
    return Answer("reply", **{"rcode": rcode, "flags": "QR AA RD", "sections": records, **more})


def probe(asked, expected, seconds=0.01, **more):
    return Probe(LINE, asked, asked + seconds, answer(expected, **more))


@pytest.mark.parametrize(
    "kinds, facts, probes",
    [
        ("right", CHANGED[:1], [probe(1, OLD)]),
        ("wrong", CHANGED[:1], [probe(1, NEW)]),
        ("wrong", CHANGED[:1], [probe(1, GONE)]),
        ("wrong", CHANGED[:1], [probe(1, OLD, flags="QR RD")]),
        ("wrong", CHANGED[:1], [Probe(LINE, 1, 1.1, Answer("undecodable: FormError"))]),
        ("lost", CHANGED[:1], [Probe(LINE, 1, None, None)]),
        ("SERVFAIL", CHANGED[:1], [probe(1, ("SERVFAIL", (), ()))]),
        ("new old new new", CHANGED, [probe(9, OLD), probe(11, OLD), probe(12, NEW), probe(13, NEW)]),
        ("wrong", CHANGED, [probe(9, NEW)]),  # before it was written
        ("new new", CHANGED, [probe(10.05, NEW), probe(10.06, NEW)]),  # while it was being written
        ("new back", CHANGED, [probe(12, NEW), probe(13, OLD)]),
        ("new old", CHANGED, [probe(12, NEW, seconds=1), probe(12.5, OLD)]),  # asked before the other was answered
        ("new back", CHANGED, [probe(12, NEW, seconds=0.1), probe(12.5, OLD)]),
        ("new late", CHANGED, [probe(9, OLD), probe(21, OLD)]),  # the newest was due at 20
        ("new wrong", CHANGED, [probe(9, OLD), probe(12, ("NOERROR", ("10.0.0.1", "10.0.0.2"), ()))]),
        ("new new old new", [*CHANGED, Fact(15, 15.1, OLD)], [probe(9, OLD), probe(11, NEW), probe(16, NEW), probe(17, OLD)]),
    ],
)
def test_judge(kinds, facts, probes):
    report = judge(probes, {LINE: facts}, fresh=20)
    assert sorted(report.counts.elements()) == sorted(kinds.split()), report
