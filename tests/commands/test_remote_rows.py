"""Rows put together again from curves are those of the store: when some were let go of, and of many metrics at once."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wayside.row import Row
from wayside_collector.commands import remote_rows
from wayside_collector.commands.remote_rows import RemoteRows
from wayside_collector.store import Reader, Writer, connect
from wayside_collector.store.answers import Curve
from wayside_collector.store.logged import Logged, LoggedRow
from wayside_collector.store.retention import Limits, Retention
from wayside_collector.testing import FakeClock, make_parcel, make_session

START = 1_767_225_600.0
DAY = 86400.0


class Watched(Reader):
    """A reader that notes how many values each answer had, and how many answers there were."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.answered: list[int] = []

    def curves(self, *asked: Any, **options: Any) -> list[Curve]:
        found = super().curves(*asked, **options)
        self.answered.append(sum(len(curve.times) for curve in found))
        return found


def rows(begin: int, count: int, start: float, names: tuple[str, ...]) -> Iterator[Row]:
    """One a second; each tenth has another metric beside, and so stands in another stream."""
    for seq in range(begin, begin + count):
        here = names if seq % 10 else (*names, "val/acc")
        yield Row(
            seq, start + seq - begin, seq, True, False, here, tuple(seq + place / 8 for place in range(len(here)))
        )


def same(place: str, history: Reader) -> None:
    """The same rows from curves as from the store."""
    db = connect(place, reading=True)
    direct = [_plain(row) for _, row in Logged(db, "r", lambda key: True)]
    db.close()
    assert direct
    found = [_plain(row) for _, row in RemoteRows(history, "r", lambda key: True)]
    assert Counter(found) == Counter(direct)
    assert [row[0] for row in found] == sorted(row[0] for row in direct)


def _plain(row: LoggedRow) -> tuple[object, ...]:
    return row.time, row.step, *sorted(zip(row.names, row.values, strict=True))


@pytest.mark.parametrize("most", [20_000, 300])
def test_points_that_were_let_go_of_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Where blocks of points are gone, also amid others that stay, the rest comes whole, as from the store."""
    monkeypatch.setattr(remote_rows, "MAX_POINTS", most)
    place = str(tmp_path / "store.db")
    db = connect(place)
    db.migrate()
    session = make_session("r", rank=0, started=START)
    for begin, start in ((0, START), (6000, START + 60 * DAY)):
        parcel = make_parcel(session, list(rows(begin, 6000, start, ("loss", "lr"))))
        Writer(db, clock=FakeClock(start)).write(parcel.parts)
    assert Retention(db, Limits(30 * DAY, 1 << 40)).run(START + 60 * DAY + 6000).blocks_removed
    db.run("DELETE FROM blocks WHERE number = (SELECT max(number) - 2 FROM blocks)")  # amid what stays
    db.close()
    history = Watched(place)
    same(place, history)
    history.close()


def test_many_metrics_at_once_stay_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many metrics a rank has, no more values are asked for at a time than memory should hold."""
    monkeypatch.setattr(remote_rows, "VALUES", 20_000)
    place = str(tmp_path / "store.db")
    db = connect(place)
    db.migrate()
    names = tuple(f"m/{number}" for number in range(60))
    Writer(db).write(make_parcel(make_session("r", rank=0), list(rows(0, 1500, START, names))).parts)
    db.close()
    history = Watched(place)
    same(place, history)
    history.close()
    assert max(history.answered) <= 20_000
    assert len(history.answered) < 40


def test_too_many_at_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics that are too many together at one moment are asked for one by one there."""
    monkeypatch.setattr(remote_rows, "VALUES", 1000)
    place = str(tmp_path / "store.db")
    db = connect(place)
    db.migrate()
    names = tuple(f"m/{number}" for number in range(10))
    still = [row._replace(time=START) for row in rows(0, 600, START, names)]
    Writer(db).write(make_parcel(make_session("r", rank=0), still).parts)
    db.close()
    history = Watched(place)
    same(place, history)
    history.close()
