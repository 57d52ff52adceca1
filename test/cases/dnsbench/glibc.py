# SPDX-License-Identifier: Apache-2.0
"""glibc.py DNSBENCH: look-ups by dnsbench --stub beside those by getaddrinfo(), asked of a server of known misbehaviour.

To be run in a network and a mount namespace of its own. Prints a line for each name; status 1 if any differs.
"""
import fcntl
import json
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import dns.flags
import dns.message
import dns.rrset

RESOLV = """nameserver 127.0.0.1
search shop.svc.cluster.local svc.cluster.local cluster.local
options ndots:5 timeout:1 attempts:2
"""
AT_ONCE = 6  # so that the server is not the one that is late
TIME_OFF = 0.7  # seconds that a busy machine may make of it, less than a time-out
LOST, LATE = "lost", "late"

# What the server says to a first label, for A and AAAA: an address (+), no data (0), a CNAME alone (C), an rcode, or
# nothing. Of the candidates in the order in which they may be asked: in shop.svc, in svc, in cluster.local, as it is.
DOMAINS = (".shop.svc.cluster.local.", ".svc.cluster.local.", ".cluster.local.", ".")
NEGATIVE = [(3, 3)] * 4
SCRIPTS = {
    "none": NEGATIVE,
    "nodata": [("0", "0")] * 4,
    "fail": [(2, 2)] * 4,
    "refuse": [(5, 5)] * 4,
    "lose": [(LOST, LOST)] * 4,
    "third": NEGATIVE[:2] + [("+", "+")] * 2,
    "asis": NEGATIVE[:3] + [("+", "0")],
    "failthen": [(2, 2)] + [("+", "+")] * 3,
    "losethen": [(LOST, LOST)] + [("+", "+")] * 3,
    "losenone": [(LOST, LOST)] + NEGATIVE[1:],
    "refusethen": [(5, 5)] + [("+", "+")] * 3,
    "failnone": [(2, 2)] + NEGATIVE[1:],
    "nodatafail": [("0", "0")] + [(2, 2)] * 3,
    "v4only": [("+", "0")] * 4,
    "v6fail": [("+", 2)] * 4,
    "halffail": [("0", 2)] * 3 + [("+", "+")],
    "cname": [("C", "C")] * 4,
    "late": [(LATE, LATE)] * 4,
    "half": [("+", LOST)] * 4,
    "half6": [(LOST, "+")] * 4,
    "halfnone": [(3, LOST)] + NEGATIVE[1:],
    "asisfail": NEGATIVE[:3] + [(2, 2)],
    "asislose": NEGATIVE[:3] + [(LOST, LOST)],
    "asisnone": [(2, 2)] * 3 + NEGATIVE[3:],
}
DOTS = ".a.b.c.d.e"
LONG = "." + ".".join(c * 60 for c in "xyz")
NAMES = (list(SCRIPTS) + [n + DOTS for n in ("none", "asisfail", "asislose", "asisnone", "third", "asis")] +
         ["nodata.x.", "third.x.", "none" + LONG + "." + "w" * 46, "none" + LONG + "." + "w" * 30])


class Server(threading.Thread):
    """Answers on port 53, and keeps what it was asked."""

    def __init__(self):
        super().__init__(daemon=True)
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))

    def run(self):
        while True:
            data, client = self.socket.recvfrom(4096)
            query = dns.message.from_wire(data)
            name, kind = query.question[0].name.to_text(), query.question[0].rdtype
            self.asked.append((name, int(kind)))
            self.answer(query, name, client, *self.script(name, kind))

    @staticmethod
    def script(name, kind):
        place = next(i for i, domain in enumerate(DOMAINS) if name.endswith(domain))
        return SCRIPTS[name.split(".")[0]][place][kind != 1], kind == 1

    def answer(self, query, name, client, what, is_a):
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA | dns.flags.RA
        if what in ("+", LATE):
            kind, value = ("A", "192.0.2.1") if is_a else ("AAAA", "2001:db8::1")
            reply.answer.append(dns.rrset.from_text(name, 5, "IN", kind, value))
        elif what == "C":
            reply.answer.append(dns.rrset.from_text(name, 5, "IN", "CNAME", "elsewhere.example."))
        elif isinstance(what, int):
            reply.set_rcode(what)
        if what == LATE:
            threading.Timer(1.5, self.socket.sendto, (reply.to_wire(), client)).start()
        elif what != LOST:
            self.socket.sendto(reply.to_wire(), client)


GETADDRINFO = """import socket, sys, time
began, error = time.monotonic(), 0
try:
    socket.getaddrinfo(sys.argv[1], None)
except socket.gaierror as e:
    error = e.errno
print(error, time.monotonic() - began)
"""


def by_glibc(name):
    results = {0: "found", socket.EAI_NONAME: "not_found", socket.EAI_NODATA: "not_found", socket.EAI_AGAIN: "failed"}
    run = subprocess.run([sys.executable, "-S", "-c", GETADDRINFO, name], capture_output=True, text=True, check=True)
    error, seconds = run.stdout.split()
    return results[int(error)], float(seconds)


def by_dnsbench(name):
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        subprocess.run([sys.argv[1], "-q", "-", "--stub", "--namespace", "shop", "-r", "1", "-d", "1", "-t",
                        "1", "--json", report, "127.0.0.1"], input=f"{name} A\n", text=True, stdout=subprocess.DEVNULL,
                       check=False)
        lookups = json.loads(report.read_text())["lookups"]
    result = next(r for r in ("found", "not_found", "failed") if lookups[r] == 1)
    return result, lookups["latency_ns"]["max"] / 1e9


def run_all(server, look_up):
    """For each name: result, seconds, the names that A was asked for, and AAAA."""
    server.asked.clear()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(look_up, NAMES))
    time.sleep(2)  # the last answers that are late
    return {name: (*result, *([asked for asked, k in server.asked if k == kind and is_of(name, asked)]
                              for kind in (1, 28)))
            for name, result in zip(NAMES, results)}


def is_of(name, asked):
    """Is it a candidate of this name? A name with and one without the final dot are not of one script."""
    return asked in [name.rstrip(".") + domain for domain in DOMAINS]


def inside():
    """In the namespaces."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
    for path, text in (("/etc/resolv.conf", RESOLV), ("/etc/nsswitch.conf", "hosts: dns\n")):
        with tempfile.NamedTemporaryFile("w", delete=False) as file:
            file.write(text)
        subprocess.run(["mount", "--bind", file.name, path], check=True)
        pathlib.Path(file.name).unlink()
    server = Server()
    server.start()
    glibc, dnsbench = run_all(server, by_glibc), run_all(server, by_dnsbench)
    different = 0
    for name in NAMES:
        (result, seconds, *asked), (ours, our_seconds, *we_asked) = glibc[name], dnsbench[name]
        same = (result, asked) == (ours, we_asked) and abs(seconds - our_seconds) < TIME_OFF
        different += not same
        print(f"{'same' if same else 'DIFFERENT':10}{name[:24]:24} {result:10}{seconds:6.2f} s {sum(map(len, asked)):3}"
              f" | {ours:10}{our_seconds:6.2f} s {sum(map(len, we_asked)):3}")
    return different


if __name__ == "__main__":
    sys.exit(min(inside(), 1))
