# SPDX-License-Identifier: Apache-2.0
"""dnsbench against servers of known behaviour: what it reports is what they did."""

import contextlib
import json
import os
import re
import signal
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(folder) for folder in (HERE, HERE.parents[1] / "cluster", HERE.parents[1] / "lib")]

import browser  # noqa: E402
import pytest  # noqa: E402
import yaml  # noqa: E402
import servers  # noqa: E402
from bench import Manual, Run, Simulated, bench, man_page, note_options, percentile, plain  # noqa: E402
from processes import free_port, wait_for  # noqa: E402
from upstream import Upstream  # noqa: E402

CASES = yaml.safe_load((HERE / "cases.yaml").read_text())
MS = 1e6
ZONES = Path(servers.ROOT) / "zones" / "example-cluster"
NOISE_MS = 3  # by which two processes may differ about a delay on a busy machine


def each(group):
    return pytest.mark.parametrize("case", CASES[group].values(), ids=CASES[group].keys())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A simulated server that takes 5 ms."""
    running = Simulated(tmp_path_factory.mktemp("simulated"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def cluster():
    """clusterdns with the example cluster."""
    with servers.clusterdns(servers.corefile("pods verified", source=f"manifests {ZONES}")) as running:
        yield running


@pytest.fixture
def simulated(tmp_path):
    """Starts servers of the test's own."""
    running = []

    def start(model):
        running.append(Simulated(tmp_path, model))
        return running[-1]

    yield start
    for one in running:
        one.close()


def at(server, address="127.0.0.1"):
    return f"[{address}]:{server.port}" if ":" in address else f"{address}:{server.port}"


# ---- what the server does is what is reported


@each("reports")
def test_reports(case, server, tmp_path):
    arguments = ["-r", "400", "-d", "500ms", "-t", "250ms", *case.get("arguments", "").split()]
    run = bench(tmp_path, arguments, at(server, case.get("to", "127.0.0.1")), ask=case["ask"])
    counts = {name: value for name, value in run.counts.items() if not name.startswith("bytes") and name != "sent_late"}
    rcodes = counts.pop("rcodes")
    expected = dict.fromkeys(counts, 0) | {"due": 200, "sent": 200} | case["counts"]
    assert counts == expected, run.text
    assert rcodes == case.get("rcodes", {})
    assert run.status == case.get("status", 0), run.text
    assert re.search(case.get("says", ""), run.text), run.text
    assert run.json["latency_ns"]["count"] == counts["answered"] + counts["lost"]


def test_nobody_listens(tmp_path):
    run = bench(tmp_path, ["-r", "200", "-d", "500ms", "-t", "100ms"], f"127.0.0.1:{free_port()}")
    assert run.status == 3 and "nothing was answered" in run.text
    assert run.counts["lost"] == run.counts["sent"] == 100 and run.counts["refused"] > 50


def test_nobody_listens_over_tcp(tmp_path):
    """Connections are tried again until questions have waited for too long: those were not sent."""
    began = time.monotonic()
    run = bench(tmp_path, ["--tcp", "-r", "200", "-d", "500ms", "-t", "100ms"], f"127.0.0.1:{free_port()}")
    assert run.status == 3 and time.monotonic() - began < 10
    assert run.counts["due"] == run.counts["unsent"] == 100 and run.counts["sent"] == 0 and run.counts["refused"] > 0


def test_look_ups_that_are_not_sent(tmp_path):
    """They have waited for as long as the others, and the run is none of the server's."""
    run = bench(tmp_path, ["--stub", "--tcp", "-r", "200", "-d", "500ms", "-t", "100ms"], f"127.0.0.1:{free_port()}")
    lookups = run.json["lookups"]
    assert run.status == 3 and "100 questions could not be sent: no connection: Connection refused" in run.text
    assert lookups["due"] == lookups["failed"] == lookups["latency_ns"]["count"] == run.counts["unsent"] == 100
    assert lookups["latency_ns"]["min"] >= 100 * MS


@pytest.mark.parametrize("arguments", ["-r 1", "-r 1 --tcp", "-r 1000 --schedule burst:1000", "-o 10 --unlimited --tcp"])
def test_nobody_is_asked_for_ever(arguments, tmp_path):
    """However rarely it is asked: a server that does not answer ends the run."""
    began = time.monotonic()
    run = bench(tmp_path, [*arguments.split(), "-d", "60", "-t", "100ms"], f"127.0.0.1:{free_port()}")
    assert run.status == 3 and "ended early: the server has stopped answering" in run.text, run.text
    assert time.monotonic() - began < 30 and "dnsbench itself" not in run.text


