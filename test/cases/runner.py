# SPDX-License-Identifier: Apache-2.0
"""Plays a case, a YAML file as README.md describes it, against a server program.

A Player owns everything of one run: the folder, the ports, the cluster's objects, the server and the connections to it.
Each kind of step is one method `do_…`; what a step's mapping may hold is in STEPS.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import yaml

import asking
import exposition
import upstreams
from processes import Process, Timeout, free_port, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START_SECONDS = 30  # generous: sanitizer builds on a busy machine
STEP_SECONDS = 10
STARTUP_LINES = 40  # of the server's log, shown with a failure

CASE_KEYS = {"about", "corefile", "cluster", "files", "copy", "let", "env", "arguments", "peer", "upstreams", "steps"}
ANY_STEP = {"only", "within"}
STEPS = {  # the key that names the step -> the keys that may stand beside it
    **upstreams.STEPS,
    "ask": {"expect", "over", "port", "coredns", "times"},
    "send": {"over", "connection", "to", "pieces"},
    "send bytes": {"connection"},
    "receive": {"over", "connection"},
    "closed": {"connection"},
    "open": {"connection"},
    "get": {"expect", "coredns"},
    "metrics": {"expect", "coredns"},
    "log": {"times"},
    "no log": set(),
    "apply": set(),
    "delete": set(),
    "write": set(),
    "overwrite": set(),
    "remove": set(),
    "link": set(),
    "file": {"matches"},
    "run": {"status", "output", "absent"},
    "signal": set(),
    "exits": set(),
    "start": set(),
}


class CaseError(Exception):
    """The case itself is wrong."""


class Case:
    """One YAML file, read and checked, nothing filled in yet."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.path = path
        self.text = text
        data = yaml.safe_load(text)
        if not isinstance(data, dict) or set(data) - CASE_KEYS or not {"about", "steps"} <= set(data):
            raise CaseError(f"{path}: a case has `about` and `steps`, and of keys only {', '.join(sorted(CASE_KEYS))}")
        self.data = data
        self.lines = self._step_lines(text)
        for line, step in zip(self.lines, data["steps"]):
            self._check_step(line, step)

    @staticmethod
    def _step_lines(text):
        root = yaml.compose(text, yaml.SafeLoader)
        steps = next(value for key, value in root.value if key.value == "steps")
        return [node.start_mark.line + 1 for node in steps.value]

    def _check_step(self, line, step):
        kinds = [key for key in STEPS if key in step]
        if len(kinds) != 1 or set(step) - STEPS[kinds[0]] - ANY_STEP - set(kinds):
            raise CaseError(f"{self.path}:{line}: no such step: {' + '.join(map(str, step))}")

    def __getitem__(self, key):
        return self.data.get(key)

    def steps(self):
        """(line, kind, step) of each."""
        for line, step in zip(self.lines, self.data["steps"]):
            yield line, next(key for key in STEPS if key in step), step


class Folder:
    """The cluster as manifests: one file an object, replaced in one go, as a careful writer does it."""

    def __init__(self, path):
        self.path = path
        os.makedirs(path)

    def directive(self):
        return f"manifests {self.path}"

    def _file(self, obj):
        meta = obj["metadata"]
        return os.path.join(self.path, "-".join([obj["kind"], meta.get("namespace", ""), meta["name"]]).lower() + ".yaml")

    def apply(self, obj):
        put(self._file(obj), yaml.safe_dump(obj))

    def delete(self, obj):
        os.remove(self._file(obj))

    def clean(self):
        pass


class Live:
    """The cluster as a real API server holds it; `clean` takes away what the case brought."""

    def __init__(self, plane):
        self.plane = plane
        self.objects = {}

    def directive(self):
        return f"kubeconfig {self.plane.kubeconfig('dns')}"

    def apply(self, obj):
        path = self.plane.object_path(obj)
        if path in self.objects:
            version = self.plane.call("GET", path)["metadata"]["resourceVersion"]
            self.plane.call("PUT", path, {**obj, "metadata": {**obj["metadata"], "resourceVersion": version}})
        else:
            self.plane.apply_object(obj)
        self.objects[path] = obj

    def delete(self, obj):
        self.objects.pop(self.plane.object_path(obj), None)
        self.plane.delete_object(obj)
        if obj["kind"] == "Namespace":  # no controller runs here that would finish it
            path = self.plane.object_path(obj)
            left = self.plane.call("GET", path)
            left["spec"]["finalizers"] = []
            self.plane.call("PUT", f"{path}/finalize", left)

    def clean(self):
        for obj in reversed(list(self.objects.values())):
            self.delete(obj)


