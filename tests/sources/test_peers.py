"""Who may connect to the socket: by its mode and group, by user and group of the peer, told and counted."""

import asyncio
import json
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sources.place import RECORD, Place, opened_place
from standins.other_user import as_user, needs_root, talk
from wayside import wire
from wayside_collector.configuration.access import ClientsSection
from wayside_collector.intake.refusals import Refusals
from wayside_collector.sources.peers import Door, Peer, peer_of
from wayside_collector.sources.socket import SocketSource

STRANGER, ITS_GROUP, SHARED = 61234, 61235, 61236  # numbers that nobody has
HELLO = wire.json_frame(wire.HELLO, RECORD)
LINE = b'{"metrics": {"loss": 0.5}}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "w.sock"


def bound(path: Path, **options: Any) -> Door:
    door = Door(path, ClientsSection(**options))
    door.bind().close()
    return door


def peer(uid: int = STRANGER, *groups: int) -> Peer:
    return Peer(1, uid, frozenset(groups or (ITS_GROUP,)))


@pytest.mark.parametrize("mode", ["0600", "0660", "0666"])
def test_the_socket_has_its_mode_whatever_the_umask(path: Path, mode: str) -> None:
    """The umask would take rights away or leave others in; the option decides."""
    for umask in (0, 0o077):
        before = os.umask(umask)
        try:
            bound(path, mode=mode)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.lstat().st_mode) == int(mode, 8)


