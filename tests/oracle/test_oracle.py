"""The oracle's short rounds: random faults from a fixed seed, both ways to hand over."""

from pathlib import Path

import pytest

from .rounds import play


@pytest.mark.timeout(300)
@pytest.mark.parametrize("transport", ["journal", "socket"])
def test_every_accepted_row_arrives_once_whatever_is_killed(tmp_path: Path, transport: str) -> None:
    """After random kills of trainers, collector and W&B's child, and trouble at Lens, each accepted row has arrived
    at every sink, once where the sink promises it, and no other.
    """
    world, problems = play(tmp_path, seed=20261120, faults=6, transport=transport, plain=True)
    assert problems == []
    assert world.tally.kills >= 6
    assert world.tally.kills_with_rows_held >= 3  # the soak asks for nine in ten of many
    assert world.tally.doubles >= 10


#: Rounds of `make soak` that once broke the rule, or never came to their end: 41001 on full disks (a cancelled wait
#: stopped the spool's writer), 41002 where the socket's folder went (the note
#: beside the socket was never left again), 51007 likewise (a trainer was killed before it had moved what its deleted
#: journal held, which the oracle took for moved).
FAILED = [(41001, "socket"), (41002, "journal"), (51007, "socket")]


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("seed", "transport"), FAILED)
def test_rounds_that_once_failed(tmp_path: Path, seed: int, transport: str) -> None:
    """What was broken under this seed is not broken any more."""
    _, problems = play(tmp_path, seed=seed, faults=60, transport=transport)
    assert problems == []
