# SPDX-License-Identifier: Apache-2.0
"""Starts CoreDNS and our server on loopback with a Corefile, waits until they are ready, collects logs, stops them.

In a Corefile text, @NAME@ stands for a value given by the test; @READY@ is a free HTTP port for
`ready 127.0.0.1:@READY@`, @PORT@ the port that the server will be asked on.
"""

import os
import shutil
import tempfile
import urllib.request

from asking import ask
from controlplane import binaries
from processes import Process, Timeout, free_port, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
READY_SECONDS = 30


def clusterdns_binary():
    path = os.environ.get("CLUSTERDNS", os.path.join(ROOT, "build", "clusterdns"))
    if not os.access(path, os.X_OK):
        raise AssertionError(f"{path} is missing: run `make` first")
    return path


def corefile(*options, source="kubeconfig @KUBECONFIG@"):
    """A Corefile with one kubernetes directive, which gets `source` and `options` as lines."""
    lines = "".join(f"        {option}\n" for option in (source, *options))
    return f""". {{
    errors
    ready 127.0.0.1:@READY@
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
{lines}    }}
}}
"""


class DnsServer:
    """A running server; `ready=False` starts it without waiting (a server that is meant not to become ready)."""

    def __init__(self, name, program, corefile, ready=True, env=None, group=None, **values):
        self.name, self.port = name, free_port()
        self.ready_port = free_port() if "@READY@" in corefile else None
        self.folder = tempfile.mkdtemp(prefix=f"clusterdns-{name}-")
        text = corefile.replace("@READY@", str(self.ready_port)).replace("@PORT@", str(self.port))
        for key, value in values.items():
            text = text.replace(f"@{key}@", str(value))
        conf = os.path.join(self.folder, "Corefile")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(text)
        self.process = Process(
            name,
            [program, "-conf", conf, "-dns.port", self.port],
            os.path.join(self.folder, "log"),
            env={**os.environ, **(env or {})},
            cwd=self.folder,
            group=group,
        )
        try:
            self.process.start()
            if ready:
                self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()

    def wait_ready(self, seconds=READY_SECONDS):
        """Until any DNS answer comes and, where the Corefile has @READY@, /ready says 200."""
        try:
            wait_for(self.is_ready, seconds, f"{self.name} to be ready", interval=0.05)
        except Timeout as error:
            raise Timeout(f"{error}\n{self.process.log_tail()}") from None

    def wait_listening(self, seconds=READY_SECONDS):
        """Until any DNS answer comes, ready or not."""
        wait_for(self.is_listening, seconds, f"{self.name} to listen", interval=0.02)

    def is_listening(self):
        self.process.check_alive()
        return self.ask("ready.invalid. A", seconds=0.1).result == "reply"

    def is_ready(self):
        return self.http_ready() and self.is_listening()

    def http_ready(self):
        if self.ready_port is None:
            return True
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ready_port}/ready", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def ask(self, line, seconds=5):
        return ask(self.port, line, seconds)

    def log(self):
        return self.process.log()

    def stop(self, seconds=10):
        """SIGTERM; returns the exit status and removes the folder."""
        status = self.process.stop(seconds)
        shutil.rmtree(self.folder, ignore_errors=True)
        return status


def coredns(corefile, **options):
    return DnsServer("coredns", binaries("coredns")["coredns"], corefile, **options)


def clusterdns(corefile, program=None, **options):
    return DnsServer("clusterdns", program or clusterdns_binary(), corefile, **options)
