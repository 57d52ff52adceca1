# SPDX-License-Identifier: Apache-2.0
"""The Corefiles of *.yaml beside this file and what they lead to.

Fields of a case:

    name        what it shows
    corefile    the text; it is written to `Corefile` in an empty directory, and read from there
    files       {path: text} of further files
    env         {name: value} of the environment
    tree        what is read, as test/unit/corefile/dump.h shows it
    error       or the text of the error
    warn        warnings, besides
    coredns     where CoreDNS 1.15.0 does not say the same: "ok", "hangs", or the text of its error; or "not asked"
    why         the reason of that
    parse_only  true: valid for the parser, but not a configuration that every server can start with

@DIR@ in a text stands for the absolute path of the directory. CoreDNS names no place in some of its errors; a place in
parentheses at the end of ours is no difference.
"""

import glob
import os

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))


class Case:
    """One case, laid out in a directory."""

    def __init__(self, topic, fields):
        self.name = f"{topic}: {fields['name']}"
        self.fields = fields

    def write(self, directory):
        """Writes the files of the case to `directory`, an absolute path."""
        for path, text in {**self.fields.get("files", {}), "Corefile": self.fields["corefile"]}.items():
            full = os.path.join(directory, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8", newline="") as file:
                file.write(text.replace("@DIR@", directory))

    def text(self, field, directory):
        """The text of a field, or None."""
        value = self.fields.get(field)
        return value and value.replace("@DIR@", directory)

    def environment(self):
        return {**os.environ, **self.fields.get("env", {})}


def cases():
    """All cases."""
    found = []
    for path in sorted(glob.glob(os.path.join(HERE, "*.yaml"))):
        topic = os.path.splitext(os.path.basename(path))[0]
        with open(path, encoding="utf-8") as file:
            found += [Case(topic, fields) for fields in yaml.safe_load(file)]
    return found
