# SPDX-License-Identifier: Apache-2.0
"""The scripted upstreams themselves, asked without a server in between: what they answer, each fault, what they remember."""

import socket
import ssl
import struct
import time

import pytest

import upstreams
from asking import Asker, ask, parse
from upstream import Upstream

SOA = "example.org. 60 IN SOA ns.example.org. admin.example.org. 1 7200 900 86400 30"
SOA_SEEN = SOA.replace(" 1 ", " * ", 1)
RECORDS = [
    SOA,
    "www.example.org. 300 IN A 192.0.2.1",
    "www.example.org. 300 IN A 192.0.2.2",
    "www.example.org. 300 IN RRSIG A 13 3 300 20300101000000 20200101000000 1 example.org. AAAA",
    "alias.example.org. 30 IN CNAME www.example.org.",
    "dangling.example.org. 30 IN CNAME gone.example.org.",
    "*.wild.example.org. 10 IN A 192.0.2.7",
    "deep.below.example.org. 10 IN A 192.0.2.8",
    *(f'large.example.org. 60 IN TXT "{number:03}{"x" * 200}"' for number in range(10)),
]
WWW = ["www.example.org. 300 IN A 192.0.2.1", "www.example.org. 300 IN A 192.0.2.2"]
SILENCE = 0.3
CORRECT = "QUERY NOERROR [QR RD RA] www.example.org. IN A"


@pytest.fixture(scope="module")
def running():
    with Upstream(records=RECORDS, tls={"name": "dns.example"}) as running:
        yield running


@pytest.fixture
def upstream(running):
    running.change(faults=[], records=RECORDS, answers={}, flags="RA", edns=True)
    running.forget()
    return running


@pytest.mark.parametrize("transport", ["", " tcp"])
@pytest.mark.parametrize(
    "line, rcode, answer, authority",
    [
        ("www.example.org. A", "NOERROR", WWW, []),
        ("WWW.example.ORG. A", "NOERROR", [record.replace("www.example.org.", "WWW.example.ORG.") for record in WWW], []),
        ("www.example.org. AAAA", "NOERROR", [], [SOA_SEEN]),
        ("alias.example.org. A", "NOERROR", ["alias.example.org. 30 IN CNAME www.example.org.", *WWW], []),
        ("alias.example.org. CNAME", "NOERROR", ["alias.example.org. 30 IN CNAME www.example.org."], []),
        ("alias.example.org. AAAA", "NOERROR", ["alias.example.org. 30 IN CNAME www.example.org."], [SOA_SEEN]),
        ("dangling.example.org. A", "NXDOMAIN", ["dangling.example.org. 30 IN CNAME gone.example.org."], [SOA_SEEN]),
        ("a.wild.example.org. A", "NOERROR", ["a.wild.example.org. 10 IN A 192.0.2.7"], []),
        ("below.example.org. A", "NOERROR", [], [SOA_SEEN]),
        ("gone.example.org. A", "NXDOMAIN", [], [SOA_SEEN]),
        ("example.net. A", "NXDOMAIN", [], []),
    ],
)
def test_records(upstream, transport, line, rcode, answer, authority):
    seen = ask(upstream.port, line + transport)
    have = (seen.rcode, seen.flags, seen.sections["answer"], seen.sections["authority"])
    assert have == (rcode, "QR RD RA", sorted(answer), authority)


def test_edns(upstream):
    seen = ask(upstream.port, "www.example.org. A do")
    assert seen.edns == "version 0 do" and len(seen.sections["answer"]) == 3
    assert ask(upstream.port, "www.example.org. A edns=4096").edns == "version 0"
    upstream.change(edns=False)
    assert ask(upstream.port, "www.example.org. A do").rcode == "FORMERR"
    assert ask(upstream.port, "www.example.org. A").rcode == "NOERROR"


def test_sizes(upstream):
    assert "TC" in ask(upstream.port, "large.example.org. TXT").flags
    for line in ("large.example.org. TXT tcp", "large.example.org. TXT edns=4096"):
        assert len(ask(upstream.port, line).sections["answer"]) == 10


