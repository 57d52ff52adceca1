# SPDX-License-Identifier: Apache-2.0
"""CoreDNS and our server read the same label selectors, send the same to the API, and refuse the others with the same
words."""

import collections
import contextlib
import os
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from controlplane import binaries
from processes import Process, free_port, wait_for
from servers import clusterdns_binary
from starting import checked, coredns_outcome

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "selectors.yaml"), encoding="utf-8") as table:
    SELECTORS = yaml.safe_load(table)
WORDS = {"labels": "label", "namespace_labels": "namespace_label"}  # of refusals
ERROR_MAX = 1023  # bytes of our longest error
SEEN_SECONDS = 60


def quoted(selector):
    """A selector as one word of a Corefile."""
    return '"' + selector.replace('"', '\\"') + '"'


class Api:
    """Notes which selectors are asked for below which path, and knows no resource."""

    def __init__(self):
        self.seen = collections.defaultdict(set)
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                number, *rest = url.path.strip("/").split("/")
                seen[number].add((rest[-1], urllib.parse.parse_qs(url.query).get("labelSelector", [""])[0]))
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *unused):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def sent(program, folder):
    """{number of a good selector: {(resource, selector sent)}}, with each as `labels` and as `namespace_labels`."""
    blocks, port = [], free_port()
    with contextlib.closing(Api()) as api:
        for number, selector in enumerate(SELECTORS["good"]):
            blocks.append(
                f"z{number}.test:{port} {{\n kubernetes {{\n endpoint {api.url}/{number}\n startup_timeout 1ms\n"
                f" labels {quoted(selector)}\n namespace_labels {quoted(selector)}\n }}\n}}\n"
            )
        with open(os.path.join(folder, "Corefile"), "w", encoding="utf-8") as file:
            file.writelines(blocks)
        process = Process("server", [program, "-conf", os.path.join(folder, "Corefile")], os.path.join(folder, "log"))
        process.start()
        try:

            def complete():
                process.check_alive()
                kinds = [{resource for resource, _ in seen} for seen in list(api.seen.values())]
                return len(kinds) == len(blocks) and all(len(each) == 3 for each in kinds)

            wait_for(complete, SEEN_SECONDS, "all selectors to be sent")
        finally:
            process.kill()
        return {int(number): seen for number, seen in api.seen.items()}


def test_same_selectors_are_sent(tmp_path):
    theirs, ours = (sent(p, str(tmp_path)) for p in (binaries("coredns")["coredns"], clusterdns_binary()))
    assert [(SELECTORS["good"][n], ours[n], theirs[n]) for n in sorted(ours) if ours[n] != theirs[n]] == []
    assert {len({selector for _, selector in seen}) for seen in ours.values()} == {1}  # the same for each resource


@pytest.mark.parametrize("option", WORDS)
@pytest.mark.parametrize("selector", SELECTORS["bad"])
def test_same_words(selector, option, tmp_path):
    folder = str(tmp_path)
    with open(os.path.join(folder, "Corefile"), "w", encoding="utf-8") as file:
        file.write(f"a.test {{\n kubernetes {{\n {option} {quoted(selector)}\n endpoint http://127.0.0.1:1\n }}\n}}\n")
    theirs = coredns_outcome(binaries("coredns")["coredns"], folder)
    ours = checked(clusterdns_binary(), folder)
    assert theirs.startswith(f"plugin/kubernetes: unable to parse {WORDS[option]} selector value: '{selector}': ")
    if len(theirs.encode()) > ERROR_MAX - len(" (Corefile:3)"):
        assert len(ours.encode()) >= ERROR_MAX - 3 and theirs.startswith(ours)  # cut
    else:
        assert ours == theirs


def test_enough_are_asked():
    assert sum(len(some) for some in SELECTORS.values()) >= 200
