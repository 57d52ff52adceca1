# SPDX-License-Identifier: Apache-2.0
"""As test_faults.py, for a server that reads manifests, while they are rewritten in every way that people do it."""

import json
import os
import shutil
import time

import pytest
import servers
from faulty import fault, wait_newest
from moving import Moving

SOON_SECONDS = 5  # a folder is looked at ten times a second at most, and files that are being written are waited for


class Folder:
    """Objects in files, one each, and our server on them."""

    def __init__(self, path):
        self.path, self.server = path, None
        self.path.mkdir()
        self.moving = Moving(self.replace, self.remove)

    def file(self, obj):
        meta = obj["metadata"]
        return self.path / f"{obj['kind']}-{meta.get('namespace', '')}-{meta['name']}.json"

    def replace(self, obj):
        """As an editor or a git checkout should: whole, in one step."""
        new = self.path / ".new"
        new.write_text(json.dumps(obj))
        os.replace(new, self.file(obj))

    def overwrite(self, obj):
        """In place, in two pieces with a pause between them."""
        text = json.dumps(obj)
        with open(self.file(obj), "w", encoding="utf-8") as file:
            file.write(text[: len(text) // 2])
            file.flush()
            time.sleep(0.2)
            file.write(text[len(text) // 2 :])

    def remove(self, obj):
        self.file(obj).unlink()

    def change(self, put=None):
        self.moving.change(put or self.replace, self.remove)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = Folder(tmp_path_factory.mktemp("manifests") / "all")
    corefile = servers.corefile("pods verified", source=f"manifests {folder.path}")
    with servers.clusterdns(corefile) as folder.server:
        wait_newest(folder.server, folder.moving, SOON_SECONDS)
        yield folder


def faulty(folder, name):
    return fault(folder.server, folder.moving, f"manifests: {name}", within=SOON_SECONDS)


def test_replaced(folder):
    with faulty(folder, "files replaced, one after another"):
        for _ in range(10):
            folder.change()
            time.sleep(0.05)


def test_overwritten(folder):
    with faulty(folder, "files overwritten in place, slowly"):
        folder.change(folder.overwrite)


def test_broken(folder):
    """What is broken leaves everything as it was, until it is whole again."""
    with faulty(folder, "a broken file among good ones") as one:
        (folder.path / "broken.yaml").write_text("apiVersion: v1\nkind: [")
        folder.change()
        time.sleep(1.5)
        (folder.path / "broken.yaml").unlink()
        one.over()


def test_folder_exchanged(folder):
    """The folder itself goes, and comes back with another content."""
    with faulty(folder, "folder moved away, another in its place") as one:
        away = folder.path.with_name("away")
        os.rename(folder.path, away)
        time.sleep(1)
        shutil.copytree(away, folder.path)
        folder.change()
        one.over()
