# SPDX-License-Identifier: Apache-2.0
"""CoreDNS and our server over the same upstreams and API server: names from outside, hosts and caches answer alike."""

import contextlib

import compare
import forwarded
import pytest
import servers
from asking import Answer
from processes import wait_for

VARIANTS, CASES, HOSTS = forwarded.load()


class Pairs:
    """CoreDNS and our server under the variant asked for last; cases come ordered, so each variant starts once."""

    def __init__(self, setting):
        self.setting, self.name, self.pair, self.open, self.failure = setting, None, None, contextlib.ExitStack(), None

    def get(self, name):
        if name != self.name:
            self.open.close()
            self.name, self.pair, self.failure = name, None, None
            try:
                self.pair = self.open.enter_context(self.setting.running(VARIANTS[name], servers.coredns, servers.clusterdns))
            except AssertionError as failure:
                self.failure = str(failure)
        if self.failure:
            pytest.fail(f"variant {name} does not start: {self.failure}", pytrace=False)
        return self.pair


@pytest.fixture(scope="module")
def pairs():
    with compare.ControlPlane() as plane:
        compare.prepare(plane)
        with forwarded.Setting(plane, HOSTS) as setting:
            pairs = Pairs(setting)
            with pairs.open:
                yield pairs


@pytest.mark.parametrize("case", CASES, ids=str)
def test_same_answer(pairs, case):
    for number, (left, right) in enumerate(forwarded.rounds(pairs.get(case.variant), case)):
        lines, kind = forwarded.judge(case, left, right)
        if lines and kind is None:
            text = [f"{case}, asked for the {number + 1}. time", *lines, "", "CoreDNS:", str(left), "", "clusterdns:", str(right)]
            pytest.fail("\n".join(text), pytrace=False)


COUNTED = ("www.example.org. A", "www.example.org. AAAA", "chain1.example.org. A", "no-such.example.org. A", "ttl5.example.org. A")


def _ttls(answer):
    return [int(record.split()[1]) for name in ("answer", "authority") for record in answer.sections[name]]


@pytest.mark.parametrize("variant", ["kubeadm", "cache-options", "tls"])
def test_ttls_count_down(pairs, variant):
    """What is kept gets older on both, second by second, and is asked for again when its time is over."""
    pair = pairs.get(variant)
    ask = lambda line: pair.ask(forwarded.Case(variant, "", line, None))  # noqa: E731
    first = {line: ask(line) for line in COUNTED}

    def older():
        return all(max(_ttls(answer)) <= max(_ttls(before)) - 2 for answer, before in zip(ask(COUNTED[0]), first[COUNTED[0]]))

    wait_for(older, 10, f"{COUNTED[0]} to be two seconds older")
    for line in COUNTED[:-1]:
        left, right = ask(line)
        assert not compare.differences(left, forwarded.at_one_time(left, right)), f"{left}\n{right}"
        assert all(max(_ttls(now)) <= max(_ttls(before)) - 1 for now, before in zip((left, right), first[line])), line
    wait_for(lambda: all(_ttls(answer) >= [4] for answer in ask(COUNTED[-1])), 10, "a new TTL of what was kept five seconds")


def test_enough_is_asked():
    assert len({(case.variant, case.line) for case in CASES}) >= 300 and len({case.line for case in CASES}) >= 200


@pytest.mark.parametrize(
    "left, right, same",
    [
        (["a. 30 IN A 192.0.2.1"], ["a. 28 IN A 192.0.2.1"], True),
        (["a. 30 IN A 192.0.2.1"], ["a. 27 IN A 192.0.2.1"], False),
        (["a. 30 IN A 192.0.2.1"], ["a. 30 IN A 192.0.2.2"], False),
        (["a. 30 IN A 192.0.2.1", "a. 29 IN A 192.0.2.1"], ["a. 29 IN A 192.0.2.1"], False),
    ],
)
def test_ttls_of_one_time(left, right, same):
    left, right = (Answer("reply", sections={"answer": records, "authority": [], "additional": []}) for records in (left, right))
    assert (forwarded.at_one_time(left, right) == left) == same
