# SPDX-License-Identifier: Apache-2.0
"""An API server that plays the recordings of test/recordings/, with faults on demand.

    with ApiReplay() as api:
        api.kubeconfig(path)                          # a kubeconfig that leads here
        api.play("services")                          # the recorded changes, to all open watches
        api.put("services", obj); api.remove("services", "shop", "web")
        api.script("services", "watch", Status(500), Truncate(100))   # the next two watches of services
        api.cut("services"); api.down(); api.up()

It starts with the recorded state; lists, watches and WatchLists are answered from that, the events since included, in
protobuf for those who prefer it: recorded objects with the recorded bytes, others with kubeproto.py.
Faults are answers given to `script`: each is used once, for the next request of that resource and kind ("list",
"watch", "watchlist", "any"). Requests are kept in `requests`. Everything runs in threads of the test's process.
"""

import base64
import collections
import contextlib
import copy
import gzip
import json
import math
import os
import queue
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import kubeproto

RECORDINGS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "recordings")
JSON, PROTOBUF = "application/json", "application/vnd.kubernetes.protobuf"
KINDS = {"namespaces": "Namespace", "services": "Service", "endpointslices": "EndpointSlice", "pods": "Pod"}
INITIAL_END = "k8s.io/initial-events-end"
COMPRESSED_FROM = 128 << 10  # bytes; k8s.io/apiserver's defaultGzipThresholdBytes
WAIT_SECONDS = 10


def recording(name):
    """(status, headers, body bytes) of test/recordings/NAME.http."""
    with open(os.path.join(RECORDINGS, f"{name}.http"), "rb") as file:
        head, _, body = file.read().partition(b"\n\n")
    lines = head.decode().splitlines()
    headers = dict(line.split(": ", 1) for line in lines[2:])
    return int(lines[1].split()[1]), headers, body


def recorded_events(name):
    """The events of a recorded stream, decoded."""
    return [json.loads(line) for line in recording(name)[2].splitlines()]


def status_object(code, reason, message):
    return {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    }  # fmt: skip


def line_of(kind, obj):
    """An event as the API server writes it."""
    return json.dumps({"type": kind, "object": obj}, separators=(",", ":")).encode() + b"\n"


# ---- scripted answers ----


@dataclass
class Status:
    """An HTTP status with a Status body (or `body`), and e.g. headers={"Retry-After": "1"}."""

    code: int
    body: bytes = None
    headers: dict = field(default_factory=dict)

    def answer(self, request):
        body, media = self.body, JSON
        if body is None:
            body, media = request.encoded(status_object(self.code, "Scripted", f"scripted {self.code}")), request.media
        request.send_whole(self.code, {"Content-Type": media, **self.headers}, body)


@dataclass
class Recorded:
    """A recorded exchange as it is: Recorded("services.forbidden")."""

    name: str

    def answer(self, request):
        request.send_whole(*recording(self.name + (".pb" if request.media == PROTOBUF else "")))


@dataclass
class Truncate:
    """The usual answer, cut with the connection after `size` bytes of the body."""

    size: int

    def answer(self, request):
        request.limit = self.size
        request.usual()


@dataclass
class Slow:
    """The usual answer in pieces of `size` bytes, `pause` seconds apart."""

    size: int
    pause: float = 0.001

    def answer(self, request):
        request.piece, request.pause = self.size, self.pause
        request.usual()


class Stall:
    """Nothing at all is sent; the connection stays open until it is cut."""

    def answer(self, request):
        request.wait_cut()


class Silent:
    """The usual beginning of a stream, then silence: later events and bookmarks do not reach it."""

    def answer(self, request):
        request.silent = True
        request.usual()


class Reset:
    """The connection is reset (RST) instead of an answer."""

    def answer(self, request):
        request.reset()


@dataclass
class Body:
    """A 200 with these bytes as (chunked) body, of the media type `media`; `hold` keeps the stream open behind them."""

    data: bytes
    hold: bool = False
    media: str = JSON
    headers: dict = field(default_factory=dict)

    def answer(self, request):
        request.begin_stream(self.media, self.headers)
        request.send(self.data)
        if self.hold:
            request.wait_cut()
        request.end_stream()


