"""How hard every fuzz target is tried, and what each of them claims about memory.

A few hundred examples in `make test`; 10,000 of each target with the mark `long`; and where WAYSIDE_FUZZ_SECONDS says
so, each target for its share of that time, from a new seed each time.
"""

import contextlib
import os
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

TARGETS = 13  # among which the seconds are shared
SECONDS = float(os.environ.get("WAYSIDE_FUZZ_SECONDS", "0"))
QUICK = 300  # examples of a target in `make test`
FACTOR = 64  # bytes of memory for each byte of input: Python's objects for the shortest JSON there is


@dataclass(frozen=True)
class Effort:
    """examples: how many, or how many at a time until `seconds` are over."""

    examples: int
    seconds: float = 0.0

    def share(self, part: int) -> "Effort":
        """For a target so much slower than the others: less of it where everybody waits."""
        return self if self.examples > QUICK else Effort(self.examples // part)

    def run(self, strategy: SearchStrategy[Any], check: Callable[[Any], None]) -> None:
        """Call `check` with each example; it raises for one that breaks a claim."""
        tried = settings(max_examples=self.examples, deadline=None, suppress_health_check=list(HealthCheck))
        until = time.monotonic() + self.seconds
        while True:
            target = given(strategy)(lambda example: check(example))
            if self.seconds:
                chosen = random.getrandbits(64)
                print(f"seed {chosen}")  # shown when it fails
                target = seed(chosen)(target)
            tried(target)()
            if time.monotonic() >= until:
                return


EFFORTS = [
    pytest.param(Effort(QUICK), id="quick", marks=pytest.mark.timeout(60)),
    pytest.param(Effort(10_000), id="thorough", marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
]
if SECONDS:
    timed = Effort(100, SECONDS / TARGETS)
    EFFORTS.append(pytest.param(timed, id="seconds", marks=pytest.mark.timeout(int(SECONDS) + 600)))


@contextlib.contextmanager
def bounded(size: int, floor: int) -> Iterator[None]:
    """What is done with an input of `size` bytes takes no more memory than `floor` and a multiple of it."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= floor + FACTOR * size, f"{peak} bytes of memory for {size} bytes of input"
