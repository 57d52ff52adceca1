# SPDX-License-Identifier: Apache-2.0
"""The differences from CoreDNS that are meant. Each is a class: a name, the reason, and a predicate over one case and
the two answers (CoreDNS's first) that says whether this class, and nothing else, explains all that differs."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from asking import SECTIONS


@dataclass(frozen=True)
class Accepted:
    name: str
    reason: str
    explains: Callable  # (case, CoreDNS's answer, our answer) -> bool
    share: float = 0  # the most of a run's random questions that may differ so


def _question(case):
    name, kind, *options = case.line.split()
    return name, kind, options


def _differing(left, right):
    """The records that only one answer has."""
    records = []
    for section in SECTIONS:
        ours, theirs = Counter(right.sections[section]), Counter(left.sections[section])
        records += [*(ours - theirs), *(theirs - ours)]
    return records


def _unsynced(case, left, right):
    return case.variant == "unsynced-fallthrough" and left.rcode == "NOERROR" and right.rcode == "SERVFAIL"


def _apex_ns_case(case, left, right):
    name, kind, _ = _question(case)
    if name == name.lower() or right.rcode != "NOERROR" or left.sections["answer"]:
        return False
    if kind == "NS":
        return all(" NS " in record for record in right.sections["answer"])
    leads_there = any(record.startswith("ns.dns.") for record in right.sections["answer"])
    return name.lower().startswith("ns.dns.") or leads_there


def _no_answer(case, left, right):
    _, kind, _ = _question(case)
    if left.result != "no answer":
        return False
    if kind == "SRV":  # of an import's slices without a cluster
        return right.rcode == "NOERROR" and all(" SRV " in record for record in right.sections["answer"])
    return kind == "PTR" and right.rcode in ("NOERROR", "NXDOMAIN", "SERVFAIL")


def _import_protocol(case, left, right):
    """Only the service "mc-bare" of the compared cluster has a port without a protocol."""
    return ".mc-bare." in _question(case)[0].lower() and left.rcode == "NXDOMAIN" and right.rcode == "NOERROR"


def _cluster_case(case, left, right):
    """The same, but for the case of an SRV target."""
    lower = [Counter(record.lower() for name in SECTIONS for record in answer.sections[name]) for answer in (left, right)]
    return _question(case)[1] == "SRV" and left.rcode == right.rcode and lower[0] == lower[1]


def _option_not_read(case, left, right):
    return "opt=" in case.line and left.rcode == "FORMERR" and right.rcode == "NOERROR"


def _malformed(case, left, right):
    return case.group == "packets" and right.rcode == "FORMERR" and left.rcode in ("NOERROR", "SERVFAIL")


def _names_in_slices(case, left, right):
    """Only the service "fqdn" of the random clusters has names in slices."""
    return ".fqdn." in "." + _question(case)[0].lower()


_UNUSUAL = re.compile(r"[.-]246[.:-]|:246:")


def _unusual_address(case, left, right):
    """Only the unusual addresses of the random clusters have a 246."""
    if _UNUSUAL.search(_question(case)[0]):
        return True
    records = [record for record in _differing(left, right) if " SOA " not in record]
    return left.rcode == right.rcode and records and all(_UNUSUAL.search(record) for record in records)


def _whoami_long(case, left, right):
    return left.result.startswith("undecodable: NameTooLong") and len(right.sections["additional"]) == 1


def _reverse_extra(case, left, right):
    name, kind, _ = _question(case)
    labels = name.lower().rstrip(".").split(".")
    return kind == "PTR" and labels[-2:] == ["ip6", "arpa"] and 34 < len(labels) < 38 and not right.sections["answer"]


def _root_server(case, left, right):
    return _question(case)[0].lower() == "ns.dns." and right.rcode == "NOERROR" and not left.sections["answer"]


_ODD_SERVICE = re.compile(r" PTR \S+\.(Web|odd\.label|a_b)\.")


def _odd_service(case, left, right):
    """Only slices of the random clusters have such names of services."""
    surplus = Counter(left.sections["answer"]) - Counter(right.sections["answer"])
    missing = Counter(right.sections["answer"]) - Counter(left.sections["answer"])
    return surplus and not missing and all(_ODD_SERVICE.search(record) for record in surplus)


def _nil_server(case, left, right):
    name, kind, _ = _question(case)
    if kind == "NS":
        return left.rcode == "SERVFAIL" and right.rcode == "NOERROR"
    return name.lower().startswith("ns.dns.") and any(r.endswith(" CNAME <nil>.") for r in left.sections["answer"])


def _unsendable(case, left, right):
    _, _, options = _question(case)
    sizes = [int(option[5:]) for option in options if option.startswith("edns=")]
    return "tcp" not in options and left.result == "no answer" and "TC" in right.flags and any(size > 65507 for size in sizes)


# The names are those of docs/compatibility.md.
CLASSES: list[Accepted] = [
    Accepted(
        "unsynced-fallthrough",
        "before the first sync nobody knows whether a name exists: SERVFAIL, where CoreDNS lets fallthrough answer",
        _unsynced,
    ),
    Accepted(
        "apex-ns-case",
        "names compare without case (RFC 4343); CoreDNS gives NODATA for CLUSTER.LOCAL NS, NXDOMAIN for ns.dns.CLUSTER.LOCAL",
        _apex_ns_case,
        0.01,
    ),
    Accepted("no-answer", "CoreDNS builds a target that is no name, cannot write it, and stays silent", _no_answer, 0.02),
    Accepted(
        "import-protocol",
        "a ServiceImport's port without a protocol is TCP, says its API; CoreDNS finds it by no protocol's name",
        _import_protocol,
    ),
    Accepted(
        "cluster-case",
        "a cluster's id in capitals, which the API does not allow: CoreDNS keeps them in SRV targets; names have no case",
        _cluster_case,
    ),
    Accepted("option-not-read", "an EDNS option that is not read cannot be malformed (RFC 6891 6.1.2)", _option_not_read),
    Accepted(
        "malformed",
        "two OPT records, an OPT below the root (RFC 6891 6.1.1), a name that points forward: FORMERR",
        _malformed,
    ),
    Accepted(
        "names-in-slices",
        "a slice of addressType FQDN has no meaning for DNS; CoreDNS writes a CNAME for each name, several at one owner",
        _names_in_slices,
        0.06,
    ),
    Accepted(
        "unusual-address",
        "an address not written as RFC 5952 says, which API servers refuse since 1.36: CoreDNS makes labels of its text",
        _unusual_address,
        0.05,
    ),
    Accepted("whoami-long", "CoreDNS's whoami puts a label before a name that is too long for it", _whoami_long, 0.02),
    Accepted("reverse-extra", "CoreDNS passes over up to three labels left of an IPv6 address", _reverse_extra, 0.01),
    Accepted("root-server", "with the root as zone CoreDNS does not find ns.dns", _root_server, 0.01),
    Accepted(
        "odd-service",
        "a slice with a label that no Service can be named as belongs to none; CoreDNS gives it PTR records that lead nowhere",
        _odd_service,
        0.02,
    ),
    Accepted("nil-server", "a name server's Service of type ExternalName has no address; CoreDNS writes <nil>", _nil_server, 0.02),
    Accepted("unsendable", "CoreDNS fills a UDP packet with more than IPv4 carries, and stays silent", _unsendable, 0.01),
]
