# SPDX-License-Identifier: Apache-2.0
"""A page as a browser shows it: headless Chromium, asked over its DevTools pipe.

    page = browser.look("/tmp/report.html", "document.title", folder)
    page.value, page.requests, page.complaints
"""

import json
import os
import select
import subprocess
import time
from dataclasses import dataclass, field

from processes import wait_for

PROGRAM = "chromium-headless-shell"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe")
LOADED = "location.protocol === 'file:' && document.readyState === 'complete'"
SECONDS = 60  # for all of it, on a busy machine


@dataclass
class Page:
    value: object = None  # of the expression, once the page was loaded
    requests: list = field(default_factory=list)  # URLs that were asked for, the page's own first
    complaints: list = field(default_factory=list)  # errors and warnings of scripts, markup and loading


class _Pipe:
    """Commands and events: JSON, each with a NUL behind it."""

    def __init__(self, folder):
        theirs_in, self.out = os.pipe()
        self.into, theirs_out = os.pipe()
        # The browser reads from descriptor 3 and writes to 4.
        command = ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", PROGRAM, *FLAGS]
        self.child = subprocess.Popen(
            [*command, f"--user-data-dir={folder}"],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.deadline, self.rest, self.number, self.events = time.monotonic() + SECONDS, b"", 0, []

    def _read(self):
        while b"\0" not in self.rest:
            if not select.select([self.into], [], [], max(0, self.deadline - time.monotonic()))[0]:
                raise AssertionError(f"{PROGRAM} says nothing")
            more = os.read(self.into, 1 << 16)
            assert more, f"{PROGRAM} has ended"
            self.rest += more
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def call(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self.number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def evaluate(self, session, expression):
        result = self.call("Runtime.evaluate", session, expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def close(self):
        self.child.kill()
        self.child.wait()
        os.close(self.into)
        os.close(self.out)


def look(path, expression, folder):
    """Opens the file and evaluates the JavaScript expression in it; `folder` is for the browser's own files."""
    pipe = _Pipe(folder)
    try:
        target = pipe.call("Target.createTarget", url="about:blank")["targetId"]
        session = pipe.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            pipe.call(f"{domain}.enable", session)
        pipe.call("Page.navigate", session, url=f"file://{path}")
        wait_for(lambda: pipe.evaluate(session, LOADED), SECONDS, "the page")
        page = Page(value=pipe.evaluate(session, expression))
    finally:
        pipe.close()
    for event in pipe.events:
        if event["method"] == "Network.requestWillBeSent":
            page.requests.append(event["params"]["request"]["url"])
        elif event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            page.complaints.append(event["params"])
    return page
