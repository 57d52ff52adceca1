# SPDX-License-Identifier: Apache-2.0
"""The differences from CoreDNS that are meant. Each is a class: a name, the reason, and a predicate over one case and
the two answers (CoreDNS's first) that says whether this class, and nothing else, explains all that differs."""

import contextlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import dns.exception
import dns.name
import dns.rdatatype
import dns.reversename

import packet
from asking import SECTIONS
from world import own_address, usual


@dataclass(frozen=True)
class Accepted:
    name: str
    reason: str
    explains: Callable  # (case, CoreDNS's answer, our answer) -> bool
    share: float = 0  # the most of a run's random questions that may differ so


def _question(case):
    """(name, type, options); no name and type of a raw packet whose question cannot be read."""
    name, kind, *options = case.line.split()
    if name == "raw":
        read = packet.read(case.line)
        if read.labels is None:
            return "", "", options
        return dns.name.Name([*read.labels, b""]).to_text(), dns.rdatatype.to_text(read.kind), options
    if name.startswith("ptr:"):
        name = dns.reversename.from_address(name[4:]).to_text()
    return name, dns.rdatatype.to_text(dns.rdatatype.from_text(kind)), options


def _differing(left, right, fold=False):
    """The records that only one answer has; `fold`: letters' case is none."""
    records = []
    for section in SECTIONS:
        ours, theirs = (
            Counter(record.lower() if fold else record for record in answer.sections[section]) for answer in (right, left)
        )
        records += [*(ours - theirs), *(theirs - ours)]
    return records


def _asked_address(case):
    """The address whose reverse name is asked for, as text; None: it is no reverse name."""
    name, _, _ = _question(case)
    with contextlib.suppress(dns.exception.DNSException, ValueError):
        return usual(dns.reversename.to_address(dns.name.from_text(name))) if name else None
    return None


def _names(case, left, right):
    """Every name that occurs, as a list of labels: the question's, owners, and the last word of each record."""
    words = [_question(case)[0]]
    for answer in (left, right):
        for section in SECTIONS:
            words += [word for record in answer.sections[section] for word in (record.split()[0], record.split()[-1])]
    return [word.lower().rstrip(".").split(".") for word in words if word]


def _unsynced(case, left, right):
    return case.variant == "unsynced-fallthrough" and left.rcode == "NOERROR" and right.rcode == "SERVFAIL"


def _is_server(name):
    return name.lower().startswith("ns.dns.")


def _more(one, other):
    """The records of the answer and the additional section that only the first of two answers has."""
    sections = ("answer", "additional")
    return [record for name in sections for record in (Counter(one.sections[name]) - Counter(other.sections[name])).elements()]


def _servers_missing(left, right):
    """All that only our answer has are records of ns.dns, and the aliases that lead there; CoreDNS's answer has no other."""
    missing = _more(right, left)
    aliases = {record.split()[-1].lower(): record.split()[0] for record in missing if " CNAME " in record}
    owners = [record.split()[0] for record in missing if " CNAME " not in record]
    led = [target for target in aliases if not _is_server(target) and target not in map(str.lower, aliases.values())]
    return owners and all(map(_is_server, owners)) and not led and not _more(left, right)


def _apex_ns_case(case, left, right):
    name, kind, _ = _question(case)
    aliases = all(" CNAME " in record for record in left.sections["answer"])
    if right.rcode != "NOERROR" or not (aliases or kind == "SRV"):
        return False
    if kind == "NS":
        return name != name.lower() and all(" NS " in record for record in right.sections["answer"])
    if _is_server(name):
        return aliases and name != name.lower()
    # Where aliases lead, in the zone that was asked for, or in another.
    leads = [record.split()[0] for record in (*right.sections["answer"], *right.sections["additional"])]
    return _servers_missing(left, right) and any(owner != owner.lower() for owner in (name, *filter(_is_server, leads)))


def _no_answer(case, left, right):
    kind = _question(case)[1]
    if left.result != "no answer" or right.rcode not in ("NOERROR", "NXDOMAIN", "SERVFAIL"):
        return False
    if kind == "SRV":
        return case.world.imports_of_no_cluster and all(" SRV " in record for record in right.sections["answer"])
    return kind == "PTR" and ("." in case.world.primary_zones or _asked_address(case) in case.world.nowhere)