@pytest.mark.parametrize("more", ["", "--threads 4", "--schedule burst:20", "--schedule poisson"])
def test_short_runs_have_rates(more, server, tmp_path):
    """Ten questions at a hundred a second are a tenth of a second's."""
    run = bench(tmp_path, ["-r", "100", "--queries", "10", *more.split()], at(server))
    assert "in 0.10 s, 100.0 a second" in run.text, run.text


def test_what_has_come_in_time_is_not_lost(simulated, tmp_path):
    """dnsbench is held up for longer than the time-out; the kernel knows when answers came."""
    run = Run(tmp_path, ["-r", "500", "-d", "3", "-t", "400ms", "--max-lag", "1s"], at(simulated("constant:15")))
    for _ in range(2):
        time.sleep(0.6)
        run.child.send_signal(signal.SIGSTOP)
        time.sleep(0.6)
        run.child.send_signal(signal.SIGCONT)
    run.finish()
    assert run.status == 0 and (run.counts["answered"], run.counts["lost"]) == (1500, 0), run.text


def test_handshakes_that_come_to_nothing(tmp_path):
    """The first connections are accepted and never served: they are given up, and others made."""
    with Upstream(records=["a.example. 60 IN A 192.0.2.1"], faults=["no handshake times 4"], tls={"name": "dns.example"}) as upstream:
        arguments = ["--tls", "--sockets", "4", "-r", "100", "-d", "2", "-t", "500ms"]
        run = bench(tmp_path, arguments, f"127.0.0.1:{upstream.tls_port}")
    assert run.counts["refused"] >= 4 and run.counts["answered"] > 100, run.text
    assert "no connection: nothing came within the time-out" in run.text


def test_server_stops_answering(simulated, tmp_path):
    """The run ends by itself, and says why."""
    server, began = simulated("constant:1"), time.monotonic()
    run = Run(tmp_path, ["-r", "100", "-d", "120", "-t", "100ms"], at(server))
    time.sleep(1)
    server.process.pause()
    run.finish()
    assert run.status == 3 and "ended early: the server has stopped answering" in run.text
    assert time.monotonic() - began < 30
    assert run.counts["answered"] > 50 and run.counts["lost"] > 300
    assert run.counts["answered"] + run.counts["lost"] == run.counts["sent"]
    assert any("stopped answering" in reason for reason in run.json["invalid"])


def test_interrupted(server, tmp_path):
    run = Run(tmp_path, ["-r", "100", "-d", "60"], at(server))
    time.sleep(1)
    run.interrupt().finish()
    assert run.status == 3 and "ended early: interrupted" in run.text
    assert 20 < run.counts["answered"] == run.counts["sent"] < 3000 and run.counts["cut_off"] == 0


def test_what_an_interruption_cuts_off(simulated, tmp_path):
    """Questions that nobody waits for any more are told, beside answered and lost ones."""
    run = Run(tmp_path, ["-r", "100", "-d", "60", "-t", "20"], at(simulated("constant:5000")))
    time.sleep(1)
    run.interrupt().finish()
    assert run.status == 3 and 20 < run.counts["cut_off"] == run.counts["sent"] and "cut off" in run.text


# ---- connections


def test_questions_are_pipelined(simulated, tmp_path):
    """One connection, 200 questions a second, 50 ms each: they do not wait for one another."""
    run = bench(tmp_path, ["--tcp", "--sockets", "1", "-r", "200", "-d", "1"], at(simulated("constant:50")))
    assert run.status == 0 and run.counts["answered"] == 200 and run.counts["closed"] == 0
    assert run.json["latency_ns"]["p50"] < 90 * MS


def test_connections_are_made_anew(server, tmp_path):
    run = bench(tmp_path, ["--tcp", "--per-connection", "10", "--sockets", "4", "-r", "200", "-d", "1"], at(server))
    assert run.status == 0 and run.counts["answered"] == 200
    assert 4 <= run.counts["closed"] <= 20


def test_server_closes_connections(server, tmp_path):
    run = bench(tmp_path, ["--tcp", "-r", "100", "-d", "1", "-t", "250ms"], at(server), ask="hang-a.example A\na.example A")
    assert run.counts["answered"] + run.counts["lost"] == run.counts["sent"]
    assert run.counts["lost"] >= run.counts["closed"] >= 16


