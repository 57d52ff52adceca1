# SPDX-License-Identifier: Apache-2.0
"""A packet taken apart without judging it: what the classes of accepted differences look at."""

import struct
from dataclasses import dataclass, field

import asking

OPT = 41


@dataclass(frozen=True)
class Record:
    section: int  # 1 answer, 2 authority, 3 additional
    at_root: bool
    kind: int
    class_: int  # an OPT's: the size of the sender's UDP payload
    rdata: bytes


@dataclass
class Packet:
    """`labels` is None when the question's name has a pointer in it (`pointed`) or cannot be read."""

    flags: int = 0
    labels: tuple = None
    kind: int = 0
    pointed: bool = False
    records: list = field(default_factory=list)

    def opts(self):
        return [record for record in self.records if record.kind == OPT and record.section == 3]

    def others(self):
        return [record for record in self.records if record.kind != OPT or record.section != 3]


def _skip_name(wire, at):
    """Where the name at `at` ends, and its labels."""
    labels = []
    while wire[at]:
        if wire[at] & 0xC0:
            return at + 2, None
        labels.append(wire[at + 1 : at + 1 + wire[at]])
        at += 1 + wire[at]
    return at + 1, tuple(labels)


def _read(packet, wire):
    _, packet.flags, *counts = struct.unpack_from("!HHHHHH", wire)
    at, packet.labels = _skip_name(wire, 12)
    packet.pointed = packet.labels is None and wire[at - 2] >= 0xC0
    packet.kind = struct.unpack_from("!H", wire, at)[0]
    at += 4
    for section, count in enumerate(counts[1:], 1):
        for _ in range(count):
            if at == len(wire):
                break
            owner = at
            at, _ = _skip_name(wire, at)
            kind, class_, _, size = struct.unpack_from("!HHIH", wire, at)
            at += 10
            packet.records.append(Record(section, wire[owner] == 0, kind, class_, wire[at : at + size]))
            at += size


def read(line):
    """The Packet of a line as asking.py reads it."""
    packet = Packet()
    try:
        _read(packet, asking.parse(line).wire)
    except (IndexError, struct.error):
        pass
    return packet
