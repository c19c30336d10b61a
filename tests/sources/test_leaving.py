"""Sessions without a connection, and what is said while the spool takes nothing."""

import asyncio
import logging
from pathlib import Path

import pytest
from sources.place import FailingSpool, frames, opened_place, until
from wayside_collector.delivery import retention
from wayside_collector.delivery.retention import keep_limits
from wayside_collector.sources import leaving
from wayside_collector.sources import socket as sockets
from wayside_collector.sources.note import Note
from wayside_collector.spool import SpoolError


def ends() -> list["asyncio.Task[None]"]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "session-end"]


@pytest.mark.asyncio
async def test_who_comes_again_has_his_time_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time a connection breaks the session may be away as long as ever: what was waited before does not count."""
    monkeypatch.setattr(leaving, "GONE_AFTER", 3600.0)
    async with opened_place() as place, place.listening():
        for _ in range(3):
            peer = await place.connect()
            await peer.hello()
            assert place.registry.alive()
            before = ends()
            await peer.close()
            await until(lambda: place.socket.connections == 0, "gone")
            assert len(before) <= 1
            await until(lambda before=before: len(ends()) == 1 and ends() != before, "a wait of its own")


@pytest.mark.asyncio
async def test_a_disk_without_room_is_told_when_it_begins_and_when_it_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However many sessions come however often: a line each would fill what little room there is."""
    monkeypatch.setattr(sockets, "RETRY", 0.01)
    monkeypatch.setattr(leaving, "GONE_AFTER", 0.01)
    caplog.set_level(logging.INFO)
    async with opened_place() as place, place.listening():
        spool = FailingSpool(place)
        spool.fails = True
        for number in range(5):
            peer = await place.connect()
            await peer.hello(session=f"{number:032x}")
            await peer.send(frames(1))
            await until(lambda: place.socket.connections == 0, "put off")
        asked = spool.asked
        await until(lambda: spool.asked > asked + 20, "ends tried again")
        spool.fails = False
        await until(lambda: not place.registry.alive(), "all ended")
        # Told by the task that ended the last one, a moment after it has.
        await until(lambda: "the spool takes rows again" in [one.getMessage() for one in caplog.records], "it is told")
    said = [record.getMessage() for record in caplog.records if "no room" in record.getMessage()]
    assert said == ["no room; sessions wait"]
    assert [record.getMessage() for record in caplog.records].count("the spool takes rows again") == 1


def test_a_note_that_finds_no_room_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is tried each second, and written when it can be."""
    note = Note(tmp_path / "away" / "collector.json")
    for _ in range(5):
        note.leave("http://here/")
    assert len(caplog.records) == 1
    (tmp_path / "away").mkdir()
    note.leave("http://here/")
    (tmp_path / "away" / "collector.json").unlink()
    (tmp_path / "away").rmdir()
    note.leave("http://here/")
    assert len(caplog.records) == 2


class UnreadableSpool:
    """Cannot tell which file must go. asked: how often it was."""

    asked = 0

    def media_over_limit(self) -> None:
        """No medium must go."""

    def over_limit(self) -> None:
        self.asked += 1
        raise SpoolError("unreadable")


@pytest.mark.asyncio
async def test_limits_that_cannot_be_kept_are_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are looked at each second, and an ERROR each second helps nobody."""
    monkeypatch.setattr(retention, "INTERVAL", 0.001)
    spool = UnreadableSpool()
    keeping = asyncio.create_task(keep_limits(spool, list))  # type: ignore[arg-type]
    await until(lambda: spool.asked > 5, "looks")
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert [record.getMessage() for record in caplog.records] == ["the spool's limits cannot be kept: unreadable"]
