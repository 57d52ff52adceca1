# SPDX-License-Identifier: Apache-2.0
"""What a process takes of memory, and a cgroup (version 2 or 1) that gives it no more."""

import contextlib
import os


def usage(pid):
    """Bytes: {"rss", "pss", "anonymous", "peak"}; the peak is the largest RSS since the start, or reset_peak()."""
    sizes = {}
    for file in ("smaps_rollup", "status"):
        with open(f"/proc/{pid}/{file}", encoding="ascii") as lines:
            for line in lines:
                words = line.split()
                if words[-1] == "kB":
                    sizes[words[0]] = int(words[1]) * 1024
    return {"rss": sizes["Rss:"], "pss": sizes["Pss:"], "anonymous": sizes["Anonymous:"], "peak": sizes["VmHWM:"]}


def reset_peak(pid):
    """From here on "peak" is that of what follows. The kernel keeps it exactly: no sampling can miss anything."""
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


class NoGroup(Exception):
    """This machine lets us make no memory cgroup."""


class MemoryGroup:
    """A cgroup with at most `limit` bytes, page cache and kernel memory included; its processes are killed beyond.

    `procs` is the file that a process writes 0 to in order to join. It has to be empty again at the end.
    """

    FILES = {  # version -> limit, present use, peak
        2: ("memory.max", "memory.current", "memory.peak"),
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.max_usage_in_bytes"),
    }

    def __init__(self, limit):
        name = f"clusterdns-{os.getpid()}-{id(self)}"
        for version, parent in _parents():
            self.folder, self.version = os.path.join(parent, name), version
            try:
                os.mkdir(self.folder)
                self._write(self.FILES[version][0], limit)
                self.procs = os.path.join(self.folder, "cgroup.procs")
                return
            except OSError:
                self._remove()
        raise NoGroup("this machine has no writable memory cgroup")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self._remove()

    def peak(self):
        """Bytes, since the group was made."""
        return int(self._read(self.FILES[self.version][2]))

    def kills(self):
        """How many processes have been killed for want of memory."""
        text = self._read("memory.events" if self.version == 2 else "memory.oom_control")
        return int(dict(line.split() for line in text.splitlines())["oom_kill"])

    def _remove(self):
        with contextlib.suppress(OSError):
            os.rmdir(self.folder)

    def _read(self, name):
        with open(os.path.join(self.folder, name), encoding="ascii") as file:
            return file.read()

    def _write(self, name, value):
        with open(os.path.join(self.folder, name), "r+", encoding="ascii") as file:  # it is there, or this is no cgroup
            file.write(str(value))


def _parents():
    """(version, folder) where a group could be made: our own group and those above it, version 2 first."""
    with open("/proc/self/mounts", encoding="ascii") as file:
        mounts = [line.split() for line in file]
    with open("/proc/self/cgroup", encoding="ascii") as file:
        own = [line.rstrip("\n").split(":", 2) for line in file]
    roots = {2: [m[1] for m in mounts if m[2] == "cgroup2"]}
    roots[1] = [m[1] for m in mounts if m[2] == "cgroup" and "memory" in m[3].split(",")]
    paths = {2: [path for _, controllers, path in own if controllers == ""]}
    paths[1] = [path for _, controllers, path in own if "memory" in controllers.split(",")]
    for version in (2, 1):
        for root, path in zip(roots[version], paths[version]):
            parts = path.strip("/").split("/") if path.strip("/") else []
            for depth in range(len(parts), -1, -1):
                yield version, os.path.join(root, *parts[:depth])
