"""Files that came with events: kept while a sink may want them, gone with their events, and none left over."""

import os
import sqlite3
from pathlib import Path

import pytest
from spool.making import T0, WITHIN, begin, make_batch, opened, put, session_id
from waiting import until
from wayside_collector.media_folder import MediaFile
from wayside_collector.spool import Batch, SinkCommit, Spool, Stored, media_index
from wayside_collector.spool.files import ROLL_AGE
from wayside_collector.testing import FakeClock

DAY = 86400.0


def name(seq: int, number: int = 0, session: int = 1) -> str:
    return f"{session_id(session)}/{seq}-{number}.png"


def write(spool: Spool, file: str, size: int, *, link: bool = False) -> MediaFile:
    """A file as a source puts it there."""
    source = spool.options.path.parent / f"source-{file.replace('/', '-')}"
    source.write_bytes(b"x" * size)
    with source.open("rb") as opened_file:
        if link:
            assert spool.media.link(opened_file.fileno(), file)
        else:
            spool.media.copy(opened_file.fileno(), file, size)
    return MediaFile(file, size, link)


def with_media(session: int, seq: int, *files: MediaFile) -> Batch:
    batch = make_batch(session, seq, rows=0, events=1, kind="media")
    return Batch(**{field: getattr(batch, field) for field in batch.__slots__} | {"media": files})


def store(spool: Spool, session: int, seq: int, size: int = 100, *, link: bool = False) -> Stored:
    return put(spool, with_media(session, seq, write(spool, name(seq), size, link=link)))[0]


def commit(spool: Spool, sink: str, position: int) -> None:
    spool.commit(SinkCommit(sink, position, {}, "")).result(WITHIN)


def there(spool: Spool) -> list[str]:
    return sorted(file.name for file in spool.media.files())


@pytest.mark.parametrize(
    "bad",
    ["", "../x", "a/0-0", f"{session_id(1)}/../0-0", f"{session_id(1)}/0-0/x", f"/{session_id(1)}/0-0", "x" * 500],
)
def test_only_names_of_its_own_are_paths(tmp_path: Path, bad: str) -> None:
    """No name leads out of the folder."""
    with opened(tmp_path / "spool") as spool:
        assert not spool.media.has(bad)
        with pytest.raises(ValueError, match="is no name"):
            spool.media.path(bad)


def test_a_file_goes_when_every_sink_has_passed_its_event(tmp_path: Path) -> None:
    """Not before the last of them, and the folder with its last file."""
    with opened(tmp_path / "spool") as spool:
        key = begin(spool).key
        first, second = store(spool, key, 0), store(spool, key, 1)
        spool.readers = frozenset({"a", "b"})
        commit(spool, "a", second.id)
        commit(spool, "b", first.id)
        until(lambda: there(spool) == [name(1)], "the first is gone, the second is not")
        assert spool.media_held().owned == 100
        commit(spool, "b", second.id)
        until(lambda: not there(spool), "both are gone")
        until(lambda: not (spool.media.folder / session_id(1)).exists(), "and their folder")


def test_a_copy_is_one_and_a_link_is_the_same_file(tmp_path: Path) -> None:
    """What is linked takes no room, and outlives its owner's name."""
    with opened(tmp_path / "spool") as spool:
        file = write(spool, name(0), 100, link=True)
        copy = write(spool, name(1), 100)
        source = tmp_path / f"source-{name(0).replace('/', '-')}"
        assert os.path.samefile(source, spool.media.path(file.name))
        source.unlink()
        assert spool.media.path(file.name).read_bytes() == spool.media.path(copy.name).read_bytes()


def test_what_is_over_the_limit_is_told_oldest_first(tmp_path: Path) -> None:
    """As many as bring the bytes below it; copies and links have a limit each."""
    with opened(tmp_path / "spool", max_media=250, max_linked=150) as spool:
        key = begin(spool).key
        batches = [store(spool, key, seq) for seq in range(4)]
        found = spool.media_over_limit()
        assert found is not None
        assert ([one.id for one in found[0]], found[1]) == ([one.id for one in batches[:2]], "size")
        spool.drop_media([one.id for one in found[0]]).result(WITHIN)
        assert there(spool) == [name(2), name(3)]
        assert [one.events for one in spool.batches(0, 9)][:2] == [None, None]
        assert spool.media_over_limit() is None
        linked = [store(spool, key, seq, link=True) for seq in (4, 5)]
        found = spool.media_over_limit()
        assert found is not None
        assert [one.id for one in found[0]] == [linked[0].id]


