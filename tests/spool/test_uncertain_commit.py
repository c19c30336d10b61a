"""A commit that fails may count all the same: SQLite wrote it into its log and could not sync that. What became of it
is asked before anything else is done, so that nothing is stored twice, and nothing is cut off that an account names.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from spool.making import WITHIN, make_batch, record_of, session_id
from wayside_collector.media_folder import MediaFolder
from wayside_collector.spool import Batch, Files, SpoolError, index
from wayside_collector.spool.batch import Stored
from wayside_collector.spool.database import Database
from wayside_collector.spool.placing import Placer
from wayside_collector.spool.writer import Told, Writer

FAILURE = sqlite3.OperationalError("disk I/O error")


class Doubtful(Database):
    """A database whose next commit fails as it is told: "after" it was made, or "before". blind: how often it then
    cannot be asked what became of it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.fails = ""
        self.blind = 0
        self.asked = threading.Event()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        fails, self.fails = self.fails, ""
        with super().transaction() as db:
            yield db
            if fails == "before":
                self.uncertain = True
                raise FAILURE
        if fails:
            self.uncertain = True
            raise FAILURE

    def settle(self, cycle: int) -> bool:
        self.asked.set()
        if self.blind:
            self.blind -= 1
            raise FAILURE
        return super().settle(cycle)


class Bench:
    """A writer on such a database, and one session."""

    def __init__(self, folder: Path) -> None:
        self.database = Doubtful(folder / "spool.db")
        self.database.open()
        self.files = Files(folder)
        self.told: list[Stored] = []
        placer = Placer(self.files, lambda: 1e9, 1, 1)
        told = Told(self.told.extend, lambda keys: None, lambda: 0.0)
        self.writer = Writer(folder, self.database, self.files, placer, MediaFolder(folder), told)
        self.writer.start()
        id = session_id(1)
        self.key: int = (
            self.hand_in((), lambda db, _: index.add_session(db, id, record_of(id), 1e9, ())).result(WITHIN).key
        )

    def hand_in(self, batches: tuple[Batch, ...], apply: Any = lambda db, stored: stored) -> "Future[Any]":
        return self.writer.hand_in(batches, apply)

    def next_seq(self) -> int:
        return self.database.read(index.sessions)[0].next_seq

    def rows(self) -> list[bytes]:
        """Every stored batch's rows, each read and checked."""
        found = self.database.read(lambda db: index.batches(db, 0, 100))
        return [self.files.read(batch.rows) for batch in found if batch.rows is not None]

    def close(self) -> None:
        self.writer.close()
        self.files.close()
        self.database.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with contextlib.closing(Bench(tmp_path)) as made:
        yield made


@pytest.mark.parametrize("blind", [0, 3])
def test_a_commit_that_counts_after_all_is_told_as_stored(bench: Bench, blind: int) -> None:
    """Its rows are there once, with their bytes, and whoever handed them in is told so, if only after a while."""
    first, second = make_batch(bench.key, 0), make_batch(bench.key, 3, value=0.25)
    bench.hand_in((first,)).result(WITHIN)
    bench.database.fails, bench.database.blind = "after", blind
    (stored,) = bench.hand_in((second,)).result(WITHIN)
    assert stored in bench.told
    assert bench.next_seq() == 6
    assert bench.rows() == [first.rows, second.rows]
    assert bench.writer.last_error is None
    log = bench.database.path.with_name("spool.db-wal")
    assert log.stat().st_size == 0, "what counts was not brought out of the log that could not be synced"


def test_a_commit_that_does_not_count_leaves_nothing(bench: Bench) -> None:
    """The same batch is stored when it is handed in anew, once."""
    batch = make_batch(bench.key, 0)
    bench.database.fails = "before"
    with pytest.raises(SpoolError, match="disk I/O error"):
        bench.hand_in((batch,)).result(WITHIN)
    assert bench.next_seq() == 0
    bench.hand_in((batch,)).result(WITHIN)
    assert bench.rows() == [batch.rows]


def test_what_is_not_known_at_the_end_is_left_as_it_is(tmp_path: Path) -> None:
    """A collector that stops while nobody can tell cuts nothing off: the next one finds the rows, whole, and everyone
    who waited is told that they are not known to be stored.
    """
    bench = Bench(tmp_path)
    batch = make_batch(bench.key, 0)
    bench.database.fails, bench.database.blind = "after", 1 << 30
    waiting = bench.hand_in((batch,))
    assert bench.database.asked.wait(WITHIN)
    beside = bench.hand_in((), lambda db, stored: None)
    bench.close()
    with pytest.raises(SpoolError):
        waiting.result(WITHIN)
    assert beside.done()
    files, database = Files(tmp_path), Database(tmp_path / "spool.db")
    database.open()
    for number, chain, _ in database.read(index.files):
        files.know(number, chain)
    (found,) = database.read(lambda db: index.batches(db, 0, 100))
    assert found.rows is not None
    assert files.read(found.rows) == batch.rows
    database.close()
