"""Which series a run has, where they are kept, and what they have come to."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .answers import Goal, SeriesInfo
from .database import Database
from .goals import goal_of, is_hidden
from .measured import measured
from .stats import COLUMNS, Stat, read_stat, together
from .streams import read_tail
from .walk import Leg, axes_of_rows

_LEGS = (
    "SELECT s.kind, s.rank, s.host, s.started, s.id, e.name, t.stepped, t.stream, e.series, e.series - t.first_series,"
    " t.width, t.blocks, t.tail FROM series e JOIN streams t ON t.stream = e.stream"
    " JOIN sessions s ON s.session = t.session WHERE e.run = ?"
)


class Key(NamedTuple):
    """What people call a series of a run: its name, and whose it is. host: only of samplers, and of processes without
    rank nothing tells apart but that.
    """

    name: str
    kind: str
    rank: int | None
    host: str

    @property
    def order(self) -> tuple[bool, str, int, str]:
        return self.kind == "system", self.name, -1 if self.rank is None else self.rank, self.host


class Kept(NamedTuple):
    """Where a series is kept. stepped: whether its rows have steps. turn: its session's place among others (when that
    began, and its id).
    """

    leg: Leg
    stepped: bool
    turn: tuple[float, str]


class Hosting(NamedTuple):
    """A sampler's session that measured for a run; `run` is the one it is filed under."""

    run: int
    since: float
    until: float


def hosting(db: Database, run: int) -> list[Hosting]:
    sql = (
        "SELECT s.run, h.first_time, h.last_time FROM hosting h JOIN sessions s ON s.session = h.session"
        " WHERE h.run = ? ORDER BY h.session"
    )
    return [Hosting(*row) for row in db.query(sql, run)]


def find(db: Database, run: int, name: str | None = None) -> dict[Key, list[Kept]]:
    """The series of a run, of its samplers' too, each with all places it is kept at, the earliest session first."""
    named, names = (" AND e.name = ?", (name,)) if name is not None else ("", ())
    order = " ORDER BY s.started, s.id, t.stream, e.series"
    rows: list[tuple[tuple[Any, ...], float | None, float | None]] = [
        (row, None, None) for row in db.query(_LEGS + named + order, run, *names)
    ]
    for one in hosting(db, run):
        rows += [(row, one.since, one.until) for row in db.query(_LEGS + named + order, one.run, *names)]
    found: dict[Key, list[Kept]] = {}
    for (kind, rank, host, started, id, found_name, stepped, *place), since, until in rows:
        leg = Leg(*_leg_order(place), since, until)
        if leg.blocks or leg.tail:
            key = Key(found_name, kind, rank, host if kind == "system" else "")
            found.setdefault(key, []).append(Kept(leg, bool(stepped), (started, id)))
    return found


def _leg_order(place: Sequence[int]) -> tuple[int, int, int, int, int, int]:
    stream, series, offset, width, blocks, tail = place
    return stream, series, offset, width, blocks, tail


def stats(db: Database, legs: Iterable[Leg]) -> dict[int, Stat]:
    """What series have come to, tails included, in the time that their legs count; by series."""
    found: dict[int, Stat] = {}
    wanted: dict[int, list[Leg]] = {}
    for leg in legs:
        wanted.setdefault(leg.stream, []).append(leg)
    for stream, some in wanted.items():
        if some[0].since is not None:
            found.update(measured(db, some))
            continue
        sql = f"SELECT {', '.join(COLUMNS)} FROM series WHERE stream = ? ORDER BY series"
        known = [read_stat(row) for row in db.query(sql, stream)]
        found.update((leg.series, known[leg.place]) for leg in some)
        if some[0].tail:
            rows = read_tail(db, stream, some[0].width)
            axes = axes_of_rows(rows)
            for leg in some:
                values = [row.values[leg.place] for row in rows]
                found[leg.series] = found[leg.series].and_then(values, axes)
    return found


def describe(
    db: Database, found: Mapping[Key, Sequence[Kept]], definitions: Sequence[Mapping[str, Any]]
) -> list[SeriesInfo]:
    """The series as they are told, in a stable order: the run's own by name and rank, then its samplers', as far as
    they have points of the time in which the run was open.
    """
    known = stats(db, (kept.leg for some in found.values() for kept in some))
    goals: dict[str, Goal | None] = {}
    hiding = [one for one in definitions if "hidden" in one]
    out = []
    for key in sorted(found, key=lambda key: key.order):
        parts = [stat for kept in found[key] if (stat := known[kept.leg.series]).points]
        if not parts:
            continue
        stat = together(parts)
        if key.name not in goals:
            goals[key.name] = goal_of(key.name, definitions)
        own = key.kind == "run"
        out.append(_info(key, stat, goals[key.name] if own else None, own and is_hidden(key.name, hiding)))
    return out


def _info(key: Key, stat: Stat, goal: Goal | None, hidden: bool) -> SeriesInfo:
    best = {"min": (stat.min, stat.min_step), "max": (stat.max, stat.max_step)}.get(goal or "", (None, None))
    mean = stat.sum / stat.finite if stat.finite else float("nan")
    return SeriesInfo(
        key.name, key.kind, key.rank, key.host, stat.points, stat.finite, stat.min, stat.max, mean, stat.last,
        stat.last_step, stat.last_time, goal, best[0] if best[0] == best[0] else None, best[1], hidden,
    )  # fmt: skip


def definitions(db: Database, run: int) -> list[dict[str, Any]]:
    """What the run said of its metrics, in order."""
    sql = "SELECT data FROM events WHERE run = ? AND kind = 'define_metric' ORDER BY time, session, seq"
    return [json.loads(data) for (data,) in db.query(sql, run)]
