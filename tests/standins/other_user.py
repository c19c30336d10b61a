"""A process of another user, made by forking this one: what it may do, the kernel decides. Needs root."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user: run these tests as root")


def as_user(uid: int, groups: tuple[int, ...], work: Callable[[], bytes]) -> bytes:
    """What `work` returns in a child of this user with these groups, of which the first is its own; an OSError comes
    back as its words. Blocks.
    """
    there, back = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"it did not come to an end"
        try:
            os.setgroups(groups[1:])
            os.setgid(groups[0])
            os.setuid(uid)
            said = work()
        except OSError as problem:
            said = str(problem).encode()
        finally:
            os.write(back, said)
            os._exit(0)  # nothing of the test's is this process's
    os.close(back)
    with os.fdopen(there, "rb") as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


def talk(path: Path, said: bytes) -> bytes:
    """Say something on a socket and no more, and return all that is answered until the other side hangs up."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(15)
        connection.connect(str(path))
        connection.sendall(said)
        if said:
            connection.shutdown(socket.SHUT_WR)
        heard = b""
        while piece := connection.recv(4096):
            heard += piece
        return heard
