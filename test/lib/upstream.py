# SPDX-License-Identifier: Apache-2.0
"""A DNS server on loopback that answers from a list of records, misbehaves on demand, and remembers what it was asked.

    with Upstream(records=["www.example.org. 300 IN A 192.0.2.1"]) as upstream:
        upstream.port                                  # UDP and TCP; upstream.tls_port with tls={"name": "dns.example"}
        upstream.change(faults=["silent over udp", "delay 0.5 for slow.example.org."])
        upstream.count("www.example.org. A udp"); upstream.number("connections")
        upstream.stop(); upstream.start()

What can be changed (the fields of Script):

records    one zone-like list of texts; a name without records is NXDOMAIN, or NODATA if it has others; with an SOA above
           it in the authority section. CNAMEs are followed within the list, `*.name` is a wildcard, RRSIGs are added for
           those who set DO.
answers    whole answers that win over records: {"NAME TYPE": {rcode, flags, answer, authority, additional}}
flags      header bits of every answer, QR and the copied RD and CD aside; "RA" unless given
edns       False: a server that knows no EDNS (FORMERR to whoever uses it)
faults     a list of lines

    FAULT [first] [for NAME [TYPE]] [over udp|tcp|tls] [after N] [times N]

`for`, `over`: only such questions (`*.NAME`: any name below); `after N`: not the first N of them; `times N`: then N of them and no more; `first`: the
wrong answer comes first and the right one after it. All faults that fit a question are applied:

silent                  no answer
delay SECONDS           later; others on the same connection may come earlier
rcode NAME              this rcode and no records
wrong id, wrong question, wrong type, no question, wrong case
wrong port, wrong address   over UDP: from another socket; from 127.0.0.9
not a reply             QR is not set
garbage                 the right id and nonsense behind it
short                   the first five bytes
truncate                TC and no records, over UDP unless `over` says otherwise
duplicate               sent twice
big BYTES               TXT records of so many bytes in the answer
untruncated             over UDP as large as it is, whatever the asker takes
close                   the connection is closed instead
close mid-answer        … after half of the answer
close after             … behind the answer
no handshake            of new connections, whatever comes: nothing is read or said
hang up                 new connections are closed at once
"""

import contextlib
import re
import socket
import ssl
import struct
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from certificates import Authority
from processes import free_port, wait_for

FAULTS = (
    "silent|delay|rcode|wrong id|wrong question|wrong type|no question|wrong case|wrong port|wrong address|not a reply|garbage|"
    "short|truncate|duplicate|big|untruncated|close mid-answer|close after|close|no handshake|hang up"
)
FAULT = re.compile(
    rf"(?P<kind>{FAULTS})(?: (?P<value>[\w.]+))??(?P<first> first)?(?: for (?P<name>\S+\.)(?: (?P<type>[A-Z0-9]+))?)?"
    r"(?: over (?P<over>udp|tcp|tls))?(?: after (?P<after>\d+))?(?: times (?P<times>\d+))?"
)
OF_CONNECTIONS = ("no handshake", "hang up")
CHAIN_MAX = 16  # CNAMEs followed
UDP_SIZE = 1232  # what we say that we take
QUIET_SECONDS = 0.05  # how often a thread looks whether it should end
ANOTHER_ADDRESS = "127.0.0.9"


# ---- what was asked ----


@dataclass(frozen=True)
class Asked:
    """A question as it came; `words` are what a selector may name: name, type, class, transport, rd cd ad do edns. In a
    selector `*.NAME` stands for any name below."""

    query: dns.message.Message
    words: frozenset
    over: str
    peer: tuple
    when: float

    def matches(self, selector):
        return all(word == "any" or self._is(word) for word in selector.split())

    def _is(self, word):
        if word.startswith("*."):
            return any(name.endswith(word[1:].lower()) for name in self.words)
        return (word if word.isupper() else word.lower()) in self.words

    def __str__(self):
        question = self.query.question[0]
        return f"{question.name} {dns.rdatatype.to_text(question.rdtype)} {self.over}"


def _words(query, over):
    question = query.question[0]
    words = {question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype), dns.rdataclass.to_text(question.rdclass), over}
    words |= {flag.lower() for flag in dns.flags.to_text(query.flags).split()}
    if query.edns >= 0:
        words |= {"edns"} | ({"do"} if query.ednsflags & dns.flags.DO else set())
    return frozenset(words)


# ---- what is answered ----


