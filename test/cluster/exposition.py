# SPDX-License-Identifier: Apache-2.0
"""Reads what /metrics shows, selects series, and has promtool judge it."""

import re
import subprocess
import urllib.request
from dataclasses import dataclass

from processes import packaged

LINE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)')
SELECTOR = re.compile(r"(\w+)(?:\{(.*)\})?")
COMPARED = {">": float.__gt__, ">=": float.__ge__, "<": float.__lt__, "<=": float.__le__}
SCRAPE_SECONDS = 10


def compared(value, expected):
    """Is it this number, or for a text as `> 5` more than that?"""
    if isinstance(expected, str):
        word, number = expected.split()
        return COMPARED[word](float(value), float(number))
    return value == expected


def _labels(text):
    labels = dict(LABEL.findall(text or ""))
    assert LABEL.sub("", text or "") == "", f"these are no labels: {text}"
    return labels


@dataclass(frozen=True)
class Exposition:
    """`types` and `helps` by family; `samples`: (name, labels, value) in the order shown."""

    text: str
    types: dict
    helps: dict
    samples: list

    def family_of(self, name):
        """The family of a sample: of a histogram's, without its suffix."""
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        return base if self.types.get(base) in ("histogram", "summary") else name

    def value(self, selector):
        """The sum of all series that have these labels (and others); None if there are none."""
        name, labels = SELECTOR.fullmatch(selector).groups()
        wanted = _labels(labels).items()
        found = [value for have, labels, value in self.samples if have == name and wanted <= labels.items()]
        return sum(found) if found else None

    def difference(self, selector, expected):
        """None, or what is otherwise than `expected`: a number, `absent`, or `> 5` and its like."""
        value = self.value(selector)
        if expected == "absent" or value is None:
            right = expected == "absent" and value is None
        else:
            right = compared(value, expected)
        return None if right else f"{selector}: expected {expected}, got {'absent' if value is None else f'{value:g}'}"


def parse(text):
    types, helps, samples = {}, {}, []
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert name not in types, f"{name} comes twice"
            types[name] = kind
        elif line.startswith("# HELP "):
            _, _, name, helps_text = line.split(" ", 3)
            helps[name] = helps_text
        elif line:
            name, labels, value = LINE.fullmatch(line).groups()
            samples.append((name, _labels(labels), float(value)))
    return Exposition(text, types, helps, samples)


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SCRAPE_SECONDS) as answer:
        return parse(answer.read().decode())


def check(text):
    """What `promtool check metrics` has against the text; "" if nothing."""
    done = subprocess.run(
        [packaged("prometheus", "promtool"), "check", "metrics"], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.stdout if done.returncode else ""
