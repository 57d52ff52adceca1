# SPDX-License-Identifier: Apache-2.0
"""The scripted upstreams of a case (`upstreams`) and the steps that change them and look at what they were asked."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))

from exposition import compared  # noqa: E402
from processes import free_port  # noqa: E402
from upstream import Upstream  # noqa: E402

STEPS = {"upstream": set(), "asked": set()}
LISTED = 40  # of the questions that an upstream received, shown with a failure
COMMANDS = {"stop": Upstream.stop, "start": Upstream.start, "hang up": Upstream.hang_up, "forget": Upstream.forget}


def values_for(upstreams):
    """The @NAMES@ that a case's upstreams have."""
    values = {}
    for name, settings in (upstreams or {}).items():
        values[f"UPSTREAM_{name}"] = str((settings or {}).get("port") or free_port())
        if "tls" in (settings or {}):
            values[f"TLS_{name}"] = str(settings.get("tls_port") or free_port())
    return values


class Upstreams:
    """All of a case: start them, close them, play their steps."""

    def __init__(self, upstreams, values):
        self.running = {}
        for name, settings in (upstreams or {}).items():
            settings = dict(settings or {})
            settings["port"] = int(values[f"UPSTREAM_{name}"])
            if "tls" in settings:
                settings["tls_port"] = int(values[f"TLS_{name}"])
                if isinstance(settings["tls"], str):
                    settings["tls"] = {"name": settings["tls"]}
            self.running[name] = Upstream(**settings)
            if "tls" in settings:
                values[f"CA_{name}"] = self.running[name].certificate

    def close(self):
        for upstream in self.running.values():
            upstream.close()

    def change(self, changes):
        """{name: a command, or what is otherwise from here on}."""
        for name, change in changes.items():
            upstream = self.running[name]
            if isinstance(change, dict):
                upstream.change(**change)
            else:
                COMMANDS[change](upstream)

    def complaint(self, expected):
        """{name: number, or {selector: number}}: what is otherwise, or None."""
        found = []
        for name, numbers in expected.items():
            upstream = self.running[name]
            for selector, number in (numbers if isinstance(numbers, dict) else {"any": numbers}).items():
                have = upstream.number(selector)
                if not compared(have, number):
                    listing = upstream.listing()[-LISTED:]
                    found.append("\n  ".join([f"{name}: expected {selector}: {number}, got {have} of", *listing]))
        return "\n".join(found) or None


def word_fits(wanted, word):
    """`*` stands for any word, LOW..HIGH for a number between."""
    between = re.fullmatch(r"(\d+)\.\.(\d+)", wanted)
    if between and word.isdigit():
        return int(between[1]) <= int(word) <= int(between[2])
    return wanted in ("*", word)
