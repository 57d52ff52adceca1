# SPDX-License-Identifier: Apache-2.0
"""CoreDNS and our server over the same upstreams and API server: names from outside, hosts and caches answer alike."""

import contextlib

import compare
import forwarded
import pytest
import servers
from asking import Answer

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
