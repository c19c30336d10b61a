"""What leaves the spool: what everyone has read, what is over a limit, sessions long forgotten."""

import os
from pathlib import Path

import pytest
from spool.failing import FailingFiles
from spool.making import T0, WITHIN, begin, contents, make_batch, opened, put, session_id
from waiting import until
from wayside_collector.media_folder import MediaFolder
from wayside_collector.spool import Amount, DeadLetter, SinkCommit, Spool, SpoolError, accounts
from wayside_collector.spool import index as statements
from wayside_collector.spool.database import Database
from wayside_collector.spool.files import ROLL_AGE, Files, segment_files
from wayside_collector.spool.upkeep import KEEP_ENDED, forget_sessions, remove_read
from wayside_collector.testing import FakeClock

DAY = 86400.0


def names(path: Path) -> list[str]:
    return [chain for _, chain, _ in segment_files(path)]


def numbers(path: Path) -> list[int]:
    return [number for number, _, _ in segment_files(path)]


def three_files(path: Path) -> tuple[list[int], list[int]]:
    """Three files of rows with two batches each, closed; the numbers of the batches, and of the files."""
    clock = FakeClock(T0)
    with opened(path, clock=clock) as spool:
        key = begin(spool).key
        stored = []
        for turn in range(3):
            stored += put(spool, make_batch(key, 6 * turn), make_batch(key, 6 * turn + 3))
            clock.forward(ROLL_AGE + 1)
    return [each.id for each in stored], numbers(path)


def look(path: Path, positions: dict[str, int], readers: list[str]) -> list[int]:
    """Which files are left after a look with sinks at these positions."""
    database = Database(path / "spool.db")
    database.open()
    files = Files(path)
    try:
        with database.transaction() as db:
            for name, position in positions.items():
                accounts.commit(db, SinkCommit(name, position, {}, ""))
        for number, chain, _ in database.read(statements.files):
            files.know(number, chain)
        remove_read(database, files, MediaFolder(path), readers)
        assert [number for number, _, _ in database.read(statements.files)] == numbers(path)
        return numbers(path)
    finally:
        database.close()


def test_a_file_goes_when_everyone_has_read_all_of_it(tmp_path: Path) -> None:
    """Not before: the slowest sink holds it, to its last batch."""
    batches, files = three_files(tmp_path)
    assert look(tmp_path, {"a": batches[5], "b": batches[0]}, ["a", "b"]) == files
    assert look(tmp_path, {"b": batches[1]}, ["a", "b"]) == files[1:]
    assert look(tmp_path, {"b": batches[4]}, ["a", "b"]) == files[2:]
    assert look(tmp_path, {"b": batches[5]}, ["a", "b"]) == []


def test_a_sink_that_never_committed_holds_everything(tmp_path: Path) -> None:
    """It may begin at the oldest row; and with no sinks at all rows wait for one, up to the limits."""
    batches, files = three_files(tmp_path)
    assert look(tmp_path, {"a": batches[5]}, ["a", "new"]) == files
    assert look(tmp_path, {}, []) == files


def test_a_sink_that_is_configured_no_longer_holds_nothing(tmp_path: Path) -> None:
    """Its position is kept, and does not count."""
    batches, files = three_files(tmp_path)
    assert look(tmp_path, {"a": batches[3], "gone": 0}, ["a"]) == files[2:]


def test_a_file_being_written_goes_too_once_it_is_old(tmp_path: Path) -> None:
    """What is delivered leaves the disk within the hour, also when nothing more comes."""
    clock = FakeClock(T0)
    with opened(tmp_path, clock=clock) as spool:
        (stored,) = put(spool, make_batch(begin(spool).key, 0))
        spool.readers = frozenset(["a"])
        spool.commit(SinkCommit("a", stored.id, {}, "")).result(WITHIN)
        clock.forward(ROLL_AGE + 1)
        until(lambda: not numbers(tmp_path), "the file gone")
        assert spool.batches(0, 10) == []
        assert spool.size == 0