@dataclass
class ErrorEvent:
    """A 200 whose stream holds one ERROR event, as after a compaction."""

    code: int = 410
    reason: str = "Expired"
    message: str = "too old resource version: 1 (2)"

    def answer(self, request):
        request.begin_stream()
        request.send_event("ERROR", status_object(self.code, self.reason, self.message))
        request.end_stream()


@dataclass
class HalfEvent:
    """A 200 whose stream ends with the connection `missing` bytes before the end of this event."""

    kind: str
    obj: dict
    missing: int

    def answer(self, request):
        request.begin_stream()
        request.send(request.event(self.kind, self.obj)[: -self.missing])
        raise _Cut


class NotAcceptable:
    """406 for who takes protobuf, as from a server that goes by the first type of Accept; else the usual answer."""

    def answer(self, request):
        if PROTOBUF in request.headers.get("Accept", ""):
            request.media = JSON
            return Status(406).answer(request)
        return request.usual()


# ---- the server ----


@dataclass
class Seen:
    """A request that came."""

    resource: str
    kind: str
    path: str
    query: dict
    headers: dict
    time: float


class _Cut(Exception):
    """The connection is to be closed."""


class _Resource:
    """The objects of one resource, and the events since the server started."""

    def __init__(self, name):
        _, _, body = recording(f"{name}.list")
        document = json.loads(body)
        self.name, self.api_version = name, document["apiVersion"]
        self.version = int(document["metadata"]["resourceVersion"])
        self.objects = {_key(obj): obj for obj in document["items"]}
        self.messages = _recorded_messages(name)
        self.events = []  # (version, type, object)
        self.oldest = 0  # watches from before this get 410
        self.streams = set()

    def item(self, obj):
        return {"kind": KINDS[self.name], "apiVersion": self.api_version, **obj}

    def message(self, obj):
        """An object in protobuf, as it was recorded if it was."""
        identity = tuple(obj["metadata"].get(key, "") for key in ("namespace", "name", "resourceVersion"))
        return self.messages.get(identity) or kubeproto.message(KINDS[self.name], obj)


def _recorded_messages(name):
    """{(namespace, name, version): message} of all recorded objects of a resource."""
    _, _, body = recording(f"{name}.list.pb")
    items = [item for number, item in kubeproto.fields(kubeproto.opened(body)) if number == 2]
    for stream in ("watchlist", "watch"):
        _, _, body = recording(f"{name}.{stream}.pb")
        items += [kubeproto.opened(obj) for kind, obj in kubeproto.frames(body) if kind != "BOOKMARK"]
    return {kubeproto.identity(item): item for item in items}


def _key(obj):
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


