# SPDX-License-Identifier: Apache-2.0
"""Child processes, free ports and waiting with a deadline: what every part of the cluster tests needs."""

import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
SIDE_BY_SIDE = 8  # the most test processes that never get each other's ports
_libc = ctypes.CDLL(None)


class Timeout(AssertionError):
    """A condition did not come true in time."""


def wait_for(condition, seconds, what, interval=0.02):
    """Returns the first true value of condition(); raises Timeout (naming `what`) after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout(f"waited {seconds} s in vain for {what}")
        time.sleep(interval)


def packaged(package, program):
    """The path of a program that tools/deps unpacked out of a Debian package, or of one that is installed."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = shutil.which(program, path=f"{cache}/clusterdns/{package}:{os.environ['PATH']}:/usr/sbin")
    if path is None:
        raise AssertionError(f"{program} is missing: run `tools/deps test cluster` first")
    return path


_given_ports = set()


def free_port():
    """A port that is free now for TCP and UDP on all addresses; none is given twice by one test process.

    Taken from below the kernel's range for outgoing connections: those cannot grab it before the server binds. Test
    processes that run side by side (gw0, gw1, …) have a share of that range each.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    assert worker < SIDE_BY_SIDE
    for _ in range(200):
        port = 20000 + SIDE_BY_SIDE * random.randrange(12000 // SIDE_BY_SIDE) + worker
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM
        ) as udp:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tcp.bind(("", port))
                udp.bind(("", port))
            except OSError:
                continue
            if port not in _given_ports:
                _given_ports.add(port)
                return port
    raise OSError("no free port")


def kernel_drops():
    """Packets that this machine has thrown away so far because a CPU's queue of what came in was full."""
    with open("/proc/net/softnet_stat", encoding="ascii") as cpus:
        return sum(int(line.split()[1], 16) for line in cpus)


class Process:
    """A program that runs until it is stopped; its output goes to `log_path` (appended).

    It is killed when the thread that started it ends, so that no test run leaves anything behind: start it from the
    main thread. `group` is a MemoryGroup that it is to run in.
    """

    def __init__(self, name, argv, log_path, env=None, cwd=None, group=None):
        self.name, self.argv, self.log_path, self.env, self.cwd = name, [str(a) for a in argv], log_path, env, cwd
        self.group = group
        self.child = None

    def _prepare(self):
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if self.group:
            with open(self.group.procs, "w", encoding="ascii") as procs:
                procs.write("0")

    def start(self):
        assert self.child is None, f"{self.name} runs already"
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.env,
                cwd=self.cwd,
                preexec_fn=self._prepare,
            )
        return self

    @property
    def pid(self):
        return self.child.pid

    def cpu_seconds(self):
        """CPU time of the program so far, of threads that have ended too."""
        return time.clock_gettime(~self.pid << 3 | 2)  # the kernel's number of another process's CPU clock

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def check_alive(self):
        """Raises, with the end of the log, if the program has ended by itself."""
        if not self.alive():
            raise AssertionError(f"{self.name} ended with {self.child and self.child.returncode}:\n{self.log_tail()}")

    def stop(self, seconds=10):
        """SIGTERM, and SIGKILL after `seconds`; returns the exit status."""
        if self.child is None:
            return None
        self.child.terminate()
        try:
            status = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            status = self._kill()
        self.child = None
        return status

    def pause(self):
        """SIGSTOP: it holds its sockets and says nothing, until `resume`."""
        self.child.send_signal(signal.SIGSTOP)

    def resume(self):
        self.child.send_signal(signal.SIGCONT)

    def kill(self):
        """SIGKILL, and waits until the process is gone."""
        if self.child is not None:
            self._kill()
            self.child = None

    def _kill(self):
        self.child.kill()
        return self.child.wait(10)

    def log(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, "rb") as log:
            return log.read().decode("utf-8", "replace")

    def log_tail(self, size=4000):
        return self.log()[-size:]
