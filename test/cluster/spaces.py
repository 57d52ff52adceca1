# SPDX-License-Identifier: Apache-2.0
"""Namespaces of the kernel's: our server with files or a network of its own. Whatever is made in them ends with them."""

import contextlib
import ctypes
import os
import subprocess
import sys

import servers
from processes import Process, wait_for

CLONE_NEWNET = 0x40000000
OWN_MOUNTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "own_mounts.py")
_libc = ctypes.CDLL(None, use_errno=True)


def in_mounts(folder, mounts, program=None):
    """A program that is our server (or `program`) in a mount namespace of its own, with {target: source} mounted; its path.

    What is made below /etc is made there alone.
    """
    lines = ["mount -t tmpfs tmpfs /run"]  # so that there is room for a service account's folder
    lines.append("mkdir /run/upper /run/work")
    lines.append("mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work /etc")
    for target, source in mounts.items():
        lines.append(f"[ -e {target} ] || mkdir -p {target}")
        lines.append(f"mount --bind {source} {target}")
    inside, outside = folder / "inside", folder / "outside"
    inside.write_text("\n".join(["#!/bin/sh -e", *lines, f'exec {program or servers.clusterdns_binary()} "$@"', ""]))
    outside.write_text(f'#!/bin/sh\nexec {sys.executable} {OWN_MOUNTS} {inside} "$@"\n')
    inside.chmod(0o755)
    outside.chmod(0o755)
    return outside


class Network:
    """A network namespace that lasts as long as a process in it."""

    def __init__(self, folder, name):
        self.holder = Process(name, ["unshare", "--net", "sleep", "infinity"], folder / f"{name}.log")

    def __enter__(self):
        self.holder.start()
        own = os.stat("/proc/self/ns/net").st_ino
        wait_for(lambda: os.stat(self.path).st_ino != own, 5, "a network namespace")
        self.ip("link", "set", "lo", "up")
        return self

    def __exit__(self, *unused):
        self.holder.kill()

    @property
    def path(self):
        return f"/proc/{self.holder.pid}/ns/net"

    def ip(self, *arguments):
        enter = ["nsenter", "--net", "--target", self.holder.pid, "ip", *arguments]
        subprocess.run([str(argument) for argument in enter], check=True, capture_output=True)

    def join(self, other, own_address, others_address):
        """A cable between two networks; its ends are called "cable"."""
        self.ip("link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", other.holder.pid)
        for network, address in ((self, own_address), (other, others_address)):
            network.ip("address", "add", address, "dev", "cable")
            network.ip("link", "set", "cable", "up")

    @contextlib.contextmanager
    def entered(self):
        """Sockets that this thread makes, and processes that it starts, are in this network."""
        with open("/proc/thread-self/ns/net", "rb") as own, open(self.path, "rb") as network:
            _enter(network)
            try:
                yield
            finally:
                _enter(own)


class Remote:
    """A server in a network: questions are asked there, and whoever asks stays where he is."""

    def __init__(self, network, start, *arguments, **options):
        self.network = network
        with network.entered():
            self.server = start(*arguments, **options)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.server.stop()

    def ask(self, line, seconds=5):
        with self.network.entered():
            return self.server.ask(line, seconds)

    def log(self):
        return self.server.log()


def _enter(network):
    if _libc.setns(network.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
