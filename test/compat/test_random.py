# SPDX-License-Identifier: Apache-2.0
"""Odd clusters and odd questions by chance: CoreDNS and our server give the same answers.

CLUSTERDNS_SEED repeats a run, CLUSTERDNS_QUESTIONS sets how many questions are asked (2,000 without it).
"""

import contextlib
import os
import random
import time
from collections import Counter

import asking
import churn
import compare
import pytest
import random_cluster
import servers

QUESTIONS = int(os.environ.get("CLUSTERDNS_QUESTIONS", "2000"))
PER_COREFILE = 200
SHOWN = 20  # differences that are printed


@pytest.fixture(scope="module")
def seed():
    return int(os.environ.get("CLUSTERDNS_SEED") or random.SystemRandom().randrange(1_000_000))


def ask_all(pair, name, lines, totals):
    """Texts of the differences that no class explains."""
    different = []
    for line in lines:
        case = compare.Case(name, "random", line, silent=" PTR" in line)
        left, right = pair.ask(case)
        found, kind = compare.judge(case, left, right)
        totals[kind.name if kind else "different" if found else "equal"] += 1
        if found and kind is None:
            different.append("\n  ".join([str(case), *found]))
    return different


def test_same_answers(seed):
    print(f"\nCLUSTERDNS_SEED={seed} CLUSTERDNS_QUESTIONS={QUESTIONS}", flush=True)
    rng, totals, different = random.Random(seed), Counter(), []
    with compare.ControlPlane() as plane:
        cluster = random_cluster.load(plane, random_cluster.objects(rng, compare.own_address()))
        for number in range(max(1, QUESTIONS // PER_COREFILE)):
            corefile = random_cluster.corefile(rng)
            lines = random_cluster.questions(rng, cluster, corefile, PER_COREFILE)
            with compare.running(plane, {"corefile": corefile.text}, servers.coredns, servers.clusterdns) as pair:
                found = ask_all(pair, f"{seed}.{number}", lines, totals)
            if found:
                different += [corefile.text, *found]
    print(", ".join(f"{count} {word}" for word, count in totals.most_common()))
    if different:
        pytest.fail("\n".join([f"seed {seed}, {totals}", *different[:SHOWN]]), pytrace=False)
    for kind in compare.accepted.CLASSES:
        assert totals[kind.name] <= max(3, kind.share * totals.total()), f"seed {seed}: too many differences of {kind.name}"


def ask_timed(asker, server, name, kind):
    """(name, type, reply, when it was asked, when it was answered)"""
    asker.next_id()
    asked = time.monotonic()
    return name, kind, asker.ask(server.port, f"{name} {kind} edns=4096"), asked, time.monotonic()


def judge_churned(churned, name, kind, reply, asked, answered):
    """"newest", "older", "truncated", or what is wrong: how a server's reply fits the states that there were."""
    if "TC" in reply.flags:
        return "truncated"
    given = reply.rcode, reply.rdata(), reply.rdata("additional")
    age = churned.age(name, kind, given, asked, answered)
    return f"{name} {kind} is of no state:\n{reply}" if age is None else "newest" if age == 0 else "older"


def test_churn(seed):
    """Under constant change each answer is that of a state that was; when it ends, the last state's."""
    rng, count = random.Random(seed), max(500, QUESTIONS // 4)
    during, after = [], []
    with contextlib.closing(asking.Asker()) as asker, compare.ControlPlane() as plane:
        churned = churn.Churn(plane, rng)
        variant = {"corefile": servers.corefile()}
        with compare.running(plane, variant, servers.coredns, servers.clusterdns) as pair:
            with churned:
                for name, kind in churn.lines(rng, count, churned):
                    during.append(ask_timed(asker, pair.right, name, kind))
                    time.sleep(churn.PAUSE_SECONDS)
            time.sleep(churn.LATE_SECONDS)
            for name, kind in dict.fromkeys(answer[:2] for answer in during):
                after += [ask_timed(asker, server, name, kind) for server in (pair.left, pair.right)]
    during, after = ([judge_churned(churned, *answer) for answer in answers] for answers in (during, after))
    totals = Counter(text if text in ("newest", "older", "truncated") else "wrong" for text in during)
    print(f"\n{churned.changes()} changes, {totals}; afterwards {Counter(text.split()[0] for text in after)}")
    wrong = [text for text in [*during, *after] if " " in text]
    wrong += [text for text in after if text == "older"]
    assert not wrong, f"seed {seed}, {totals}: " + "\n".join(wrong[:SHOWN])
    assert churned.changes() > 50 and totals["newest"] > count // 2
