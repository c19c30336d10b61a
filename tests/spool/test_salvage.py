"""A damaged database: moved away, and a new one made from the files and from what the old one still tells."""

import contextlib
import sqlite3
import time
from pathlib import Path

import pytest
from spool.making import SCHEMA, T0, WITHIN, as_contents, begin, contents, make_batch, opened, put, session_id
from wayside import wire
from wayside_collector.spool import Amount, Batch, DeadLetter, Loss, SinkCommit, Spool, SpoolError
from wayside_collector.spool.files import HEADER
from wayside_collector.spool.index import FORMAT

PAGE = 4096


def fill(path: Path) -> dict[int, tuple[int, int, int, bytes, bytes]]:
    """Two sessions, one of them over, with rows and events, and the accounts of one sink; what was stored."""
    with opened(path) as spool:
        one, two = begin(spool, 1).key, begin(spool, 2).key
        put(spool, make_batch(one, 0, events=2), make_batch(two, 0, chain="system"))
        spool.append([make_batch(one, 10)], [Loss(one, 5, 10, 10, "client", T0)]).result(WITHIN)
        stored = put(spool, make_batch(one, 13, rows=0, events=1, kind="finish"))
        spool.end_session(one, T0 + 20).result(WITHIN)
        letter = DeadLetter(T0, one, 1, "too large", 2, b"{}")
        books = SinkCommit("jsonl", stored[0].id - 1, {one: "cursor", two: "other"}, "books", {"f": b"1"}, [letter])
        spool.commit(books).result(WITHIN)
        return contents(spool)


def overwrite_table(path: Path, name: str) -> None:
    """Rubbish in the place of a table's first page."""
    with sqlite3.connect(path / "spool.db") as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    db.close()
    with (path / "spool.db").open("r+b") as file:
        file.seek((root - 1) * PAGE)
        file.write(b"\xa5" * PAGE)


def check_goes_on(spool: Spool) -> None:
    """What is stored now is numbered above whatever any sink's position means."""
    position = max(position for (position,) in spool.query("SELECT coalesce(max(position), 0) FROM sinks"))
    row = begin(spool, 1)
    (stored,) = put(spool, make_batch(row.key, row.next_seq))
    assert stored.id > position


@pytest.mark.parametrize("how", ["rubbish", "empty", "gone", "first page", "text"])
def test_a_database_that_is_none_is_made_anew(tmp_path: Path, how: str) -> None:
    """Sessions with their totals, schemas and batches come from the files, under the numbers they had."""
    before = fill(tmp_path)
    path = tmp_path / "spool.db"
    if how == "gone":
        path.unlink()
    else:
        whole = path.read_bytes()
        rubbish = {
            "rubbish": b"\x9c" * len(whole),
            "empty": b"",
            "text": b"hello",
            "first page": bytes(PAGE) + whole[PAGE:],
        }
        path.write_bytes(rubbish[how])
    with opened(tmp_path) as spool:
        assert spool.salvaged is not None
        assert "2 sessions and 4 batches" in spool.salvaged
        assert contents(spool) == before
        rows = {row.id: row for row in spool.sessions()}
        assert [(rows[session_id(n)].next_seq, rows[session_id(n)].next_point) for n in (1, 2)] == [(14, 26), (3, 6)]
        assert rows[session_id(1)].finished
        assert all(spool.schemas(row.key) == {0: SCHEMA} for row in rows.values())
        check_goes_on(spool)
    moved = list((tmp_path / "damaged").glob("spool.db-*")) if (tmp_path / "damaged").exists() else []
    assert len(moved) == (how != "gone")


