"""Rows of accounts carry sums; and the limits of dead letters."""

import contextlib
import sqlite3
from pathlib import Path

import pytest
from spool.making import T0, WITHIN, begin, make_batch, opened, put
from wayside_collector.spool import DeadLetter, SinkCommit, SpoolError, index, letters

BY_HAND = "spool.db"


def change(folder: Path, script: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / BY_HAND, isolation_level=None)) as db:
        db.executescript(script)


def letter(seq: int, size: int = 2) -> DeadLetter:
    return DeadLetter(T0, 1, seq, "no", 1, b"x" * size)


def filled(folder: Path) -> None:
    """A sink's accounts, and one dead letter."""
    with opened(folder) as spool:
        put(spool, make_batch(begin(spool).key, 0))
        position = spool.last_batch()
        commit = SinkCommit("one", position, {1: "cursor"}, "books", {"key": b"value"}, [letter(0)], kind="jsonl")
        spool.commit(commit).result(WITHIN)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sinks SET position = 1 << 40",
        "UPDATE sinks SET position = 'far'",
        "UPDATE sinks SET books = 'bookz'",
        "UPDATE sinks SET books = CAST(x'ff' AS TEXT)",
        "UPDATE sinks SET kind = 'jsonm'",
        "UPDATE sinks SET sum = sum + 1",
    ],
)
def test_a_sinks_row_that_nobody_wrote_holds_every_file(tmp_path: Path, statement: str) -> None:
    """It is told as damaged, and what a flipped position says is no reason to let rows go that were not delivered."""
    filled(tmp_path)
    change(tmp_path, statement)
    with opened(tmp_path) as spool:
        assert spool.sink("one") == (0, "")
        assert spool.kind_of("one") is None
        spool.readers = frozenset(["one"])
        put(spool, make_batch(1, 3))
        assert len(spool.batches(0, 10)) == 2


@pytest.mark.parametrize("statement", ["UPDATE cursors SET cursor = 'x'", "UPDATE cursors SET session = 1, sum = 7"])
def test_a_cursor_that_nobody_wrote_is_told_as_empty(tmp_path: Path, statement: str) -> None:
    """Its session is known all the same."""
    filled(tmp_path)
    change(tmp_path, statement)
    with opened(tmp_path) as spool:
        assert spool.cursors("one") == {1: ""}


def test_state_that_nobody_wrote_is_counted_once_and_gone(tmp_path: Path) -> None:
    """The other keys stay; a later start finds nothing wrong."""
    filled(tmp_path)
    with opened(tmp_path) as spool:
        spool.keep_state("one", [("good", b"good")]).result(WITHIN)
    change(tmp_path, "UPDATE state SET value = x'00' WHERE key = 'key'")
    for damaged in (1, 0):
        with opened(tmp_path) as spool:
            assert spool.state("one") == {"good": b"good"}
            assert spool.damaged == damaged


def test_what_no_collector_wrote_elsewhere_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """A batch whose composition is torn cannot be guessed: the sentence names the command that makes it anew."""
    filled(tmp_path)
    change(tmp_path, "UPDATE batches SET composition = x'010203'")
    with opened(tmp_path) as spool, pytest.raises(SpoolError, match=f"wayside-collector recover --anew {tmp_path}"):
        spool.batches(0, 10)


@pytest.mark.parametrize("text", ["'['", "'7'", "'[1, 2]'", "'[\"\\u0000\"]'", "CAST(x'ff' AS BLOB)"])
def test_a_sessions_journals_that_nobody_wrote_are_none(tmp_path: Path, text: str) -> None:
    """They are looked for in the usual places; the session is known all the same."""
    filled(tmp_path)
    change(tmp_path, f"UPDATE sessions SET journals = {text}, finish = {text}")
    with opened(tmp_path) as spool:
        (row,) = spool.sessions()
        assert row.journals == ()


@pytest.mark.parametrize(("sizes", "left"), [([40, 40, 40], [1, 2]), ([10, 95, 10], [2]), ([10, 300], [1])])
def test_the_oldest_dead_letters_go_when_they_are_too_large(sizes: list[int], left: list[int]) -> None:
    """Of one sink at most so many bytes; the newest stays, and so do other sinks' and those that wait."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(index.TABLES)
        letters.bury(db, "other", [letter(0, 90)], size=100)
        letters.bury(db, "one", [letter(9, 90)], size=100)
        letters.revive(db, [2])
        gone = sum(letters.bury(db, "one", [letter(seq, size)], size=100) for seq, size in enumerate(sizes))
        assert gone == len(sizes) - len(left)
        kept = [found.seq for found in letters.read(db, letters.Choice("one", waits=False), 10)]
        assert kept == left
        assert letters.count(db, letters.Choice("other")) == letters.count(db, letters.Choice("one", waits=True)) == 1
