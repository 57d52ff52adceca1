# SPDX-License-Identifier: Apache-2.0
"""Runs dnsbench and the simulated server (test/dnsbench/simulated.c)."""

import json
import math
import signal
import subprocess
from pathlib import Path

from processes import Process, free_port, wait_for  # noqa: E402
from servers import clusterdns_binary  # noqa: E402

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
