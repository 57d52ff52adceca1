# SPDX-License-Identifier: Apache-2.0
"""Asks a server the same questions at a steady rate, whatever it answers, and judges each answer by what was so then.

    with Prober(port, lines) as prober:
        …
    report = judge(prober.probes, history)

The questions are sent by a process of their own (this file as a program), so that nothing the test does delays them.
"""

import bisect
import json
import os
import random
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field

import asking

RATE = 1000  # questions a second
LOST_SECONDS = 2.0
SOCKETS = 16  # the server's workers share them out by port
FLAGS = "QR AA RD"  # of every answer about the cluster


@dataclass(frozen=True)
class Probe:
    """One question: when it was asked and answered (monotonic seconds; `answered` None: lost)."""

    line: str
    asked: float
    answered: float
    answer: asking.Answer


@dataclass(frozen=True)
class Fact:
    """What is right to answer after a write that was sent at `begin` and acknowledged at `end`."""

    begin: float
    end: float
    expected: tuple  # (rcode, rdata of the answer section, of the additional section)


class Prober:
    """Asks `lines` in turn while the `with` lasts; `probes` has every Probe afterwards, in the order of asking."""

    def __init__(self, port, lines, rate=RATE):
        self.port, self.lines, self.rate, self.probes, self.child = port, list(lines), rate, [], None

    def __enter__(self):
        command = [sys.executable, os.path.abspath(__file__), str(self.port), str(self.rate)]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.child.stdin.write(json.dumps(self.lines) + "\n")
        self.child.stdin.flush()
        assert self.child.stdout.readline() == "asking\n"
        return self

    def __exit__(self, kind, *unused):
        try:
            output = self.child.communicate(timeout=30)[0]  # the end of its input ends it
        finally:
            self.child.kill()
            self.child.wait()
        if kind is None:
            document = json.loads(output)
            answers = [asking.Answer(**answer) for answer in document["answers"]]
            self.probes = [
                Probe(self.lines[line], asked, answered, None if answered is None else answers[number])
                for line, asked, answered, number in document["records"]
            ]


# ---- judgement


@dataclass
class Report:
    """Counts by what the answers were, the first few strange ones, and when each question got its newest answer."""

    counts: Counter = field(default_factory=Counter)
    strange: list = field(default_factory=list)
    seconds: float = 0
    slowest: float = 0  # answer, seconds

    KINDS = ("right", "new", "old", "late", "back", "wrong", "SERVFAIL", "lost")

    def __str__(self):
        parts = ", ".join(f"{self.counts[kind]} {kind}" for kind in self.KINDS)
        total = self.counts.total()
        rate = total / self.seconds if self.seconds else 0
        return f"{total} probes, {rate:.0f} a second: {parts}; slowest {self.slowest * 1e3:.0f} ms"

    def add(self, kind, probe, text=""):
        self.counts[kind] += 1
        if kind not in ("right", "new", "old") and len(self.strange) < 10:
            self.strange.append(f"{kind}: {probe.line} asked at {probe.asked:.3f} {text}\n{probe.answer}")


def given(answer):
    """What an answer says, in the form of a Fact's `expected`; None if it is none that such a server gives."""
    if answer.result != "reply" or answer.flags != FLAGS:
        return None
    return answer.rcode, tuple(answer.rdata()), tuple(answer.rdata("additional"))


def _judge_line(report, probes, facts, fresh):
    """One question's probes, by when they were asked. What was seen once must not be unseen by who asks later."""
    seen = [(0.0, 0)]  # (when, the least version that had been shown by then), both rising
    for probe in probes:
        if probe.answered is None:
            report.add("lost", probe)
            continue
        report.slowest = max(report.slowest, probe.answered - probe.asked)
        if probe.answer.rcode == "SERVFAIL":
            report.add("SERVFAIL", probe)
            continue
        least = seen[bisect.bisect_left(seen, (probe.asked, 0)) - 1][1]
        begun = bisect.bisect_right(facts, probe.answered, key=lambda fact: fact.begin)
        said = given(probe.answer)
        matching = [version for version in range(begun) if facts[version].expected == said]
        version = next((version for version in matching if version >= least), None)
        if version is None:
            report.add("back" if matching else "wrong", probe, f"but {facts[least : least + 1]}")
            continue
        if version > seen[-1][1]:
            while seen[-1][0] >= probe.answered:  # one that was asked earlier and answered later
                seen.pop()
            seen.append((probe.answered, version))
        newest = bisect.bisect_right(facts, probe.asked, key=lambda fact: fact.end) - 1
        if len(facts) == 1:
            report.add("right", probe)
        elif matching[-1] >= newest:
            report.add("new", probe)
        else:
            report.add("late" if probe.asked > fresh else "old", probe, f"but {facts[newest]}")


