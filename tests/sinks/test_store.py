"""The sink `store`: what it answers the pump when its database is away, damaged, full or fine."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from wayside.row import TEXT, Row
from wayside_collector.configuration.config import build
from wayside_collector.sinks.base import Context, Reject, Retry
from wayside_collector.sinks.store import StoreOptions, StoreSink
from wayside_collector.store import Reader
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session

pytestmark = pytest.mark.asyncio


@pytest.fixture
def counts() -> dict[str, int]:
    return {}


@pytest.fixture
def context(tmp_path: Path, counts: dict[str, int]) -> Context:
    def count(name: str, by: int) -> None:
        counts[name] = counts.get(name, 0) + by

    return Context("store", tmp_path / "store", {}, count)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Callable[[], Reader]]:
    """A reader of the sink's file."""
    readers: list[Reader] = []

    def make() -> Reader:
        readers.append(Reader(str(tmp_path / "store" / "store.db")))
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()


async def test_what_is_sent_can_be_asked(context: Context, asked: Callable[[], Reader]) -> None:
    """Rows and events are in the store when `send` returns, in a file that others may not read."""
    sink = StoreSink(StoreOptions())
    await sink.open(context)
    session = make_session("r", rank=0)
    assert await sink.send(make_parcel(session, [*make_rows(3), make_event("config", {"set": {"a": 1}}, seq=3)])) == {}
    reader = asked()
    assert reader.config("r") == {"a": 1}
    assert reader.series("r")[0].count == 3
    assert (context.folder / "store.db").stat().st_mode & 0o777 == 0o640
    await sink.close()
    await sink.close()


async def test_the_same_parcel_twice_is_once(
    context: Context, counts: dict[str, int], asked: Callable[[], Reader]
) -> None:
    """A new sink on the same file, as after a crash, takes nothing again, and counts what came again."""
    parcel = make_parcel(make_session("r", rank=0), make_rows(700))
    for _ in range(2):
        sink = StoreSink(StoreOptions())
        await sink.open(context)
        await sink.send(parcel)
        await sink.close()
    assert asked().series("r")[0].count == 700
    assert counts == {"doubles": 700}


async def test_a_cancelled_send_is_whole_or_not_at_all(context: Context, asked: Callable[[], Reader]) -> None:
    """A send that is cancelled and comes again leaves each row once, and the sink goes on."""
    sink = StoreSink(StoreOptions())
    await sink.open(context)
    parcel = make_parcel(make_session("r", rank=0), make_rows(3000))
    sending = asyncio.create_task(sink.send(parcel))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await sink.send(parcel)
    assert asked().series("r")[0].count == 3000
    await sink.close()


async def test_series_beyond_the_limit_are_rejected(context: Context) -> None:
    """The rows that would begin more series are refused by name, and the error says which option it is."""
    sink = StoreSink(StoreOptions(max_series=2))
    await sink.open(context)
    session = make_session("r", rank=0)
    rows = [Row(seq, 1e9, seq, True, False, (f"m{seq}",), (1.0,)) for seq in range(4)]
    with pytest.raises(Reject, match="max_series") as caught:
        await sink.send(make_parcel(session, rows))
    assert caught.value.rows == {(session.id, 2), (session.id, 3)}
    await sink.close()


@pytest.mark.parametrize("when", ["before", "between"])
async def test_a_damaged_file_is_moved_away(
    context: Context, counts: dict[str, int], asked: Callable[[], Reader], when: str
) -> None:
    """A file that is no database, or is one no more, is kept beside, and a new store takes what comes."""
    file = context.folder / "store.db"
    sink = StoreSink(StoreOptions())
    session = make_session("r", rank=0)
    if when == "between":
        await sink.open(context)
        await sink.send(make_parcel(session, make_rows(5)))
        await sink.close()
        (context.folder / "store.db-wal").unlink(missing_ok=True)
        data = bytearray(file.read_bytes())
        data[16384:] = b"\xff" * (len(data) - 16384)
        file.write_bytes(data)
    else:
        context.folder.mkdir()
        file.write_bytes(b"not a database at all " * 1000)
    sink = StoreSink(StoreOptions())
    with pytest.raises(Retry, match="store"):
        await _open_and_send(sink, context, session)
    await _open_and_send(sink, context, session)
    assert asked().series("r")[0].count == 5
    assert counts["damaged_files"] == 1
    assert len(list(context.folder.glob("store.db.damaged-*[0-9]"))) == 1
    await sink.close()


async def _open_and_send(sink: StoreSink, context: Context, session: object) -> None:
    await sink.open(context)
    await sink.send(make_parcel(session, make_rows(5)))  # type: ignore[arg-type]


