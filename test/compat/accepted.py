# SPDX-License-Identifier: Apache-2.0
"""The differences from CoreDNS that are meant. Each is a class: a name, the reason, and a predicate over one case and
the two answers (CoreDNS's first) that says whether this class, and nothing else, explains all that differs."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Accepted:
    name: str
    reason: str
    explains: Callable  # (case, CoreDNS's answer, our answer) -> bool


def _unsynced(case, left, right):
    return case.variant == "unsynced-fallthrough" and left.rcode == "NOERROR" and right.rcode == "SERVFAIL"


def _apex_ns_case(case, left, right):
    zone, _, kind = case.line.partition(" ")
    return kind == "NS" and zone != zone.lower() and right.rcode == "NOERROR" and not left.sections["answer"]


def _no_answer(case, left, right):
    return case.group.startswith("reverse") and left.result == "no answer" and right.rcode in ("NOERROR", "NXDOMAIN")


def _option_not_read(case, left, right):
    return "opt=" in case.line and left.rcode == "FORMERR" and right.rcode == "NOERROR"


def _malformed(case, left, right):
    return case.group == "packets" and right.rcode == "FORMERR" and left.rcode in ("NOERROR", "SERVFAIL")


# The names are those of docs/compatibility.md.
CLASSES: list[Accepted] = [
    Accepted(
        "unsynced-fallthrough",
        "before the first sync nobody knows whether a name exists: SERVFAIL, where CoreDNS lets fallthrough answer",
        _unsynced,
    ),
    Accepted("apex-ns-case", "names compare without case (RFC 4343); CoreDNS gives NODATA for CLUSTER.LOCAL NS", _apex_ns_case),
    Accepted("no-answer", "CoreDNS builds a target that is no name, cannot write it, and stays silent", _no_answer),
    Accepted("option-not-read", "an EDNS option that is not read cannot be malformed (RFC 6891 6.1.2)", _option_not_read),
    Accepted(
        "malformed",
        "two OPT records, an OPT below the root (RFC 6891 6.1.1), a name that points forward: FORMERR",
        _malformed,
    ),
]
