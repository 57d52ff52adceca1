# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes control plane on loopback: etcd and kube-apiserver, optionally kube-controller-manager and kwok.

    with ControlPlane() as plane:
        plane.apply(open("objects.yaml").read())
        plane.kubectl("get", "services", "-A")

The binaries come from `test/cluster/build`. Everything lives in one temporary folder and ends with the process.
"""

import base64
import concurrent.futures
import contextlib
import http.client
import itertools
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import yaml

from processes import Process, Timeout, free_port, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
START_SECONDS = 60  # for one program of the control plane to be ready; about 4 on an idle machine
REQUEST_SECONDS = 30
REPLACE_ATTEMPTS = 20
PUTS_AT_ONCE = 2  # transactions of put_raw: etcd works while the next one is written down
SERVICE_RANGE = "10.96.0.0/12,fd00:10:96::/112"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
ADVERTISED = "198.51.100.10"  # what the API server writes as the endpoint of default/kubernetes; nobody connects to it

# Who may ask the API server: token -> (user, groups). `dns` gets the stock role of CoreDNS, `partial` the same without
# endpointslices, `nobody` nothing.
TOKENS = {
    "admin": ("admin-token-4f1a", "admin", "system:masters"),
    "dns": ("dns-token-93bc", "clusterdns", ""),
    "partial": ("partial-token-b21e", "partial", ""),
    "nobody": ("nobody-token-77d0", "nobody", ""),
}

PATHS = {  # kind -> (API prefix, plural, namespaced)
    "Namespace": ("/api/v1", "namespaces", False),
    "Node": ("/api/v1", "nodes", False),
    "Service": ("/api/v1", "services", True),
    "Pod": ("/api/v1", "pods", True),
    "ConfigMap": ("/api/v1", "configmaps", True),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices", True),
    "Deployment": ("/apis/apps/v1", "deployments", True),
    "StatefulSet": ("/apis/apps/v1", "statefulsets", True),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
}


def _role(name, slices=True):
    """The rules of the stock ClusterRole system:coredns: list and watch, nothing else."""
    rules = [
        {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]}
    ]
    if slices:
        rules.append({"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]})
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def role_binding(role, user):
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }


def binaries(*names):
    """{name: path} of the named programs (all without names), built if they are missing."""
    built = subprocess.run([os.path.join(HERE, "build"), *names], stdout=subprocess.PIPE, check=True, text=True)
    return dict(line.split(" ", 1) for line in built.stdout.splitlines())


def yaml_objects(text):
    """The objects of a YAML text with several documents."""
    return (obj for obj in yaml.load_all(text, Loader=yaml.CSafeLoader) if obj)


class ApiError(Exception):
    """An answer of the API server that is not 2xx."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body[:500]}")
        self.status, self.body = status, body


