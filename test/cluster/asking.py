# SPDX-License-Identifier: Apache-2.0
"""DNS questions as one line of text, and answers in a form that can be compared and printed.

    NAME TYPE [option…]     for example  web.shop.svc.cluster.local A edns=4096 do tcp
    raw HEX… [tcp]          a packet as it is; its first two bytes are the id

NAME may be ptr:ADDRESS, the reverse name of an address.

Options: tcp; nord, ad, cd, aa, tc, ra, qr, z (header bits; RD is set unless nord says otherwise); class=CH; opcode=NOTIFY or a number;
edns or edns=SIZE; ver=N (EDNS version); do; opt=CODE:HEX (an EDNS option).
"""

import random
import re
import socket
import struct
import time
from dataclasses import dataclass, field

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename

ANSWER_SECONDS = 5
SILENCE_SECONDS = 1.0  # how long a server that is expected to say nothing is listened to
SECTIONS = ("answer", "authority", "additional")
_HEADER_BITS = {"qr": 0x8000, "aa": 0x0400, "tc": 0x0200, "ra": 0x0080, "ad": 0x0020, "cd": 0x0010, "z": 0x0040}


@dataclass(frozen=True)
class Question:
    """One packet to send: `text` is the line it was made of."""

    text: str
    wire: bytes
    tcp: bool = False


def parse(line):
    """A Question from a line as described above."""
    words = line.split()
    if words[0] == "raw":
        return Question(line, bytes.fromhex("".join(word for word in words[1:] if word != "tcp")), "tcp" in words)
    name, rdtype, options = words[0], words[1], words[2:]
    if name.startswith("ptr:"):
        name = dns.reversename.from_address(name[4:]).to_text()
    values = dict(option.partition("=")[::2] for option in options if not option.startswith("opt="))
    unknown = set(values) - set(_HEADER_BITS) - {"tcp", "nord", "class", "opcode", "edns", "ver", "do"}
    if unknown:
        raise ValueError(f"{line}: unknown option {', '.join(sorted(unknown))}")
    edns_options = [
        dns.edns.GenericOption(int(code), bytes.fromhex(data))
        for code, data in (option[4:].split(":") for option in options if option.startswith("opt="))
    ]
    message = dns.message.make_query(
        dns.name.from_text(name), rdtype, values.get("class", "IN"), flags=0 if "nord" in values else dns.flags.RD, id=0
    )
    if edns_options or {"edns", "ver", "do"} & set(values):
        message.use_edns(
            int(values.get("ver", 0)),
            dns.flags.DO if "do" in values else 0,
            int(values.get("edns") or 1232),
            options=edns_options,
        )
    message.set_opcode(dns.opcode.from_text(values.get("opcode", "QUERY")))
    for bit, mask in _HEADER_BITS.items():
        if bit in values:
            message.flags |= mask
    return Question(line, message.to_wire(max_size=65535), "tcp" in values)


@dataclass
class Answer:
    """What came back. `result` is "reply", or says why there is none; sections are sorted lists of record texts;
    options are OPT's, as CODE:HEX."""

    result: str
    rcode: str = ""
    opcode: str = ""
    flags: str = ""
    question: str = ""
    sections: dict = field(default_factory=lambda: {name: [] for name in SECTIONS})
    edns: str = ""
    options: str = ""
    size: int = 0

    def addresses(self):
        """The rdata of all A and AAAA records of the answer section, sorted."""
        return sorted(r.split()[4] for r in self.sections["answer"] if r.split()[3] in ("A", "AAAA"))

    def rdata(self, section="answer"):
        """The rdata texts of a section, sorted."""
        return sorted(record.split(None, 4)[4] for record in self.sections[section])

    def __str__(self):
        if self.result != "reply":
            return self.result
        lines = [f"{self.opcode} {self.rcode} [{self.flags}] {self.question}", f"edns: {self.edns or 'none'} {self.options}".rstrip()]
        for name in SECTIONS:
            lines += [f"{name}: {record}" for record in self.sections[name]]
        return "\n".join(lines)


def _without_serial(text):
    """An SOA's serial is the time of the last change that the server saw: no two servers have the same."""
    return re.sub(r"^(\S+ \S+) \d+ ", r"\1 * ", text)


def _opcode_text(opcode):
    try:
        return dns.opcode.to_text(opcode)
    except ValueError:
        return str(opcode)