def fill_chains(spool: Spool, clock: FakeClock, rounds: int) -> None:
    """In each round a file of each chain, closed."""
    key, system = begin(spool, 1).key, begin(spool, 2).key
    for turn in range(rounds):
        batches = [make_batch(key, 4 * turn, events=1), make_batch(system, 3 * turn, chain="system")]
        put(spool, *batches)
        clock.forward(ROLL_AGE + 1)
    put(spool, make_batch(key, 4 * rounds, events=1), make_batch(system, 3 * rounds, chain="system"))


def drop_while_over(spool: Spool) -> list[tuple[int, str, str]]:
    dropped = []
    while (found := spool.over_limit()) is not None:
        dropped.append(found)
        spool.drop(found[0]).result(WITHIN)
    return dropped


def test_over_the_size_system_samples_go_first_and_events_last(tmp_path: Path) -> None:
    """Within a class the oldest file first; what is being written is never dropped."""
    clock = FakeClock(T0)
    with opened(tmp_path, clock=clock, max_size=1, max_age=30 * DAY) as spool:
        fill_chains(spool, clock, 2)
        dropped = drop_while_over(spool)
        assert [chain for _, chain, _ in dropped] == ["system", "system", "scalars", "scalars", "events", "events"]
        assert {reason for _, _, reason in dropped} == {"size"}
        assert [number for number, *_ in dropped[:2]] == sorted(number for number, *_ in dropped[:2])
        assert sorted(names(tmp_path)) == ["events", "scalars", "system"]
        assert spool.size == sum(path.stat().st_size for _, _, path in segment_files(tmp_path))


def test_within_its_size_nothing_is_dropped(tmp_path: Path) -> None:
    """And dropping stops as soon as it is kept again."""
    clock = FakeClock(T0)
    with opened(tmp_path, clock=clock, max_age=30 * DAY) as spool:
        fill_chains(spool, clock, 3)
        assert spool.over_limit() is None
        size = spool.size
    with opened(tmp_path, clock=clock, max_age=30 * DAY, max_size=size - 1) as spool:
        assert [chain for _, chain, _ in drop_while_over(spool)] == ["system"]


def test_what_is_too_old_is_dropped_whatever_its_class(tmp_path: Path) -> None:
    """The oldest file first, once its youngest row is older than the limit."""
    clock = FakeClock(T0)
    with opened(tmp_path, clock=clock, max_age=DAY) as spool:
        fill_chains(spool, clock, 2)
        assert spool.over_limit() is None
        clock.forward(DAY - ROLL_AGE)
        dropped = drop_while_over(spool)
        assert [reason for *_, reason in dropped] == ["age"] * 3
        assert sorted(chain for _, chain, _ in dropped) == ["events", "scalars", "system"]


def test_a_dropped_part_is_no_longer_in_a_batchs_amount(tmp_path: Path) -> None:
    """Whoever counts what is stored counts what can still be read, and the other part is as before."""
    clock = FakeClock(T0)
    with opened(tmp_path, clock=clock) as spool:
        key = begin(spool).key
        both, rows, events = put(
            spool, make_batch(key, 0, events=1), make_batch(key, 4), make_batch(key, 7, rows=0, events=1)
        )
        spool.readers = frozenset()
        assert both.rows is not None
        assert both.events is not None
        spool.drop(both.rows.file).result(WITHIN)
        left = {stored.id: stored for stored in spool.batches(0, 10)}
        assert left[both.id] == both.without("rows")
        assert (left[both.id].rows, left[both.id].amount, left[both.id].composition) == (None, Amount(0, 0, 1), ())
        assert left[events.id] == events
        assert left[rows.id].amount == Amount()
        spool.drop(both.events.file).result(WITHIN)
        assert all(stored.amount == Amount() for stored in spool.batches(0, 10))
        assert [(read, told) for *_, read, told in contents(spool).values()] == [(b"", b"")] * 3


