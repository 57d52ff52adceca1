# SPDX-License-Identifier: Apache-2.0
"""own_mounts.py PROGRAM [ARGUMENT…]: becomes a program in a mount namespace of its own: what it mounts, nobody else sees.

unshare --mount does that too, but not where / is no mount point, as in a chroot. Here the chroot is left, which root may
do, for as long as it takes to make all mounts private.
"""

import ctypes
import os
import sys

CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
_libc = ctypes.CDLL(None, use_errno=True)


def must(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def make_mounts_private():
    here, root = os.getcwd(), os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    os.chroot("/etc")  # any folder below: who stands outside of the root can go up beyond it
    os.fchdir(root)
    while not os.path.samestat(os.stat("."), os.stat("..")):
        os.chdir("..")
    os.chroot(".")
    must(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
    os.fchdir(root)
    os.chroot(".")
    os.close(root)
    os.chdir(here)


if __name__ == "__main__":
    must(_libc.unshare(CLONE_NEWNS))
    make_mounts_private()
    os.execvp(sys.argv[1], sys.argv[1:])