def _passed_on(case, answer):
    """Did the question fall through, to whoami or to nobody?"""
    records = answer.sections["additional"]
    passed = answer.rcode == "SERVFAIL" or any(" SRV 0 0 own-port " in record for record in records)
    return "fallthrough" in case.world.corefile and passed


def _import_protocol(case, left, right):
    labels = _question(case)[0].lower().split(".")
    named = any(pair in case.world.imports_of_no_protocol for pair in zip(labels, labels[1:]))
    return named and (left.rcode == "NXDOMAIN" or _passed_on(case, left)) and right.rcode == "NOERROR"


def _cluster_case(case, left, right):
    """The same, but for the case of an SRV target."""
    lower = [
        Counter(record.lower() for name in SECTIONS for record in answer.sections[name]) for answer in (left, right)
    ]
    return (
        case.world.clusters_in_capitals
        and _question(case)[1] == "SRV"
        and left.rcode == right.rcode
        and lower[0] == lower[1]
    )


def _option_not_read(case, left, right):
    has_options = "opt=" in case.line or any(opt.rdata for opt in packet.read(case.line).opts())
    return has_options and left.rcode == "FORMERR" and right.rcode != "FORMERR"


def _record_not_read(case, left, right):
    return left.rcode == "FORMERR" and right.rcode != "FORMERR" and bool(packet.read(case.line).others())


def _malformed(case, left, right):
    read = packet.read(case.line)
    if left.rcode == right.rcode == "FORMERR":  # for more than that: then it has a question that can be shown
        return read.pointed and left.question and not right.question
    if right.rcode != "FORMERR":
        return False
    return read.pointed or len(read.opts()) > 1 or any(not opt.at_root for opt in read.opts())


def _notify_formerr(case, left, right):
    return left.rcode == right.rcode == "FORMERR" and (left.opcode, right.opcode) == ("QUERY", "NOTIFY")


def _names_in_slices(case, left, right):
    for labels in _names(case, left, right):
        if any(pair in case.world.name_slices for pair in zip(labels, labels[1:])):
            return True
    return False


def _unusual_address(case, left, right):
    unusual = case.world.unusual
    name, kind, _ = _question(case)
    if not unusual.keys().isdisjoint(name.lower().split(".")):
        return True
    if kind == "PTR" and _asked_address(case) in unusual.values():
        return True
    fold = kind == "SRV" and case.world.clusters_in_capitals  # cluster-case, at the same time
    records = [record for record in _differing(left, right, fold) if " SOA " not in record and " soa " not in record]
    return (
        left.rcode == right.rcode
        and records
        and all(not unusual.keys().isdisjoint(re.split(r"[ .]", record.lower())) for record in records)
    )


def _whoami_long(case, left, right):
    return left.result.startswith("undecodable: NameTooLong") and len(right.sections["additional"]) == 1


def _reverse_extra(case, left, right):
    name, kind, _ = _question(case)
    labels = name.lower().rstrip(".").split(".")
    return kind == "PTR" and labels[-2:] == ["ip6", "arpa"] and 34 < len(labels) < 38 and not right.sections["answer"]


def _root_server(case, left, right):
    return _question(case)[0].lower() == "ns.dns." and right.rcode == "NOERROR" and not left.sections["answer"]


def _targets(case, answer):
    """The answer's records; of PTR records without the target's zone where CoreDNS has a reverse zone there."""
    if not {"in-addr.arpa", "ip6.arpa"}.isdisjoint(case.world.primary_zones):
        return Counter(record.partition(".svc.")[0] for record in answer.sections["answer"])
    return Counter(answer.sections["answer"])


def _odd_service(case, left, right):
    surplus, missing = _targets(case, left) - _targets(case, right), _targets(case, right) - _targets(case, left)
    odd = [f".{name}." for name in case.world.odd_services]
    return surplus and not missing and all(" PTR " in record and any(name in record for name in odd) for record in surplus)


def _primary_zone(case, left, right):
    records = _differing(left, right)
    return records and all(" PTR " in record for record in records) and _targets(case, left) == _targets(case, right)


def _nil_server(case, left, right):
    if _question(case)[1] == "NS":
        return left.rcode == "SERVFAIL" and right.rcode == "NOERROR"
    nil = any(_is_server(record) and record.endswith(" CNAME <nil>.") for record in left.sections["answer"])
    return nil and right.rcode == "NOERROR"


