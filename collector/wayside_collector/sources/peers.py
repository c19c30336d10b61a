"""Who is at the other end of the socket, as the kernel knows it, and who is let in.

The socket is made with no rights for others before it has its name, and gets its group and mode afterwards: at no
instant can be connected to it by whom its mode would not let. The kernel's own check of that mode is repeated at each
connection, since a folder or socket may be given other rights while it is listened on.
"""

import grp
import os
import pwd
import socket
import stat
import struct
from pathlib import Path
from typing import NamedTuple

from ..configuration.access import ClientsSection, Named
from ..media_events import Sender

_SO_PEERGROUPS = 59  # Linux 4.13; Python has no name for it
_MOST = 1024  # bytes, as Python limits it: 256 groups
_CREDENTIALS = struct.Struct("iII")
_NOBODY = 0xFFFFFFFF


class Peer(NamedTuple):
    """pid: as this PID namespace knows it; 0 from another one. groups: the supplementary ones, too."""

    pid: int
    uid: int
    groups: frozenset[int]


def peer_of(connection: socket.socket) -> Peer:
    """Who connected, at the moment of connecting; nobody, where the kernel does not say."""
    try:
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return Peer(0, _NOBODY, frozenset())
    pid, uid, gid = _CREDENTIALS.unpack(data)
    try:
        more = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST)
    except OSError:  # an older kernel, or more groups than fit
        more = b""
    return Peer(pid, uid, frozenset([gid, *struct.unpack(f"{len(more) // 4}I", more)]))


def sender_of(peer: Peer) -> Sender:
    """Whether a client could read by itself what we can: it is of our user, and sees the same file systems."""
    if peer.uid != os.geteuid():
        return Sender(peer.uid)
    try:
        return Sender(peer.uid, os.readlink(f"/proc/{peer.pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt"))
    except OSError:  # gone, or not ours to look at
        return Sender(peer.uid)


class Door:
    """Who may connect. path: the socket's. Raises OSError where a user or group has a name that nobody knows."""

    def __init__(self, path: Path, clients: ClientsSection) -> None:
        self._path = path
        self._mode = int(clients.mode, 8)
        self._group = None if clients.group is None else _gid(clients.group, "clients.group")
        self._users = frozenset(_uid(one) for one in clients.users)
        self._groups = frozenset(_gid(one, "clients.groups") for one in clients.groups)

    def bind(self) -> socket.socket:
        """A socket at the path, with its mode and group; an old one there is replaced. Raises OSError."""
        if self._path.is_dir():
            wanted = f"set `socket` (WAYSIDE_SOCKET) to the path of a socket in it: {self._path}/wayside.sock"
            raise IsADirectoryError(f"{self._path} is a folder; {wanted}")
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if stat.S_ISSOCK(self._path.lstat().st_mode):
                self._path.unlink()
        except FileNotFoundError:
            pass
        try:
            os.fchmod(made.fileno(), 0o600)  # the name gets the mode that the socket has when it is bound
            made.bind(str(self._path))
            if self._group is not None:
                self._give_group()
            os.chmod(self._path, self._mode)
        except BaseException:
            made.close()
            raise
        made.setblocking(False)
        return made

    def _give_group(self) -> None:
        assert self._group is not None
        try:
            os.chown(self._path, -1, self._group, follow_symlinks=False)
        except OSError as problem:
            raise OSError(
                f"clients.group: {self._path} cannot be given to group {self._group} ({problem.strerror}): the "
                "collector must be in that group"
            ) from problem

    def refuses(self, peer: Peer) -> str | None:
        """Why this peer is not let in, in words for its log; None when it is."""
        if peer.uid in (0, os.geteuid()) or peer.uid in self._users or not self._groups.isdisjoint(peer.groups):
            return None
        if not self._users and not self._groups and self._mode_lets_in(peer):
            return None
        return (
            f"user {peer.uid} may not use {self._path}: let it in with the collector's options clients.users or "
            "clients.groups, or run both as one user"
        )

    def _mode_lets_in(self, peer: Peer) -> bool:
        if self._mode & stat.S_IWOTH:
            return True
        try:
            found = self._path.lstat()
        except OSError:
            return False
        return bool(self._mode & stat.S_IWGRP) and found.st_gid in peer.groups


def _uid(named: Named) -> int:
    if isinstance(named, int) or named.isdigit():
        return int(named)
    try:
        return pwd.getpwnam(named).pw_uid
    except KeyError:
        raise OSError(f"clients.users: there is no user {named!r:.80} here: give its number") from None


def _gid(named: Named, option: str) -> int:
    if isinstance(named, int) or named.isdigit():
        return int(named)
    try:
        return grp.getgrnam(named).gr_gid
    except KeyError:
        raise OSError(f"{option}: there is no group {named!r:.80} here: give its number") from None
