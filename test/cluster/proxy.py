# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy in front of the API server, so that our server's connections can be cut while kubectl's are not."""

import contextlib
import select
import socket
import threading

from processes import free_port


class Proxy:
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`target` while it is up; bytes pass unread (TLS stays end to end)."""

    def __init__(self, target):
        self.target, self.port = target, free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.listener, self.sockets, self.lock = None, set(), threading.Lock()

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *unused):
        self.cut()

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
        with self.lock:
            for one in self.sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

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
            other = {near: far, far: near}
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        raise ConnectionError
                    other[ready].sendall(data)
        with self.lock:
            self.sockets -= {near, far}