async def test_a_file_that_is_held_is_tried_again(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """While someone else writes, the pump is told to come again; nothing is lost and nothing is damaged."""
    monkeypatch.setattr("wayside_collector.store.sqlite.BUSY", 0.05)
    sink = StoreSink(StoreOptions())
    await sink.open(context)
    session = make_session("r", rank=0)
    await sink.send(make_parcel(session, make_rows(2)))
    other = sqlite3.connect(context.folder / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Retry, match="locked"):
        await sink.send(make_parcel(session, make_rows(5)))
    other.execute("ROLLBACK")
    other.close()
    await sink.send(make_parcel(session, make_rows(5)))
    await sink.close()


async def test_postgres_that_is_away_is_tried_again(context: Context) -> None:
    """A server that does not answer is a reason to come again, and its password is not in the text."""
    sink = StoreSink(StoreOptions(url="postgresql://me:s3cret@127.0.0.1:1/db?connect_timeout=1"))
    with pytest.raises(Retry) as caught:
        await sink.open(context)
    assert "s3cret" not in str(caught.value)
    await sink.close()


async def test_it_is_on_when_nothing_is_said() -> None:
    """With no configuration at all there is a store; `false` leaves it out."""
    assert "store" in [sink.name for sink in build({}, {}).sinks]
    assert "store" not in [sink.name for sink in build({}, {"WAYSIDE_SINKS__STORE": "false"}).sinks]


async def test_what_is_old_goes_while_it_works(
    context: Context, counts: dict[str, int], asked: Callable[[], Reader]
) -> None:
    """Runs beyond `max_age` are let go of as parcels come, and that is counted."""
    sink = StoreSink(StoreOptions(max_age=1.0))
    await sink.open(context)
    await sink.send(make_parcel(make_session("r", rank=0), make_rows(600)))
    assert counts == {}
    sink = await _with_old_runs(sink, context)
    await sink.send(make_parcel(make_session("new", rank=0), make_rows(1)))
    assert counts["runs_removed"] == 1
    assert [run.id for run in asked().runs().runs] == ["new"]
    await sink.close()


async def _with_old_runs(sink: StoreSink, context: Context) -> StoreSink:
    """The sink begun again, its runs last stored long ago."""
    await sink.close()
    file = sqlite3.connect(context.folder / "store.db")
    with file:
        file.execute("UPDATE runs SET touched = 0")
    file.close()
    again = StoreSink(sink.options)
    await again.open(context)
    return again


async def test_a_reader_follows_to_the_new_file(context: Context, asked: Callable[[], Reader]) -> None:
    """A page that was open before the file was moved away shows the new store, not the old one for ever."""
    sink = StoreSink(StoreOptions())
    await sink.open(context)
    await sink.send(make_parcel(make_session("before", rank=0), make_rows(5)))
    reader = asked()
    assert [run.id for run in reader.runs().runs] == ["before"]
    await sink.close()
    for path in list(context.folder.iterdir()):
        path.rename(path.with_name("moved-" + path.name))
    await sink.open(context)
    await sink.send(make_parcel(make_session("after", rank=0), make_rows(5)))
    assert [run.id for run in reader.runs().runs] == ["after"]
    await sink.close()


@pytest.mark.parametrize("how", ["removed", "replaced"])
async def test_a_file_that_was_taken_away_is_noticed(
    context: Context, counts: dict[str, int], asked: Callable[[], Reader], how: str
) -> None:
    """Rows that come after someone removed the store, or put another file there, are in the file that is there."""
    sink = StoreSink(StoreOptions())
    await sink.open(context)
    await sink.send(make_parcel(make_session("before", rank=0), make_rows(5)))
    shutil.rmtree(context.folder)
    if how == "replaced":
        other = StoreSink(StoreOptions())
        await other.open(context)
        await other.close()
    for seq in (0, 5):
        await sink.send(make_parcel(make_session("after", rank=0, id="a" * 32), make_rows(5, seq=seq)))
    reader = asked()
    assert [run.id for run in reader.runs().runs] == ["after"]
    assert reader.series("after")[0].count == 10
    assert counts == {"files_lost": 1}
    await sink.close()


async def test_a_file_that_cannot_be_made_is_tried_again(context: Context) -> None:
    """One line says where, and which option names another place."""
    context.folder.write_text("")
    with pytest.raises(Retry, match=r"`sinks\.store\.path`") as caught:
        await StoreSink(StoreOptions()).open(context)
    assert str(context.folder) in str(caught.value)


async def test_an_event_nested_too_deep_is_rejected(context: Context, asked: Callable[[], Reader]) -> None:
    """It alone is refused, by name; what stands around it is stored."""
    sink = StoreSink(StoreOptions())
    await sink.open(context)
    session = make_session("r", rank=0)
    deep: Any = 1.0
    for _ in range(5000):
        deep = [deep]
    events = [make_event(TEXT, {"values": deep}, seq=0), make_event(TEXT, {"values": {"a": "b"}}, seq=1)]
    with pytest.raises(Reject, match="too deep") as caught:
        await sink.send(make_parcel(session, events))
    assert caught.value.rows == {(session.id, 0)}
    assert [event.seq for event in asked().events("r")] == [1]
    await sink.close()
