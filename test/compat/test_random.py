# SPDX-License-Identifier: Apache-2.0
"""Odd clusters and odd questions by chance: CoreDNS and our server give the same answers.

CLUSTERDNS_SEED repeats a run, CLUSTERDNS_QUESTIONS sets how many questions are asked (2,000 without it).
"""

import contextlib
import dataclasses
import os
import random
import threading
import time
from collections import Counter

import asking
import churn
import compare
import features
import imports
import pytest
import random_cluster
import random_corefile
import random_packets
import random_questions
import servers
from processes import kernel_drops
from proxy import Proxy

QUESTIONS = int(os.environ.get("CLUSTERDNS_QUESTIONS", "2000"))
PER_COREFILE = 200
PACKETS = 25  # more, of each 100 questions
SETTLE_SECONDS = 10  # in which the last state is to be answered, when all that changed has been seen
SHOWN = 20  # differences that are printed


@pytest.fixture(scope="module")
def seed():
    return int(os.environ.get("CLUSTERDNS_SEED") or random.SystemRandom().randrange(1_000_000))


@pytest.fixture(scope="module")
def loaded(seed):
    """(a control plane with a random cluster, what is in it, chance)"""
    rng = random.Random(seed)
    with compare.ControlPlane() as plane:
        imports.prepare(plane)
        yield plane, random_cluster.load(plane, random_cluster.objects(rng, compare.own_address())), rng


def over_tcp(case, pair):
    return pair.ask(compare.Case(case.variant, case.group, f"{case.line} tcp", case.world))


def not_of_the_whole(case, pair, right):
    """Of two truncated answers ours is not compared with CoreDNS's, but with what it gives over TCP: it is a part of that."""
    whole = over_tcp(case, pair)[1]
    for section in asking.SECTIONS:
        surplus = Counter(right.sections[section]) - Counter(whole.sections[section])
        if surplus:
            return [f"truncated {section} has what the whole has not: {record}" for record in surplus]
    return []


def judge_whole(case, pair, left, right):
    """Where one answer had no room: what explains the whole ones' difference, a record more or a longer one, explains it too."""
    found, kind = compare.judge(case, left, right)
    if found and kind is None and ("TC" in left.flags) != ("TC" in right.flags):
        kind = compare.judge(case, *over_tcp(case, pair))[1]
        if kind:
            found = not_of_the_whole(case, pair, right)
            kind = None if found else kind
    return found, kind


def ask_and_judge(case, pair):
    """(CoreDNS's answer, ours, the difference, the class that explains it)"""
    drops = kernel_drops()
    left, right = pair.ask(case)
    found, kind = judge_whole(case, pair, left, right)
    # CoreDNS may be slow, and the kernel may have thrown a packet away: that is no difference until it shows twice.
    silence = left.result == "no answer" or (right.result == "no answer" and kernel_drops() > drops)
    if found and kind is None and silence:
        left, right = pair.ask(dataclasses.replace(case, silent=False))
        found, kind = judge_whole(case, pair, left, right)
    return left, right, found, kind


def ask_all(pair, cases, totals, answers):
    """Texts of the differences that no class explains."""
    different = []
    for case in cases:
        left, right, found, kind = ask_and_judge(case, pair)
        if not found and kind is None and "TC" in left.flags and right.sections["answer"] and not case.line.endswith("tcp"):
            found = not_of_the_whole(case, pair, right)
        totals[kind.name if kind else "different" if found else "equal"] += 1
        answers[features.of_answer(left)] += 1
        if found and kind is None:
            different.append("\n  ".join([str(case), *found]))
    return different


