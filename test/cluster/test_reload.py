# SPDX-License-Identifier: Apache-2.0
"""Reloads while the API server is away: what is answered stays, and what was asked for is not forgotten."""

import os
import signal

import servers
from processes import wait_for
from proxy import Proxy

NAME = "kubernetes.default.svc.cluster.local A"
LOOKING = """. {
    errors
    reload 2s 0s
    ready 127.0.0.1:@READY@
    kubernetes cluster.local {
        kubeconfig @KUBECONFIG@
        startup_timeout 500ms
        OPTIONS
    }
}
"""


def write(server, text):
    text = text.replace("@READY@", str(server.ready_port))
    new = os.path.join(server.folder, "new")
    with open(new, "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(new, os.path.join(server.folder, "Corefile"))


def wait_log(server, text, times=1, seconds=15):
    wait_for(lambda: server.log().count(text) >= times, seconds, f"{times} × {text}")


def ttl(server):
    answer = server.ask(NAME)
    return int(answer.sections["answer"][0].split()[1]) if answer.rcode == "NOERROR" else answer.rcode


def test_plugin(plane):
    """A new configuration that needs the API server is tried until it is back; meanwhile the old one is served."""
    with Proxy(plane.api_port) as proxy:
        kubeconfig = plane.kubeconfig("dns", server=proxy.url)
        with servers.clusterdns(LOOKING.replace("OPTIONS", ""), KUBECONFIG=kubeconfig) as server:
            proxy.cut()
            wanted = LOOKING.replace("OPTIONS", "labels !nosuch\n        ttl 17").replace("@KUBECONFIG@", kubeconfig)
            write(server, wanted)
            wait_log(server, "Restart failed: plugin/kubernetes: the Kubernetes API is not synced after 500ms: ", 2)
            assert ttl(server) == 5 and server.http_ready()
            proxy.up()
            wait_for(lambda: ttl(server) == 17, 15, "the new configuration")
            wait_log(server, "Reloading complete")
            assert server.log().count("Reloading complete") == 1


def test_signal_meanwhile(plane):
    """SIGUSR1 while a reload waits: the file of then is loaded too."""
    with Proxy(plane.api_port) as proxy:
        kubeconfig = plane.kubeconfig("dns", server=proxy.url)
        first = servers.corefile()
        with servers.clusterdns(first, KUBECONFIG=kubeconfig) as server:
            proxy.cut()
            named = first.replace("@KUBECONFIG@", kubeconfig)
            write(server, named.replace("kubeconfig", "labels !nosuch\n        kubeconfig", 1))
            os.kill(server.process.pid, signal.SIGUSR1)
            wait_log(server, "waiting for Kubernetes API before serving the new configuration")
            write(server, named.replace("kubeconfig", "ttl 9\n        kubeconfig", 1))
            os.kill(server.process.pid, signal.SIGUSR1)
            wait_log(server, "Reloading complete")
            assert server.log().count("Restart failed") == 1
            assert ttl(server) == 9


def test_no_wait(plane):
    """`startup_timeout 0s` is about the start: a reload that needs a new watch waits for it."""
    first = servers.corefile("startup_timeout 0s")
    kubeconfig = plane.kubeconfig("dns")
    with servers.clusterdns(first, KUBECONFIG=kubeconfig) as server:
        named = first.replace("@KUBECONFIG@", kubeconfig)
        write(server, named.replace("startup_timeout 0s", "startup_timeout 0s\n        labels !nosuch\n        ttl 9"))
        os.kill(server.process.pid, signal.SIGUSR1)
        wait_log(server, "Reloading complete")
        assert ttl(server) == 9
