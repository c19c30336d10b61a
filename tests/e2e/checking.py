"""What the jsonl files must hold of a trainer's run: each row once, in order, as it was logged."""

from collections.abc import Sequence
from typing import Any

from e2e.trainer import payload


def check_rows(rows: Sequence[dict[str, Any]], at_least: int, at_most: int, wide: int = 0) -> None:
    """Rows 0, 1, 2 … without a gap or a double, `at_least` of them and not more than `at_most`, each as logged."""
    numbers = [int(row["metrics"]["n"]) for row in rows]
    doubled = len(numbers) - len(set(numbers))
    missing = sorted(set(range(at_least)) - set(numbers))
    assert not doubled, f"{doubled} rows are there twice"
    assert not missing, f"{len(missing)} rows of {at_least} whose log() had returned are missing: {missing[:5]} …"
    assert len(numbers) <= at_most, f"rows that nobody logged: {sorted(numbers)[at_most:][:5]} …"
    assert numbers == list(range(len(numbers))), "rows are out of order"
    check_payloads(rows, wide)


def check_payloads(rows: Sequence[dict[str, Any]], wide: int = 0) -> None:
    """Each row as it was logged, with its step; seqs rise within a session."""
    last: dict[str, int] = {}
    for row in rows:
        number = int(row["metrics"]["n"])
        assert row["metrics"] == payload(number, wide), f"row {number} was changed on its way"
        assert row["step"] == number
        assert row["seq"] > last.get(row["session"], -1)
        last[row["session"]] = row["seq"]