def _record_text(rrset, own_port):
    rdata = rrset[0].to_text()
    port = getattr(rrset[0], "port", None)  # an SRV record of another class has none
    if rrset.rdtype == dns.rdatatype.SRV and port == own_port:  # whoami: the asker's port, new each time
        rdata = rdata.replace(f" {own_port} ", " own-port ")
    if rrset.rdtype == dns.rdatatype.SOA:
        rdata = _without_serial(rdata)
    kinds = dns.rdataclass.to_text(rrset.rdclass), dns.rdatatype.to_text(rrset.rdtype)
    return f"{rrset.name.to_text()} {rrset.ttl} {kinds[0]} {kinds[1]} {rdata}"


def decode(wire, own_port=None):
    """An Answer from a packet that came to `own_port`; result "undecodable: …" if a resolver could not read it."""
    opcode = wire[2] >> 3 & 15 if len(wire) > 2 else 0
    try:  # as a query: dnspython knows but a few opcodes
        message = dns.message.from_wire(wire[:2] + bytes([wire[2] & 0x87]) + wire[3:], one_rr_per_rrset=True)
    except (dns.exception.DNSException, ValueError, IndexError, struct.error) as error:
        return Answer(f"undecodable: {type(error).__name__} {wire[2:12].hex()}", size=len(wire))
    answer = Answer("reply", size=len(wire))
    answer.rcode = dns.rcode.to_text(message.rcode())
    answer.opcode = _opcode_text(opcode)
    answer.flags = dns.flags.to_text(message.flags) + (" Z" if message.flags & _HEADER_BITS["z"] else "")
    answer.question = " ".join(rrset.to_text() for rrset in message.question)
    for name, section in zip(SECTIONS, (message.answer, message.authority, message.additional)):
        answer.sections[name] = sorted(_record_text(rrset, own_port) for rrset in section)
    if message.edns >= 0:
        answer.edns = f"version {message.edns}" + (" do" if message.ednsflags & dns.flags.DO else "")
        answer.options = " ".join(f"{int(option.otype)}:{option.to_wire().hex()}" for option in message.options)
    return answer


class Asker:
    """Sends questions to servers on one address; `next_id` comes before a new question, but not to another server."""

    def __init__(self, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.host, self.family = host, family
        self.udp = socket.socket(family, socket.SOCK_DGRAM)
        self.udp.bind((host, 0))
        self.port = self.udp.getsockname()[1]
        self.id = 0

    def close(self):
        self.udp.close()

    def next_id(self):
        """The questions from here on have another id."""
        self.id = self.id % 65535 + 1

    def ask(self, port, question, seconds=ANSWER_SECONDS):
        """Asks the server on `port`; `question` is a Question or a line. Never raises for what a server does."""
        return self.ask_all([port], question, seconds)[0]

    def ask_all(self, ports, question, seconds=ANSWER_SECONDS):
        """Asks the servers on several ports at once: their answers in the order of the ports."""
        if isinstance(question, str):
            question = parse(question)
        wire = struct.pack("!H", self.id) + question.wire[2:]
        if question.tcp:
            return [self._ask_tcp(port, wire, seconds) for port in ports]
        return self._ask_udp(ports, wire, seconds)

    def _ask_udp(self, ports, wire, seconds):
        for port in ports:
            self.udp.sendto(wire, (self.host, port))
        answers, deadline = {}, time.monotonic() + seconds
        while len(answers) < len(ports) and (left := deadline - time.monotonic()) > 0:
            self.udp.settimeout(left)
            try:
                reply, source = self.udp.recvfrom(65535)
            except (TimeoutError, ConnectionError):
                continue
            if source[1] in ports and reply[:2] == wire[:2]:
                answers.setdefault(source[1], decode(reply, self.port))
        return [answers.get(port, Answer("no answer")) for port in ports]

    def _ask_tcp(self, port, wire, seconds):
        with socket.socket(self.family, socket.SOCK_STREAM) as tcp:
            tcp.settimeout(seconds)
            try:
                tcp.connect((self.host, port))
                own_port = tcp.getsockname()[1]
                tcp.sendall(struct.pack("!H", len(wire)) + wire)
                reply = self._read(tcp, struct.unpack("!H", self._read(tcp, 2))[0])
            except TimeoutError:
                return Answer("no answer")
            except (ConnectionError, EOFError) as error:
                return Answer(f"connection closed ({type(error).__name__})")
        return decode(reply, own_port) if reply[:2] == wire[:2] else Answer("wrong id")

    @staticmethod
    def _read(tcp, size):
        data = b""
        while len(data) < size:
            more = tcp.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data


def ask(port, line, seconds=ANSWER_SECONDS, host="127.0.0.1"):
    """One question from a socket of its own."""
    asker = Asker(host)
    asker.id = random.randrange(65536)
    try:
        return asker.ask(port, line, seconds)
    finally:
        asker.close()