@pytest.mark.parametrize("name,status", [("dns.example", 0), ("else.example", 3), (None, 0)], ids=str)
def test_tls(name, status, tmp_path):
    """With a name the certificate has to be for it and from the CA; without one it is any."""
    with Upstream(tls={"name": "dns.example"}, records=["a.example. 60 IN A 192.0.2.1"]) as upstream:
        checked = ["--tls-name", name, "--tls-ca", upstream.certificate] if name else []
        arguments = ["--tls", "--sockets", "2", "-r", "50", "-d", "1", "-t", "1", *checked]
        run = bench(tmp_path, arguments, f"127.0.0.1:{upstream.tls_port}")
        asked = upstream.count("tls")
    assert run.status == status, run.text
    if status == 0:
        assert run.counts["answered"] == run.counts["sent"] == asked == 50
    else:
        assert run.counts["answered"] == asked == 0 and run.counts["refused"] > 0
        assert "no connection: hostname mismatch" in run.text


# ---- when questions are sent


def per_second(run):
    due = [second["due"] for second in run.json["seconds"]]
    while due and due[-1] == 0:
        due.pop()
    return due


@each("schedules")
def test_schedules(case, server, tmp_path):
    run = bench(tmp_path, case["arguments"].split(), at(server))
    assert run.status == 0 and run.counts["sent"] == run.counts["due"] == sum(case["due"])
    assert all(abs(was - due) <= 1 for was, due in zip(per_second(run), case["due"], strict=True)), per_second(run)


def test_poisson_is_repeated_by_its_seed(server, tmp_path):
    arguments = ["-r", "500", "-d", "1", "--schedule", "poisson"]
    first, second, other = (per_second(bench(tmp_path, [*arguments, "--seed", seed], at(server))) for seed in "115")
    assert first == second != other
    assert all(abs(count - 500) < 5 * 500**0.5 for count in first + other)


def test_bursts_come_at_once(simulated, tmp_path):
    server = simulated("constant:1")
    bench(tmp_path, ["-r", "200", "-d", "2", "--schedule", "burst:100"], at(server))
    came = [time / MS for time, _ in server.delays()]
    gaps = sorted(later - earlier for earlier, later in zip(came, came[1:]))
    assert len(came) == 400 and all(300 < gap < 700 for gap in gaps[-3:]) and gaps[-4] < 200, gaps[-5:]


def test_outstanding_are_as_many(simulated, tmp_path):
    """A closed loop never has more questions on their way than it was told, and nearly always as many."""
    server = simulated("constant:5")
    run = bench(tmp_path, ["-o", "10", "--unlimited", "-d", "1", "--threads", "2"], at(server))
    assert run.status == 0 and run.counts["answered"] == run.counts["sent"] > 300
    delays = server.delays()
    changes = sorted([(came, 1) for came, _ in delays] + [(came + took, -1) for came, took in delays])
    open_now, most = 0, 0
    for _, change in changes:
        open_now += change
        most = max(most, open_now)
    assert most == 10


@each("queries")
def test_queries(case, server, tmp_path):
    run = bench(tmp_path, ["-d", "20", *case["arguments"].split()], at(server), ask="a.example. A")
    assert run.status == 0 and run.json["took_ns"] < 10e9, run.text
    assert run.json["lookups" if "lookups" in run.json else "counts"]["due"] == case["asked"]
    asked = case["asked"] * (2 if "lookups" in run.json else 1)
    assert [run.counts[name] for name in ("due", "sent", "answered", "unsent", "lost")] == [asked] * 3 + [0] * 2
    assert run.json["options"]["queries"] == int(re.search(r"--queries (\d+)", case["arguments"])[1])


# ---- searches


@each("knees")
def test_knee(case, server, tmp_path):
    run = bench(tmp_path, case["arguments"].split(), at(server), ask=case.get("ask", "a.example A"))
    search = run.json["search"]
    assert [[trial["rate"], trial["outcome"]] for trial in search["trials"]] == case["trials"]
    assert all(trial["holds"] == (trial["outcome"] == "holds") for trial in search["trials"])
    assert (search["mode"], search["objective"]) == ("knee", case["arguments"].split()[1])
    assert search["knee"] == case["knee"] and search["ended"] == case["ended"]
    assert run.status == (0 if case["knee"] else 3), run.text
    assert f"ended: {case['ended']}" in run.text and f"knee: {case['knee'] or 'none'}" in run.text
    assert run.json["options"]["rate"] == case["reported"]


