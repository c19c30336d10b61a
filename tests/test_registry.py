"""Who is here: sessions and runs, as they are read from the spool and asked about."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from wayside import wire
from wayside_collector.registry import Registry, rank_order
from wayside_collector.spool import Amount, Batch, SessionRow, Spool, SpoolOptions
from wayside_collector.testing import make_session


def stored(key: int, id: str, record: bytes | None = None, ended: float | None = None, **fields: object) -> SessionRow:
    """A session as the spool gives it; `fields` stand in its record."""
    said = {"session": id, "run": {"id": "r1"}, "started": 100.0, **fields}
    frame = wire.json_frame(wire.HELLO, said) if record is None else record
    return SessionRow(key, id, frame, 0, 0, 100.0, ended, ended is not None, None, ())


@pytest.fixture
def registry() -> Registry:
    return Registry()


def test_a_session_is_found_by_key_and_by_id(registry: Registry) -> None:
    """Under both the same one; a session that is added again keeps its object and what is known of its names."""
    known = registry.add(stored(1, "a" * 32, rank=3))
    known.schemas[0] = ("loss",)
    assert registry.of(1) is known
    assert registry.by_id("a" * 32) is known
    assert registry.by_id("b" * 32) is None
    assert known.session.rank == 3
    again = registry.add(stored(1, "a" * 32, ended=5.0))
    assert again is known
    assert (known.ended, known.schemas) == (5.0, {0: ("loss",)})


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\x07" * 64,
        wire.frame(wire.HELLO, b"{no json"),
        wire.json_frame(wire.HELLO, {"session": "a" * 32}),
        wire.json_frame(wire.HELLO, {"session": "a" * 32, "run": {"id": 5}}),
    ],
)
def test_a_record_that_cannot_be_read_still_names_its_session(registry: Registry, record: bytes) -> None:
    """Its rows are delivered all the same, as those of a run that is not known."""
    known = registry.add(stored(1, "a" * 32, record))
    assert (known.session.id, known.session.run.id, known.session.started) == ("a" * 32, "unknown", 100.0)


def test_fields_of_another_version_are_passed_over(registry: Registry) -> None:
    """A newer client may say more."""
    known = registry.add(stored(1, "a" * 32, colour="green", run={"id": "r1", "mood": "good"}))
    assert known.session.run.id == "r1"


def test_only_training_sessions_that_are_not_over_are_alive(registry: Registry) -> None:
    """The collector's own sessions are none of them."""
    registry.add(stored(1, "a" * 32))
    registry.add(stored(2, "b" * 32, ended=5.0))
    registry.add(stored(3, "c" * 32, kind="system"))
    assert [known.key for known in registry.alive()] == [1]
    assert len(list(registry.all())) == 3


def test_runs_that_were_open_at_a_time_are_told_by_their_lowest_rank(registry: Registry) -> None:
    """One session of each run: a process without rank before all others; neither what came later nor what was over."""
    registry.add(stored(1, "1" * 32, rank=1))
    registry.add(stored(2, "2" * 32, rank=0))
    registry.add(stored(3, "3" * 32, run={"id": "r2"}, rank=0))
    registry.add(stored(4, "4" * 32, run={"id": "r2"}))
    registry.add(stored(5, "5" * 32, run={"id": "over"}, ended=150.0))
    registry.add(stored(6, "6" * 32, run={"id": "later"}, started=300.0))
    registry.add(stored(7, "7" * 32, run={"id": "system"}, kind="system"))
    assert {session.run.id: session.id[0] for session in registry.open_runs(200.0)} == {"r1": "2", "r2": "4"}
    assert {session.run.id for session in registry.open_runs(120.0)} == {"r1", "r2", "over"}
    assert registry.open_runs(50.0) == ()


def test_runs_of_one_collector_are_told_apart_from_anothers(registry: Registry) -> None:
    """What a gateway is fed by one measures the runs of its own machine."""
    registry.add(stored(1, "1" * 32, run={"id": "mine"}, via="a"))
    registry.add(stored(2, "2" * 32, run={"id": "other"}, via="b"))
    registry.add(stored(3, "3" * 32, run={"id": "here"}))
    for via, run in (("a", "mine"), ("b", "other"), (None, "here")):
        assert [session.run.id for session in registry.open_runs(200.0, via)] == [run]
    assert registry.open_runs(200.0, "c") == ()


def test_a_run_is_asked_for_its_sessions(registry: Registry) -> None:
    """Those that live, until they are forgotten."""
    for key, run in ((1, "r1"), (2, "r1"), (3, "r2")):
        registry.add(stored(key, str(key) * 32, run={"id": run}))
    registry.add(stored(2, "2" * 32, run={"id": "r1"}, ended=5.0))
    assert [known.key for known in registry.alive("r1")] == [1]
    registry.forget([1, 2, 3])
    assert registry.alive("r1") == registry.alive() == []
    assert registry.open_runs(200.0) == ()


def test_ranks_have_an_order() -> None:
    """No rank first, then the lowest."""
    sessions = [make_session(rank=rank) for rank in (2, None, 0)]
    assert [session.rank for session in sorted(sessions, key=rank_order)] == [None, 0, 2]


def test_what_is_forgotten_is_gone_under_both_names(registry: Registry) -> None:
    """And told, once."""
    registry.add(stored(1, "a" * 32))
    assert [known.key for known in registry.forget([1, 1, 99])] == [1]
    assert registry.by_id("a" * 32) is None
    assert list(registry.all()) == []


@pytest_asyncio.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    found = Spool(SpoolOptions(tmp_path))
    await asyncio.to_thread(found.open)
    yield found
    await asyncio.to_thread(found.close)


@pytest.mark.asyncio
async def test_after_a_restart_everything_is_known_again(spool: Spool) -> None:
    """Sessions, how they ended, and their names; a schema that cannot be read hides no other."""
    begun = []
    for letter in "ab":
        record = wire.json_frame(wire.HELLO, {"session": letter * 32, "run": {"id": letter}})
        begun.append(await asyncio.wrap_future(spool.begin_session(letter * 32, record, 1.0, ())))
    schemas = {0: wire.schema_frame(0, ["x"]), 1: b"rubbish!", 2: wire.schema_frame(2, ["y", "z"])}
    batch = Batch(
        begun[0].key, 0, 1, 1, wire.row_frame(0, 1.0, 0, [1.0]), b"", Amount(1, 1, 0), ((0, 1),), 1.0, schemas
    )
    await asyncio.wrap_future(spool.append([batch], []))
    await asyncio.wrap_future(spool.end_session(begun[1].key, 9.0, None))
    registry = Registry()
    registry.load(spool)
    one, two = registry.by_id("a" * 32), registry.by_id("b" * 32)
    assert one is not None
    assert two is not None
    assert one.schemas == {0: ("x",), 2: ("y", "z")}
    assert (one.ended, two.ended) == (None, 9.0)
    assert json.dumps(one.session.run.id) == '"a"'
