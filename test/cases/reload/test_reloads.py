# SPDX-License-Identifier: Apache-2.0
"""Many reloads under questions: each gets an answer that the old or the new configuration gives, and nothing is left.

CLUSTERDNS_RELOADS says how many (the default is for `make test`; `make test-cluster` does 1000).
"""

import os
import signal
import socket
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", folder) for folder in ("cluster", "lib")]

import dns.flags  # noqa: E402
import dns.message  # noqa: E402
import dns.rcode  # noqa: E402
import pytest  # noqa: E402
from memory import usage  # noqa: E402
from processes import free_port, wait_for  # noqa: E402
from servers import ROOT, DnsServer, clusterdns_binary  # noqa: E402
from upstream import Upstream  # noqa: E402

pytestmark = pytest.mark.alone

RELOADS = int(os.environ.get("CLUSTERDNS_RELOADS", "140"))
SETTLED = max(80, RELOADS // 10)  # so many reloads have made room for what a reload needs
GROWTH = 1.02
ANSWERED = 10.0  # seconds: what comes later is lost
EXTRA = 7  # addresses and zones that come and go
PERIOD = 3 * EXTRA  # reloads after which the same files come again; compared is the most that is used during one

CLUSTER = "web.shop.svc.cluster.local."
OUTSIDE = "www.example.org."
EMPTY = """.:@PORT@ {{
    errors
    ready 127.0.0.1:@READY@
    health 127.0.0.1:{http}
    prometheus 127.0.0.1:{http}
    kubernetes cluster.local in-addr.arpa {{
        manifests {root}/zones/example-cluster
        ttl {ttl}
    }}
}}
extra{number}.example:{extra} {{
    whoami
}}
"""
WHOLE = """.:@PORT@ {{
    errors
    ready 127.0.0.1:@READY@
    health 127.0.0.1:{http}
    prometheus 127.0.0.1:{http}
    kubernetes cluster.local in-addr.arpa {{
        manifests {root}/zones/example-cluster
        fallthrough in-addr.arpa
        ttl {ttl}
    }}
    hosts {{
        192.0.2.{ttl} changing.example
        fallthrough
    }}
    forward example.org 127.0.0.1:{upstream}
    forward . 127.0.0.1:{upstream} 127.0.0.1:{extra} {{
        policy sequential
        max_concurrent {number}
    }}
    cache {cached} {{
        disable success cluster.local
    }}
    loop
    loadbalance
    reload
}}
extra{number}.example:{extra} {{
    cache {number}
    whoami
}}
"""
BROKEN = (  # each third file ends with one of these
    "nonsense {\n", "no.example {\n    nonsense\n}\n", "no.example {\n    forward . 127.0.0.1:none\n}\n", "no.example {\n    cache {\n        success often\n    }\n}\n",
    ". {\n    forward . /no/such/file\n}\n",
)  # fmt: skip
RECORDS = [
    "example.org. 60 IN SOA ns.example.org. admin.example.org. 1 7200 900 86400 60",
    "www.example.org. 2 IN A 192.0.2.80",
    "mail.example.org. 3600 IN A 192.0.2.25",
]


class Asker(threading.Thread):
    """Asks for a name's one address without a pause; keeps what went wrong, and how much went well."""

    def __init__(self, port, name, tcp):
        super().__init__(daemon=True)
        self.port, self.name, self.tcp = port, name, tcp
        self.right, self.wrong, self.over = 0, [], threading.Event()

    def run(self):
        query = dns.message.make_query(self.name, "A")
        connection = self.connect()
        while not self.over.is_set():
            query.id = (query.id + 1) & 0xFFFF
            try:
                answer = self.exchange(connection, query)
            except (OSError, EOFError) as error:
                self.wrong.append(repr(error))
                connection = self.connect()
                continue
            if answer.rcode() == dns.rcode.NOERROR and len(answer.answer) == 1 and answer.id == query.id:
                self.right += 1
            else:
                self.wrong.append(str(answer))
        connection.close()

    def connect(self):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM if self.tcp else socket.SOCK_DGRAM)
        made.settimeout(ANSWERED)
        made.connect(("127.0.0.1", self.port))
        return made

    def exchange(self, connection, query):
        wire = query.to_wire()
        if not self.tcp:
            connection.send(wire)
            return dns.message.from_wire(connection.recv(65535))
        connection.sendall(len(wire).to_bytes(2, "big") + wire)
        size = int.from_bytes(self.read(connection, 2), "big")
        return dns.message.from_wire(self.read(connection, size))

    @staticmethod
    def read(connection, size):
        data = b""
        while len(data) < size:
            piece = connection.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