class Zone:
    """Records by name."""

    def __init__(self, texts):
        self.names = {}
        for text in texts:
            owner, ttl, rdclass, rdtype, rdata = text.split(None, 4)
            rrset = dns.rrset.from_text(owner, int(ttl), rdclass, rdtype, rdata)
            sets = self.names.setdefault(rrset.name, [])
            same = next((r for r in sets if r.rdtype == rrset.rdtype and r.covers == rrset.covers), None)
            if same is None:
                sets.append(rrset)
            else:
                same.update(rrset)

    def _at(self, name):
        """The record sets at `name`, its own or a wildcard's; None if there is no such name."""
        if name in self.names:
            return self.names[name]
        if any(other.is_subdomain(name) for other in self.names):
            return []
        parent = name
        while parent != dns.name.root:
            parent = parent.parent()
            wildcard = dns.name.Name((b"*",) + parent.labels)
            if wildcard in self.names:
                return [dns.rrset.from_rdata_list(name, rrset.ttl, rrset) for rrset in self.names[wildcard]]
            if parent in self.names:
                return None
        return None

    def _soa(self, name):
        found = [rrset for sets in self.names.values() for rrset in sets if rrset.rdtype == dns.rdatatype.SOA]
        above = [rrset for rrset in found if name.is_subdomain(rrset.name)]
        return max(above, key=lambda rrset: len(rrset.name), default=None)

    def answer(self, response, name, rdtype, signed):
        """Fills in the answer and authority sections and the rcode."""
        for _ in range(CHAIN_MAX):
            sets = self._at(name)
            if sets is None:
                break
            alias = next((r for r in sets if r.rdtype == dns.rdatatype.CNAME), None)
            chosen = [r for r in sets if rdtype in (r.rdtype, dns.rdatatype.ANY)] or ([alias] if alias else [])
            signatures = [r for r in sets if signed and r.rdtype == dns.rdatatype.RRSIG and r.covers in [c.rdtype for c in chosen]]
            response.answer += chosen + signatures
            if alias is None or rdtype in (dns.rdatatype.CNAME, dns.rdatatype.ANY):
                break
            name = alias[0].target
        if sets is None and (not response.answer or self._soa(name)):
            response.set_rcode(dns.rcode.NXDOMAIN)
        soa = self._soa(name)
        if soa is not None and (sets is None or not chosen):
            response.authority.append(soa)


def _records(texts):
    return [rrset for sets in Zone(texts).names.values() for rrset in sets]


@dataclass
class Script:
    """How an upstream answers."""

    records: list = field(default_factory=list)
    answers: dict = field(default_factory=dict)
    flags: str = "RA"
    edns: bool = True
    faults: list = field(default_factory=list)

    def __post_init__(self):
        self.zone = Zone(self.records)
        self.parsed = [_Fault(line) for line in self.faults]
        self.whole = {key.lower(): value for key, value in self.answers.items()}

    def response(self, query):
        """The right answer."""
        question = query.question[0]
        response = dns.message.make_response(query, recursion_available=False, our_payload=UDP_SIZE)
        response.flags |= (query.flags & dns.flags.CD) | dns.flags.from_text(self.flags)
        response.ednsflags |= query.ednsflags & dns.flags.DO
        if query.edns >= 0 and not self.edns:
            response.use_edns(False)
            response.set_rcode(dns.rcode.FORMERR)
            return response
        whole = self.whole.get(f"{question.name} {dns.rdatatype.to_text(question.rdtype)}".lower())
        if whole is None:
            self.zone.answer(response, question.name, question.rdtype, query.ednsflags & dns.flags.DO)
            return response
        if "flags" in whole:
            response.flags = dns.flags.QR | (query.flags & (dns.flags.RD | dns.flags.CD)) | dns.flags.from_text(whole["flags"])
        response.set_rcode(dns.rcode.from_text(whole.get("rcode", "NOERROR")))
        for section in ("answer", "authority", "additional"):
            getattr(response, section).extend(_records(whole.get(section, [])))
        return response


class _Fault:
    def __init__(self, line):
        found = FAULT.fullmatch(line)
        if not found or (found["kind"] in ("delay", "rcode", "big")) != bool(found["value"]):
            raise ValueError(f"no such fault: {line}")
        self.kind, self.value, self.over, self.first = found["kind"], found["value"], found["over"], bool(found["first"])
        if self.kind == "truncate" and not self.over:
            self.over = "udp"
        self.wanted = " ".join(word for word in (found["name"], found["type"]) if word)
        self.left_out, self.left = int(found["after"] or 0), int(found["times"] or 1 << 62)

    def takes(self, over, asked=None):
        """Does it hold for this question (or connection)? It counts those it is asked about."""
        of_connections = self.kind in OF_CONNECTIONS
        if of_connections != (asked is None) or self.over not in (None, over) or (asked and not asked.matches(self.wanted)):
            return False
        if self.left_out > 0:
            self.left_out -= 1
            return False
        self.left -= 1
        return self.left >= 0