@pytest.mark.parametrize("table", ["batches", "sessions", "files", "batches_by_rows_file"])
def test_accounts_that_are_readable_are_kept(tmp_path: Path, table: str) -> None:
    """Damage to the index leaves every account, and they mean what they meant: the same numbers and keys."""
    before = fill(tmp_path)
    overwrite_table(tmp_path, table)
    with opened(tmp_path) as spool:
        assert spool.salvaged is not None
        assert contents(spool) == before
        position, books = spool.sink("jsonl") or (0, "")
        assert books == "books"
        assert [stored.first_seq for stored in spool.batches(position, 10)] == [13]
        assert sorted(spool.cursors("jsonl").values()) == ["cursor", "other"]
        assert spool.state("jsonl") == {"f": b"1"}
        assert spool.dead_letters("jsonl") == 1
        assert spool.query("SELECT reason, rows, points FROM lost") == [("client", 5, 10)]
        keys = {row.id: row.key for row in spool.sessions()}
        assert spool.cursors("jsonl")[keys[session_id(1)]] == "cursor"
        if table != "sessions":
            assert {row.id: row.ended for row in spool.sessions()} == {session_id(1): T0 + 20, session_id(2): None}
        check_goes_on(spool)


@pytest.mark.parametrize("table", ["sinks", "cursors", "state"])
def test_accounts_that_are_lost_cost_no_other_ones(tmp_path: Path, table: str) -> None:
    """A damaged table of accounts is begun anew, empty; the others and the batches stay."""
    before = fill(tmp_path)
    overwrite_table(tmp_path, table)
    with opened(tmp_path) as spool:
        assert spool.salvaged is not None
        assert contents(spool) == before
        assert (spool.sink("jsonl") is None) == (table == "sinks")
        assert (spool.cursors("jsonl") == {}) == (table == "cursors")
        assert (spool.state("jsonl") == {}) == (table == "state")
        check_goes_on(spool)


def test_a_newer_format_is_left_alone(tmp_path: Path) -> None:
    """A spool of a newer collector is refused, saying so, and not a byte of it is moved or changed."""
    fill(tmp_path)
    with sqlite3.connect(tmp_path / "spool.db") as db:
        db.execute(f"PRAGMA user_version={FORMAT + 1}")
    db.close()
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.spool")}
    for _ in range(2):
        with pytest.raises(SpoolError, match=f"newer collector .format {FORMAT + 1}"), opened(tmp_path):
            pass
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.spool")} == before
    assert not (tmp_path / "damaged").exists()


def test_a_database_of_something_else_is_moved_away(tmp_path: Path) -> None:
    """Nothing of ours is written into it, and it is kept."""
    with sqlite3.connect(tmp_path / "spool.db") as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    with opened(tmp_path) as spool:
        put(spool, make_batch(begin(spool).key, 0))
    (moved,) = [path for path in (tmp_path / "damaged").iterdir() if "wal" not in path.name and "shm" not in path.name]
    with sqlite3.connect(moved) as db:
        assert [name for (name,) in db.execute("SELECT name FROM sqlite_master")] == ["theirs"]
    db.close()


def test_blocks_that_fail_their_checksum_are_left_out(tmp_path: Path) -> None:
    """Without a database as with one: what is damaged is not taken, and is told; its neighbours are."""
    with opened(tmp_path) as spool:
        key = begin(spool).key
        batches = [make_batch(key, first) for first in (0, 3, 6)]
        stored = put(spool, *batches)
        assert stored[1].rows is not None
        (path,) = tmp_path.glob("scalars-*.spool")
    data = bytearray(path.read_bytes())
    data[stored[1].rows.offset + HEADER.size + 3] ^= 1
    path.write_bytes(data)
    (tmp_path / "spool.db").unlink()
    with opened(tmp_path) as spool:
        assert spool.salvaged is not None
        assert "1 damaged blocks left out" in spool.salvaged
        assert list(contents(spool).values()) == [as_contents(batches[0]), as_contents(batches[2])]


