# SPDX-License-Identifier: Apache-2.0
"""What servers make of a Corefile, in the end: they serve, they refuse it, or nothing happens."""

import os
import re
import subprocess
import time

START_SECONDS = 20


def coredns_outcome(program, directory, seconds=START_SECONDS, env=None):
    """What CoreDNS makes of `directory`/Corefile: "ok" when it serves, "hangs" when nothing happens, or its error."""
    output = os.path.join(directory, ".output")
    with open(output, "wb") as file, subprocess.Popen(
        [program, "-conf", "Corefile", "-dns.port", "0"],
        cwd=directory,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=file,
        stderr=subprocess.STDOUT,
    ) as process:
        deadline = time.monotonic() + seconds
        try:
            while True:
                ended = process.poll() is not None
                with open(output, encoding="utf-8", errors="replace", newline="") as text:
                    said = text.read()
                if "\nCoreDNS-1." in "\n" + said:
                    return "ok"
                if ended:
                    return re.sub(r"(^|\n)(\[WARNING\]|maxprocs:)[^\n]*(?=\n)", "", said).strip("\n")
                if time.monotonic() > deadline:
                    return "hangs"
                time.sleep(0.01)
        finally:
            process.kill()


def checked(program, directory):
    """What `clusterdns check` says of `directory`/Corefile: "ok" or its error, without the place behind it.

    CoreDNS names no place in some of its errors; ours is no difference.
    """
    done = subprocess.run(
        [program, "check", "Corefile"],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=START_SECONDS,
        check=False,
    )
    if done.returncode == 0:
        return "ok"
    return without_place("\n".join(line for line in done.stderr.splitlines() if not line.startswith("[WARNING]")))


def without_place(error):
    return re.sub(r" \([^()]*:\d+\)$", "", error).strip("\n")