def test_a_full_disk_drops_the_oldest_only_while_the_spool_itself_fills_it(tmp_path: Path) -> None:
    """A disk that others fill is no reason to give up what was accepted: then rows wait outside."""
    made: list[FailingFiles] = []

    def make(folder: Path) -> FailingFiles:
        made.append(FailingFiles(folder))
        return made[-1]

    clock = FakeClock(T0)
    with opened(tmp_path, clock=clock, make_files=make, max_age=30 * DAY, max_size=1 << 60) as spool:
        fill_chains(spool, clock, 1)
        made[0].room = 0
        with pytest.raises(SpoolError, match="No space"):
            put(spool, make_batch(begin(spool).key, 8))
        assert spool.full
        assert spool.over_limit() is None
        disk = os.statvfs(tmp_path)
        made[0]._sizes[999] = disk.f_blocks * disk.f_frsize // 3  # as if it held that much
        found = spool.over_limit()
        assert found is not None
        assert found[1:] == ("system", "disk")


def make_over(spool: Spool, count: int, ended: float, *, first: int = 1) -> list[int]:
    """Sessions that are over; their keys."""
    begun = [spool.begin_session(session_id(number), b"", T0 + number) for number in range(first, first + count)]
    keys = [future.result(WITHIN).key for future in begun]
    for future in [spool.end_session(key, ended + at) for at, key in enumerate(keys)]:
        future.result(WITHIN)
    return keys


def forget(path: Path, before: float) -> list[int]:
    database = Database(path / "spool.db")
    database.open()
    try:
        return forget_sessions(database, before)
    finally:
        database.close()


def test_sessions_long_over_are_forgotten_with_all_that_is_kept_of_them(tmp_path: Path) -> None:
    """Not those that live, not those with a batch or a dead letter left, and no key is ever used again."""
    with opened(tmp_path) as spool:
        gone, living, holds, letter = (begin(spool, number).key for number in range(1, 5))
        stored = put(spool, make_batch(gone, 0), make_batch(holds, 0))
        assert stored[0].rows is not None
        spool.drop(stored[0].rows.file).result(WITHIN)
        (kept,) = put(spool, make_batch(holds, 3))
        spool.commit(
            SinkCommit(
                "a", stored[1].id, {gone: "x", living: "y"}, "", letters=[DeadLetter(T0, letter, 0, "no", 1, b"")]
            )
        ).result(WITHIN)
        for key in (gone, holds, letter):
            spool.end_session(key, T0).result(WITHIN)
        spool.readers = frozenset(["a"])
    with opened(tmp_path) as spool:
        assert [stored.id for stored in spool.batches(0, 9, gone)] != []
    look(tmp_path, {}, ["a"])
    assert forget(tmp_path, T0 - 1) == []
    assert forget(tmp_path, T0 + 1) == [gone]
    with opened(tmp_path) as spool:
        assert [row.key for row in spool.sessions()] == [living, holds, letter]
        assert spool.schemas(gone) == {}
        assert spool.cursors("a") == {living: "y"}
        assert [stored.id for stored in spool.batches(0, 9)] == [kept.id]
        assert begin(spool, 9).key > letter
    with opened(tmp_path) as spool:
        begin(spool, 10)
        highest = max(row.key for row in spool.sessions())
        spool.end_session(highest, T0).result(WITHIN)
    assert forget(tmp_path, T0 + 1) == [highest]
    with opened(tmp_path) as spool:
        assert begin(spool, 11).key > highest


def test_no_more_than_so_many_sessions_that_are_over_are_known(tmp_path: Path) -> None:
    """The oldest are forgotten first, whatever their age: a session for each line of a script is nothing unusual."""
    with opened(tmp_path) as spool:
        keys = make_over(spool, KEEP_ENDED + 3, T0)
    assert forget(tmp_path, T0 - 1) == keys[:3]


def test_whoever_knows_a_session_is_told_that_it_is_forgotten(tmp_path: Path) -> None:
    """By its key, from the writer's thread, soon after a start."""
    heard: list[int] = []
    with opened(tmp_path) as spool:
        keys = make_over(spool, 2, T0)
    clock = FakeClock(T0 + 8 * DAY)
    with opened(tmp_path, clock=clock, on_forgotten=heard.extend) as spool:
        until(lambda: len(heard) >= 2, "both sessions told")
        assert spool.sessions() == []
    assert heard == keys
