# SPDX-License-Identifier: Apache-2.0
"""A fault, the thousand questions a second that are asked meanwhile, and what must hold of all their answers.

    with fault(server, moving, "API server killed") as one:
        …                  # make it; change `moving`
        one.over()         # from here on the newest answers must come within `within` seconds

Each answer must be of the old or of a new state (prober.judge); the counts are printed.
"""

import contextlib
import time
from dataclasses import dataclass

from processes import wait_for
from prober import RATE, Prober, given, judge

BACK_SECONDS = 10  # from the end of a fault to the newest answers
AFTER_SECONDS = 0.3  # asked on, when all is well again
LEAST_RATE = 0.9  # of RATE: else the machine was too busy to say anything
LINES = []  # the counts of each fault, for the end of the run


@dataclass
class Fault:
    ended: float = None

    def over(self):
        self.ended = time.monotonic()


def wait_newest(server, moving, seconds):
    """Until each changing name has its newest answer; returns when that was."""
    wanted = moving.newest()

    def right():
        return all(given(server.ask(line, 0.5)) == wanted[line] for line in wanted)

    wait_for(right, seconds, "the newest answers", interval=0.01)
    return time.monotonic()


@contextlib.contextmanager
def fault(server, moving, name, within=BACK_SECONDS, allowed=()):
    """`allowed`: kinds of Report.KINDS that may occur, beside right, old and new."""
    one = Fault()
    with Prober(server.port, moving.lines()) as prober:
        yield one
        if one.ended is None:
            one.over()
        try:
            fresh = wait_newest(server, moving, within)
        except AssertionError as error:
            late = {line: str(server.ask(line)) for line, wanted in moving.newest().items() if given(server.ask(line)) != wanted}
            raise AssertionError(f"{name}: {error}: {late}\n{server.process.log_tail()}") from None
        time.sleep(AFTER_SECONDS)
    report = judge(prober.probes, moving.history, fresh)
    LINES.append(f"{name}: {report}; newest {fresh - one.ended:.2f} s after its end")
    print(LINES[-1])
    bad = [kind for kind in ("late", "back", "wrong", "SERVFAIL", "lost") if report.counts[kind] and kind not in allowed]
    assert not bad, f"{name}: {report}\n" + "\n".join(report.strange) + f"\n{server.process.log_tail()}"
    assert report.counts.total() >= LEAST_RATE * RATE * report.seconds, f"{name}: {report}"
