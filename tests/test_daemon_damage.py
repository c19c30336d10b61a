"""A start over a spool whose database holds what no collector wrote there."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from spool.making import WITHIN, begin, make_batch, opened, put
from wayside_collector.assembly import Scope
from wayside_collector.configuration.changes import read
from wayside_collector.daemon import Collector

WRONG = {
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "another shape": b"[1, 2]",
    "half of it": b'{"seen": 1}',
    "text for a number": b'{"seen": "1", "runs": {}, "spans": []}',
    "a run of another shape": b'{"seen": 1, "runs": {"r1": 7}, "spans": []}',
}
UNTOUCHED = b'{"seen": 1, "runs": {}, "spans": []}'


async def start(folder: Path) -> tuple[int, int]:
    """Open a collector over the spool: how much it found damaged, and how far the election has seen."""
    environ = {"WAYSIDE_DIR": str(folder), "WAYSIDE_SINKS": "{jsonl: {}}", "WAYSIDE_SOURCES": "{}"}
    collector = Collector(read(None, environ), environ=environ, scope=Scope(listens=False))
    async with collector.opened():
        return collector.parts.spool.damaged, collector.parts.election.seen


def keep(folder: Path, text: bytes) -> int:
    """A spool with one batch and this for the election's state; the batch's id."""
    (folder / "spool").mkdir()
    with opened(folder / "spool") as spool:
        put(spool, make_batch(begin(spool).key, 0))
        spool.keep_state("election", [("state", text)]).result(WITHIN)
        return spool.last_batch()


@pytest.mark.asyncio
@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
async def test_an_election_that_nobody_wrote_is_held_again(tmp_path: Path, text: bytes) -> None:
    """The collector starts, counts it, and decides anew about every stored batch."""
    batch = keep(tmp_path, text)
    assert await start(tmp_path) == (1, batch)


@pytest.mark.asyncio
async def test_a_flipped_bit_in_the_election_is_found_by_its_sum(tmp_path: Path) -> None:
    """Also where the text still has its shape: here it would have seen what never was stored."""
    batch = keep(tmp_path, UNTOUCHED)
    with closing(sqlite3.connect(tmp_path / "spool/spool.db")) as db:
        changed = db.execute("UPDATE state SET value = ? WHERE owner = 'election'", (UNTOUCHED.replace(b"1", b"9"),))
        assert changed.rowcount == 1
        db.commit()
    assert await start(tmp_path) == (1, batch)
    assert (await start(tmp_path))[0] == 0