def cases_about(rng, name, cluster, corefile):
    world = compare.World(cluster, corefile.text)
    lines = random_questions.questions(rng, cluster, corefile, PER_COREFILE)
    for line in lines:
        yield compare.Case(name, "random", line, world, silent=" PTR" in line)
    for line in random_packets.packets(rng, cluster, corefile, PER_COREFILE * PACKETS // 100):
        yield compare.Case(name, "packets", line, world, silent=True)


def test_every_type(loaded):
    """Types 0 to 300 and some beyond, at names that have records, at the apex, and at none."""
    plane, cluster, _ = loaded
    world = compare.World(cluster, servers.corefile())
    names = [
        "web.odd.svc.cluster.local.",
        "of-pod.odd.svc.cluster.local.",
        "cluster.local.",
        "none.odd.svc.cluster.local.",
    ]
    lines = [f"{name} TYPE{kind}" for kind in [*range(301), 32768, 65280, 65534, 65535] for name in names]
    with compare.running(plane, {"corefile": world.corefile}, servers.coredns, servers.clusterdns) as pair:
        cases = [compare.Case("types", "types", line, world) for line in lines]
        different = ask_all(pair, cases, Counter(), Counter())
    assert not different, "\n".join(different[:SHOWN])


def whole_from(asker, server, line):
    """The least EDNS size with which the answer is whole, between 512 and 4096; 0: with any, None: with none."""

    def truncated(size):
        asker.next_id()
        return "TC" in asker.ask(server.port, f"{line} edns={size}").flags

    low, high = 512, 4096
    if truncated(high) or not truncated(low):
        return None if truncated(high) else 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if truncated(middle) else (low, middle)
    return high


def test_truncated_at_the_same_size(loaded):
    """Both servers' answers fit at the same size, to the byte: that is how alike they compress."""
    plane, cluster, rng = loaded
    made = random_cluster.Maker(rng)
    for number in range(6):
        size, host = rng.randint(8, 60), rng.choice(["", "h", "a-hostname-of-some-length"])
        endpoints = [
            {"addresses": [f"10.246.{number}.{i}"], **({"hostname": f"{host}-{i}"} if host else {})}
            for i in range(size)
        ]
        made.headless("odd", f"sized-{number}")
        made.plain_slice("odd", f"sized-{number}", f"sized-{number}", endpoints)
    random_cluster.load(plane, made.list)
    found = {}
    with compare.running(plane, {"corefile": servers.corefile()}, servers.coredns, servers.clusterdns) as pair:
        for number in range(6):
            for line in (
                f"sized-{number}.odd.svc.cluster.local. A",
                f"_hTTp._tcp.Sized-{number}.odd.svc.cluster.local. SRV",
            ):
                found[line] = [whole_from(pair.asker, server, line) for server in (pair.left, pair.right)]
    assert all(left == right for left, right in found.values()), found
    assert any(left for left, _ in found.values()), found


def test_same_answers(loaded, seed):
    print(f"\nCLUSTERDNS_SEED={seed} CLUSTERDNS_QUESTIONS={QUESTIONS}", flush=True)
    plane, cluster, _ = loaded
    rng, totals, answers, different = random.Random(seed), Counter(), Counter(), []
    for number in range(max(1, QUESTIONS // PER_COREFILE)):
        corefile = random_corefile.corefile(rng)
        cases = cases_about(rng, f"{seed}.{number}", cluster, corefile)
        with compare.running(plane, {"corefile": corefile.text}, servers.coredns, servers.clusterdns) as pair:
            found = ask_all(pair, cases, totals, answers)
        if found:
            different += [corefile.text, *found]
    print(", ".join(f"{count} {word}" for word, count in totals.most_common()))
    print(", ".join(f"{count} {word}" for word, count in answers.most_common()))
    if different:
        pytest.fail("\n".join([f"seed {seed}, {totals}", *different[:SHOWN]]))
    for kind in compare.accepted.CLASSES:
        assert totals[kind.name] <= max(
            5, kind.share * totals.total()
        ), f"seed {seed}: too many differences of {kind.name}"
    assert answers["NOERROR with records"] > answers.total() // 20, f"seed {seed}: most questions ask for nothing"


def ask_timed(asker, server, name, kind):
    """(name, type, reply, when it was asked, when it was answered)"""
    asker.next_id()
    asked = time.monotonic()
    return name, kind, asker.ask(server.port, f"{name} {kind} edns=4096"), asked, time.monotonic()


def judge_churned(churned, name, kind, reply, asked, answered):
    """How a server's reply fits the states that there were: "newest", "older", "mixed", "truncated", or what is wrong."""
    if "TC" in reply.flags:
        return "truncated"
    given = reply.rcode, reply.rdata(), reply.rdata("additional")
    age = churned.history.age(name, kind, given, asked, answered)
    if age is None:
        return f"{name} {kind} is of no state:\n{reply}"
    return {-1: "mixed", 0: "newest"}.get(age, "older")


def ask_settled(churned, asker, server, name, kind):
    """As ask_timed(), when all changes are over: again, until the answer is that of the last state, for some seconds."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        reply = ask_timed(asker, server, name, kind)
        if judge_churned(churned, *reply) not in ("older", "mixed") or time.monotonic() > deadline:
            return reply
        time.sleep(0.05)


class Asking(threading.Thread):
    """Asks questions of a server until it is stopped, and at least `count`; `replies` are what ask_timed() gives."""

    def __init__(self, rng, server, churned, count):
        super().__init__()
        self.rng, self.server, self.churned, self.count = rng, server, churned, count
        self.replies, self.over = [], threading.Event()

    def run(self):
        with contextlib.closing(asking.Asker()) as asker:
            for name, kind in churn.lines(self.rng, self.churned):
                self.replies.append(ask_timed(asker, self.server, name, kind))
                if self.over.wait(churn.PAUSE_SECONDS) and len(self.replies) >= self.count:
                    return

    def stop(self):
        self.over.set()
        self.join()


def take_away(plane, proxy, how):
    """The API goes and comes back; with "compact" nobody can go on where they were, and has to list."""
    if how == "restart":
        plane.kill_api()
        plane.compact()
        plane.start_api()
        return
    proxy.cut()
    time.sleep(0.5)  # changes happen meanwhile
    if how == "compact":
        plane.compact()
    proxy.up()


def test_churn(seed):
    """Under constant change, and while the API goes and comes back, each answer is that of a state that was; when it ends,
    the last state's."""
    rng, count = random.Random(seed), max(500, QUESTIONS // 4)
    variant = {"corefile": servers.corefile("pods verified")}
    with compare.ControlPlane() as plane, Proxy(plane.api_port) as proxy:
        churned = churn.Churn(plane, rng)
        through = {"KUBECONFIG": plane.kubeconfig("dns", server=proxy.url)}
        with servers.coredns(variant["corefile"], KUBECONFIG=plane.kubeconfig("dns")) as left, servers.clusterdns(
            variant["corefile"], **through
        ) as right:
            asker = Asking(random.Random(seed), right, churned, count)
            with churned:
                asker.start()
                for how in ("cut", "compact", "restart"):
                    with churned.outage(right):
                        if how == "restart":
                            with churned.between:
                                take_away(plane, proxy, how)
                        else:
                            take_away(plane, proxy, how)
                asker.stop()
            for server in (left, right):
                churned.wait_seen(server)
            after = []
            with contextlib.closing(asking.Asker()) as again:
                for name, kind in dict.fromkeys(reply[:2] for reply in asker.replies):
                    theirs, ours = (ask_settled(churned, again, server, name, kind) for server in (left, right))
                    # A slice that lost its Service leaves CoreDNS without a PTR record that it can send.
                    after += [ours] if kind == "PTR" and theirs[2].result == "no answer" else [theirs, ours]
    during, after = ([judge_churned(churned, *reply) for reply in replies] for replies in (asker.replies, after))
    totals = Counter(text if " " not in text else "wrong" for text in during)
    print(f"\n{churned.history.changes()} changes, {totals}; afterwards {Counter(text.split()[0] for text in after)}")
    wrong = [text for text in [*during, *after] if " " in text]
    wrong += [f"afterwards {text}" for text in after if text in ("older", "mixed")]
    assert not wrong, f"seed {seed}, {totals}: " + "\n".join(wrong[:SHOWN])
    assert churned.history.changes() > 50 and totals["newest"] > count // 2