def test_knee_is_between(tmp_path):
    """The server answers the first trial, half of the second one, the third, and then half of what comes."""
    faults = ["silent for a.example. after 50 times 100", "silent for a.example. after 250"]
    with Upstream(records=["*.example. 60 IN A 192.0.2.1"], faults=faults) as upstream:
        arguments = ["--find-knee", "lost<40%", "-r", "200", "-d", "500ms", "-t", "200ms"]
        run = bench(tmp_path, arguments, f"127.0.0.1:{upstream.port}", ask="a.example A\nb.example A")
    search = run.json["search"]
    held = [[trial["rate"], trial["holds"]] for trial in search["trials"]]
    failed = [[rate, False] for rate in (800, 600, 500, 450, 425, 412.5) for _ in range(2)]
    assert held == [[200, True], [400, False], [400, True], *failed]
    assert run.status == 0 and (search["knee"], search["ended"]) == (400, None)
    assert run.json["options"]["rate"] == 400 and run.counts["due"] == 200 and run.counts["answered"] > 0


def test_knee_of_a_server_that_stops_answering(tmp_path):
    """What held before is told, and that it says nothing of the server's knee."""
    with Upstream(records=["a.example. 60 IN A 192.0.2.1"], faults=["silent after 300"]) as upstream:
        arguments = ["--find-knee", "lost<99%", "-r", "1000", "-d", "100ms", "-t", "60ms"]
        run = bench(tmp_path, arguments, f"127.0.0.1:{upstream.port}")
    search = run.json["search"]
    assert [[trial["rate"], trial["holds"]] for trial in search["trials"]] == [[1000, True], [2000, True], *[[4000, False]] * 2]
    assert (search["knee"], search["ended"]) == (2000, "the server has stopped answering, at 4000 a second")
    assert run.status == 3, run.text


@pytest.mark.parametrize("arguments", [["--find-knee", "lost<99%"], ["--max", "--unlimited"]], ids=["knee", "max"])
def test_interrupted_search(arguments, server, tmp_path):
    """It ends at once, and what is reported is no result."""
    began = time.monotonic()
    run = Run(tmp_path, [*arguments, "-d", "30"], at(server))
    time.sleep(1)
    run.interrupt().finish()
    assert run.status == 3 and "ended: interrupted" in run.text and time.monotonic() - began < 20
    assert run.json["search"]["trials"] == [] and run.counts["answered"] > 0


def test_max(server, tmp_path):
    """As many questions as brought most, from doubled numbers of them, until that brings no more."""
    began = time.monotonic()
    run = bench(tmp_path, ["--max", "--unlimited", "--sockets", "128", "-d", "300ms", "-t", "500ms"], at(server))
    search = run.json["search"]
    trials = search["trials"]
    rates, outstanding = ([trial[name] for trial in trials] for name in ("rate", "outstanding"))
    assert run.status == 0 and search["mode"] == "max" and time.monotonic() - began < 30, run.text
    assert outstanding == [128 * 2**number for number in range(len(trials))] and len(trials) > 1
    for number, rate in enumerate(rates[1:-1], 1):
        assert rate >= 1.03 * max(rates[:number])
    assert rates[-1] < 1.03 * max(rates[:-1]) or "--sockets" in search["ended"]
    assert run.json["options"]["outstanding"] == outstanding[rates.index(max(rates))]
    assert run.json["options"]["duration_ns"] == 300 * MS and all(0 <= trial["busy"] <= 1 for trial in trials)


# ---- are answers right?


def checks(run, case):
    """What became of them is what the case says; counts that it does not name are 0."""
    checked = dict(run.json["check"])
    assert sorted(checked.pop("examples")) == sorted(f"wrong: {text}" for text in case.get("wrong", [])), run.text
    assert checked == dict.fromkeys(checked, 0) | case["counts"], run.text
    assert run.status == (5 if case.get("wrong") else 0), run.text
    for name, count in case["counts"].items():
        assert re.search(rf"{'not judged' if name == 'unjudged' else name} +{count} ", run.text), run.text
    for text in case.get("wrong", []):
        assert f"    wrong: {text}\n" in run.text


LOAD = ["-r", "1000", "-d", "200ms", "-t", "250ms"]


@each("checked")
def test_check(case, server, cluster, tmp_path):
    to = cluster if case.get("of") == "cluster" else server
    timeout = ["-t", "2"] if to is cluster else []
    run = bench(tmp_path, [*LOAD, "--check", *timeout, *case.get("arguments", "").split()], at(to), ask=case["ask"])
    checks(run, case)