def test_rows_and_events_of_one_batch_find_each_other_again(tmp_path: Path) -> None:
    """They lie in different files, and are one batch by its number, also where one of the files is gone."""
    batch = make_batch(1, 0, events=2)
    with opened(tmp_path) as spool:
        begin(spool)
        put(spool, batch)
    (tmp_path / "spool.db").unlink()
    with opened(tmp_path) as spool:
        assert list(contents(spool).values()) == [as_contents(batch)]
    (tmp_path / "spool.db").unlink()
    next(tmp_path.glob("scalars-*.spool")).unlink()
    with opened(tmp_path) as spool:
        assert [(events, rows) for *_, rows, events in contents(spool).values()] == [(batch.events, b"")]
        assert [stored.amount for stored in spool.batches(0, 9)] == [batch.amount.of("events")]


def test_what_was_written_and_never_told_to_be_stored_does_not_come_twice(tmp_path: Path) -> None:
    """Blocks a crash left, and the same rows stored later, cut differently: only what was stored last is there."""
    with opened(tmp_path) as spool:
        key = begin(spool).key
        put(spool, make_batch(key, 0))
        crashed = put(spool, make_batch(key, 3, events=2), make_batch(key, 8))
    with sqlite3.connect(tmp_path / "spool.db") as db:  # as if the transaction had not come
        db.execute("DELETE FROM batches WHERE id >= ?", (crashed[0].id,))
        db.execute("UPDATE sessions SET next_seq = 3, next_point = 6")
        db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'batches'", (crashed[0].id - 1,))
    db.close()
    again = [make_batch(key, 3, rows=2, value=1.5), make_batch(key, 5, rows=5, events=1, value=1.5)]
    with opened(tmp_path) as spool:
        put(spool, *again)
        before = contents(spool)
    (tmp_path / "spool.db").unlink()
    with opened(tmp_path) as spool:
        assert contents(spool) == before
        assert list(before.values())[1:] == [as_contents(batch) for batch in again]


def test_damage_while_it_is_used_is_mended_without_a_restart(tmp_path: Path) -> None:
    """Found by whoever reads first; then everything is there again, under the same numbers, and work goes on."""
    with opened(tmp_path) as spool:
        key = begin(spool).key
        first = make_batch(key, 0)
        put(spool, first)
        for path in (tmp_path / "spool.db", tmp_path / "spool.db-wal"):
            path.write_bytes(b"\x9c" * path.stat().st_size)
        (tmp_path / "spool.db-shm").write_bytes(bytes((tmp_path / "spool.db-shm").stat().st_size))
        second = make_batch(key, 3)
        until = time.monotonic() + WITHIN
        while spool.salvaged is None:
            assert time.monotonic() < until
            with contextlib.suppress(SpoolError):
                spool.query("SELECT count(*) FROM batches")
        row = begin(spool)
        assert (row.key, row.next_seq) == (key, 3)
        put(spool, second)
        assert list(contents(spool).values()) == [as_contents(first), as_contents(second)]
        assert spool.last_error is None


def test_frames_are_counted_as_the_wire_has_them(tmp_path: Path) -> None:
    """Salvage reads frames by numbers of its own: what it counts of each kind is what was stored."""
    rows = wire.seq_frame(0, 0) + wire.row_frame(0, T0, 0, (0.5, 1.0)) + wire.named_row_frame(T0, 1, {"loss": 0.5})
    events = wire.seq_frame(2, 3) + wire.event_frame(T0, None, "finish", {})
    amount, composition = Amount(3, 2, 1), ((-1, 1), (0, 1))
    with opened(tmp_path) as spool:
        key = begin(spool).key
        put(spool, Batch(key, 0, 3, 3, rows, events, amount, composition, T0, {0: SCHEMA}, finishes=True))
    (tmp_path / "spool.db").unlink()
    with opened(tmp_path) as spool:
        (stored,), (session,) = spool.batches(0, 10), spool.sessions()
        assert (stored.amount, tuple(sorted(stored.composition))) == (amount, composition)
        assert (session.next_seq, session.next_point, session.finished) == (3, 3, True)
        assert spool.schemas(session.key) == {0: SCHEMA}