def test_whole_answers(upstream):
    whole = {"rcode": "NXDOMAIN", "flags": "AA", "answer": WWW, "additional": ["x. 1 IN A 192.0.2.9"]}
    upstream.change(answers={"Odd.example.org. MX": whole})
    seen = ask(upstream.port, "odd.example.org. MX")
    assert (seen.rcode, seen.flags, seen.sections["answer"]) == ("NXDOMAIN", "QR AA RD", WWW)
    assert seen.sections["additional"] == ["x. 1 IN A 192.0.2.9"]


FAULTS = {  # fault -> what comes over UDP, and over TCP
    "silent": ("no answer", "no answer"),
    "silent over udp": ("no answer", CORRECT),
    "silent for other.example.org.": (CORRECT, CORRECT),
    "silent for *.www.example.org.": (CORRECT, CORRECT),
    "silent for *.example.org.": ("no answer", "no answer"),
    "silent for www.example.org. AAAA": (CORRECT, CORRECT),
    "silent for www.example.org. A": ("no answer", "no answer"),
    "rcode SERVFAIL": ("QUERY SERVFAIL [QR RD RA] www.example.org. IN A",) * 2,
    "wrong id": ("no answer", "wrong id"),
    "wrong id first": (CORRECT, "wrong id"),
    "wrong question": ("QUERY NOERROR [QR RD RA] another.example. IN A",) * 2,
    "wrong type": ("QUERY NOERROR [QR RD RA] www.example.org. IN HINFO",) * 2,
    "no question": ("QUERY NOERROR [QR RD RA] ",) * 2,
    "wrong case": ("QUERY NOERROR [QR RD RA] WWW.EXAMPLE.ORG. IN A",) * 2,
    "wrong port": ("no answer", CORRECT),
    "not a reply": ("QUERY NOERROR [RD RA] www.example.org. IN A",) * 2,
    "garbage": ("undecodable: BadLabelType 4a6f94b9de03284d7297",) * 2,
    "short": ("undecodable: ShortHeader 818000",) * 2,
    "truncate": ("QUERY NOERROR [QR TC RD RA] www.example.org. IN A", CORRECT),
    "truncate over tcp": (CORRECT, "QUERY NOERROR [QR TC RD RA] www.example.org. IN A"),
    "big 3000": ("QUERY NOERROR [QR TC RD RA] www.example.org. IN A", CORRECT),
    "close": (CORRECT, "connection closed (EOFError)"),
    "close mid-answer": (CORRECT, "connection closed (EOFError)"),
    "close after": (CORRECT, CORRECT),
    "hang up": (CORRECT, "connection closed"),
    "no handshake": (CORRECT, "no answer"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault(upstream, fault):
    upstream.change(faults=[fault])
    seen = [str(ask(upstream.port, f"www.example.org. A{over}", SILENCE)).splitlines()[0] for over in ("", " tcp")]
    assert all(have.startswith(want) for have, want in zip(seen, FAULTS[fault])), seen


def test_several_faults_and_numbers(upstream):
    upstream.change(faults=["delay 0.2", "rcode REFUSED after 1 times 2"])
    started = time.monotonic()
    assert [ask(upstream.port, "www.example.org. A").rcode for _ in range(4)] == ["NOERROR", "REFUSED", "REFUSED", "NOERROR"]
    assert time.monotonic() - started >= 0.8


def test_untruncated(upstream):
    upstream.change(faults=["big 3000", "untruncated"])
    assert ask(upstream.port, "www.example.org. A").size > 3000


@pytest.mark.parametrize("fault, count", [("duplicate", 2), ("wrong question first", 2), ("short", 1)])
def test_number_of_packets(upstream, fault, count):
    upstream.change(faults=[fault])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(SILENCE)
        udp.sendto(parse("www.example.org. A").wire, ("127.0.0.1", upstream.port))
        packets = 0
        with pytest.raises(TimeoutError):
            while udp.recv(65535):
                packets += 1
    assert packets == count


def test_wrong_address(upstream):
    upstream.change(faults=["wrong address"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(5)
        udp.sendto(parse("www.example.org. A").wire, ("127.0.0.1", upstream.port))
        assert udp.recvfrom(65535)[1] == ("127.0.0.9", upstream.port)


def test_answers_out_of_order(upstream):
    upstream.change(faults=["delay 0.3 for www.example.org."])
    with socket.create_connection(("127.0.0.1", upstream.port)) as tcp:
        for identity, line in enumerate(("www.example.org. A", "gone.example.org. A")):
            wire = struct.pack("!H", identity) + parse(line).wire[2:]
            tcp.sendall(struct.pack("!H", len(wire)) + wire)
        order = [Asker._read(tcp, struct.unpack("!H", Asker._read(tcp, 2))[0])[1] for _ in range(2)]
    assert order == [1, 0]


def ask_over_tls(upstream, name):
    context = ssl.create_default_context(cafile=upstream.certificate)
    wire = parse("www.example.org. A").wire
    with socket.create_connection(("127.0.0.1", upstream.tls_port), 5) as tcp, context.wrap_socket(tcp, server_hostname=name) as tls:
        tls.sendall(struct.pack("!H", len(wire)) + wire)
        return len(Asker._read(tls, struct.unpack("!H", Asker._read(tls, 2))[0]))


def test_tls(upstream):
    assert ask_over_tls(upstream, "dns.example") > 50
    assert (upstream.count("tls"), upstream.number("connections")) == (1, 1)
    with pytest.raises(ssl.SSLCertVerificationError, match="[Hh]ostname mismatch"):
        ask_over_tls(upstream, "another.example")
    with Upstream(tls={"name": "dns.example", "expired": True}) as expired:
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            ask_over_tls(expired, "dns.example")


def test_stop_start_hang_up(upstream):
    with socket.create_connection(("127.0.0.1", upstream.port)) as tcp:
        tcp.settimeout(5)
        upstream.hang_up() if upstream.number("open") else None
        upstream.stop()
        assert tcp.recv(1) == b""
    assert ask(upstream.port, "www.example.org. A tcp").result.startswith("connection closed")
    upstream.start()
    assert str(ask(upstream.port, "www.example.org. A tcp")).startswith(CORRECT)


def test_what_was_asked(upstream):
    for line in ("www.example.org. A", "WWW.example.org. A do cd", "www.example.org. AAAA tcp", "www.example.org. A nord"):
        ask(upstream.port, line)
    counts = {
        "any": 4, "www.example.org. A": 3, "A udp": 3, "tcp": 1, "do": 1, "cd": 1, "rd": 3, "edns": 1, "gone.example.org.": 0,
        "connections": 1, "ports": 3,
    }  # fmt: skip
    assert {selector: upstream.number(selector) for selector in counts} == counts
    assert upstream.listing()[2] == "www.example.org. AAAA tcp"
    upstream.forget()
    assert upstream.count() == 0


@pytest.mark.parametrize("line", ["", "silence", "delay", "delay soon for", "silent 3", "rcode", "silent over http", "silent for x"])
def test_no_such_fault(line):
    with pytest.raises(ValueError):
        Upstream(stopped=True, faults=[line])


def test_steps_can_fail(upstream):
    """What the runner's step `asked` has to say."""
    steps = upstreams.Upstreams({}, {})
    steps.running["a"] = upstream
    ask(upstream.port, "www.example.org. A")
    assert steps.complaint({"a": 1}) is None
    assert steps.complaint({"a": {"A udp": "> 0", "connections": 0, "ports": "<= 1"}}) is None
    assert steps.complaint({"a": 2}) == "a: expected any: 2, got 1 of\n  www.example.org. A udp"
    assert "expected tcp: > 0, got 0" in steps.complaint({"a": {"tcp": "> 0"}})
    steps.change({"a": "forget"})
    assert steps.complaint({"a": 0}) is None


@pytest.mark.parametrize(
    "wanted, word, fits",
    [("300", "300", True), ("300", "299", False), ("*", "x", True), ("28..30", "28", True), ("28..30", "30", True),
     ("28..30", "31", False), ("28..30", "27", False), ("28..30", "x", False)],
)  # fmt: skip
def test_words_of_records(wanted, word, fits):
    assert upstreams.word_fits(wanted, word) == fits
