"""The oracle's short rounds: random faults from a fixed seed, both ways to hand over."""

from pathlib import Path

import pytest

from .rounds import play


@pytest.mark.timeout(300)
@pytest.mark.parametrize("transport", ["journal", "socket"])
def test_every_accepted_row_arrives_once_whatever_is_killed(tmp_path: Path, transport: str) -> None:
    """After random kills of trainers and collector, each accepted row is in jsonl exactly once, and no other."""
    world, problems = play(tmp_path, seed=20261120, faults=8, transport=transport)
    assert problems == []
    assert world.tally.kills >= 8
