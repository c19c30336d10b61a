"""What clients lost, by session and range."""

from pathlib import Path

from spool.making import T0, WITHIN, begin, opened, session_id
from wayside_collector.spool import Loss, Lost, Spool
from wayside_collector.spool import index as statements
from wayside_collector.spool.losses import MAX_RANGES


def lose(spool: Spool, key: int, *ranges: tuple[int, int], time: float = T0) -> None:
    spool.append((), [Loss(key, first, end, 2 * (end - first), "client", time) for first, end in ranges]).result(WITHIN)


def test_each_range_is_told_with_its_session(tmp_path: Path) -> None:
    """From which seq to which, how many rows and points, and when; the newest first, also after a restart."""
    with opened(tmp_path) as spool:
        one, other = begin(spool, 1).key, begin(spool, 2).key
        lose(spool, one, (3, 10), (20, 25))
        lose(spool, other, (7, 8), time=T0 + 5)
    with opened(tmp_path) as spool:
        assert spool.client_losses(10) == [
            Lost(session_id(2), "client", 7, 8, 1, 2, T0 + 5),
            Lost(session_id(1), "client", 20, 25, 5, 10, T0),
            Lost(session_id(1), "client", 3, 10, 7, 14, T0),
        ]
        assert len(spool.client_losses(2)) == 2
        assert spool.client_lost() == (13, 26)
        assert spool.lost_by_client(one) == (12, 24)
        assert spool.lost_by_client(99) == (0, 0)


def test_a_loss_that_goes_on_lengthens_its_range(tmp_path: Path) -> None:
    """A journal that stays full loses row after row: one range, not a thousand."""
    with opened(tmp_path) as spool:
        key = begin(spool).key
        lose(spool, key, (3, 10), (10, 12), (12, 13))
        assert spool.client_losses(10) == [Lost(session_id(1), "client", 3, 13, 10, 20, T0)]


def test_ranges_of_a_session_are_bounded_and_nothing_is_forgotten(tmp_path: Path) -> None:
    """Beyond the limit the last range covers what else was lost; the rows stay exact."""
    with opened(tmp_path) as spool:
        key = begin(spool).key
        ranges = [(10 * number, 10 * number + 3) for number in range(MAX_RANGES + 5)]
        lose(spool, key, *ranges)
        found = spool.client_losses(1000)
        assert len(found) == MAX_RANGES
        assert (found[0].first_seq, found[0].next_seq, found[0].rows) == (10 * (MAX_RANGES - 1), ranges[-1][1], 18)
        assert sum(lost.rows for lost in found) == 3 * len(ranges)


def test_what_a_forgotten_session_lost_stays_in_the_sum(tmp_path: Path) -> None:
    """A counter never falls."""
    with opened(tmp_path) as spool:
        first, second = begin(spool, 1).key, begin(spool, 2).key
        lose(spool, first, (0, 4), (9, 10))
        lose(spool, second, (0, 2))
        for key in (first, second):
            spool.end_session(key, T0).result(WITHIN)
        for before in (T0 + 1, T0 + 1):
            forget = spool._hand_in((), lambda db, stored, at=before: statements.forget_sessions(db, at, 1))
            forget.result(WITHIN)
        assert spool.client_losses(10) == []
        assert spool.client_lost() == (7, 14)
