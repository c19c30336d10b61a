"""What a trainer dropped is booked, also when it is killed after all its segments were let go."""

import asyncio
import struct
from pathlib import Path
from typing import Any

import pytest
from wayside import wire
from wayside.segments import DROPPED, JOURNALS
from wayside_collector.intake import Intake
from wayside_collector.registry import Registry
from wayside_collector.sources.journal import JournalSource
from wayside_collector.spool import Spool, SpoolOptions

ID = "7" * 32
RECORD: dict[str, Any] = {"session": ID, "run": {"id": "r1"}, "started": 1_767_225_600.0}


def leave_account(root: Path, rows: int, points: int) -> Path:
    """A journal's folder as a killed trainer leaves it: a free lock, its account of drops, and no segment."""
    folder = root / JOURNALS / ID
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    (folder / DROPPED).write_bytes(struct.pack("<QQ", rows, points).ljust(4096, b"\0"))
    return folder


@pytest.mark.asyncio
async def test_drops_are_booked_although_no_segment_is_left(tmp_path: Path) -> None:
    """The session's rows came over the socket and were let go; then it dropped some, and was killed: the account in
    its folder is booked, the session ends, and the folder goes.
    """
    spool = Spool(SpoolOptions(tmp_path / "spool"))
    await asyncio.to_thread(spool.open)
    try:
        intake = Intake(spool, Registry())
        inlet = await intake.begin(RECORD)
        source = JournalSource(intake, [tmp_path], lambda record: True, tmp_path / "damaged")
        folder = leave_account(tmp_path, 12, 36)
        source.is_connected = lambda asked: True
        await source.look_for_orphans()
        await source.look()
        assert folder.exists(), "booked while the peer may still send what it did not drop"
        source.is_connected = lambda asked: False
        await source.look_for_orphans()
        await source.look()
        assert spool.lost_by_client(inlet.key) == (12, 36)
        assert intake.counters.lost_rows == 12
        assert not folder.exists()
        assert inlet.known.ended is not None
        batch = spool.batches(0, 10)[-1]
        assert batch.events is not None
        (event,) = [span for span in wire.scan(spool.read(batch.events)).spans if span.type == wire.EVENT]
        assert wire.read_event(spool.read(batch.events), event, 0).kind == "finish"
        assert batch.first_seq == 12
    finally:
        await asyncio.to_thread(spool.close)