class ControlPlane:
    """etcd and an API server; `controllers` adds the controller manager, `nodes` that many kwok nodes.

    `api_flags` go to kube-apiserver, behind ours. `fill(plane)` is called while etcd runs and the API server does not;
    a large cluster's API server may take `start_seconds`.
    """

    def __init__(self, controllers=False, nodes=0, api_flags=(), fill=None, start_seconds=START_SECONDS):
        self.programs = binaries(
            "etcd",
            "kube-apiserver",
            "kubectl",
            *(["kube-controller-manager"] if controllers else []),
            *(["kwok"] if nodes else []),
        )
        self.nodes, self.fill, self.start_seconds = nodes, fill, start_seconds
        self.folder = tempfile.mkdtemp(prefix="clusterdns-plane-")
        self.etcd_port, self.api_port = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.api_port}"
        self.etcd_url = f"http://127.0.0.1:{self.etcd_port}"
        self.processes = []
        self._make_keys()
        self.etcd = self._process("etcd", self._etcd_flags())
        self.api = self._process("kube-apiserver", [*self._api_flags(), *api_flags])
        self.manager = self._process("kube-controller-manager", self._controller_flags()) if controllers else None
        self._kept = threading.local()
        self._ssl = ssl.create_default_context(cafile=self.path("ca.crt"))

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *unused):
        self.stop()

    def path(self, name):
        return os.path.join(self.folder, name)

    # ---- life ----

    def start(self):
        self.start_etcd()
        if self.fill:
            self.fill(self)
        self.start_api(self.start_seconds)
        return self.prepare()

    def prepare(self):
        """What a fresh API server needs: roles, and the controllers and nodes that were asked for."""
        for role, user, slices in (("system:coredns", "clusterdns", True), ("test:partial", "partial", False)):
            self.apply_object(_role(role, slices))
            self.apply_object(role_binding(role, user))
        self.wait_for_object("/api/v1/namespaces/default")
        if self.manager:
            self.manager.start()
        if self.nodes:
            self._start_nodes()
        return self

    def _start_nodes(self):
        stages = os.path.join(HERE, "stages.yaml")
        kwok = self._process("kwok", ["--kubeconfig", self.kubeconfig(), "--config", stages, "--manage-all-nodes=true"])
        kwok.start()
        for number in range(self.nodes):
            self.apply_object(self._node(number))
        self._wait_ready(
            kwok, lambda: all("conditions" in n["status"] for n in self.call("GET", "/api/v1/nodes")["items"])
        )

    def stop(self):
        for process in reversed(self.processes):
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_etcd(self):
        self.etcd.start()
        self._wait_ready(self.etcd, self._etcd_healthy)

    def start_api(self, seconds=START_SECONDS):
        deadline = time.monotonic() + seconds
        self.api.start()
        while True:
            try:
                return self._wait_ready(self.api, self._api_ready, deadline - time.monotonic())
            except AssertionError:
                # It gives up when its first check of all ClusterIPs takes a minute; the next attempt is faster.
                if self.api.alive() or seconds <= START_SECONDS or time.monotonic() > deadline:
                    raise
                self.kill_api()
                self.api.start()

    def kill_api(self):
        """As a crash: connections are cut, nothing is cleaned up. `start_api` brings it back with the same data."""
        self.api.kill()

    def restart_api(self, *flags):
        """`flags` hold for this run of it alone."""
        self.kill_api()
        usual = self.api.argv
        self.api.argv = [*usual, *flags]
        self.start_api()
        self.api.argv = usual

    def _process(self, program, flags):
        process = Process(program, [self.programs[program], *flags], self.path(f"{program}.log"))
        self.processes.append(process)
        return process

    def _wait_ready(self, process, ready, seconds=START_SECONDS):
        def check():
            process.check_alive()
            return ready()

        try:
            wait_for(check, seconds, f"{process.name} to be ready", interval=0.1)
        except Timeout as error:
            raise Timeout(f"{error}\n{process.log_tail()}") from None

    def _etcd_healthy(self):
        try:
            with urllib.request.urlopen(f"{self.etcd_url}/health", timeout=2) as answer:
                return b"true" in answer.read()
        except OSError:
            return False

    def _api_ready(self):
        try:
            return self.request("GET", "/readyz", timeout=2)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    # ---- keys, flags, kubeconfigs ----

    def _openssl(self, *arguments):
        subprocess.run(
            ["openssl", *arguments], cwd=self.folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def make_authority(self, name):
        """A CA in NAME.crt and NAME.key."""
        self._openssl(
            "req", "-x509", *NEW_KEY, "-days", "30", "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN=test-{name}"
        )

    def _make_certificate(self, name, subject, extension, authority="ca", days=30):
        with open(self.path(f"{name}.ext"), "w", encoding="utf-8") as file:
            file.write(extension + "\n")
        self._openssl("req", *NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        signing = ["-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", "-CAcreateserial", "-extfile", f"{name}.ext"]
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", *signing, "-days", str(days))

    def make_server_certificate(self, name, authority="ca", days=30):
        """A certificate for the API server in NAME.crt and NAME.key; with no days it has expired a second later."""
        names = "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost,DNS:kubernetes.default.svc,IP:10.96.0.1"
        self._make_certificate(name, "/CN=kube-apiserver", names, authority, days)

    def make_client_certificate(self, name, days=30):
        """The same for a client in group system:masters."""
        self._make_certificate(name, f"/O=system:masters/CN={name}", "extendedKeyUsage=clientAuth", days=days)

    def serve_certificate(self, name):
        """The API server takes NAME's certificate as its own; it looks at the files by itself."""
        for end in ("crt", "key"):
            shutil.copy(self.path(f"{name}.{end}"), self.path(f"serving.{end}.new"))
            os.replace(self.path(f"serving.{end}.new"), self.path(f"serving.{end}"))

    def certificate(self, name):
        """The certificate in NAME.crt, as text."""
        with open(self.path(f"{name}.crt"), encoding="utf-8") as file:
            return file.read()

    def served_certificate(self):
        """The one that the API server shows to a new connection, as text."""
        return ssl.get_server_certificate(("127.0.0.1", self.api_port), timeout=5)

    def _make_keys(self):
        """A CA, the API server's certificate, a client certificate in group system:masters, service account keys."""
        self.make_authority("ca")
        self.make_server_certificate("apiserver")
        self.serve_certificate("apiserver")
        self.make_client_certificate("client")
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sa.key")
        self._openssl("ec", "-in", "sa.key", "-pubout", "-out", "sa.pub")
        with open(self.path("tokens.csv"), "w", encoding="utf-8") as file:
            for number, (token, user, group) in enumerate(TOKENS.values()):
                file.write(f'{token},{user},{number},"{group}"\n')

    def _etcd_flags(self):
        peer = f"http://127.0.0.1:{free_port()}"
        return [
            "--data-dir", self.path("etcd"), "--unsafe-no-fsync", "--log-level", "warn", "--max-txn-ops", "4096",
            "--max-request-bytes", "33554432", "--quota-backend-bytes", str(4 << 30),
            "--listen-client-urls", self.etcd_url, "--advertise-client-urls", self.etcd_url,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
        ]  # fmt: skip

    def _api_flags(self):
        return [
            "--etcd-servers", self.etcd_url, "--bind-address", "127.0.0.1", "--secure-port", str(self.api_port),
            "--advertise-address", ADVERTISED,
            "--tls-cert-file", self.path("serving.crt"), "--tls-private-key-file", self.path("serving.key"),
            "--client-ca-file", self.path("ca.crt"), "--token-auth-file", self.path("tokens.csv"),
            "--authorization-mode", "RBAC", "--disable-admission-plugins", "ServiceAccount",
            "--service-cluster-ip-range", SERVICE_RANGE,
            "--service-account-issuer", "https://kubernetes.default.svc",
            "--service-account-key-file", self.path("sa.pub"),
            "--service-account-signing-key-file", self.path("sa.key"),
        ]  # fmt: skip

    def _controller_flags(self):
        return [
            "--kubeconfig", self.kubeconfig(), "--leader-elect=false", "--secure-port", "0",
            "--concurrent-service-endpoint-syncs", "5",
            "--controllers", "endpointslice-controller,deployment-controller,replicaset-controller,"
            "statefulset-controller,namespace-controller,garbage-collector-controller",
        ]  # fmt: skip

    def _node(self, number):
        cidrs = [f"10.244.{number}.0/24", f"fd00:10:244:{number}::/64"]
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": f"node-{number}",
                "labels": {
                    "topology.kubernetes.io/zone": f"zone-{number % 3}",
                    "kubernetes.io/hostname": f"node-{number}",
                },
            },
            "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs},
        }

    def kubeconfig(self, user="admin", server=None, authority=None, token_file=None, **changes):
        """Writes a kubeconfig for one of TOKENS (or "certificate"), returns its path; `changes` go into the user.

        With paths in `authority` and `token_file` it names these files; the token is written to its file.
        """
        if user == "certificate":
            secret = {"client-certificate": self.path("client.crt"), "client-key": self.path("client.key")}
        elif token_file:
            secret = {"tokenFile": str(token_file)}
            with open(token_file, "w", encoding="utf-8") as file:
                file.write(TOKENS[user][0])
        else:
            secret = {"token": TOKENS[user][0]}
        url = server or self.url
        cluster = {"server": url}
        if authority:
            cluster["certificate-authority"] = str(authority)
        else:
            with open(self.path("ca.crt"), "rb") as file:
                cluster["certificate-authority-data"] = base64.b64encode(file.read()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {**secret, **changes}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            "current-context": "test",
        }
        path = self.path(f"kubeconfig-{user}-{urllib.parse.urlsplit(url).port}")
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump(config, file)
        return path

    # ---- talking to it ----

    def kubectl(self, *arguments, stdin=None, seconds=60):
        """Runs kubectl as admin and returns its standard output; a failure raises with its standard error."""
        done = subprocess.run(
            [self.programs["kubectl"], "--kubeconfig", self.kubeconfig(), "--cache-dir", self.path("kubectl"), *arguments],
            input=stdin, capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def connect(self, timeout=REQUEST_SECONDS):
        return http.client.HTTPSConnection("127.0.0.1", self.api_port, timeout=timeout, context=self._ssl)

    @staticmethod
    def headers(user="admin", **more):
        return {"Authorization": f"Bearer {TOKENS[user][0]}", "Accept": "application/json", **more}

    def request(self, method, path, body=None, user="admin", content="application/json", timeout=REQUEST_SECONDS):
        """One request; returns (status, text). `body` is sent as JSON."""
        data = None if body is None else json.dumps(body)
        headers = self.headers(user, **{"Content-Type": content})
        kept = getattr(self._kept, "connection", None)  # the thread's
        if kept and kept.timeout == timeout:
            with contextlib.suppress(ConnectionError, ssl.SSLError, http.client.HTTPException):  # closed meanwhile
                return self._exchange(kept, method, path, data, headers)
        return self._exchange(self.connect(timeout), method, path, data, headers)

    def _exchange(self, connection, method, path, data, headers):
        """One request on a connection, which is kept if that goes well."""
        self._kept.connection = None
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        except BaseException:
            connection.close()
            raise
        if not answer.will_close:
            self._kept.connection = connection
        return answer.status, text

    def call(self, method, path, body=None, **options):
        """As request, but returns the decoded object and raises ApiError unless the status is 2xx."""
        status, text = self.request(method, path, body, **options)
        if not 200 <= status < 300:
            raise ApiError(status, text)
        return json.loads(text)

    def wait_for_object(self, path, seconds=START_SECONDS):
        wait_for(lambda: self.request("GET", path)[0] == 200, seconds, path, interval=0.1)

    @staticmethod
    def object_path(obj, named=True):
        prefix, plural, namespaced = PATHS[obj["kind"]]
        meta = obj["metadata"]
        middle = f"/namespaces/{meta.get('namespace', 'default')}" if namespaced else ""
        return f"{prefix}{middle}/{plural}" + (f"/{meta['name']}" if named else "")

    def apply(self, text):
        """Creates or replaces all objects of a YAML text; a Pod's `status` is written too. Returns them as decoded."""
        objects = list(yaml_objects(text))
        for obj in objects:
            self.apply_object(obj)
        return objects

    def apply_object(self, obj):
        path = self.object_path(obj)
        status, text = self.request("POST", self.object_path(obj, named=False), obj)
        if status == 409:
            self._replace(path, obj)
        elif status != 201:
            raise ApiError(status, f"{path}: {text}")
        if obj["kind"] == "Pod" and "status" in obj:
            self.call("PATCH", f"{path}/status", {"status": obj["status"]}, content="application/merge-patch+json")

    def _replace(self, path, obj):
        """Controllers change objects too: then it is done again."""
        for _ in range(REPLACE_ATTEMPTS):
            version = self.call("GET", path)["metadata"]["resourceVersion"]
            new = {**obj, "metadata": {**obj["metadata"], "resourceVersion": version}}
            status, text = self.request("PUT", path, new)
            if status == 200:
                return
            if status != 409:
                break
        raise ApiError(status, f"{path}: {text}")

    def delete_object(self, obj):
        self.call(
            "DELETE", self.object_path(obj), {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        )

    # ---- etcd ----

    def back_up(self):
        """Copies etcd's data, which must not run."""
        shutil.copytree(self.path("etcd"), self.path("etcd.backup"))

    def restore(self):
        """Puts the copy in the place of etcd's data: versions and history are those of then. It must not run."""
        shutil.rmtree(self.path("etcd"))
        os.rename(self.path("etcd.backup"), self.path("etcd"))

    def etcd_call(self, path, body, timeout=REQUEST_SECONDS):
        """A call of etcd's JSON gateway, e.g. ("/v3/kv/range", {"key": base64 text})."""
        request = urllib.request.Request(f"{self.etcd_url}{path}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.loads(answer.read())

    def put_raw(self, pairs, batch=500):
        """Writes (key, object) pairs straight into etcd, as the API server would: objects as JSON, bytes as they are."""
        pairs = iter(pairs)
        with concurrent.futures.ThreadPoolExecutor(PUTS_AT_ONCE) as pool:
            pending = set()
            while puts := [_put(key, obj) for key, obj in itertools.islice(pairs, batch)]:
                pending.add(pool.submit(self.etcd_call, "/v3/kv/txn", {"success": puts}))
                while len(pending) > PUTS_AT_ONCE:
                    done, pending = concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED)
                    for one in done:
                        one.result()
            for one in pending:
                one.result()

    def delete_raw(self, key):
        """Removes a key from etcd behind the API server's back."""
        self.etcd_call("/v3/kv/deleterange", {"key": _b64(key)})

    def compact(self):
        """Throws all history away but the newest revision, so that older resource versions are gone (410)."""
        revision = self.etcd_call("/v3/kv/range", {"key": _b64("/registry/none")})["header"]["revision"]
        self.etcd_call("/v3/kv/compaction", {"revision": revision, "physical": True})
        return int(revision)


def _b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def _put(key, obj):
    value = obj if isinstance(obj, bytes) else json.dumps(obj, separators=(",", ":"))
    return {"requestPut": {"key": _b64(key), "value": _b64(value)}}


if __name__ == "__main__":  # a control plane to play with, until interrupted
    with ControlPlane(controllers=True, nodes=2) as the_plane:
        print(f"kubectl --kubeconfig {the_plane.kubeconfig()}\nlogs in {the_plane.folder}", flush=True)
        while True:
            time.sleep(3600)
