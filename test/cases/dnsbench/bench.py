# SPDX-License-Identifier: Apache-2.0
"""Runs dnsbench and the simulated server (test/dnsbench/simulated.c); reads what dnsbench's documents list."""

import json
import math
import re
import shlex
import signal
import subprocess
from pathlib import Path

from processes import Process, free_port, wait_for  # noqa: E402
from servers import ROOT, clusterdns_binary  # noqa: E402

DOCS = Path(ROOT) / "docs"
BUILD = Path(clusterdns_binary()).resolve().parent
DNSBENCH = BUILD / "dnsbench"
FOREVER = "10s"  # what a machine that is busy elsewhere may be late without making a run invalid


class Simulated:
    """A simulated server; `folder` gets its log and its record of delays."""

    def __init__(self, folder, model="constant:5"):
        self.port, self.record = free_port(), folder / "delays"
        command = [BUILD / "simulated", self.port, model, self.record]
        self.process = Process("simulated", command, str(folder / "simulated.log")).start()
        wait_for(lambda: "ready" in self.process.log(), 10, "the simulated server")

    def delays(self):
        """Stops it. [(when a question came, how long its answer took)], nanoseconds."""
        if self.process.child:
            assert self.process.stop() == 0, self.process.log()
        return [tuple(map(int, line.split())) for line in self.record.read_text().splitlines()]

    def close(self):
        self.process.kill()


class Run:
    """A run of dnsbench: `status`, `text` (its output), `json`, `counts`."""

    def __init__(self, folder, arguments, server, ask="a.example A"):
        self.folder = folder
        (folder / "questions").write_text(ask + "\n")
        (folder / "json").unlink(missing_ok=True)
        command = [DNSBENCH, "-q", "questions", "--json", "json", "--quiet", "--max-lag", FOREVER, *arguments, server]
        self.child = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def finish(self, seconds=60):
        try:
            self.text, _ = self.child.communicate(timeout=seconds)
        finally:
            self.child.kill()
        self.status = self.child.returncode
        assert "Sanitizer" not in self.text and "runtime error" not in self.text, self.text
        self.json = json.loads((self.folder / "json").read_text())
        self.counts = self.json["counts"]
        return self

    def interrupt(self):
        self.child.send_signal(signal.SIGINT)
        return self


def bench(folder, arguments, server, **more):
    """A run to its end."""
    return Run(folder, arguments, server, **more).finish()


def plain(folder, arguments):
    """dnsbench with these arguments alone: (status, output, errors)."""
    done = subprocess.run(
        [DNSBENCH, *arguments], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


def percentile(values, percent):
    """The value that `percent` of all do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100 - 1e-9) - 1)]


# ---- what documents list


def quoted(text):
    return re.findall(r"`([^`]+)`", text)


def rows(text):
    """The cells of all tables' lines."""
    lines = re.findall(r"^\| (.*) \|$", text, re.MULTILINE)
    return [re.split(r" \| ?", line) for line in lines]


class Manual:
    """docs/dnsbench.md: `options` {name: argument}, `letters` {letter: name}; the report's `members` {section: {member: what
    is said of it}}, the report itself being the section `report`, and those of a `distribution`."""

    def __init__(self):
        self.text = (DOCS / "dnsbench.md").read_text()
        self.options, self.letters = {}, {}
        for option, meaning, *_ in rows(self.part("Options")):
            note_options(quoted(option) + re.findall(r"`(--[a-z-]+ [^`]+)`", meaning), self.options, self.letters)
        report = self.part("The JSON report")
        self.distribution = quoted(re.search(r"\*distribution\* is an object with ([^;]*);", report)[1])
        heads = re.split(r"^\*\*`(\w+)`\*\*", report, flags=re.MULTILINE)
        self.members = {
            name: {member: said for members, said, *_ in rows(table) for member in quoted(members)}
            for name, table in zip(["report", *heads[1::2]], heads[::2])
        }

    def part(self, title):
        return self.text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]

    def inside(self, said, mode=None):
        """The members that a description names, of a search of this mode."""
        said = re.sub(r"\([^()]*\)", "", said)
        clauses = [re.sub(rf"^\s*of `{mode}`", "", clause) for clause in said.split(";")]
        names = " ".join(clause for clause in clauses if not re.match(r"\s*of `", clause))
        for first, last in re.findall(r"`(\S+)` … `(\S+)`", names):
            places = slice(self.distribution.index(first), self.distribution.index(last) + 1)
            names = names.replace("…", " ".join(f"`{name}`" for name in self.distribution[places]))
        return set(quoted(names))


def note_options(texts, options, letters):
    """Of `-q`, `--questions FILE`."""
    letter = None
    for text in texts:
        name, _, argument = text.partition(" ")
        if name.startswith("--"):
            assert name not in options, f"{name} is listed twice"
            options[name] = argument.replace("…", "...")
            letters |= {letter: name} if letter else {}
            letter = None
        else:
            letter = name


def man_page():
    """The same of docs/dnsbench.1: what stands below .TP, and what has an argument."""
    options, letters = {}, {}
    text = (DOCS / "dnsbench.1").read_text().partition(".SH OPTIONS\n")[2].partition("\n.SH ")[0]
    text = re.sub(r"\\f.", "", text.replace("\\-", "-"))
    for line in re.findall(r"(?<=\.TP\n)\.B.? (.*)|(?<!\.TP\n)\.BI (--.*)", text):
        words = shlex.split("".join(line))
        note_options("".join(word for word in words if word != ".").split(", "), options, letters)
    return options, letters