@each("references")
def test_reference(case, server, tmp_path):
    ask = "a.example A\nb.example A\nnone-c.example A\nd.example A"
    with Upstream(records=case["records"]) as upstream:
        run = bench(tmp_path, [*LOAD, "-t", "2", "--reference", f"127.0.0.1:{upstream.port}"], at(server), ask=ask)
    checks(run, case)


def test_stale(server, tmp_path):
    """The reference server has gone on, and the server has not."""
    with Upstream(records=["a.example. 60 IN A 192.0.2.1"]) as upstream:
        arguments = ["-r", "100", "-d", "2500ms", "--reference", f"127.0.0.1:{upstream.port}"]
        run = Run(tmp_path, arguments, at(server))
        wait_for(lambda: upstream.count() > 1, 20, "a second look")
        upstream.change(records=["a.example. 60 IN A 192.0.2.2"])
        run.finish()
    checked = run.json["check"]
    assert run.status == 5 and checked["examples"] == ["stale: a.example. A"], run.text
    assert checked["stale"] > 20 and checked["right"] > 20 and checked["stale"] + checked["right"] == 250
    assert re.search(rf"stale +{checked['stale']} ", run.text)


def test_reference_is_behind(tmp_path):
    """What the reference server says only after the answer is right."""
    old, new = (["a.example. 60 IN A " + address] for address in ("192.0.2.1", "192.0.2.2"))
    with Upstream(records=old) as reference, Upstream(records=new) as upstream:
        arguments = ["-r", "100", "-d", "500ms", "--reference", f"127.0.0.1:{reference.port}"]
        run = Run(tmp_path, arguments, f"127.0.0.1:{upstream.port}")
        wait_for(lambda: upstream.count() > 10, 20, "questions")
        looks = reference.count() // 2  # the answer that differs is asked for, and the only question in turn
        wait_for(lambda: reference.count() // 2 > looks, 20, "a look")
        reference.change(records=new)
        run.finish()
    checks(run, {"counts": {"right": 50}})


def of_manifests(folder, cluster, manifests, *more):
    """A run with names of a cluster, and no file of questions."""
    status, output, errors = plain(
        folder, ["--manifests", manifests, *more, "--max-lag", "10s", "--json", "json", "--html", "page.html", at(cluster)]
    )
    assert (folder / "json").exists(), output + errors
    return status, json.loads((folder / "json").read_text()), output


def test_manifests(cluster, tmp_path):
    more = ["-r", "1000", "-d", "500ms", "--missing", "20", "--order", "uniform", "--check"]
    status, report, output = of_manifests(tmp_path, cluster, ZONES, *more)
    assert status == 0 and report["check"] == {"right": 500, "wrong": 0, "stale": 0, "unjudged": 0, "examples": []}, output
    assert report["counts"]["rcodes"]["NXDOMAIN"] > 20


def test_changed_manifest(cluster, tmp_path):
    """Questions are for A and AAAA of one Service, which the server has another address of."""
    objects = [one for file in sorted(ZONES.iterdir()) for one in yaml.safe_load_all(file.read_text())]
    chosen = [one for one in objects if (one["kind"], one["metadata"]["name"]) in (("Namespace", "shop"), ("Service", "web"))]
    (tmp_path / "some.yaml").write_text(yaml.safe_dump_all(chosen).replace("10.96.10.80", "10.96.10.79"))
    more = [*LOAD, "-t", "2", "--names", "services", "--check"]
    status, report, output = of_manifests(tmp_path, cluster, tmp_path / "some.yaml", *more)
    expected = {"right": 100, "wrong": 100, "stale": 0, "unjudged": 0, "examples": ["wrong: web.shop.svc.cluster.local. A"]}
    assert status == 5 and report["check"] == expected, output


def test_large_answers(tmp_path):
    """Of the server, and of the reference server: all are the same."""
    with Upstream(records=["a.example. 60 IN A 192.0.2.1"], faults=["big 6000"]) as upstream:
        address = f"127.0.0.1:{upstream.port}"
        run = bench(tmp_path, ["-r", "50", "-d", "200ms", "--edns", "65535", "--reference", address], address)
    checks(run, {"counts": {"right": 10}})
    assert run.counts["truncated"] == run.counts["lost"] == 0 and run.counts["bytes_received"] > 60000


EXTENDED = ["rcode BADVERS for vers.example.", "rcode 23 for cookie.example.", "rcode 100 for nameless.example."]


def test_extended_rcodes(tmp_path):
    """Those whose upper bits are in OPT: BADVERS is not NOERROR without records."""
    ask = "vers.example A NODATA\ncookie.example A BADCOOKIE\nnameless.example A\na.example A NXDOMAIN"
    with Upstream(faults=EXTENDED) as upstream:
        run = bench(tmp_path, [*LOAD, "-t", "2", "--edns", "1232", "--check"], f"127.0.0.1:{upstream.port}", ask=ask)
    assert run.counts["rcodes"] == {"BADVERS": 50, "BADCOOKIE": 50, "other": 50, "NXDOMAIN": 50}
    assert re.search("BADVERS +50 +25.00 %", run.text)
    checks(run, {"counts": {"right": 100, "wrong": 50, "unjudged": 50}, "wrong": ["vers.example. A"]})


# ---- what is written


TIMES = dict.fromkeys(("count", "min", "p50", "p75", "p90", "p99", "p99.9", "p99.99", "max"), int) | {
    "mean": float,
    "stddev": float,
}
COUNTS = (
    "due sent unsent sent_late answered lost truncated tardy duplicates mismatched strange refused closed bytes_sent "
    "bytes_received"
)
SHAPE = {
    "format": int,
    "options": {
        "server": str,
        "questions": str,
        "schedule": str,
        "rate": float,
        "to_rate": float,
        **dict.fromkeys(("duration_ns", "timeout_ns", "outstanding", "threads", "sockets", "seed"), int),
    },
    "valid": bool,
    "invalid": [str],
    "took_ns": int,
    "counts": dict.fromkeys(COUNTS.split(), int) | {"rcodes": {}},
    "latency_ns": TIMES,
    "service_ns": TIMES,
    "lag_ns": TIMES,
    "seconds": [{"due": int, "answered": int, "lost": int}],
}


def check_shape(value, shape, where="report"):
    if isinstance(shape, dict):
        assert isinstance(value, dict), where
        for key, inner in shape.items():
            assert key in value, f"{where}.{key} is missing"
            check_shape(value[key], inner, f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        for number, item in enumerate(value):
            check_shape(item, shape[0], f"{where}[{number}]")
    else:
        assert type(value) is shape, f"{where} is {value!r}"


@pytest.fixture(scope="module")
def written(tmp_path_factory, server):
    """One run with everything that it can write."""
    folder = tmp_path_factory.mktemp("written")
    files = ["--csv", "csv", "--hgrm", "hgrm", "--html", "page.html"]
    run = Run(folder, ["-r", "300", "-d", "2500ms", "-t", "300ms", *files], at(server), ask="a.example A\nlose-a.example A")
    return run.finish()


def test_json(written):
    check_shape(written.json, SHAPE)
    counts, latency = written.json["counts"], written.json["latency_ns"]
    assert counts["sent"] == 750 and counts["answered"] == counts["lost"] == 375
    for name in ("due", "answered", "lost"):
        assert sum(second[name] for second in written.json["seconds"]) == counts[name]
    order = [latency[name] for name in ("min", "p50", "p75", "p90", "p99", "p99.9", "p99.99", "max")]
    assert order == sorted(order) and order[0] >= 5 * MS and order[2] >= 300 * MS


def test_csv(written):
    head, *lines = (written.folder / "csv").read_text().splitlines()
    assert head == "second,due,answered,lost,p50_ns,p99_ns,max_ns"
    rows = [[int(word or 0) for word in line.split(",")] for line in lines]
    assert [row[:4] for row in rows] == [[0, 300, 150, 150], [1, 300, 150, 150], [2, 150, 75, 75]]
    assert all(5 * MS <= row[4] <= row[5] <= row[6] for row in rows)
    assert [row[4] for row in rows] == [second["p50"] for second in written.json["seconds"]]


def test_hgrm(written):
    head, blank, *lines = (written.folder / "hgrm").read_text().splitlines()
    assert head.split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"] and not blank
    rows = [[float(word) for word in line.split()] for line in lines if not line.startswith("#[")]
    assert [line.split()[0] for line in lines[-3:]] == ["#[Mean", "#[Max", "#[Buckets"]
    for earlier, later in zip(rows, rows[1:]):
        assert all(a <= b for a, b in zip(earlier, later)), (earlier, later)
    assert rows[-1][1:] == [1.0, 750.0, float("inf")]
    assert abs(rows[-1][0] * MS - written.json["latency_ns"]["max"]) < 1000
    half = next(row for row in rows if row[1] >= 0.5)
    assert abs(half[0] * MS / written.json["latency_ns"]["p50"] - 1) < 0.01


LOOK = """[...document.querySelectorAll("svg")].map(svg => ({
    id: svg.id,
    shown: svg.getBoundingClientRect().toJSON(),
    view: ["x", "y", "width", "height"].map(name => svg.viewBox.baseVal[name]),
    lines: [...svg.querySelectorAll("polyline")].map(line => ({
        points: [...line.points].map(point => [point.x, point.y]),
        stroke: getComputedStyle(line).stroke,
        length: line.getTotalLength(),
    })),
    bars: [...svg.querySelectorAll("rect.c")].map(bar => bar.getBBox().height),
    labels: [...svg.querySelectorAll("text")].map(text => text.textContent),
}))"""


def test_page_in_a_browser(written, tmp_path):
    page = browser.look(written.folder / "page.html", LOOK, tmp_path)
    assert page.requests == [f"file://{written.folder}/page.html"] and not page.complaints
    assert [plot["id"] for plot in page.value] == ["latency", "rate"]
    for plot in page.value:
        assert plot["shown"]["width"] > 300 and plot["shown"]["height"] > 100
        left, top, width, height = plot["view"]
        assert len(plot["lines"]) == 2 and len(plot["labels"]) > 5
        for line in plot["lines"]:
            assert len(line["points"]) > 4 and line["length"] > width / 2
            assert line["stroke"].startswith("rgb") and line["stroke"] != "rgb(255, 255, 255)"
            assert all(left <= x <= left + width and top <= y <= top + height for x, y in line["points"])
    latency, rate = page.value
    assert len(rate["bars"]) == 3 and all(height > 10 for height in rate["bars"])  # half of each second is lost
    ends = [line["points"][-1][1] for line in latency["lines"]]
    assert ends[1] < ends[0] - 20  # latency has the time-outs, service has not
    assert {"90 %", "99 %", "10.00 ms"} <= set(latency["labels"]), latency["labels"]


class Page(HTMLParser):
    """`tables` and `plots` by id, `texts` of paragraphs; elements are closed as they were opened."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tables, self.plots, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag != "meta":
            self.open.append(tag)
        if tag in ("table", "svg"):
            (self.tables if tag == "table" else self.plots).append(dict(attributes)["id"])
        if tag == "p":
            self.texts.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "p" in self.open:
            self.texts[-1] += data


def check_members(value, members, manual, mode, where):
    """Those that docs/dnsbench.md has, and no others. Those of lists are in some of the items."""
    only = {member: re.match(r"of `(knee|max)`", said) for member, said in members.items()}
    assert set(value) == {member for member, found in only.items() if found is None or found[1] == mode}, where
    for member, inner in value.items():
        names = set(inner) if isinstance(inner, dict) else {name for item in inner for name in item} if is_list(inner) else None
        if where == "report" and member in manual.members:
            check_members(inner, manual.members[member], manual, mode, member)
        elif names is not None and member != "rcodes":
            known = manual.distribution if member.endswith("_ns") else manual.inside(members[member], mode)
            assert names == set(known), f"{where}.{member}"


def is_list(value):
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


@each("sections")
def test_every_member_is_documented(case, cluster, tmp_path):
    manual, manifests = Manual(), tmp_path / "a & <b>"
    manifests.symlink_to(ZONES)
    more = case["arguments"].replace("@PID@", str(cluster.process.pid)).split()
    status, report, output = of_manifests(tmp_path, cluster, manifests, "-r", "500", "-d", "200ms", *more)
    assert status == 0, output
    asked_for = {name: "" for name in case["sections"]}
    check_members(report, manual.members["report"] | asked_for, manual, case.get("mode"), "report")
    assert report["options"]["questions"] == str(manifests)
    page = Page((tmp_path / "page.html").read_text())
    assert page.texts[0] == str(manifests)
    assert page.tables == ["times", "counts", *case.get("tables", [])]
    assert page.plots == ["latency", "rate", *case.get("plots", [])]


# ---- arguments, failures, compare


def test_options_are_the_same_everywhere(tmp_path):
    """In docs/dnsbench.md, the man page and the help; and they take a value if they are said to."""
    manual, (options, letters) = Manual(), man_page()
    assert manual.options | {"--help": "", "--version": ""} == options and manual.letters == letters
    _, text, _ = plain(tmp_path, ["--help"])
    text, helped, short = text.partition("\n\n")[2].partition("Exit status")[0], {}, {}
    found = re.findall(r"(-[a-z])(?=,)|(--[a-z-]+)(?: ([A-Z][^\s;)]*))?", text)
    note_options([letter or f"{name} {argument.rstrip(':,')}".strip() for letter, name, argument in found], helped, short)
    assert set(helped) == set(options) and short == letters
    assert {name: options[name] for name, argument in helped.items() if argument} == {n: a for n, a in helped.items() if a}
    for name, argument in options.items():
        _, _, errors = plain(tmp_path, [name])
        assert ("needs a value" in errors) == bool(argument) and "there is no option" not in errors, name


@pytest.fixture
def folder(tmp_path):
    for name, text in {"names": "a.example A\n", "broken": "a.example A\nb.example\n", "empty": "\n"}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def parts(group):
    return pytest.mark.parametrize("arguments,says", CASES[group], ids=[case[0] or "none" for case in CASES[group]])


@parts("refused")
def test_wrong_arguments(arguments, says, folder):
    status, output, errors = plain(folder, arguments.split())
    assert (status, output) == (2, "") and errors.startswith("dnsbench: ") and errors.count("\n") == 1
    assert re.search(says, errors), errors


@parts("failures")
def test_failures(arguments, says, folder):
    status, output, errors = plain(folder, arguments.split())
    assert (status, output) == (1, "") and re.search(says, errors), output + errors


def test_late_generator_is_no_measurement(server, tmp_path):
    """Of any run 1 % leaves more than a nanosecond late: with that as the bound it is invalid."""
    run = bench(tmp_path, ["-r", "200", "-d", "500ms", "--max-lag", "1ns"], at(server))
    assert run.status == 3 and "INVALID: dnsbench itself was late" in run.text and not run.json["valid"]


def a_report(p50, p99, lost=0, spread=0.01, seconds=12, valid=True, missing=0, **more):
    """As --json writes it; p50 and p99 go up and down from second to second, and behind the last one is none."""
    waves = [1 + spread * (number % 5 - 2) / 2 for number in range(seconds)]
    counts = {"sent": 10000, "lost": lost, "truncated": 0, "mismatched": 0, "rcodes": {"NXDOMAIN": missing}}
    each_second = [{"p50": int(p50 * MS * wave), "p99": int(p99 * MS * wave)} for wave in waves]
    each_second.append({"due": 0, "answered": 0, "lost": 0})
    return json.dumps({"format": 1, "valid": valid, "counts": counts, "seconds": each_second, **more})


@each("compared")
def test_compare(case, tmp_path):
    for side in ("before", "after"):
        (tmp_path / side).write_text(a_report(**case[side]))
    tolerance = [case["tolerance"]] if "tolerance" in case else []
    status, output, errors = plain(tmp_path, ["compare", "before", "after", *tolerance])
    assert status == case["status"], output + errors
    assert re.search(case.get("says", "same"), output + errors), output + errors


def test_compare_of_real_runs(written, tmp_path):
    """What --json writes is what compare reads, but for the time that a run has to last."""
    report = json.loads((written.folder / "json").read_text())
    report["seconds"] = report["seconds"][:2] * 6
    (tmp_path / "long").write_text(json.dumps(report))
    status, output, errors = plain(tmp_path, ["compare", "long", "long"])
    assert status == 0 and output.count(" same") == 7, output + errors


# ---- latencies


def prefer(pid):
    """Lets the process run whenever it can: the clock must not wait for what it measures."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))


@pytest.mark.alone
@pytest.mark.parametrize("model", ["constant:20", "bimodal:5:100:2", "stall:1000:250"])
def test_latencies_are_the_servers(model, simulated, tmp_path):
    """Percentiles of dnsbench beside what the server really did, which on a busy machine is not quite its model."""
    server = simulated(model)
    prefer(server.process.pid)
    run = Run(tmp_path, ["-r", "500", "-d", "2"], at(server))
    prefer(run.child.pid)
    run.finish()
    assert run.status == 0 and run.counts["answered"] == 1000
    took = [took for _, took in server.delays()]
    for name, percent in {"p50": 50, "p90": 90, "p99": 99}.items():
        ours, truth = run.json["service_ns"][name], percentile(took, percent)
        assert -0.1 * MS < ours - truth < 0.02 * truth + NOISE_MS * MS, f"{name}: {ours} {truth}"
    if model.startswith("stall"):
        # A quarter of the questions is due during a stall, evenly: of all, a tenth waits longer than 150 ms.
        assert abs(run.json["latency_ns"]["p90"] / MS - 150) < 15
