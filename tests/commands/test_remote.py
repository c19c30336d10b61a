"""What is asked over HTTP is answered in full, as by the store itself."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from wayside_collector.commands.remote import Remote
from wayside_collector.store import Reader, Writer, connect
from wayside_collector.store.answers import RunQuery
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session
from web.api.asking import Asking, asking

pytestmark = pytest.mark.asyncio
MEBIBYTE = 1 << 20


def filled(folder: Path, *records: Any) -> str:
    """A store with a run `r` of these."""
    place = str(folder / "store.db")
    db = connect(place)
    db.migrate()
    Writer(db).write(make_parcel(make_session("r", rank=0), list(records)).parts)
    db.close()
    return place


def remote(ask: Asking) -> Remote:
    return Remote(ask.served.local, None)


async def test_all_events(tmp_path: Path) -> None:
    """Events that are too long for one answer come all the same, in their order, and no more than were wanted."""
    long = [make_event("text", {"text": "x" * MEBIBYTE}, seq=seq, time=1e9 + seq) for seq in range(12)]
    place = filled(tmp_path, *long, make_event("alert", {"title": "t"}, seq=99, time=1e9 + 99))
    reader = Reader(place)
    direct = reader.events("r")
    reader.close()
    async with asking(place) as ask:
        assert await asyncio.to_thread(remote(ask).events, "r") == direct
        assert await asyncio.to_thread(remote(ask).events, "r", ("alert",)) == direct[-1:]
        some = await asyncio.to_thread(lambda: remote(ask).events("r", limit=10))
        assert some == direct[:10]
    assert len(direct) == 13


async def test_many_long_names(tmp_path: Path) -> None:
    """Metrics whose names do not fit one request together are asked for in several."""
    names = [f"{'layer/' * 60}{number:03}" for number in range(120)]
    place = filled(tmp_path, *make_rows(2, dict.fromkeys(names, 1.0)))
    async with asking(place) as ask:
        found = await asyncio.to_thread(remote(ask).curves, "r", names)
    assert [curve.name for curve in found] == names


@pytest.mark.parametrize(
    ("value", "other"),
    [
        ("0.1", 0.1),
        (0.1, "0.1"),
        ("true", True),
        (None, "null"),
        ('"quoted"', "quoted"),
        ("plain", '"plain"'),
        ("1e5x", 1e5),
        ({"a": "1"}, '{"a": "1"}'),
    ],
)
async def test_config_values_keep_their_kind(tmp_path: Path, value: Any, other: Any) -> None:
    """A run is found by its config's value, and not by another that is written alike."""
    place = filled(tmp_path, make_event("config", {"set": {"version": value}}, seq=0))
    async with asking(place) as ask:
        found = await asyncio.to_thread(remote(ask).runs, RunQuery(config={"version": value}))
        none = await asyncio.to_thread(remote(ask).runs, RunQuery(config={"version": other}))
    assert ([run.id for run in found.runs], none.runs) == (["r"], [])