@pytest.mark.parametrize("template, names", [(EMPTY, [CLUSTER]), (WHOLE, [CLUSTER, OUTSIDE, "mail.example.org."])], ids=["small", "whole"])
def test_reloads(template, names):
    with Upstream(records=RECORDS) as upstream:
        reload_often(template, names, {"root": ROOT, "http": free_port(), "extra": free_port(), "upstream": upstream.port})


def reload_often(template, names, values):
    first = template.format(**values, ttl=5, cached=30, number=1)
    with DnsServer("clusterdns", clusterdns_binary(), first) as server:
        corefile = os.path.join(server.folder, "Corefile")
        askers = [Asker(server.port, name, tcp) for name in names for tcp in (False, True)]
        for asker in askers:
            asker.start()
        wait_for(lambda: all(asker.right for asker in askers), 5, "the first answers")
        uses = []
        ports = [values["extra"], *(free_port() for _ in range(EXTRA - 1))]  # series of metrics stay: their labels come again
        for number in range(1, RELOADS + 1):
            broken = number % 3 == 0
            values["extra"] = ports[number % EXTRA]
            text = template.format(**values, ttl=number % 100, cached=5 + number % 60, number=1 + number % EXTRA)
            text = text.replace("@READY@", str(server.ready_port)).replace("@PORT@", str(server.port))
            with open(corefile, "w", encoding="utf-8") as file:
                file.write(text + (BROKEN[number // 3 % len(BROKEN)] if broken else ""))
            done = server.log().count("Reloading complete") + server.log().count("Restart failed")
            os.kill(server.process.pid, signal.SIGUSR1)
            wait_for(
                lambda done=done: server.log().count("Reloading complete") + server.log().count("Restart failed") > done,
                10,
                f"reload {number}",
                interval=0.002,
            )
            uses.append(use(server))
        settled, last = most(uses[SETTLED - PERIOD : SETTLED]), most(uses[-PERIOD:])
        for asker in askers:
            asker.over.set()
            asker.join(5)
        print(f"{RELOADS} reloads, {[a.right for a in askers]} answers, descriptors and anonymous bytes {settled} -> {last}")
        assert not any(asker.wrong for asker in askers), [asker.wrong[:3] for asker in askers]
        assert all(asker.right > RELOADS for asker in askers)
        assert server.log().count("Restart failed") == RELOADS // 3
        assert server.ask(f"{CLUSTER} A").rcode == "NOERROR"
        assert server.http_ready()
        assert last[0] <= settled[0] * GROWTH
        if clusterdns_binary().endswith("build/clusterdns"):  # sanitizers keep what is freed
            assert last[1] <= settled[1] * GROWTH


class Stranger(Asker):
    """Asks over UDP from another port each time, so that the kernel may choose any socket of the server's."""

    def exchange(self, connection, query):
        with self.connect() as fresh:
            return super().exchange(fresh, query)


BOUND = """.:@PORT@ {{
    {bind}
    kubernetes cluster.local {{
        manifests {root}/zones/example-cluster
    }}
}}
"""
BINDS = [  # one after the other; each takes 127.0.0.1, and the last one cannot be had
    "",
    "bind 127.0.0.1",
    "bind 127.0.0.1 127.0.0.2",
    "bind 0.0.0.0",
    "bind lo",
    "",
    "bind 127.0.0.1 192.0.2.77",
]


def test_addresses_come_and_go():
    """A socket of one address beside one of all: whichever is the new one, nothing is lost between them."""
    with DnsServer("clusterdns", clusterdns_binary(), BOUND.format(bind="", root=ROOT), ready=False) as server:
        server.wait_listening()
        corefile = os.path.join(server.folder, "Corefile")
        asker = Stranger(server.port, CLUSTER, False)
        asker.start()
        wait_for(lambda: asker.right, 5, "the first answer")
        for number in range(1, RELOADS + 1):
            bind = BINDS[number % len(BINDS)]
            with open(corefile, "w", encoding="utf-8") as file:
                file.write(BOUND.format(bind=bind, root=ROOT).replace("@PORT@", str(server.port)))
            outcome = "Restart failed" if "192.0.2" in bind else "Reloading complete"
            done = server.log().count(outcome)
            os.kill(server.process.pid, signal.SIGUSR1)
            wait_for(lambda: server.log().count(outcome) > done, 10, f"reload {number}", interval=0.002)
        asker.over.set()
        asker.join(5)
        assert asker.wrong == []
        assert asker.right > RELOADS


def most(uses):
    return tuple(max(column) for column in zip(*uses))


def use(server):
    """Descriptors, and bytes of anonymous memory."""
    return len(os.listdir(f"/proc/{server.process.pid}/fd")), usage(server.process.pid)["anonymous"]
