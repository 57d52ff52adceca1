# SPDX-License-Identifier: Apache-2.0
"""What the process is given by the system: few descriptors, no standard output; and answers at the edge of a datagram."""

import contextlib
import os
import resource
import socket
import subprocess
import urllib.error
import urllib.request

import dns.message
import dns.query
import pytest

from processes import free_port, wait_for
from servers import clusterdns_binary

SECONDS = 20

MANIFEST = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: many, namespace: shop}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
"""

SLICE = """---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: many-{number}, namespace: shop, labels: {{kubernetes.io/service-name: many}}}}
addressType: IPv4
ports: [{{name: http, port: 80, protocol: TCP}}]
endpoints: [{{addresses: [{addresses}]}}]
"""


class Served:
    def __init__(self, folder, source="manifests {folder}/objects.yaml", **how):
        self.dns, self.http = free_port(), free_port()
        (folder / "objects.yaml").write_text(
            MANIFEST
            + "".join(
                SLICE.format(number=i, addresses=", ".join(f"10.1.{i}.{k}" for k in range(250))) for i in range(20)
            )
        )
        (folder / "Corefile").write_text(
            f".:{self.dns} {{\n health 127.0.0.1:{self.http}\n kubernetes cluster.local {{\n"
            f" {source.format(folder=folder)}\n }}\n}}\n"
        )
        self.child = subprocess.Popen(
            [clusterdns_binary(), "-conf", str(folder / "Corefile")], stdin=subprocess.DEVNULL, **how
        )

    def health(self):
        assert self.child.poll() is None, f"the server has ended with {self.child.returncode}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/health", timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False

    def ask(self, name, over=dns.query.udp, **how):
        return over(dns.message.make_query(name, "A", **how), "127.0.0.1", port=self.dns, timeout=5)


@pytest.fixture
def serve(tmp_path):
    with contextlib.ExitStack() as stack:

        def start(**how):
            served = Served(tmp_path, **how)
            stack.callback(served.child.kill)
            wait_for(served.health, SECONDS, "the server")
            return served

        yield start


def stop(served):
    served.child.terminate()
    assert served.child.wait(SECONDS) == 0


@pytest.mark.parametrize("closed", [[1], [2], [0, 1, 2]], ids=str)
def test_standard_descriptors_closed(serve, closed):
    """Their numbers must not go to sockets and event loops, which log lines would then be written to."""
    served = serve(preexec_fn=lambda: [os.close(fd) for fd in closed])
    for fd in closed:
        assert os.readlink(f"/proc/{served.child.pid}/fd/{fd}") == "/dev/null"
    assert len(served.ask("many.shop.svc.cluster.local", over=dns.query.tcp).answer[0]) > 4000
    stop(served)


def test_tcp_clients_leave_descriptors_to_probes(serve):
    """However many connections the clients open, health answers, and DNS clients are served."""
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96))
    served = serve(preexec_fn=few)
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", served.dns), timeout=5))
        for _ in range(3):
            assert served.health()
        assert served.ask("many.shop.svc.cluster.local", over=dns.query.tcp).answer
    stop(served)


def test_descriptor_limit_is_raised(serve):
    """A soft limit of 1,024 is the usual one; the hard one is what the administrator allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    served = serve(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard)))
    assert resource.prlimit(served.child.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    stop(served)


def test_largest_datagram(serve):
    """A client that says it takes 65,535 bytes gets an answer that is cut, not one that no datagram can carry."""
    served = serve()
    answer = served.ask("many.shop.svc.cluster.local", use_edns=0, payload=65535)
    assert answer.flags & dns.flags.TC
    assert len(answer.answer[0]) > 4000
    stop(served)


def test_signal_while_the_first_sync_is_waited_for(serve):
    """Neither probes nor the end of the process wait for an API that does not answer."""
    served = serve(source="endpoint http://127.0.0.1:1\n startup_timeout 1h")
    stop(served)
