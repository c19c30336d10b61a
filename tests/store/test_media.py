"""Media in the store, on both engines: found by name, gone with their run."""

from collections.abc import Callable

import pytest
from wayside.row import Event
from wayside_collector.store import Database, Reader, Writer, media
from wayside_collector.store.retention import Limits, Retention
from wayside_collector.testing import make_event, make_parcel, make_session


def event(seq: int, name: object, step: int | None = None) -> Event:
    return make_event("media", {"name": name, "type": "image", "format": "png"}, seq=seq, step=step, time=1e9 + seq)


def names(url: str) -> list[tuple[str, int]]:
    reader = Reader(url)
    try:
        return [(one.name, one.count) for one in reader.media("r1", media.names)]
    finally:
        reader.close()


def test_media_are_found_by_name_once_each(url: str, opened: Callable[[str], Database]) -> None:
    """A parcel that comes again changes nothing; a name that is none is told as text."""
    db = opened(url)
    session = make_session("r1")
    for _ in range(2):
        Writer(db).write(make_parcel(session, [event(0, "a", 1), event(1, "a", 2), event(2, "b"), event(3, 7)]).parts)
    assert names(url) == [("7", 1), ("a", 2), ("b", 1)]


def test_moments_are_steps_or_times(url: str, opened: Callable[[str], Database]) -> None:
    """What has a step is one moment with what has the same; without one each call is."""
    db = opened(url)
    Writer(db).write(
        make_parcel(make_session("r1"), [event(0, "a", 1), event(1, "a", 1), event(2, "a"), event(3, "a")]).parts
    )
    reader = Reader(url)
    try:
        found = reader.media("r1", lambda db, run: media.moments(db, run, "a"))
        assert [(one.step, one.time) for one in found] == [(1, 1e9 + 1), (None, 1e9 + 2), (None, 1e9 + 3)]
        shown = reader.media("r1", lambda db, run: media.items(db, run, "a", found[0], None))
        assert [one.seq for one in shown] == [0, 1]
    finally:
        reader.close()


def test_what_is_shown_of_a_moment_is_bounded(
    url: str, opened: Callable[[str], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as fit the limit in their order, and the first of them whatever its size."""
    db = opened(url)
    data = {"name": "t", "type": "table", "values": {"columns": ["a"], "rows": [["x" * 1000]]}}
    events = [make_event("media", data, seq=seq, step=1, time=1e9) for seq in range(4)]
    Writer(db).write(make_parcel(make_session("r1"), events).parts)
    reader = Reader(url)
    try:
        for most, count in ((10_000, 4), (3000, 2), (1, 1)):
            monkeypatch.setattr(media, "MAX_BYTES", most)
            shown = reader.media("r1", lambda db, run: media.items(db, run, "t", media.Moment(1, 1e9), None))
            assert [one.seq for one in shown] == list(range(count))
            assert all(one.rows == 1 for one in shown)
    finally:
        reader.close()


def test_they_go_with_their_run(url: str, opened: Callable[[str], Database]) -> None:
    """When the store lets go of it."""
    db = opened(url)
    Writer(db, clock=lambda: 1e9).write(make_parcel(make_session("r1"), [event(0, "a")]).parts)
    Retention(db, Limits(max_age=10.0, max_size=1 << 40)).run(2e9)
    assert db.query("SELECT count(*) FROM media") == [(0,)]
