"""What restarts have cost a run: the steps that a later attempt did again, since the earlier one was killed after its
last checkpoint.
"""

from collections.abc import Iterable
from typing import NamedTuple

from .database import Database

_STEPS = """
    SELECT s.rank, s.started, s.active, min(x.first), max(x.last)
    FROM sessions s JOIN streams t ON t.session = s.session
    JOIN (SELECT stream, first_step AS first, last_step AS last FROM spans WHERE level = 0
          UNION ALL SELECT stream, min(step), max(step) FROM tail GROUP BY stream) x ON x.stream = t.stream
    WHERE s.run = ? AND s.kind = 'run'
    GROUP BY s.session, s.rank, s.started, s.active
"""


class Stay(NamedTuple):
    """One session with steps: whose, from when to when (Unix time in seconds), and its least and greatest step."""

    rank: int | None
    began: float
    ended: float
    first: int
    last: int


def repeated_steps(db: Database, run: int) -> int:
    """How many steps of a run were done more than once, as far as its points are kept."""
    return count_repeated(Stay(*row) for row in db.query(_STEPS, run) if row[3] is not None)


def count_repeated(stays: Iterable[Stay]) -> int:
    """Of the rank that did most of them: all ranks go back together. Sessions side by side are no attempts. Pure."""
    ranks: dict[int | None, list[Stay]] = {}
    for stay in sorted(stays, key=lambda stay: stay.began):
        ranks.setdefault(stay.rank, []).append(stay)
    return max(map(_repeated, ranks.values()), default=0)


def _repeated(stays: list[Stay]) -> int:
    """Of the sessions of one rank, by their beginning."""
    count = 0
    reached, over = stays[0].first - 1, stays[0].began
    for stay in stays:
        if stay.began >= over:
            count += max(0, min(stay.last, reached) - stay.first + 1)
        reached, over = max(reached, stay.last), max(over, stay.ended)
    return count
