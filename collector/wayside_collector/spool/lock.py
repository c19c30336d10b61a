"""One process at a time: a POSIX lock on a file whose text says who has it. It ends with the process, however that
ends, and is not inherited by a forked one.
"""

import contextlib
import errno
import fcntl
import os
import struct
import sys
from pathlib import Path

_FLOCK = struct.Struct("@hhqqi4x")  # struct flock of 64-bit Linux


class Held(Exception):
    """Another process has it; the message says which."""


def take_lock(path: Path) -> int:
    """The lock, held as long as this descriptor is open. Raises Held, or OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        holder = os.pread(fd, 200, 0).decode(errors="replace").strip() or "another process"
        os.close(fd)
        if problem.errno in (errno.EACCES, errno.EAGAIN):
            raise Held(holder) from None
        raise
    with contextlib.suppress(OSError):  # on a full disk nobody reads who holds it; it is held all the same
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{_ourselves()}, pid {os.getpid()} on {os.uname().nodename}\n".encode(), 0)
    return fd


def holder_of(path: Path) -> str | None:
    """Who has the lock, in words; None when nobody has, or we may not ask."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return (os.pread(fd, 200, 0).decode(errors="replace").strip() or "another process") if is_held(fd) else None
    except OSError:
        return None
    finally:
        os.close(fd)


def is_held(fd: int) -> bool:
    """Whether another process has the lock on this file. Raises OSError."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    return bool(_FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK)


def _ourselves() -> str:
    """The command, without its options, which may hold secrets: `wayside-collector run`."""
    command = next((word for word in sys.argv[1:2] if word.replace("-", "").isalpha() and word[:1] != "-"), "")
    return f"wayside-collector {command}".strip()