def put(path, text):
    """Writes a file so that no reader sees half of it, and none but the whole new one afterwards."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    draft = tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=os.path.dirname(os.path.dirname(path)), delete=False)
    with draft:
        draft.write(text)
    os.replace(draft.name, path)


def objects_of(text):
    return [obj for obj in yaml.safe_load_all(text) if obj]


def check_sanitizers(output):
    complaint = re.search(r"(ERROR: \w*Sanitizer|WARNING: ThreadSanitizer|runtime error:).*", output)
    assert not complaint, f"{complaint.group(0)}\n{output}"


def bound_ports():
    """{"udp": ports, "tcp": listening ports} of this machine, from the kernel's tables."""
    found = {"udp": set(), "tcp": set()}
    for protocol, ports in found.items():
        for family in ("", "6"):
            try:
                with open(f"/proc/net/{protocol}{family}", encoding="ascii") as table:
                    rows = [line.split() for line in table.readlines()[1:]]
            except FileNotFoundError:  # no IPv6 here
                continue
            ports.update(int(row[1].rpartition(":")[2], 16) for row in rows if protocol == "udp" or row[3] == "0A")
    return found


class Connection:
    """One socket to the server, kept over several steps: questions out, answers in, matched by id."""

    def __init__(self, over, host, port):
        self.over = over
        self.pending = []  # (id, line), oldest first
        self.answers = {}  # id -> Answer
        self.buffer = b""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM if over == "tcp" else socket.SOCK_DGRAM)
        self.socket.settimeout(STEP_SECONDS)
        self.socket.connect((host, port))
        if over == "tcp":
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, lines, first_id, pieces):
        """Over TCP all in one segment, or in `pieces` of so many bytes."""
        wires = []
        for number, line in enumerate(lines):
            identity = struct.pack("!H", first_id + number)
            wires.append(identity + asking.parse(line).wire[2:])
            self.pending.append((identity, line))
        if self.over == "tcp":
            stream = b"".join(struct.pack("!H", len(wire)) + wire for wire in wires)
            wires = [stream[at : at + pieces] for at in range(0, len(stream), pieces)]
        for wire in wires:
            self.socket.sendall(wire)

    def _take(self, wire):
        if wire[:2] not in [identity for identity, _ in self.pending]:
            raise AssertionError(f"an answer to nothing that was asked: {wire.hex()}")
        self.answers[wire[:2]] = asking.decode(wire)

    def _read(self, deadline):
        """More bytes; False when the peer has closed."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(65535)
        except ConnectionResetError:
            return False
        if self.over == "udp":
            self._take(data)
            return True
        self.buffer += data
        while len(self.buffer) >= 2 and len(self.buffer) >= 2 + struct.unpack_from("!H", self.buffer)[0]:
            size = 2 + struct.unpack_from("!H", self.buffer)[0]
            self._take(self.buffer[2:size])
            self.buffer = self.buffer[size:]
        return bool(data)

    def receive(self, count, seconds):
        """The answers to the `count` oldest questions, in the order asked; None for those that do not come."""
        deadline = time.monotonic() + seconds
        wanted = self.pending[:count]
        try:
            while any(identity not in self.answers for identity, _ in wanted) and self._read(deadline):
                pass
        except TimeoutError:
            pass
        self.pending = self.pending[count:]
        return [(line, self.answers.pop(identity, None)) for identity, line in wanted]

    def closed_within(self, seconds):
        deadline = time.monotonic() + seconds
        try:
            while self._read(deadline):
                pass
            return True
        except TimeoutError:
            return False


def as_expectation(expected):
    """The three short forms, as the mapping that they stand for."""
    if isinstance(expected, str):
        return {"result": expected} if " " in expected else {"rcode": expected, "flags": "QR RD"}
    return {"answer": expected} if isinstance(expected, list) else expected


def same_records(expected, records):
    """Are these the same, whatever their order? In an expected record `*` stands for any word, LOW..HIGH for a number."""
    left = [record.split() for record in records]
    for record in expected:
        words = record.split()
        found = next((r for r in left if len(r) == len(words) and all(map(upstreams.word_fits, words, r))), None)
        if found is None:
            return False
        left.remove(found)
    return not left


EXPECT_KEYS = {"result", "rcode", "opcode", "flags", "question", "answer", "authority", "additional", "edns", "size at most"}


def differences(expected, answer, line):
    """What is otherwise than expected, a line of text each."""
    expected = as_expectation(expected)
    if set(expected) - EXPECT_KEYS:
        raise CaseError(f"no such expectation: {set(expected) - EXPECT_KEYS}")
    if answer is None or answer.result != "reply" or "result" in expected:
        have, want = "no answer" if answer is None else answer.result, expected.get("result", "reply")
        return [] if have == want else [f"result: expected {want}, got {have}"]
    wanted = {"rcode": "NOERROR", "opcode": "QUERY", "flags": "QR AA RD", **expected}
    asked = asking.parse(line)
    if "edns" not in wanted and not line.startswith("raw"):
        options = line.split()[2:]
        has_edns = any(word.split("=")[0] in ("edns", "ver", "do", "opt") for word in options)
        wanted["edns"] = ("version 0" + (" do" if "do" in options else "")) if has_edns else ""
    if "question" not in wanted and not line.startswith("raw"):
        wanted["question"] = asking.decode(asked.wire).question
    found = []
    for key in ("rcode", "opcode", "question", "edns"):
        if key in wanted and getattr(answer, key) != wanted[key]:
            found.append(f"{key}: expected {wanted[key] or 'none'}, got {getattr(answer, key) or 'none'}")
    if set(wanted["flags"].upper().split()) != set(answer.flags.split()):
        found.append(f"flags: expected {wanted['flags']}, got {answer.flags}")
    for section in asking.SECTIONS:
        want, records = wanted.get(section, []), answer.sections[section]
        if not (want == "any" or want == len(records) or isinstance(want, list) and same_records(want, records)):
            found.append(f"{section}: expected {want or 'nothing'}, got {records or 'nothing'}")
    if answer.size > wanted.get("size at most", 65535):
        found.append(f"size: expected at most {wanted['size at most']} bytes, got {answer.size}")
    return found


class Player:
    """Plays `case` on `program`; with a control plane the cluster's objects go there, else into a folder."""

    def __init__(self, case, program, plane=None, peer=False):
        self.case, self.program, self.peer = case, program, peer
        self.folder = tempfile.mkdtemp(prefix="clusterdns-case-")
        self.cluster = Live(plane) if plane else Folder(self._path("cluster"))
        self.values = {"ROOT": ROOT, "DIR": self.folder, "COREFILE": self._path("Corefile"), "CLUSTER": self.cluster.directive()}
        self.values["BUILD"] = os.path.dirname(os.path.abspath(program))
        for name in dict.fromkeys(re.findall(r"@((?:PORT|HTTP)\w*)@", case.text)):
            self.values[name] = str(free_port())
        self.values.setdefault("PORT", str(free_port()))
        self.values.update(upstreams.values_for(case["upstreams"]))
        for name, value in (case["let"] or {}).items():
            self.values[name] = self.fill(value)
        self.port = int(self.values["PORT"])
        self.upstreams = None
        self.asker = asking.Asker()
        self.connections = {}
        self.next_id = 1
        self.server = None

    def _path(self, name):
        return os.path.join(self.folder, name)

    def fill(self, value):
        """`value` with every @NAME@ in its strings replaced."""
        if isinstance(value, str):
            return re.sub(r"@(\w+)@", lambda found: self.values.get(found.group(1), found.group(0)), value)
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if isinstance(value, dict):
            return {self.fill(key): self.fill(item) for key, item in value.items()}
        return value

    # ---- the run ----

    def play(self):
        try:
            self.set_up()
            for line, kind, step in self.case.steps():
                if step.get("only", "coredns" if self.peer else "clusterdns") != ("coredns" if self.peer else "clusterdns"):
                    continue
                try:
                    getattr(self, "do_" + kind.replace(" ", "_"))(self.fill(step))
                except (AssertionError, OSError, CaseError) as error:
                    raise AssertionError(f"{self.case.path}:{line}: {kind}: {error}\n{self.log_tail()}") from None
            self.check_end()
        finally:
            self.tear_down()

    def set_up(self):
        self.upstreams = upstreams.Upstreams(self.fill(self.case["upstreams"]), self.values)
        for name, text in (self.case["files"] or {}).items():
            put(self._path(self.fill(name)), self.fill(text))
        for name in self.case["copy"] or []:
            shutil.copy(os.path.join(os.path.dirname(self.case.path), name), self._path(name))
        for obj in objects_of(self.case["cluster"] or ""):
            self.cluster.apply(obj)
        if self.case["corefile"] is not None:
            put(self._path("Corefile"), self.fill(self.case["corefile"]))
            if not any(kind == "start" for _, kind, _ in self.case.steps()):
                self.do_start({})

    def tear_down(self):
        for connection in self.connections.values():
            connection.socket.close()
        self.asker.close()
        if self.server is not None:
            self.server.kill()
        if self.upstreams is not None:
            self.upstreams.close()
        self.cluster.clean()
        shutil.rmtree(self.folder, ignore_errors=True)

    def check_end(self):
        """A server that still runs stops when it is told to, and no sanitizer complained."""
        if self.server is not None and self.server.child is not None:
            status = self.server.stop(STEP_SECONDS)
            if status != 0:
                raise AssertionError(f"{self.case.path}: the server ended with {status}\n{self.log_tail()}")
        check_sanitizers(self.log())

    def log(self):
        return self.server.log() if self.server else ""

    def log_tail(self):
        lines = self.log().splitlines()[-STARTUP_LINES:]
        return "\n".join(["---- log of the server ----", *lines]) if self.server else ""

    # ---- steps: the server's life ----

    def do_start(self, _step):
        arguments = ["-conf", self.values["COREFILE"], "-dns.port", self.values["PORT"]]
        arguments += shlex.split(self.fill(self.case["arguments"] or ""))
        environment = {**os.environ, **{key: self.fill(str(value)) for key, value in (self.case["env"] or {}).items()}}
        self.server = Process("the server", [self.program, *arguments], self._path("log"), environment, self.folder)
        self.server.start()
        self.values["PID"] = str(self.server.pid)
        mentioned = {name for name in self.values if re.search(f"@{name}@", self.case["corefile"])} | {"PORT"}
        dns = {int(self.values[name]) for name in mentioned if name.startswith("PORT")}
        http = {int(self.values[name]) for name in mentioned if name.startswith("HTTP")}

        def listening():
            self.server.check_alive()
            ports = bound_ports()
            return dns <= ports["udp"] and dns | http <= ports["tcp"]

        wait_for(listening, START_SECONDS, f"the server to listen on {sorted(dns | http)}")

    def do_signal(self, step):
        os.kill(self.server.pid, getattr(signal, "SIG" + step["signal"]))

    def do_exits(self, step):
        try:
            status = self.server.child.wait(step.get("within", STEP_SECONDS))
        except subprocess.TimeoutExpired:
            raise Timeout("the server goes on running") from None
        self.server.child = None
        assert status == step["exits"], f"expected exit status {step['exits']}, got {status}"

    def do_run(self, step):
        done = subprocess.run(
            [self.program, *shlex.split(step["run"])],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=START_SECONDS, check=False,
        )  # fmt: skip
        check_sanitizers(done.stdout)
        assert done.returncode == step.get("status", 0), f"ended with {done.returncode}:\n{done.stdout}"
        for pattern in step.get("output", []):
            assert re.search(pattern, done.stdout, re.M), f"no line matches {pattern} in:\n{done.stdout}"
        for pattern in step.get("absent", []):
            assert not re.search(pattern, done.stdout, re.M), f"a line matches {pattern} in:\n{done.stdout}"

    # ---- steps: questions ----

    def _expected(self, step):
        return step["coredns"] if self.peer and "coredns" in step else step["expect"]

    def do_ask(self, step):
        for over in ([step["over"]] if "over" in step else ["udp", "tcp"]) * step.get("times", 1):
            self._ask_until(
                f"{step['ask']} {over}".replace(" udp", ""),
                self._expected(step),
                int(step.get("port", self.port)),
                step.get("within", 0),
            )

    def _ask_until(self, line, expected, port, within):
        silent = isinstance(expected, str) and " " in expected
        deadline = time.monotonic() + within
        while True:
            self.asker.next_id()  # what comes late to an earlier question is no answer to this one
            answer = self.asker.ask(port, line, asking.SILENCE_SECONDS if silent else STEP_SECONDS)
            found = differences(expected, answer, line)
            if not found:
                return
            if time.monotonic() >= deadline:
                raise AssertionError("\n".join([line, *found, "the whole answer:", str(answer)]))
            time.sleep(0.02)

    def _connection(self, step):
        name = step.get("connection", step.get("over", "tcp"))
        if name not in self.connections:
            self.connections[name] = Connection(step.get("over", "tcp"), step.get("to", "127.0.0.1"), self.port)
        return self.connections[name]

    def do_send(self, step):
        self._connection(step).send(step["send"], self.next_id, step.get("pieces", 1 << 20))
        self.next_id += len(step["send"])

    def do_send_bytes(self, step):
        self._connection(step).socket.sendall(bytes.fromhex(step["send bytes"]))

    def do_receive(self, step):
        answers = self._connection(step).receive(len(step["receive"]), step.get("within", STEP_SECONDS))
        for (line, answer), expected in zip(answers, step["receive"]):
            found = differences(expected, answer, line)
            assert not found, "\n".join([line, *found, "the whole answer:", str(answer)])

    def do_closed(self, step):
        low, high = step["closed"] if isinstance(step["closed"], list) else (0, step["closed"])
        started = time.monotonic()
        assert self._connection(step).closed_within(high), f"the connection is still open after {high} s"
        assert time.monotonic() - started >= low, f"the connection was closed in less than {low} s"

    def do_open(self, step):
        assert not self._connection(step).closed_within(step["open"]), "the connection was closed"

    # ---- steps: upstreams ----

    def do_upstream(self, step):
        self.upstreams.change(step["upstream"])

    def do_asked(self, step):
        self._until(lambda: self.upstreams.complaint(step["asked"]), step.get("within", 0))

    # ---- steps: HTTP and the log ----

    def do_get(self, step):
        self._until(lambda: self._get(step["get"], self._expected(step)), step.get("within", 0))

    @staticmethod
    def _get(url, expected):
        """None when all is as expected, else what is not."""
        try:
            with urllib.request.urlopen(url, timeout=STEP_SECONDS) as answer:
                status, body = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read().decode()
        except OSError as error:
            status, body = "refused", str(error)
        wanted = expected if isinstance(expected, dict) else {"status": expected}
        if status == wanted["status"] and body == wanted.get("body", body):
            return None
        return f"{url}: expected {wanted}, got {status} {body!r}"

    def do_metrics(self, step):
        def check():
            shown = exposition.scrape(step["metrics"])
            complaint = "" if self.peer else exposition.check(shown.text)
            assert not complaint, complaint
            found = [shown.difference(selector, value) for selector, value in self._expected(step).items()]
            return "\n".join([line for line in found if line] + [shown.text]) if any(found) else None

        self._until(check, step.get("within", 0))

    @staticmethod
    def _until(check, seconds):
        """Until check() has nothing to say."""
        deadline = time.monotonic() + seconds
        while (complaint := check()) is not None:
            if time.monotonic() >= deadline:
                raise AssertionError(complaint)
            time.sleep(0.02)

    def do_log(self, step):
        def check():
            have = len(re.findall(step["log"], self.log(), re.M))
            if have == step["times"] if "times" in step else have:
                return None
            return f"expected {step.get('times', 'some')} of /{step['log']}/ in the log, got {have}"

        self._until(check, step.get("within", STEP_SECONDS))

    def do_no_log(self, step):
        found = re.search(f".*(?:{step['no log']}).*", self.log(), re.M)
        assert not found, f"in the log: {found.group(0)}"

    # ---- steps: the cluster and files ----

    def do_apply(self, step):
        for obj in objects_of(step["apply"]):
            self.cluster.apply(obj)

    def do_delete(self, step):
        self.cluster.delete(step["delete"])

    def do_write(self, step):
        for name, text in step["write"].items():
            put(self._path(name), text)

    def do_overwrite(self, step):
        for name, text in step["overwrite"].items():
            with open(self._path(name), "w", encoding="utf-8") as file:
                file.write(text)

    def do_file(self, step):
        with open(self._path(step["file"]), encoding="utf-8") as file:
            text = file.read()
        assert re.search(step["matches"], text), f"{step['file']} holds {text!r}"

    def do_remove(self, step):
        path = self._path(step["remove"])
        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)

    def do_link(self, step):
        """Points symbolic links elsewhere in one go, as the kubelet does with a volume's ..data."""
        for name, target in step["link"].items():
            draft = self._path(f".link-{self.next_id}")
            self.next_id += 1
            os.symlink(target, draft)
            os.replace(draft, self._path(name))
