"""Becomes a server process that ends with its parent; run by `postgresql_server`, never imported.

Usage: launch.py UID GID BOUND PROGRAM ARGUMENT...

It is a program of its own, and not a `preexec_fn`, because code between fork and exec can deadlock in a
process with threads, which test processes are.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Ask Linux to send SIGINT, PostgreSQL's fast shutdown, when the parent dies, however it dies."""
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != parent:
        sys.exit("the parent ended while the server was starting")


def main() -> None:
    uid, gid, bound, program, *arguments = sys.argv[1:]
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    # After the change of user: the kernel forgets the request when credentials change.
    if bound == "bound":
        end_with_parent()
    os.execv(program, [program, *arguments])  # noqa: S606


if __name__ == "__main__":
    main()
