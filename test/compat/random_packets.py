# SPDX-License-Identifier: Apache-2.0
"""Packets by chance, well and badly made, as "raw HEX" lines that asking.py reads; a seed gives the same ones again."""

import struct

import dns.name
import dns.rdatatype

import random_questions
from random_cluster import chance

OPT, TSIG, SIG = 41, 250, 24


def _record(owner, kind, class_, ttl, rdata):
    return owner + struct.pack("!HHIH", kind, class_, ttl & 0xFFFFFFFF, len(rdata)) + rdata


class _Packets:
    def __init__(self, rng, cluster, the_corefile):
        self.rng, self.names = rng, random_questions.Questions(rng, cluster, the_corefile)

    def question(self):
        """(name, type, class) as bytes."""
        name, kind = self.names.name_and_type()
        number = dns.rdatatype.from_text(kind)
        if chance(self.rng, 0.1):
            number = self.rng.choice([0, OPT, TSIG, SIG, 251, 252, 255, 256, 65535, self.rng.randrange(65536)])
        class_ = self.rng.choice([1] * 12 + [0, 2, 3, 4, 254, 255, 256, 0x8001, 65535])
        return dns.name.from_text(name).to_wire(), struct.pack("!H", number), struct.pack("!H", class_)

    def opt(self):
        rng = self.rng
        flags = rng.choice([0, 0x8000, 0x4000, 0x7FFF, 0xFFFF])
        ttl = rng.choice([0, 0, 0, 1, 255]) << 24 | rng.choice([0, 0, 0, 1, 255]) << 16 | flags
        options = b""
        for _ in range(rng.choice([0, 0, 1, 2, 5])):
            data = rng.randbytes(rng.choice([0, 1, 4, 8, 16, 24]))
            options += struct.pack("!HH", rng.choice([3, 5, 6, 7, 9, 10, 12, 13, 14, 20, 65001]), len(data)) + data
        if chance(rng, 0.08):
            options += rng.choice([b"\0", b"\0\x0a", b"\0\x0a\0\x08", b"\0\x0a\xff\xff"])
        owner = b"\0" if chance(rng, 0.95) else rng.choice([b"\xc0\x0c", b"\1a\0"])
        return _record(owner, OPT, rng.choice([0, 100, 512, 1232, 4096, 65535]), ttl, options)

    def record(self):
        """What has no place in a question: any record, mostly whole."""
        rng = self.rng
        owner = rng.choice([b"\0", b"\xc0\x0c", b"\1a\0", b"\7example\3com\0"])
        kind, rdata = rng.choice(
            [
                (1, rng.randbytes(4)),
                (28, rng.randbytes(16)),
                (2, b"\xc0\x0c"),
                (5, b"\1a\xc0\x0c"),
                (6, b"\xc0\x0c\xc0\x0c" + bytes(20)),
                (16, b"\3abc\0"),
                (33, bytes(6) + b"\1t\0"),
                (TSIG, b"\x08hmac-md5\7sig-alg\3reg\3int\0" + bytes(6) + b"\1\x2c\0\x10" + bytes(16) + b"\0\0\0\0\0\0"),
                (SIG, bytes(18) + b"\0" + bytes(8)),
                (65280, rng.randbytes(9)),
            ]
        )
        if chance(rng, 0.06):
            rdata = rdata[: rng.randrange(len(rdata))]
        return _record(owner, kind, rng.choice([1, 1, 255, 254]), rng.choice([0, 60, 0xFFFFFFFF]), rdata)

    def additional(self):
        return self.opt() if chance(self.rng, 0.75) else self.record()

    def header(self, counts):
        rng = self.rng
        flags = 0x0100
        if chance(rng, 0.3):
            flags = rng.randrange(65536) & 0x07FF  # a query, all other bits by chance
        if chance(rng, 0.08):
            flags = rng.randrange(65536) & 0x7FFF  # any opcode
        if chance(rng, 0.01):
            flags |= 0x8000
        if chance(rng, 0.05):
            at = rng.randrange(4)
            counts = [*counts[:at], rng.choice([0, 1, 2, 3, 255, 65535]), *counts[at + 1 :]]
        return struct.pack("!HHHHHH", 0, flags, *counts)

    def whole(self):
        """Header, questions, records."""
        rng = self.rng
        questions = [b"".join(self.question())]
        if chance(rng, 0.06):
            name, kind, class_ = self.question()
            questions.append(rng.choice([b"\xc0\x0c", name]) + kind + class_)
        sections = [
            [self.record() for _ in range(rng.choice([0] * 15 + [1, 2]))],
            [self.record() for _ in range(rng.choice([0] * 15 + [1, 2]))],
            [self.additional() for _ in range(rng.choice([0, 1, 1, 1, 2, 3] if chance(rng, 0.5) else [0, 1]))],
        ]
        if chance(rng, 0.02):
            questions = []
        wire = self.header([len(questions), *map(len, sections)])
        return wire + b"".join(questions) + b"".join(b"".join(records) for records in sections)

    def pointed(self):
        """A question whose name has a pointer in it, or a label of a kind that there is not."""
        rng = self.rng
        name, kind, class_ = self.question()
        ends = [0]
        while name[ends[-1]]:
            ends.append(ends[-1] + 1 + name[ends[-1]])
        bad = [
            b"\xc0\x0c",
            b"\xc0\x00",
            b"\xc0\xff",
            b"\xff\xff",
            b"\x40",
            b"\x80\x01",
            struct.pack("!H", 0xC00C + rng.choice(ends)),
        ]
        return self.header([1, 0, 0, 0]) + name[: rng.choice(ends)] + rng.choice(bad) + kind + class_

    def packet(self):
        rng = self.rng
        wire = self.pointed() if chance(rng, 0.04) else self.whole()
        step = rng.random()
        if step < 0.05:
            wire = wire[: rng.randrange(len(wire))]
        elif step < 0.08:
            wire += rng.randbytes(rng.randrange(1, 30))
        elif step < 0.14:
            wire = bytearray(wire)
            for _ in range(rng.choice([1, 1, 2, 4])):
                wire[rng.randrange(len(wire))] = rng.randrange(256)
        elif step < 0.15:
            wire += bytes(rng.choice([500, 1500, 4000]))
        return bytes(wire)


def packets(rng, cluster, the_corefile, count):
    """`count` packets about a cluster that was loaded."""
    maker = _Packets(rng, cluster, the_corefile)
    return [f"raw {maker.packet().hex() or '00'}" + (" tcp" if chance(rng, 0.15) else "") for _ in range(count)]
