# SPDX-License-Identifier: Apache-2.0
"""What can stand between a client and the API server: HTTP and SOCKS proxies, an HTTP/2 front, another address family."""

import contextlib
import http.client
import socket
import ssl
import struct
import threading
import urllib.parse

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from hyperframe.frame import GoAwayFrame
from processes import free_port
from proxy import Proxy


class PlaceProxy(Proxy):
    """The API server at another address: `host`, of this machine or of a network (spaces.py)."""

    def __init__(self, target, host, port=None, network=None):
        super().__init__(target)
        self.host, self.port, self.network = host, port or self.port, network
        self.url = f"https://{f'[{host}]' if ':' in host else host}:{self.port}"

    def up(self):
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with self.network.entered() if self.network else contextlib.nullcontext():
            self.listener = socket.create_server((self.host, self.port), family=family)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()


class _Gateway:
    """A listener whose connections are asked where to go, and are then joined with 127.0.0.1:`target`.

    `asked` keeps the (host, port) of each request; `refuse` turns all of them down.
    """

    def __init__(self, target, refuse=False):
        self.target, self.refuse, self.asked, self.port = target, refuse, [], free_port()
        self.joint = Proxy(target)

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *unused):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.joint.cut()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near):
        with contextlib.suppress(OSError, ValueError, struct.error):
            if self.open(near):
                self.joint._forward(near)
                return
        near.close()


class HttpProxy(_Gateway):
    """CONNECT (RFC 9110 §9.3.6)."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def open(self, near):
        head = b""
        while b"\r\n\r\n" not in head:
            head += near.recv(1) or b"\r\n\r\n"
        method, place, _ = head.split(b"\r\n")[0].decode().split(" ")
        host, _, port = place.rpartition(":")
        self.asked.append((host, int(port)))
        if method != "CONNECT" or self.refuse:
            near.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return False
        near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return True


class HttpsProxy(HttpProxy):
    """The same over TLS."""

    def __init__(self, target, certificate, key):
        super().__init__(target)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def _serve(self, near):
        """TLS on the outside: the tunnel's ends are a socket pair."""
        inside, outside = socket.socketpair()
        with contextlib.suppress(OSError), self.context.wrap_socket(near, server_side=True) as tls:
            for source, drain in ((tls, outside), (outside, tls)):
                threading.Thread(target=_pump, args=(source, drain), daemon=True).start()
            super()._serve(inside)


def _pump(source, drain):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            drain.sendall(data)
        drain.shutdown(socket.SHUT_WR)


class SocksProxy(_Gateway):
    """SOCKS 5 without authentication (RFC 1928)."""

    @property
    def url(self):
        return f"socks5://127.0.0.1:{self.port}"

    def open(self, near):
        _, methods = near.recv(2)
        near.recv(methods)
        near.sendall(b"\5\0")
        _, _, _, kind = near.recv(4)
        if kind == 3:
            host = near.recv(near.recv(1)[0]).decode()
        else:
            host = socket.inet_ntop(*((socket.AF_INET, near.recv(4)) if kind == 1 else (socket.AF_INET6, near.recv(16))))
        self.asked.append((host, struct.unpack("!H", near.recv(2))[0]))
        near.sendall(b"\5" + (b"\2" if self.refuse else b"\0") + b"\0\1\0\0\0\0\0\0")
        return not self.refuse


# ---- HTTP/2 ----


class _Connection:
    """One client's HTTP/2 connection; every request goes to the API server over a connection of its own."""

    def __init__(self, front, near):
        self.front, self.near, self.lock = front, near, threading.Condition()
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.paths = {}  # of open streams

    def serve(self):
        with self.lock:
            self.h2.initiate_connection()
            self._flush()
        while data := self.near.recv(65536):
            with self.lock:
                for event in self.h2.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        headers = dict(event.headers)
                        self.paths[event.stream_id] = headers[":path"]
                        self.front.requests.append(headers[":path"])
                        threading.Thread(target=self._relay, args=(event.stream_id, headers), daemon=True).start()
                    elif isinstance(event, h2.events.StreamReset):
                        self.paths.pop(event.stream_id, None)
                self._flush()
                self.lock.notify_all()

    def _flush(self):
        self.near.sendall(self.h2.data_to_send())

    def _relay(self, stream, headers):
        self.front.before(headers[":path"])
        far = self.front.plane.connect(timeout=None)
        kept = {k: v for k, v in headers.items() if k in ("authorization", "accept", "user-agent")}
        with contextlib.suppress(OSError, http.client.HTTPException, h2.exceptions.ProtocolError):
            far.request("GET", headers[":path"], headers=kept)
            answer = far.getresponse()
            with self.lock:
                kind = answer.getheader("Content-Type")
                self.h2.send_headers(stream, [(":status", str(answer.status)), ("content-type", kind)])
                self._flush()
            while data := answer.read1(8192):
                self._send(stream, data)
            self.end(stream)
        far.close()

    def _send(self, stream, data):
        with self.lock:
            while data and stream in self.paths:
                room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(data))
                if room == 0:
                    self.lock.wait()
                    continue
                self.h2.send_data(stream, data[:room])
                data = data[room:]
                self._flush()

    def end(self, stream):
        """Ends a stream in good order."""
        with self.lock:
            if self.paths.pop(stream, None):
                self.h2.end_stream(stream)
                self._flush()

    def goaway(self):
        """No new streams, please; those that are open go on (RFC 9113 §6.8)."""
        with self.lock:
            self.near.sendall(GoAwayFrame(0, last_stream_id=2**31 - 1, error_code=0).serialize())


class Http2Front:
    """An API server behind HTTP/2: 127.0.0.1:`port`, with the API server's own certificate.

    `before(path)` is called before a request is passed on.
    """

    def __init__(self, plane):
        self.plane, self.port = plane, free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(plane.path("apiserver.crt"), plane.path("apiserver.key"))
        self.context.set_alpn_protocols(["h2"])
        self.connections, self.requests = [], []
        self.before = lambda path: None

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *unused):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.near.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near):
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
            connection = _Connection(self, self.context.wrap_socket(near, server_side=True))
            self.connections.append(connection)
            connection.serve()

    def streams(self, connection, plural):
        """The open streams of a connection (its number) that are about a resource."""
        paths = self.connections[connection].paths if connection < len(self.connections) else {}
        return [stream for stream, path in list(paths.items()) if urllib.parse.urlsplit(path).path.endswith(plural)]

    def asked(self, plural, initial):
        """How often a resource was asked for whole (WatchList), or for what had changed."""
        paths = [path for path in self.requests if urllib.parse.urlsplit(path).path.endswith(plural)]
        return sum(("sendInitialEvents" in path) == initial for path in paths)