def judge(probes, history, fresh=float("inf")):
    """A Report. `history`: {line: [Fact, …]}, oldest first. After `fresh` an old answer is late."""
    report = Report()
    by_line = {}
    for probe in probes:
        by_line.setdefault(probe.line, []).append(probe)
    for line, some in by_line.items():
        _judge_line(report, some, history[line], fresh)
    if probes:
        report.seconds = probes[-1].asked - probes[0].asked
    return report


# ---- the process that asks


class _Process:
    def __init__(self, port, rate, lines):
        self.server, self.step, self.lines = ("127.0.0.1", port), 1 / rate, lines
        self.wires = [asking.parse(line).wire for line in lines]
        self.records, self.answers, self.numbers, self.raw = [], [], {}, {}
        self.selector = selectors.DefaultSelector()
        self.sockets, self.pending = [], []
        for number in range(SOCKETS):
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)
            self.sockets.append(one)
            self.pending.append({})
            self.selector.register(one, selectors.EVENT_READ, number)
        self.selector.register(sys.stdin, selectors.EVENT_READ, None)

    def run(self):
        """Until the standard input ends; then what is outstanding gets its time."""
        order = list(range(len(self.lines)))
        random.Random(1).shuffle(order)
        due, end, turn = time.monotonic(), None, 0
        print("asking", flush=True)
        while end is None or (any(self.pending) and time.monotonic() < end):
            now = time.monotonic()
            while end is None and due <= now:
                self.ask(order[turn % len(order)], turn % SOCKETS)
                turn, due = turn + 1, due + self.step
            for key, _ in self.selector.select(max(0.0, due - time.monotonic()) if end is None else 0.05):
                if key.data is not None:
                    self.take(key.data)
                else:
                    self.selector.unregister(sys.stdin)
                    end = time.monotonic() + LOST_SECONDS
        json.dump({"answers": self.answers, "records": self.records}, sys.stdout)

    def ask(self, line, number):
        pending = self.pending[number]
        identity = random.randrange(65536)
        while identity in pending:
            identity = random.randrange(65536)
        packet = identity.to_bytes(2, "big") + self.wires[line][2:]
        record = [line, time.monotonic(), None, None]
        self.records.append(record)
        pending[identity] = record
        try:
            self.sockets[number].sendto(packet, self.server)
        except OSError:
            pass  # as good as lost

    def take(self, number):
        pending = self.pending[number]
        while True:
            try:
                packet, source = self.sockets[number].recvfrom(65535)
            except BlockingIOError:
                return
            except OSError:
                continue
            now = time.monotonic()
            record = pending.get(int.from_bytes(packet[:2], "big"))
            if source == self.server and record and self.is_answer_to(packet, self.wires[record[0]]):
                del pending[int.from_bytes(packet[:2], "big")]
                if now - record[1] <= LOST_SECONDS:
                    record[2:] = now, self.number_of(packet)

    @staticmethod
    def is_answer_to(packet, question):
        """The question stands in the answer as it was asked: one name, its type and class."""
        end = question.index(0, 12) + 5
        return packet[2] & 0x80 and packet[4:6] == b"\0\1" and packet[12:end] == question[12:end]

    def number_of(self, packet):
        """Equal answers share a number; most packets are byte by byte one that was seen before."""
        wire = packet[2:]
        if wire not in self.raw:
            if len(self.raw) > 10000:
                self.raw.clear()
            answer = asdict(asking.decode(packet))
            key = json.dumps(answer)
            if key not in self.numbers:
                self.numbers[key] = len(self.answers)
                self.answers.append(answer)
            self.raw[wire] = self.numbers[key]
        return self.raw[wire]


if __name__ == "__main__":
    _Process(int(sys.argv[1]), float(sys.argv[2]), json.loads(sys.stdin.readline())).run()