def test_nobody_else_can_connect_before_it_has_its_group(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its name and its group it is the collector's alone, even with an umask that takes nothing away."""

    def fail(*args: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", fail)
    before = os.umask(0)
    try:
        with pytest.raises(OSError, match=r"clients\.group: .* must be in that group"):
            bound(path, mode="0666", group=SHARED)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600


def test_a_folder_in_its_place_is_named(path: Path) -> None:
    """With the option, and the path that is wanted; the folder stays."""
    path.mkdir()
    with pytest.raises(OSError, match=rf"{path} is a folder; .*WAYSIDE_SOCKET.* {path}/wayside\.sock"):
        bound(path)
    assert path.is_dir()


def test_an_old_socket_is_replaced_and_nothing_else(path: Path) -> None:
    """A socket that a killed collector left makes way; a file of somebody's does not."""
    bound(path)
    bound(path)
    path.unlink()
    path.write_text("mine")
    with pytest.raises(OSError, match="in use"):
        bound(path)
    assert path.read_text() == "mine"


@needs_root
def test_the_socket_is_given_its_group(path: Path) -> None:
    """By number, or by a name of this machine."""
    bound(path, group=SHARED)
    assert path.lstat().st_gid == SHARED
    bound(path, group="root")
    assert path.lstat().st_gid == 0


@pytest.mark.parametrize("option", ["group", "users", "groups"])
def test_a_name_that_nobody_has_is_told(path: Path, option: str) -> None:
    """It would let in nobody, or the wrong ones: the collector does not start, and says which option."""
    named: Any = "no-such-name" if option == "group" else ("no-such-name",)
    with pytest.raises(OSError, match=rf"clients\.{option}: there is no .* give its number"):
        Door(path, ClientsSection(**{option: named}))


def test_by_default_the_mode_decides(path: Path) -> None:
    """Root, the collector's own user and the socket's group are let in, nobody else; with a mode for all, all are."""
    door = bound(path)
    group = path.lstat().st_gid
    assert door.refuses(peer(0)) is None
    assert door.refuses(peer(os.geteuid())) is None
    assert door.refuses(peer(STRANGER, ITS_GROUP, group)) is None
    refusal = door.refuses(peer())
    assert refusal is not None
    assert f"user {STRANGER}" in refusal
    assert "clients.users" in refusal
    assert bound(path, mode="0600").refuses(peer(STRANGER, group)) is not None
    assert bound(path, mode="0666").refuses(peer()) is None


def test_with_a_list_only_the_listed_are_let_in(path: Path) -> None:
    """With users or groups the mode alone lets nobody in; a number may be written as text."""
    door = bound(path, mode="0666", users=(STRANGER,), groups=(str(SHARED),))
    assert door.refuses(peer(STRANGER)) is None
    assert door.refuses(peer(STRANGER + 7, ITS_GROUP, SHARED)) is None
    assert door.refuses(peer(STRANGER + 7)) is not None
    assert door.refuses(peer(STRANGER + 7, path.lstat().st_gid)) is not None
    assert door.refuses(peer(os.geteuid())) is None


def test_the_kernel_says_who_connects() -> None:
    """The peer of a pair is this process: its pid, its user, all its groups."""
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        found = peer_of(one)
    assert (found.pid, found.uid) == (os.getpid(), os.geteuid())
    assert found.groups == {os.getegid(), *os.getgroups()}


@asynccontextmanager
async def listening(**options: Any) -> AsyncIterator[Place]:
    """A collector's sources, whose socket's folder everybody may enter."""
    async with opened_place() as place:
        place.folder.chmod(0o755)
        place.socket = SocketSource(
            place.socket.path, place.intake, place.journals, "http://here/", ClientsSection(**options), Refusals()
        )
        async with place.listening():
            yield place


async def ask(place: Place, uid: int, groups: tuple[int, ...], said: bytes) -> bytes:
    return await asyncio.to_thread(as_user, uid, groups, lambda: talk(place.socket.path, said))


@needs_root
@pytest.mark.asyncio
async def test_a_stranger_is_told_why_in_its_own_dialect(caplog: pytest.LogCaptureFixture) -> None:
    """Refused by an error frame or an error line, counted each time, told in the log once; nothing of it is stored."""
    async with listening(mode="0666", users=(STRANGER + 7,)) as place:
        with caplog.at_level(logging.WARNING):
            frame = await ask(place, STRANGER, (ITS_GROUP,), HELLO)
            line = await ask(place, STRANGER, (ITS_GROUP,), LINE)
        (span,) = wire.scan(frame).spans
        assert span.type == wire.ERROR
        told = [wire.read_json(frame, span)["error"], json.loads(line)["error"]]
        assert all(f"user {STRANGER} may not use" in one and "clients.users" in one for one in told)
        assert place.socket.refusals.counts() == {("socket", "peer"): 2}
        assert len([record for record in caplog.records if "was refused" in record.message]) == 1
        assert not list(place.registry.all())
        assert await ask(place, STRANGER + 7, (ITS_GROUP,), LINE) == b""
        assert len(list(place.registry.all())) == 1


@needs_root
@pytest.mark.asyncio
async def test_another_user_of_the_pod_comes_in_by_the_group() -> None:
    """As with fsGroup: the folder's group is the socket's, and a supplementary one of every container."""
    async with opened_place() as place:
        os.chown(place.folder, -1, SHARED)
        place.folder.chmod(0o2770)
        async with place.listening():
            assert place.socket.path.lstat().st_gid == SHARED
            assert await ask(place, STRANGER, (ITS_GROUP, SHARED), LINE) == b""
            assert len(list(place.registry.all())) == 1
            assert b"Permission denied" in await ask(place, STRANGER, (ITS_GROUP,), LINE)
            # Somebody opens folder and socket to all, while we listen: the mode that was asked for still decides.
            place.folder.chmod(0o755)
            place.socket.path.chmod(0o666)
            assert b"may not use" in await ask(place, STRANGER, (ITS_GROUP,), LINE)


@needs_root
@pytest.mark.asyncio
async def test_a_stranger_that_says_nothing_is_not_waited_for() -> None:
    """Its connection is told and closed in a moment, not after the time that others have for a hello."""
    async with listening(mode="0666", users=(STRANGER + 7,)) as place:
        frame = await ask(place, STRANGER, (ITS_GROUP,), b"")
        assert wire.scan(frame).spans[0].type == wire.ERROR