def _swap_case(name):
    return dns.name.Name(label.swapcase() for label in name.labels)


def _alter(kind, value, response):
    """The faults of an answer's content."""
    question = response.question[0]
    if kind == "rcode":
        response.set_rcode(dns.rcode.from_text(value))
        response.answer, response.authority, response.additional = [], [], []
    elif kind == "wrong id":
        response.id ^= 0x5555
    elif kind == "wrong question":
        response.question = [dns.rrset.RRset(dns.name.from_text("another.example."), question.rdclass, question.rdtype)]
    elif kind == "wrong type":
        response.question = [dns.rrset.RRset(question.name, question.rdclass, dns.rdatatype.HINFO)]
    elif kind == "no question":
        response.question = []
    elif kind == "wrong case":
        response.question = [dns.rrset.RRset(_swap_case(question.name), question.rdclass, question.rdtype)]
        for rrset in response.answer:
            rrset.name = _swap_case(rrset.name)
    elif kind == "not a reply":
        response.flags &= ~dns.flags.QR
    elif kind == "truncate":
        response.flags |= dns.flags.TC
        response.answer, response.authority, response.additional = [], [], []
    elif kind == "big":
        texts = [f'"{number:03}{"x" * 240}"' for number in range(int(value) // 256 + 1)]
        response.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", "TXT", texts))


def _wire(response, limit=65535):
    """As bytes; with TC and no records where they are more than `limit`."""
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        cut = dns.message.from_wire(response.to_wire(max_size=65535))
        cut.answer, cut.authority, cut.additional = [], [], []
        cut.flags |= dns.flags.TC
        return cut.to_wire(max_size=limit)


# ---- the server ----


class Upstream:
    """Starts at once, in threads; usable as a context manager. `tls`: {"name": NAME, "expired": BOOL} or None."""

    def __init__(self, address="127.0.0.1", port=None, tls=None, tls_port=None, stopped=False, **script):
        self.script = Script(**script)
        self.address, self.port = address, port or free_port()
        self.tls_port = (tls_port or free_port()) if tls else None
        self.folder = tempfile.TemporaryDirectory(prefix="clusterdns-upstream-")
        self.context, self.certificate = None, None
        if tls:
            authority = Authority(self.folder.name)
            self.certificate = authority.certificate
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*authority.issue(tls["name"], tls.get("expired", False)))
        self.lock = threading.Lock()
        self.asked, self.connections = [], []  # since `forget`: questions, peers of connections
        self.open, self.sockets, self.threads = set(), [], []
        self.running = False
        if not stopped:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.stop()
        self.folder.cleanup()

    # ---- what the test sees and changes ----

    def change(self, **changes):
        """Other records, answers, flags, edns, faults; what is not mentioned stays, counters of faults begin anew."""
        self.script = replace(self.script, **changes)

    def forget(self):
        with self.lock:
            self.asked, self.connections = [], []

    def count(self, selector="any"):
        """How many questions matched: words such as a name, a type, udp, tcp, tls, do, cd, edns; all of them."""
        with self.lock:
            return sum(asked.matches(selector) for asked in self.asked)

    def number(self, what):
        """Of `connections` (TCP and TLS), `open` ones, `ports` (sources of UDP), `ids`; else `count(what)`."""
        if what == "open":
            return len(self.open)
        with self.lock:
            if what == "connections":
                return len(self.connections)
            if what == "ports":
                return len({asked.peer[1] for asked in self.asked if asked.over == "udp"})
            if what == "ids":
                return len({asked.query.id for asked in self.asked})
        return self.count(what)

    def listing(self):
        with self.lock:
            return [str(asked) for asked in self.asked]

    def start(self):
        assert not self.running, "the upstream runs already"
        self.running = True
        udp, tcp = self._bind(socket.SOCK_DGRAM, self.port), self._bind(socket.SOCK_STREAM, self.port)
        self._thread(self._serve_udp, udp)
        self._thread(self._serve_streams, tcp, "tcp")
        if self.context:
            self._thread(self._serve_streams, self._bind(socket.SOCK_STREAM, self.tls_port), "tls")

    def stop(self):
        """Nothing listens any more; connections are closed."""
        self.running = False
        self.hang_up()
        while self.threads:
            self.threads.pop().join()
        while self.sockets:
            self.sockets.pop().close()

    def hang_up(self):
        """Closes every connection."""
        with self.lock:
            for connection in self.open:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)  # an SSLSocket's own would disturb its reader

    # ---- sockets ----

    def _socket(self, kind, address, port):
        made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        made.settimeout(QUIET_SECONDS)
        self.sockets.append(made)
        return made

    def _bind(self, kind, port):
        made = self._socket(kind, self.address, port)
        if kind == socket.SOCK_STREAM:
            made.listen(128)
        return made

    def _thread(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _serve_udp(self, udp):
        others = {"wrong port": self._socket(socket.SOCK_DGRAM, self.address, 0)}
        if self.address.startswith("127."):
            others["wrong address"] = self._socket(socket.SOCK_DGRAM, ANOTHER_ADDRESS, self.port)
        while self.running:
            try:
                wire, peer = udp.recvfrom(65535)
            except OSError:  # nothing yet, or what an answer of ours came back as
                continue
            self._handle(wire, "udp", peer, lambda data, sender=None, peer=peer: others.get(sender, udp).sendto(data, peer))

    def _serve_streams(self, listener, over):
        while self.running:
            try:
                connection, peer = listener.accept()
            except OSError:
                continue
            with self.lock:
                self.connections.append(peer)
            threading.Thread(target=self._serve_connection, args=(connection, peer, over), daemon=True).start()

    def _serve_connection(self, connection, peer, over):
        faults = {fault.kind for fault in self.script.parsed if fault.takes(over)}
        connection.settimeout(None)
        with contextlib.suppress(OSError, EOFError), connection:
            if "hang up" in faults:
                return
            self.open.add(connection)
            try:
                if "no handshake" in faults:
                    wait_for(lambda: not self.running, 3600, "the end", QUIET_SECONDS)
                secured = self.context.wrap_socket(connection, server_side=True) if over == "tls" else connection
                with secured:
                    self._swap(connection, secured)
                    connection = secured
                    self._serve_stream(secured, peer, over)
            finally:
                self._swap(connection, None)

    def _swap(self, old, new):
        with self.lock:
            self.open.discard(old)
            if new is not None:
                self.open.add(new)

    def _serve_stream(self, stream, peer, over):
        writing = threading.Lock()

        def send(data, how=None):
            with contextlib.suppress(OSError), writing:
                framed = struct.pack("!H", len(data)) + data
                if how != "close":
                    stream.sendall(framed[: len(framed) // 2] if how == "close mid-answer" else framed)
                if how and how.startswith("close"):
                    socket.socket.shutdown(stream, socket.SHUT_RDWR)

        while self.running:
            size = struct.unpack("!H", self._read(stream, 2))[0]
            self._handle(self._read(stream, size), over, peer, send)

    @staticmethod
    def _read(stream, size):
        data = b""
        while len(data) < size:
            more = stream.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    # ---- a question ----

    def _handle(self, wire, over, peer, send):
        try:
            query = dns.message.from_wire(wire)
            asked = Asked(query, _words(query, over), over, peer, time.monotonic())
        except (dns.exception.DNSException, IndexError):
            return
        with self.lock:
            self.asked.append(asked)
            script = self.script
            faults = [fault for fault in script.parsed if fault.takes(over, asked)]
        delay = sum(float(fault.value) for fault in faults if fault.kind == "delay")
        kinds = [fault.kind for fault in faults]
        if "silent" in kinds:
            return
        if delay:
            timer = threading.Timer(delay, self._answer, (script, asked, faults, send))
            timer.daemon = True
            timer.start()
        else:
            self._answer(script, asked, faults, send)

    def _answer(self, script, asked, faults, send):
        with contextlib.suppress(OSError):
            limit = 65535
            if asked.over == "udp" and "untruncated" not in [fault.kind for fault in faults]:
                limit = max(512, asked.query.payload) if asked.query.edns >= 0 else 512
            for data, how in self._packets(script, asked.query, faults, limit):
                send(data, how)

    @staticmethod
    def _packets(script, query, faults, limit):
        """(bytes, how to send them) in their order."""
        right, wrong = script.response(query), script.response(query)
        for fault in faults:
            _alter(fault.kind, fault.value, wrong)
        kinds = {fault.kind for fault in faults}
        data = _wire(wrong, limit)
        if "garbage" in kinds:
            data = data[:2] + bytes(number * 37 & 255 for number in range(2, 60))
        if "short" in kinds:
            data = data[:5]
        how = next((k for k in ("wrong port", "wrong address", "close", "close mid-answer", "close after") if k in kinds), None)
        packets = [(data, how)] * (2 if "duplicate" in kinds else 1)
        if any(fault.first for fault in faults):
            packets.append((_wire(right, limit), None))
        return packets