def _unnamed_server(case, left, right):
    name, kind, _ = _question(case)
    if right.rcode != "NOERROR" or own_address() not in case.world.of_no_service:
        return False
    asked = kind == "NS" or _is_server(name)
    return not left.sections["answer"] if asked else _servers_missing(left, right)


def _topology_twice(case, left, right):
    labels = _question(case)[0].lower().split(".")
    zonal = "_zone" in labels and left.rcode == right.rcode == "NOERROR"
    return zonal and any(pair in case.world.topology_twice for pair in zip(labels, labels[1:]))


def _unsendable(case, left, right):
    size = max((opt.class_ for opt in packet.read(case.line).opts()), default=0)
    return "tcp" not in _question(case)[2] and left.result == "no answer" and "TC" in right.flags and size > 65507


def _owners_lower(answer):
    return [Counter(" ".join([r.split(None, 1)[0].lower(), r.split(None, 1)[1]]) for r in answer.sections[name]) for name in SECTIONS]


def _kept_case(case, left, right):
    """The same, but for the case of owners; ours have the question's."""
    name = _question(case)[0]
    same = (left.rcode, left.flags, _owners_lower(left)) == (right.rcode, right.flags, _owners_lower(right))
    differing = set(_differing(left, right))
    ours = [record for section in SECTIONS for record in right.sections[section] if record in differing]
    return same and ours and all(record.split()[0] == name for record in ours)


def _cd_copied(case, left, right):
    same = (left.rcode, left.edns, left.sections) == (right.rcode, right.edns, right.sections)
    return same and "cd" in _question(case)[2] and {*left.flags.split(), "CD"} == set(right.flags.split())


def _notify(case, left, right):
    return "opcode=NOTIFY" in _question(case)[2] and "forward" in case.world.corefile and right.rcode == "NOTIMP"


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
        0.02,
    ),
    Accepted(
        "no-answer", "CoreDNS builds a target that is no name, cannot write it, and stays silent", _no_answer, 0.06
    ),
    Accepted(
        "import-protocol",
        "a ServiceImport's port without a protocol is TCP, says its API; CoreDNS finds it by no protocol's name",
        _import_protocol,
        0.02,
    ),
    Accepted(
        "cluster-case",
        "a cluster's id in capitals, which the API does not allow: CoreDNS keeps them in SRV targets; names have no case",
        _cluster_case,
        0.02,
    ),
    Accepted(
        "malformed",
        "two OPT records, an OPT below the root (RFC 6891 6.1.1), a question whose name has a pointer: FORMERR",
        _malformed,
        0.1,
    ),
    Accepted(
        "option-not-read", "an EDNS option that is not read cannot be malformed (RFC 6891 6.1.2)", _option_not_read, 0.1
    ),
    Accepted(
        "record-not-read",
        "a record that a question has no use for is not read, so it cannot be malformed",
        _record_not_read,
        0.05,
    ),
    Accepted("notify-formerr", "the opcode of a reply is the request's (RFC 1035 4.1.1)", _notify_formerr, 0.01),
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
    Accepted(
        "primary-zone",
        "in-addr.arpa and ip6.arpa are zones that no Service has names in; CoreDNS has PTR records lead there if they come first",
        _primary_zone,
        0.04,
    ),
    Accepted(
        "nil-server",
        "a name server's Service of type ExternalName has no address; CoreDNS writes <nil>",
        _nil_server,
        0.02,
    ),
    Accepted(
        "unnamed-server",
        "a slice of no possible Service says nothing of name servers; CoreDNS has none if this machine's address is in one",
        _unnamed_server,
        0.02,
    ),
    Accepted(
        "topology-twice",
        "one address of a slice twice, the last time in a topology zone that is no name: that one is not looked at",
        _topology_twice,
        0.02,
    ),
    Accepted(
        "kept-case",
        "an answer's owner is written as the client asked; CoreDNS's cache has the case in which somebody asked first",
        _kept_case,
    ),
    Accepted("cd-copied", "CD is copied into a reply (RFC 4035 3.1.6); CoreDNS gives the upstream's", _cd_copied),
    Accepted("notify-forwarded", "a NOTIFY is for this server, which has no zone to fetch; CoreDNS passes it on", _notify),
    Accepted(
        "unsendable", "CoreDNS fills a UDP packet with more than IPv4 carries, and stays silent", _unsendable, 0.01
    ),
]
