# SPDX-License-Identifier: Apache-2.0
"""Real upstreams on loopback: Knot DNS, authoritative for zone files, and unbound, a resolver that asks nobody else.

    with Knot(folder, {"example.org": path}, signed=["example.org"]) as knot, Unbound(folder, knot) as unbound:
        forward . 127.0.0.1:{knot.port}                 # AA
        forward . 127.0.0.1:{unbound.port}              # RA; tls://127.0.0.1:{unbound.tls_port}, unbound.authority, unbound.name
"""

import os
import sys

from asking import ask
from processes import Process, free_port, packaged, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))

from certificates import Authority  # noqa: E402

START_SECONDS = 20


class _Daemon:
    def __init__(self, folder, program, command):
        self.folder, self.port = folder, free_port()
        self.process = Process(program, [packaged(*command), *self.arguments()], folder / f"{program}.log", cwd=folder)

    def __enter__(self):
        self.process.start()
        wait_for(self.is_up, START_SECONDS, f"{self.process.name} to answer", interval=0.05)
        return self

    def __exit__(self, *unused):
        self.process.kill()

    def start(self):
        return self.__enter__()

    def stop(self):
        self.process.kill()


class Knot(_Daemon):
    """Serves {zone: path of its file}; signs those of `signed` itself (NSEC)."""

    def __init__(self, folder, zones, signed=()):
        self.zones = zones
        (folder / "db").mkdir(parents=True, exist_ok=True)
        super().__init__(folder, "knotd", ("knot", "knotd"))
        lines = ["server:", f"  rundir: {folder}", f"  listen: 127.0.0.1@{self.port}", "  udp-max-payload: 4096"]
        lines += ["log:", "  - target: stderr", "    any: info", "database:", f"  storage: {folder}/db"]
        lines += ["policy:", "  - id: test", "    algorithm: ecdsap256sha256", "    single-type-signing: on"]
        lines += ["template:", "  - id: default", "    zonefile-sync: -1", "    zonefile-load: difference-no-serial"]
        lines += ["    journal-content: all", f"    storage: {folder}", "zone:"]
        for zone, path in zones.items():
            lines += [f"  - domain: {zone}", f"    file: {path}"]
            lines += ["    dnssec-signing: on", "    dnssec-policy: test"] if zone in signed else []
        (folder / "knot.conf").write_text("\n".join(lines) + "\n")

    def arguments(self):
        return ["-c", "knot.conf"]

    def is_up(self):
        self.process.check_alive()
        return all(ask(self.port, f"{zone}. SOA", 0.2).rcode == "NOERROR" for zone in self.zones)


class Unbound(_Daemon):
    """Resolves the zones of a Knot, and nothing else; also over TLS, with a certificate for `name` from `authority`."""

    name = "resolver.example"

    def __init__(self, folder, knot, *options):
        folder.mkdir(exist_ok=True)
        super().__init__(folder, "unbound", ("unbound", "unbound"))
        self.zones, self.tls_port = knot.zones, free_port()
        ca = Authority(str(folder))
        self.authority = ca.certificate
        certificate, key = ca.issue(self.name)
        lines = ["server:", f"  directory: {folder}", "  username: ''", "  chroot: ''", "  use-syslog: no", "  pidfile: ''"]
        lines += [f"  interface: 127.0.0.1@{port}" for port in (self.port, self.tls_port)]
        lines += [f"  tls-port: {self.tls_port}", f"  tls-service-pem: {certificate}", f"  tls-service-key: {key}"]
        lines += ["  do-not-query-localhost: no", "  do-ip6: no", "  module-config: iterator", "  num-threads: 1"]
        lines += ["  outgoing-range: 128", "  edns-buffer-size: 4096", "  max-udp-size: 4096", "  minimal-responses: no"]
        lines += ["  local-zone: '.' refuse", *(f"  {option}" for option in options)]
        for zone in self.zones:
            lines.append(f"  local-zone: '{zone}.' transparent")
        for zone in self.zones:
            lines += ["stub-zone:", f"  name: '{zone}.'", f"  stub-addr: 127.0.0.1@{knot.port}"]
        (folder / "unbound.conf").write_text("\n".join(lines) + "\n")

    def arguments(self):
        return ["-d", "-c", "unbound.conf"]

    def is_up(self):
        self.process.check_alive()
        return all(ask(self.port, f"{zone}. SOA", 0.2).rcode == "NOERROR" for zone in self.zones)