def test_what_is_too_old_is_told(tmp_path: Path) -> None:
    """Before the segment files of that age are."""
    clock = FakeClock(T0)
    with opened(tmp_path / "spool", max_age=DAY, clock=clock) as spool:
        key = begin(spool).key
        old = store(spool, key, 0)
        clock.forward(DAY / 2)
        store(spool, key, 1)
        clock.forward(DAY / 2 + 1)
        found = spool.media_over_limit()
        assert found is not None
        assert ([one.id for one in found[0]], found[1]) == ([old.id], "age")
        assert spool.over_limit() is None


def test_files_go_with_the_segment_file_of_their_events(tmp_path: Path) -> None:
    """When a limit drops it."""
    clock = FakeClock(T0)
    with opened(tmp_path / "spool", clock=clock, max_size=10) as spool:
        key = begin(spool).key
        store(spool, key, 0)
        clock.forward(ROLL_AGE + 1)
        store(spool, key, 1)
        found = spool.over_limit()
        assert found is not None
        spool.drop(found[0]).result(WITHIN)
        assert there(spool) == [name(1)]


def test_a_start_keeps_what_is_stored_and_removes_the_rest(tmp_path: Path) -> None:
    """A stray file, half a copy, a file of an event that was dropped, and one whose row in the table is lost."""
    with opened(tmp_path / "spool") as spool:
        key = begin(spool).key
        store(spool, key, 0)
        dropped = store(spool, key, 1)
        store(spool, key, 2)
        spool.drop_media([dropped.id]).result(WITHIN)
        for stray in (name(1), name(77), name(0, session=9), f"{name(0)}.new"):
            path = spool.media.folder / stray
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"stray")
    with sqlite3.connect(tmp_path / "spool/spool.db") as db:
        db.execute("DELETE FROM media WHERE name = ?", (name(2),))
    db.close()
    with opened(tmp_path / "spool") as spool:
        assert there(spool) == [name(0), name(2)]
        assert spool.media_held().owned == 200


def test_a_spool_that_had_no_media_gets_their_table(tmp_path: Path) -> None:
    """One from before there were any goes on as it is."""
    with opened(tmp_path / "spool") as spool:
        key = begin(spool).key
        put(spool, make_batch(key, 0))
    with sqlite3.connect(tmp_path / "spool/spool.db") as db:
        db.execute("DROP TABLE media")
    db.close()
    with opened(tmp_path / "spool") as spool:
        assert spool.salvaged is None
        store(spool, key, 3)
        assert len(spool.batches(0, 9)) == 2


def test_a_database_made_anew_knows_the_files(tmp_path: Path) -> None:
    """Their names say to which event they belong."""
    with opened(tmp_path / "spool") as spool:
        store(spool, begin(spool).key, 0)
    (tmp_path / "spool/spool.db").write_bytes(b"no database")
    with opened(tmp_path / "spool") as spool:
        assert spool.salvaged is not None
        assert there(spool) == [name(0)]
        assert spool.media_held().owned == 100


def test_so_many_are_dropped_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest of them; the next look goes on."""
    monkeypatch.setattr(media_index, "DROP_AT_ONCE", 2)
    with opened(tmp_path / "spool", max_media=1) as spool:
        key = begin(spool).key
        batches = [store(spool, key, seq) for seq in range(3)]
        found = spool.media_over_limit()
        assert found is not None
        assert [one.id for one in found[0]] == [one.id for one in batches[:2]]


def test_on_a_full_disk_a_piece_goes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as free so much, though no limit is passed."""
    monkeypatch.setattr(media_index, "DISK_PIECE", 150)
    bounds = media_index.Bounds(1 << 30, 1 << 30, DAY)
    with opened(tmp_path / "spool") as spool:
        key = begin(spool).key
        batches = [store(spool, key, seq) for seq in range(3)]
        with sqlite3.connect(tmp_path / "spool/spool.db") as db:
            assert media_index.next_to_drop(db, bounds, 0.0, full=False) is None
            found = media_index.next_to_drop(db, bounds, 0.0, full=True)
        db.close()
        assert found == ([one.id for one in batches[:2]], "disk")
