# SPDX-License-Identifier: Apache-2.0
"""prometheus with `tls FILE`, asked by curl: certificates on both sides and their renewal, versions and ciphers,
passwords, headers, the rate limit, and what becomes of an address when a reload changes its FILE.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", folder) for folder in ("cluster", "lib")]

import pytest  # noqa: E402
from asking import ask  # noqa: E402
from certificates import Authority  # noqa: E402
from processes import Process, free_port, wait_for  # noqa: E402
from servers import clusterdns_binary  # noqa: E402

LOOK = 3  # seconds: a changed file is seen after one, more on a busy machine
HASH = "$2b$04$zFT8k0nPfR7fwXxrXDYwmOLLAoxbxV4hC6/rxLK3V2q6aGLUNxWwm"  # secret
SLOW = "$2b$11$0oCkqhHZQxFTV.8YDwmtYea356iQ7FX4H6c6Hw2QYrIFTcfB7ksxm"  # slow secret, cost 11
SLOWER = "$2b$13$PZ3DNKTLdf5QyB5z4eK3/./N4I5.LH7QInvbDtnzXJHpcYFvwZZ3y"  # slow secret, cost 13: half a second
TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
MUTUAL = """tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_ca_file: ca/ca.crt
  client_auth_type: %s
"""
BLOCK = """{zone}:{dns} {{
    prometheus {address}:{http} {{
        {options}
    }}
    whoami
}}
"""


class Served:
    """A server in `folder` whose metrics are behind web.yml; `ca` issues certificates."""

    def __init__(self, folder):
        self.folder = folder
        self.dns, self.http, self.health = free_port(), free_port(), free_port()
        self.ca = Authority(str(folder / "ca"))
        self.issue("127.0.0.1", "server")
        self.process = Process("clusterdns", [clusterdns_binary(), "-conf", "Corefile"], str(folder / "log"), cwd=str(folder))
        self.blocks("tls web.yml")

    def issue(self, name, file, authority=None, expired=False):
        for path, suffix in zip((authority or self.ca).issue(name, expired), ("crt", "key")):
            shutil.copy(path, self.folder / f"{file}.{suffix}")

    def write(self, name, text):
        draft = self.folder / f"{name}.new"
        draft.write_text(text)
        os.replace(draft, self.folder / name)

    def web(self, text):
        self.write("web.yml", text)

    def blocks(self, *options, more=""):
        """One server block for each of `options`, all with the same address."""
        texts = [
            BLOCK.format(zone="." if n == 0 else f"z{n}.test", dns=self.dns, address="127.0.0.1", http=self.http, options=each)
            for n, each in enumerate(options)
        ]
        self.write("Corefile", "".join(texts) + more)

    def log(self):
        return self.process.log()

    def start(self):
        self.process.start()

        def up():
            self.process.check_alive()
            return " workers, " in self.log()

        wait_for(up, 30, "the server")
        return self

    def reload(self, good=True):
        done, failed = self.log().count("Reloading complete"), self.log().count("Restart failed")
        self.process.child.send_signal(signal.SIGUSR1)
        if good:
            wait_for(lambda: self.log().count("Reloading complete") > done, 10, "the reload")
        else:
            wait_for(lambda: self.log().count("Restart failed") > failed, 10, "the reload's failure")

    def refused(self):
        """The output of a start that has to fail."""
        done = subprocess.run(self.process.argv, cwd=self.folder, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 1, done.stdout
        return done.stdout + done.stderr

    def curl(self, *options, scheme="https", path="/metrics", ca="ca/ca.crt", port=None):
        """(status, or 0 if there was no answer; all that curl had to say; the body)"""
        done = subprocess.run(
            ["curl", "-sSv", "-m", "20", "--cacert", ca, "-w", "\n%{http_code}", *options,
             f"{scheme}://127.0.0.1:{port or self.http}{path}"],
            cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        body, _, status = done.stdout.rpartition("\n")
        return int(status), done.stderr, body

    def status(self, *options, **more):
        return self.curl(*options, **more)[0]


@pytest.fixture
def served(tmp_path):
    server = Served(tmp_path)
    yield server
    if server.process.child:
        server.process.check_alive()
        assert server.process.stop() == 0, server.log()
    assert "Sanitizer" not in server.log() and "runtime error" not in server.log(), server.log()


def with_client(name="client"):
    return "--cert", f"{name}.crt", "--key", f"{name}.key"


def test_serves_tls(served):
    served.web(TLS)
    served.start()
    status, said, body = served.curl()
    assert status == 200 and "TLSv1.3" in said and "coredns_build_info{" in body
    assert "server accepted http/1.1" in said
    assert served.status("--tls-max", "1.2") == 200
    assert served.status(path="/") == 404
    assert served.status("-X", "POST") == 405
    # HTTP in plain, and a client that does not trust the certificate.
    assert served.status(scheme="http") == 0
    other = Authority(str(served.folder / "other"))
    assert served.status(ca=other.certificate) == 0
    assert served.status() == 200


def test_inline_certificate(served):
    def indented(name):
        return "".join(f"    {line}\n" for line in (served.folder / name).read_text().splitlines())

    served.web(f"tls_server_config:\n  cert: |\n{indented('server.crt')}  key: |\n{indented('server.key')}")
    served.start()
    assert served.status() == 200


def test_paths_begin_at_the_file(served):
    (served.folder / "conf").mkdir()
    for name in ("server.crt", "server.key"):
        os.replace(served.folder / name, served.folder / "conf" / name)
    (served.folder / "conf" / "web.yml").write_text(TLS)
    served.blocks("tls conf/web.yml")
    served.start()
    assert served.status() == 200


def test_versions(served):
    served.web(TLS.replace("}", ", min_version: TLS13}"))
    served.start()
    assert served.status("--tls-max", "1.2") == 0
    assert served.status() == 200
    served.web(TLS.replace("}", ", max_version: TLS12}"))
    wait_for(lambda: "TLSv1.2" in served.curl()[1], LOOK, "TLS 1.2")
    assert served.status("--tlsv1.3") == 0


def test_ciphers_and_curves(served):
    listed = "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384], curve_preferences: [CurveP384]"
    served.web(TLS.replace("}", f", {listed}}}"))
    served.start()
    assert "ECDHE-ECDSA-AES256-GCM-SHA384" in served.curl("--tls-max", "1.2")[1]
    assert served.status("--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256") == 0
    # With TLS 1.3 the list has no meaning.
    assert served.status("--tls13-ciphers", "TLS_AES_128_GCM_SHA256") == 200
    assert served.status("--curves", "P-384") == 200
    assert served.status("--curves", "X25519") == 0
    # Suites of the other kind of key: none is left up to TLS 1.2.
    served.web(TLS.replace("}", ", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]}"))
    wait_for(lambda: served.status("--curves", "X25519") == 200, LOOK, "the changed file")
    assert served.status("--tls-max", "1.2") == 0


AUTH = {  # -> status without a certificate, with one of the CA, of another, an expired one
    "NoClientCert": (200, 200, 200, 200),
    "RequestClientCert": (200, 200, 200, 200),
    "RequireAnyClientCert": (0, 200, 200, 200),
    "RequireClientCert": (0, 200, 200, 200),
    "VerifyClientCertIfGiven": (200, 200, 0, 0),
    "RequireAndVerifyClientCert": (0, 200, 0, 0),
}


@pytest.mark.parametrize("kind", AUTH)
def test_client_certificates(served, kind):
    served.issue("client.example", "client")
    served.issue("client.example", "expired", expired=True)
    served.issue("client.example", "stranger", Authority(str(served.folder / "other")))
    text = MUTUAL % kind
    served.web(text.replace("  client_ca_file: ca/ca.crt\n", "") if kind == "NoClientCert" else text)
    served.start()
    for version in ("1.2", "1.3"):
        statuses = [served.status("--tls-max", version)]
        statuses += [served.status("--tls-max", version, *with_client(name)) for name in ("client", "stranger", "expired")]
        assert tuple(statuses) == AUTH[kind], version


def test_client_is_told_why(served):
    served.issue("client.example", "expired", expired=True)
    served.issue("client.example", "stranger", Authority(str(served.folder / "other")))
    served.web(MUTUAL % "RequireAndVerifyClientCert")
    served.start()
    # (With TLS 1.3 a client has begun to send by then, and may see no more than that nobody listens.)
    for name, why in {"": "handshake failure", "expired": "certificate expired", "stranger": "unknown CA"}.items():
        said = served.curl("--tls-max", "1.2", *(with_client(name) if name else ()))[1]
        assert f"alert, {why}" in said, said


def test_client_names(served):
    for name in ("scraper.example", "192.0.2.7", "else.example"):
        served.issue(name, name)
    served.web(MUTUAL % "RequireAndVerifyClientCert" + "  client_allowed_sans: [scraper.example, 192.0.2.7]\n")
    served.start()
    assert served.status(*with_client("scraper.example")) == 200
    assert served.status(*with_client("192.0.2.7")) == 200
    assert served.status(*with_client("else.example")) == 0
    served.web(MUTUAL % "RequireAnyClientCert" + "  client_allowed_sans: []\n")
    served.reload()
    assert served.status(*with_client("scraper.example")) == 0


def subject_of(served):
    return next((line for line in served.curl("-k")[1].splitlines() if "subject:" in line), "")


def test_renewed_certificate(served):
    served.web(TLS)
    served.start()
    assert "CN=127.0.0.1" in subject_of(served)
    # The key is there later than the certificate: until then the old pair is served.
    served.issue("renewed.example", "next")
    os.replace(served.folder / "next.crt", served.folder / "server.crt")
    wait_for(lambda: served.status("-k") == 200 and "failed to load X509KeyPair" in served.log(), LOOK, "a complaint")
    assert "CN=127.0.0.1" in subject_of(served)
    os.replace(served.folder / "next.key", served.folder / "server.key")
    wait_for(lambda: "CN=renewed.example" in subject_of(served), LOOK, "the renewed certificate")
    assert served.log().count("failed to load X509KeyPair") == 1
    # Without the file, all stays as it is.
    os.remove(served.folder / "web.yml")
    wait_for(lambda: served.status("-k") == 200 and "web.yml: open: No such file" in served.log(), LOOK, "a complaint")
    assert served.status("-k") == 200


@pytest.mark.parametrize("tls", [TLS, ""])
def test_passwords(served, tls):
    served.web(tls + f"basic_auth_users:\n  alice: {HASH}\n  bob: {HASH}\n")
    scheme = "https" if tls else "http"
    served.start()
    status, said, body = served.curl(scheme=scheme)
    assert status == 401 and "< WWW-Authenticate: Basic\n" in said.replace("\r", "") and body == "Unauthorized\n"
    for _ in range(2):  # computed, then remembered
        assert served.status("-u", "alice:secret", scheme=scheme) == 200
        assert served.status("-u", "bob:secret", scheme=scheme) == 200
        assert served.status("-u", "alice:wrong", scheme=scheme) == 401
        assert served.status("-u", "alice:", scheme=scheme) == 401
        assert served.status("-u", "nobody:secret", scheme=scheme) == 401
        assert served.status("-u", ":secret", scheme=scheme) == 401
    for header in ("Basic", "Basic ", "Basic !!!", "Basic YWxpY2U=", "Bearer YWxpY2U6c2VjcmV0", "Basic YWxpY2U6c2VjcmV0AHg="):
        assert served.status("-H", f"Authorization: {header}", scheme=scheme) == 401, header
    assert served.status("-H", "Authorization: basic YWxpY2U6c2VjcmV0", scheme=scheme) == 200
    assert served.status("-u", "alice:secret", scheme=scheme, path="/none") == 404
    assert served.status(scheme=scheme, path="/none") == 401
    served.web(tls + f"basic_auth_users: {{bob: {HASH}}}\n")
    wait_for(lambda: served.status("-u", "alice:secret", scheme=scheme) == 401, LOOK, "alice to be gone")
    assert served.status("-u", "bob:secret", scheme=scheme) == 200


def guess(served, user):
    """A curl that tries a password, and says the status when it ends."""
    return subprocess.Popen(
        ["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "-m", "60", "--cacert", "ca/ca.crt", "-u", user,
         f"https://127.0.0.1:{served.http}/metrics"],
        cwd=served.folder, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def longest_silence(served, client):
    """Of /health, while the client waits for its answer; and how long that took."""
    started = last = time.monotonic()
    longest = 0
    while client.poll() is None:
        with urllib.request.urlopen(f"http://127.0.0.1:{served.health}/health", timeout=20) as answer:
            assert answer.status == 200
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest, last - started


def test_protection_stays_until_a_reload(served):
    """A file that is being written says nothing for a moment; nobody is let in by that."""
    alice = "-u", "alice:secret"
    served.web(f"basic_auth_users: {{alice: {HASH}}}\n")
    served.start()
    assert served.status(scheme="http") == 401
    served.web("")
    wait_for(lambda: served.status(scheme="http") == 401 and "takes a reload" in served.log(), 10, "a look at it", interval=0.2)
    assert served.status(*alice, scheme="http") == 200
    served.reload()
    assert served.status(scheme="http") == 200


def test_renamed_user(served):
    """A password that was wrong for somebody who did not exist is right when he does."""
    carol = "-u", "carol:secret"
    served.web(f"basic_auth_users: {{alice: {HASH}}}\n")
    served.start()
    assert served.status(*carol, scheme="http") == 401
    served.web(f"basic_auth_users: {{carol: {HASH}}}\n")
    wait_for(lambda: served.status(*carol, scheme="http") == 200, 10, "the new name", interval=0.2)


@pytest.mark.alone
def test_slow_password_holds_up_nobody(served):
    served.web(TLS + f"basic_auth_users: {{slow: {SLOW}, slower: {SLOWER}}}\n")
    served.blocks("tls web.yml", more=f"h.test:{served.dns} {{\n    health 127.0.0.1:{served.health}\n}}\n")
    served.start()
    assert served.status("-u", "slow:slow secret") == 200
    client = guess(served, "slower:wrong")
    silence, whole = longest_silence(served, client)
    assert client.communicate()[0] == "401"
    assert silence < whole / 2
    # Of many some are checked, some wait longer than a connection lives, some are too many.
    clients = [guess(served, f"slow:wrong {number}") for number in range(24)]
    while any(client.poll() is None for client in clients[:4]):
        assert served.status("-u", "slow:slow secret") == 200  # remembered
    assert ask(served.dns, "www.example.org A").rcode == "NOERROR"
    statuses = [client.communicate()[0] for client in clients]
    assert set(statuses) <= {"401", "503", "000"} and "401" in statuses and "503" in statuses, statuses
    # A check may be under way when all ends.
    before = served.process.cpu_seconds()
    client = guess(served, "slower:once more")
    wait_for(lambda: served.process.cpu_seconds() > before + 0.05, 10, "the check")
    assert served.process.stop() == 0
    client.communicate()


def test_headers(served):
    headers = {
        "Strict-Transport-Security": "max-age=31536000",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "deny",
        "X-XSS-Protection": "0",
        "Content-Security-Policy": ">\n      default-src\n      'self'",
    }
    served.web("http_server_config:\n  http2: false\n  headers:\n" + "".join(f"    {k}: {v}\n" for k, v in headers.items()))
    served.start()
    _, said, _ = served.curl(scheme="http")
    for name, value in headers.items():
        assert f"< {name}: {' '.join(value.lstrip('>').split())}\n" in said.replace("\r", "")


@pytest.mark.alone
def test_rate_limit(served):
    served.web("rate_limit: {interval: 500ms, burst: 2}\n")
    served.start()
    statuses = [served.status(scheme="http") for _ in range(6)]
    assert statuses[:2] == [200, 200] and 429 in statuses
    assert served.curl(scheme="http", path="/none")[2] in ("Too Many Requests\n", "404 page not found\n")
    wait_for(lambda: served.status(scheme="http") == 200, 5, "the next token", interval=0.3)


def test_reload(served):
    """On the same address: from plain HTTP to TLS, another file, and back; then all that must not change anything."""
    served.blocks("runtime_metrics", "runtime_metrics")
    served.web(TLS)
    served.write("other.yml", TLS + f"basic_auth_users: {{alice: {HASH}}}\n")
    served.start()
    assert served.status(scheme="http") == 200
    served.blocks("tls web.yml", "tls web.yml")
    served.reload()
    for _ in range(5):
        assert (served.status(), served.status(scheme="http")) == (200, 0)
    served.blocks("tls other.yml")
    served.reload()
    for _ in range(5):
        assert (served.status(), served.status("-u", "alice:secret")) == (401, 200)
    served.blocks("tls web.yml")
    served.reload()
    assert served.status() == 200

    bad = {
        "tls_server_config: {cert_file: server.crt, key_file: none.key}\n": "web.yml:1: failed to read key_file (none.key)",
        "tls_server_config:\n  cert: x\n  foo: y\n": "web.yml:3: field foo not found in type web.TLSConfig: there are cert,",
    }
    for text, why in bad.items():
        served.web(text)
        served.reload(good=False)
        assert f"Restart failed: plugin/prometheus: Invalid TLS config: {why}" in served.log()
        assert "(Corefile:3)" in served.log()
        assert (served.status(), served.status(scheme="http")) == (200, 0)
    # TLS on or off takes a reload.
    served.web(f"basic_auth_users: {{alice: {HASH}}}\n")
    wait_for(lambda: served.status() == 200 and "TLS is turned off here" in served.log(), LOOK, "a complaint")
    served.reload()
    assert (served.status(scheme="http"), served.status("-u", "alice:secret", scheme="http")) == (401, 200)
    served.blocks("runtime_metrics")
    served.reload()
    assert served.status(scheme="http") == 200


def test_one_address_has_one_file(served):
    served.web(TLS)
    served.blocks("tls web.yml", "runtime_metrics")
    text = served.refused()
    assert f"plugin/prometheus: listen tcp 127.0.0.1:{served.http}: another directive serves this address with" in text
    assert "one of them another port (Corefile:8)" in text
    served.blocks("tls web.yml", more=f"h.test:{served.dns} {{\n    health localhost:{served.http}\n}}\n")
    assert f"plugin/health: listen tcp localhost:{served.http}: another directive" in served.refused()
    # A reload that would have them is refused too, and nothing has changed.
    served.blocks("tls web.yml", "tls web.yml")
    served.start()
    served.blocks("tls web.yml", "runtime_metrics")
    served.reload(good=False)
    assert served.status() == 200


def test_file_is_missing(served):
    assert "Invalid TLS config: web.yml: open: No such file or directory (Corefile:3)" in served.refused()
    served.web(TLS)
    os.remove(served.folder / "server.key")
    assert "web.yml:1: failed to read key_file (server.key): No such file or directory" in served.refused()
