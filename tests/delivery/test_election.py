"""Which rank speaks for a run."""

import itertools
from typing import Any

from delivery.virtual import T0
from wayside import wire
from wayside_collector.delivery.election import REELECT, SETTLE, Election
from wayside_collector.registry import Known, Registry
from wayside_collector.spool import Amount, SessionRow, Stored


class Stage:
    """An election and its sessions; every call of `rows` is one more batch, and returns its number."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.election = Election(self.registry)
        self.numbers = itertools.count(1)
        self.now = T0

    def session(self, rank: int | None, run: str = "r1", **fields: Any) -> Known:
        key = len(list(self.registry.all())) + 1
        record = {"session": f"{key:032x}", "run": {"id": run}, "rank": rank, "started": T0, **fields}
        frame = wire.json_frame(wire.HELLO, record)
        return self.registry.add(SessionRow(key, f"{key:032x}", frame, 0, 0, T0, None, False, None, ()))

    def rows(self, known: Known, rows: int = 1) -> int:
        number = next(self.numbers)
        self.election.see(Stored(number, known.key, 0, 1, T0, None, None, Amount(rows, rows, 0), ()), self.now)
        return number

    def end(self, known: Known) -> None:
        known.ended = self.now
        self.election.ended(known.key, self.now)

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return self.election.tick(self.now)

    def verdicts(self, known: Known, *numbers: int) -> list[bool | None]:
        return [self.election.verdict(known.key, number) for number in numbers]


def test_rank_0_speaks_at_once_and_the_others_do_not() -> None:
    """So does a process without a rank."""
    for rank in (0, None):
        stage = Stage()
        zero, one = stage.session(rank), stage.session(1)
        first, second = stage.rows(zero), stage.rows(one)
        assert stage.verdicts(zero, first) == [True]
        assert stage.verdicts(one, second) == [False]


def test_a_higher_rank_waits_a_moment_for_a_lower_one() -> None:
    """Undecided until then; when rank 0 comes in time the first rows of rank 1 were not the run's."""
    stage = Stage()
    one, zero = stage.session(1), stage.session(0)
    early = stage.rows(one)
    assert stage.verdicts(one, early) == [None]
    assert not stage.wait(SETTLE - 0.1)
    late = stage.rows(zero)
    assert stage.verdicts(one, early) == [False]
    assert stage.verdicts(zero, late) == [True]


def test_a_higher_rank_that_is_alone_speaks() -> None:
    """Megatron logs from the last rank: all its rows count, from the first on; the lowest of several."""
    stage = Stage()
    seven, six = stage.session(7), stage.session(6)
    numbers = stage.rows(seven), stage.rows(six), stage.rows(seven)
    assert stage.wait(SETTLE)
    assert stage.verdicts(seven, numbers[0], numbers[2]) == [False, False]
    assert stage.verdicts(six, numbers[1]) == [True]


def test_a_lower_rank_that_comes_late_takes_over() -> None:
    """From its first row on; what was decided before stays."""
    stage = Stage()
    one, zero = stage.session(1), stage.session(0)
    before = stage.rows(one)
    stage.wait(SETTLE)
    takes = stage.rows(zero)
    after = stage.rows(one)
    assert stage.verdicts(one, before, after) == [True, False]
    assert stage.verdicts(zero, takes) == [True]


def test_another_rank_speaks_when_the_first_has_ended() -> None:
    """Not at once: at the end of a job the last rows of rank 1 are no news. Then from the first row after that end."""
    stage = Stage()
    zero, one = stage.session(0), stage.session(1)
    stage.rows(zero)
    silent = stage.rows(one)
    stage.end(zero)
    waiting = stage.rows(one)
    assert stage.verdicts(one, silent, waiting) == [False, None]
    assert not stage.wait(REELECT - 1)
    assert stage.wait(2)
    assert stage.verdicts(one, silent, waiting) == [False, True]


def test_the_last_rows_of_a_job_that_ends_are_nobodys() -> None:
    """All ranks ended before the wait was over: the one that spoke spoke for the run."""
    stage = Stage()
    zero, one = stage.session(0), stage.session(1)
    stage.rows(zero)
    stage.rows(one)
    stage.end(zero)
    last = stage.rows(one)
    stage.end(one)
    assert stage.verdicts(one, last) == [False]


def test_runs_do_not_mix() -> None:
    """Each has its own."""
    stage = Stage()
    a, b = stage.session(0, "a"), stage.session(0, "b")
    assert stage.verdicts(a, stage.rows(a)) == [True]
    assert stage.verdicts(b, stage.rows(b)) == [True]


def test_decisions_are_kept() -> None:
    """Another process, reading what was kept, decides nothing anew; what nobody decided it decides in time."""
    stage = Stage()
    one, zero, two = stage.session(1), stage.session(0), stage.session(2, "other")
    numbers = [stage.rows(one)]
    stage.wait(SETTLE)
    numbers += [stage.rows(zero), stage.rows(one)]
    open_ = stage.rows(two)
    again = Election(stage.registry)
    again.load(stage.election.to_text())
    assert again.seen == stage.election.seen
    assert [again.verdict(one.key, number) for number in numbers[::2]] == [True, False]
    assert again.verdict(zero.key, numbers[1]) is True
    assert again.verdict(two.key, open_) is None
    assert again.tick(stage.now + SETTLE)
    assert again.verdict(two.key, open_) is True


def test_a_forgotten_session_leaves_nothing_behind() -> None:
    """Nor does its run, with the last of them."""
    stage = Stage()
    zero, one = stage.session(0), stage.session(1)
    stage.rows(zero)
    stage.rows(one)
    for known in (zero, one):
        stage.end(known)
        stage.registry.forget([known.key])
        stage.election.forget(known)
    kept = Election(Registry())
    kept.load(stage.election.to_text())
    assert b'"runs": {}' in kept.to_text()
    assert b'"spans": []' in kept.to_text()
