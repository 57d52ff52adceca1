# SPDX-License-Identifier: Apache-2.0
"""Proxies in front of the API server, so that our server meets faults while kubectl does not."""

import contextlib
import json
import select
import socket
import threading
import time
import urllib.request

from controlplane import binaries
from processes import Process, Timeout, free_port, wait_for

PIECE = 65536


class Proxy:
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`target` while it is up; bytes pass unread (TLS stays end to end).

    `rate`: bytes a second that may come from the target on each connection; None: as many as there are.
    """

    def __init__(self, target):
        self.target, self.port = target, free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.listener, self.sockets, self.lock = None, set(), threading.Lock()
        self.rate, self.left, self.cuts = None, None, 0
        self.flowing = threading.Event()
        self.flowing.set()

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *unused):
        self.cut()
        self.flow()

    def up(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def cut(self):
        """Closes every connection; new ones are refused until `up`."""
        if self.listener:
            with contextlib.suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        self.interrupt()

    def interrupt(self):
        """Closes every connection; new ones are welcome."""
        with self.lock:
            for one in self.sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def stall(self):
        """Connections stay, and new ones are taken, but nothing passes until `flow`."""
        self.flowing.clear()

    def flow(self):
        self.flowing.set()

    def cut_after(self, size):
        """`size` more bytes come from the target, on all connections together; the one that had more then is cut."""
        with self.lock:
            self.left = size

    def connections(self):
        with self.lock:
            return len(self.sockets) // 2

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                threading.Thread(target=self._forward, args=(near,), daemon=True).start()

    def _forward(self, near):
        try:
            far = socket.create_connection(("127.0.0.1", self.target), 5)
        except OSError:
            near.close()
            return
        with self.lock:
            self.sockets |= {near, far}
        with near, far, contextlib.suppress(OSError):
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    self._pass(ready, far if ready is near else near, ready is far)
        with self.lock:
            self.sockets -= {near, far}

    def _pass(self, source, drain, answer):
        """Moves one piece; `answer`: it comes from the target."""
        rate = self.rate if answer else None
        data = source.recv(PIECE if rate is None else max(1, min(PIECE, rate // 50)))
        if not data:
            raise ConnectionError
        self.flowing.wait()
        allowed = self._allowed(len(data)) if answer else len(data)
        drain.sendall(data[:allowed])
        if allowed < len(data):
            raise ConnectionError
        if rate is not None:
            time.sleep(len(data) / rate)

    def _allowed(self, size):
        """How many bytes of a piece may pass; less than all: the connection ends there."""
        with self.lock:
            if self.left is None:
                return size
            allowed = min(self.left, size)
            self.left -= allowed
            if allowed < size:
                self.left, self.cuts = None, self.cuts + 1
            return allowed


class ExpiringProxy:
    """Passes everything on to the real API server, but can end all watches and answer the attempts to resume them with
    410 Expired, so that its clients list everything anew. (modules/expiring-proxy; TLS and HTTP/2 on both sides)
    """

    STARTS_SECONDS = 10

    def __init__(self, plane):
        self.port, self.control = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        keys = [plane.path(name) for name in ("ca.crt", "apiserver.crt", "apiserver.key")]
        program = binaries("expiring-proxy")["expiring-proxy"]
        argv = [program, f"127.0.0.1:{self.port}", plane.url, *keys, f"127.0.0.1:{self.control}"]
        self.process = Process("expiring-proxy", argv, plane.path("expiring-proxy.log"))

    def __enter__(self):
        self.process.start()
        wait_for(self._listens, self.STARTS_SECONDS, "the expiring proxy to listen")
        return self

    def __exit__(self, *unused):
        self.process.kill()

    def _listens(self):
        self.process.check_alive()
        with contextlib.suppress(OSError):
            return self.state() is not None

    def _call(self, method, path):
        request = urllib.request.Request(f"http://127.0.0.1:{self.control}{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    def state(self):
        """{path of a resource: {"watches", "refused", "complete"}}, see main.go."""
        return json.loads(self._call("GET", "/state"))

    def expire(self):
        self._call("POST", "/expire")

    def wait_complete(self, before, seconds):
        """Until every resource of the state `before` has gone through whole once more and is being watched."""

        def complete():
            now = self.state()
            return all(now[path]["complete"] > old["complete"] and now[path]["watches"] for path, old in before.items())

        try:
            wait_for(complete, seconds, "a relist of everything", interval=0.05)
        except Timeout as error:
            raise Timeout(f"{error}: {before} -> {self.state()}") from None
