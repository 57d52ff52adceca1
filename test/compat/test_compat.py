# SPDX-License-Identifier: Apache-2.0
"""CoreDNS and our server, on the same API server, asked the same questions: the answers have to be the same."""

import contextlib

import compare
import pytest
import servers

servers.clusterdns_binary()  # one clear error instead of one for every question
VARIANTS, CASES = compare.load()


class Pairs:
    """CoreDNS and our server under the variant asked for last; cases come ordered, so each variant starts once."""

    def __init__(self, plane):
        self.plane, self.name, self.pair, self.running, self.failure = plane, None, None, contextlib.ExitStack(), None

    def get(self, name):
        if name != self.name:
            self.close()
            self.name, self.pair, self.failure = name, None, None
            try:
                self.pair = self.running.enter_context(
                    compare.running(self.plane, VARIANTS[name], servers.coredns, servers.clusterdns)
                )
            except AssertionError as failure:
                self.failure = str(failure)
        if self.failure:
            pytest.fail(f"variant {name} does not start: {self.failure}", pytrace=False)
        return self.pair

    def close(self):
        self.running.close()


@pytest.fixture(scope="module")
def pairs():
    with compare.ControlPlane() as plane:
        compare.prepare(plane)
        with contextlib.closing(Pairs(plane)) as pairs:
            yield pairs


@pytest.mark.parametrize("case", CASES, ids=str)
def test_same_answer(pairs, case):
    left, right = pairs.get(case.variant).ask(case)
    lines, kind = compare.judge(case, left, right)
    if lines and kind is None:
        pytest.fail(
            "\n".join([str(case), *lines, "", "CoreDNS:", str(left), "", "clusterdns:", str(right)]), pytrace=False
        )


def test_enough_is_asked():
    assert len({case.line for case in CASES}) >= 200