class _Request(BaseHTTPRequestHandler):
    """One connection; the requests on it come one after another."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = None

    def setup(self):
        super().setup()
        self.api = self.server.api
        self.queue = queue.Queue()
        with self.api.lock:
            self.api.connections.add(self)

    def finish(self):
        with self.api.lock:
            self.api.connections.discard(self)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *unused):
        pass

    def do_GET(self):
        self.limit, self.piece, self.pause, self.silent, self.sent = None, None, 0, False, 0
        self.media = PROTOBUF if self.api.protobuf and PROTOBUF in self.headers.get("Accept", "") else JSON
        url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(url.query))
        name = url.path.rsplit("/", 1)[-1]
        self.resource = self.api.resources.get(name)
        self.kind = "list"
        if self.query.get("watch") in ("true", "1"):
            self.kind = "watchlist" if self.query.get("sendInitialEvents") == "true" else "watch"
        fault = self.api.arrived(Seen(name, self.kind, url.path, self.query, dict(self.headers), time.monotonic()))
        try:
            (fault.answer(self) if fault else self.usual())
        except (_Cut, OSError):
            self.close_connection = True

    # -- the usual answers --

    def usual(self):
        if self.resource is None:
            Status(404).answer(self)
        elif self.headers.get("Authorization") != self.api.authorization:
            Recorded("services.unauthorized").answer(self)
        elif self.kind == "list":
            self.usual_list()
        elif self.kind == "watchlist" and not self.api.watchlist:
            Recorded("services.watchlist-refused").answer(self)
        else:
            self.usual_watch()

    def usual_list(self):
        start, count = int(self.query.get("continue", 0)), int(self.query.get("limit", 0))
        with self.api.lock:
            items = sorted(self.resource.objects.items())
            version = str(self.resource.version)
        page = items[start : start + count] if count else items[start:]
        meta = {"resourceVersion": version}
        if start + len(page) < len(items):
            meta["continue"] = str(start + len(page))
            meta["remainingItemCount"] = len(items) - start - len(page)
        kind, version = KINDS[self.resource.name] + "List", self.resource.api_version
        if self.media == PROTOBUF:
            body = kubeproto.page(meta, [self.resource.message(obj) for _, obj in page])
            body = kubeproto.envelope(version, kind, body)
        else:
            document = {"kind": kind, "apiVersion": version, "metadata": meta, "items": [obj for _, obj in page]}
            body = json.dumps(document, separators=(",", ":")).encode() + b"\n"
        self.send_compressed(body)

    def usual_watch(self):
        """The beginning and the place in the list of streams are taken together: no event is lost or comes twice."""
        self.queue = queue.Queue()
        self.since = math.inf  # the stream is up to date
        with self.api.lock:
            events = self.initial_events() if self.kind == "watchlist" else self.missed_events()
            if events is not None and not self.silent:
                self.resource.streams.add(self)
        try:
            if events is None:
                return ErrorEvent().answer(self)
            self.begin_stream()
            self.send(b"".join(self.event(*event) for event in events))
            self.since = time.monotonic()
            self.follow()
        finally:
            with self.api.lock:
                self.resource.streams.discard(self)
        return None

    def initial_events(self):
        items = [self.resource.item(obj) for _, obj in sorted(self.resource.objects.items())]
        return [("ADDED", obj) for obj in items] + [("BOOKMARK", self.api.bookmark_object(self.resource, True))]

    def missed_events(self):
        since = int(self.query.get("resourceVersion", 0))
        if since < self.resource.oldest:
            return None
        return [(kind, obj) for version, kind, obj in self.resource.events if version > since]

    def follow(self):
        """Sends what is queued, events or bytes, until the stream's time is over, or somebody cuts it."""
        end = time.monotonic() + int(self.query.get("timeoutSeconds", 3600))
        while True:
            try:
                queued = self.queue.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return self.end_stream()
            if queued is None:
                return self.end_stream()
            self.send(queued if isinstance(queued, bytes) else self.event(*queued))

    # -- formats --

    def encoded(self, obj):
        """An object that is an answer of its own, or part of an event."""
        if self.media == JSON:
            return json.dumps(obj, separators=(",", ":")).encode()
        recorded = self.resource is not None and obj["kind"] == KINDS[self.resource.name]
        raw = self.resource.message(obj) if recorded else kubeproto.message(obj["kind"], obj)
        return kubeproto.envelope(obj["apiVersion"], obj["kind"], raw)

    def event(self, kind, obj):
        return kubeproto.frame(kind, self.encoded(obj)) if self.media == PROTOBUF else line_of(kind, obj)

    def send_event(self, kind, obj):
        self.send(self.event(kind, obj))

    # -- bytes --

    def send_whole(self, code, headers, body):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.flush()
        self.send_pieces(body, lambda piece: piece)

    def send_compressed(self, body):
        """A list, as the API server sends it: compressed where the client takes that, and it is large."""
        headers = {"Content-Type": self.media}
        if "gzip" in self.headers.get("Accept-Encoding", "") and len(body) > COMPRESSED_FROM:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, 1)
        self.api.compressed += "Content-Encoding" in headers
        self.send_whole(200, headers, body)

    def begin_stream(self, media=None, headers=None):
        self.send_response(200)
        stream = f"{PROTOBUF};stream=watch" if self.media == PROTOBUF else JSON
        for name, value in {"Content-Type": media or stream, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def send(self, data):
        self.send_pieces(data, lambda piece: b"%x\r\n%s\r\n" % (len(piece), piece))

    def send_pieces(self, data, frame):
        cut = self.limit is not None and self.sent + len(data) > self.limit
        if cut:
            data = data[: self.limit - self.sent]
        size = self.piece or len(data) or 1
        for start in range(0, len(data), size):
            self.wfile.write(frame(data[start : start + size]))
            self.wfile.flush()
            if self.pause:
                time.sleep(self.pause)
        self.sent += len(data)
        if cut:
            self.shut()
            raise _Cut

    def end_stream(self):
        self.wfile.write(b"0\r\n\r\n")

    def wait_cut(self):
        """Until the connection is cut by either side."""
        while self.queue.get() is not None:
            pass
        raise _Cut

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            socket.socket.close(self.connection)
        raise _Cut

    def shut(self):
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def get_request(self):
        connection, address = super().get_request()
        context = self.api.context
        if context:  # the handshake is done by the connection's own thread, at its first read
            connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # a client that goes away, a handshake that fails
            super().handle_error(request, client_address)


class ApiReplay:
    """The server. `tls=False`: plain HTTP, over which no token must come; `token`: asked for, None: must not come;
    `basic`: "USER:PASSWORD" asked for instead; `watchlist=False`: WatchList is refused; `protobuf=False`: it knows JSON
    alone. `compressed` counts answers that were."""

    def __init__(self, tls=True, token="replay-token", watchlist=True, basic=None, protobuf=True):
        self.token, self.watchlist, self.basic = token if tls else None, watchlist, basic
        self.protobuf, self.compressed = protobuf, 0
        self.lock = threading.RLock()
        self.arrival = threading.Condition(self.lock)
        self.resources = {name: _Resource(name) for name in KINDS}
        self.requests, self.connections = [], set()
        self.scripts = collections.defaultdict(collections.deque)
        self.standing = {}
        self.folder = tempfile.TemporaryDirectory(prefix="clusterdns-replay-")
        self.context = self._make_context() if tls else None
        self.listener, self.port = None, 0

    def __enter__(self):
        return self.up()

    def __exit__(self, *unused):
        self.down()
        self.folder.cleanup()

    @property
    def authorization(self):
        """The header that requests must have."""
        if self.basic:
            return f"Basic {base64.b64encode(self.basic.encode()).decode()}"
        return f"Bearer {self.token}" if self.token else None

    @property
    def url(self):
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    @property
    def certificate(self):
        """Path of the CA certificate (the server's own)."""
        return os.path.join(self.folder.name, "server.crt")

    def _make_context(self):
        key = os.path.join(self.folder.name, "server.key")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", key, "-out", self.certificate, "-days", "2", "-subj", "/CN=replay",
             "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
            check=True, capture_output=True,
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        return context

    def kubeconfig(self, path, **changes):
        """Writes a kubeconfig (JSON is YAML) that leads here; `changes` go into the user. Returns the path."""
        cluster = {"server": self.url}
        if self.context:
            with open(self.certificate, "rb") as file:
                cluster["certificate-authority-data"] = base64.b64encode(file.read()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "replay", "cluster": cluster}],
            "users": [{"name": "replay", "user": {"token": self.token or "replay-token", **changes}}],
            "contexts": [{"name": "replay", "context": {"cluster": "replay", "user": "replay"}}],
            "current-context": "replay",
        }
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file, indent=1)
        return path

    # ---- up and down ----

    def up(self):
        """Listens, on the same port as before."""
        self.listener = _Listener(("127.0.0.1", self.port), _Request)
        self.listener.api = self
        self.port = self.listener.server_address[1]
        threading.Thread(target=self.listener.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def down(self):
        """Nobody listens any more, and all connections are cut."""
        if self.listener:
            self.listener.shutdown()
            self.listener.server_close()
            self.listener = None
        self.cut()

    def cut(self, resource=None):
        """Cuts all connections, or those with an open stream of a resource."""
        with self.lock:
            chosen = list(self.connections if resource is None else self.resources[resource].streams)
        for connection in chosen:
            connection.shut()
            connection.queue.put(None)

    def end(self, resource):
        """Ends the open streams of a resource in good order, as the API server does at their time-out."""
        with self.lock:
            for stream in self.resources[resource].streams:
                stream.queue.put(None)

    # ---- requests ----

    def script(self, resource, kind, *answers):
        """The next requests of a resource ("any" for all) and kind get these answers, in order."""
        with self.lock:
            self.scripts[resource, kind].extend(answers)

    def refuse(self, resource, answer):
        """Every request of a resource gets this answer, until it is refused None."""
        with self.lock:
            self.standing[resource] = answer

    def arrived(self, seen):
        with self.lock:
            self.requests.append(seen)
            self.arrival.notify_all()
            for key in ((seen.resource, seen.kind), (seen.resource, "any"), ("any", seen.kind), ("any", "any")):
                if self.scripts[key]:
                    return self.scripts[key].popleft()
            return self.standing.get(seen.resource)

    def seen(self, resource, kind="any"):
        """The requests so far of a resource and kind."""
        with self.lock:
            return [r for r in self.requests if r.resource == resource and kind in (r.kind, "any")]

    def wait_requests(self, resource, kind, count, seconds=WAIT_SECONDS):
        """Waits until at least `count` such requests have come; returns them."""
        with self.arrival:
            if not self.arrival.wait_for(lambda: len(self.seen(resource, kind)) >= count, seconds):
                raise AssertionError(f"{len(self.seen(resource, kind))} of {count} requests: {kind} of {resource}")
            return self.seen(resource, kind)

    def wait_streams(self, resource, count=1, seconds=WAIT_SECONDS, lived=None):
        """Waits until so many watches of a resource are open and up to date, and have been for `lived` seconds."""
        deadline = time.monotonic() + seconds

        def enough(now):
            with self.lock:
                streams = self.resources[resource].streams
                return sum(lived is None or now - stream.since >= lived for stream in streams) >= count

        while not enough(time.monotonic()):
            if time.monotonic() > deadline:
                raise AssertionError(f"no watch of {resource}")
            time.sleep(0.005)

    # ---- state ----

    def put(self, resource, obj):
        """Adds or replaces an object; open watches are told."""
        with self.lock:
            state = self.resources[resource]
            kind = "MODIFIED" if _key(obj) in state.objects else "ADDED"
            obj = copy.deepcopy(obj)
            obj["metadata"]["resourceVersion"] = str(self._next_version())
            state.objects[_key(obj)] = obj
            self._publish(state, kind, state.item(obj))

    def remove(self, resource, namespace, name):
        with self.lock:
            state = self.resources[resource]
            obj = state.objects.pop((namespace, name))
            obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._next_version())}}
            self._publish(state, "DELETED", state.item(obj))

    def play(self, resource):
        """Makes the recorded changes of a resource happen now."""
        with self.lock:
            state = self.resources[resource]
            for event in recorded_events(f"{resource}.watch"):
                obj = event["object"]
                if event["type"] == "DELETED":
                    state.objects.pop(_key(obj), None)
                elif event["type"] != "BOOKMARK":
                    state.objects[_key(obj)] = obj
                self._publish(state, event["type"], obj)

    def bookmark(self, resource):
        """Sends a bookmark to the open watches of a resource."""
        with self.lock:
            state = self.resources[resource]
            for stream in state.streams:
                stream.queue.put(("BOOKMARK", self.bookmark_object(state, False)))

    def send_raw(self, resource, data):
        """Sends bytes to the open watches of a resource, as they are."""
        with self.lock:
            for stream in self.resources[resource].streams:
                stream.queue.put(data)

    def compact(self, resource):
        """Forgets the events so far: a watch from an older version gets an ERROR event with code 410."""
        with self.lock:
            state = self.resources[resource]
            state.version = self._next_version()
            state.oldest, state.events = state.version, []

    @staticmethod
    def bookmark_object(state, initial):
        meta = {"resourceVersion": str(state.version)}
        if initial:
            meta["annotations"] = {INITIAL_END: "true"}
        return {"kind": KINDS[state.name], "apiVersion": state.api_version, "metadata": meta}

    def _next_version(self):
        return max(state.version for state in self.resources.values()) + 1

    def _publish(self, state, kind, obj):
        state.version = max(state.version, int(obj["metadata"]["resourceVersion"]))
        if kind != "BOOKMARK":
            state.events.append((state.version, kind, obj))
        for stream in state.streams:
            stream.queue.put((kind, obj))


if __name__ == "__main__":  # to play with: prints the path of a kubeconfig, serves until interrupted
    with ApiReplay() as the_api:
        print(the_api.kubeconfig(os.path.join(the_api.folder.name, "kubeconfig")), flush=True)
        threading.Event().wait()
