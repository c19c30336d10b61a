"""A trainer whose every row can be checked: row n holds numbers that follow from n alone.

    python trainer.py RUN COUNT LEDGER [--pause SECONDS] [--every ROWS] [--die] [--until FILE] [--wide NAMES]

The ledger is a mapped file of whole numbers of 64 bits: how many calls of `log()` have returned, how many were begun,
whether all are done, and how many may be begun (0: any number). It outlives SIGKILL, so a test knows what must have
arrived and what may have.
"""

import argparse
import mmap
import os
import signal
import sys
import time
from pathlib import Path

RETURNED, BEGUN, DONE, ALLOWED = 0, 1, 2, 3
WORDS = 4


def payload(number: int, wide: int = 0) -> dict[str, float]:
    """What row `number` holds. Every seventh has a name more, every hundredth is of names of its own. wide: so many
    names beside these.
    """
    mixed = (number * 2654435761) & 0xFFFFFFFF
    row = {"n": float(number), "mixed": mixed / 7.0, "loss": 1.0 / (1 + number)}
    if number % 7 == 0:
        row["every/seventh"] = float(mixed)
    if number % 100 == 99:
        row[f"block/{number // 100 % 40}"] = -float(number)
    for name in range(wide):
        row[f"wide/{name}"] = number / (1.0 + name)
    return row


class Ledger:
    """The mapped words."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(8 * WORDS))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8 * WORDS)
        self.words = memoryview(self._map).cast("Q")

    @property
    def returned(self) -> int:
        return self.words[RETURNED]

    @property
    def begun(self) -> int:
        return self.words[BEGUN]

    def allow(self, count: int) -> None:
        """Let the trainer begin so many calls, and no more."""
        self.words[ALLOWED] = count

    @property
    def done(self) -> bool:
        """Whether the last call of `log()` has returned, and only `finish()` is to come."""
        return bool(self.words[DONE])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("count", type=int)
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds after each `--every` rows")
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--die", action="store_true", help="SIGKILL itself when the last call has returned")
    parser.add_argument("--until", type=Path, help="finish only when this file is there")
    parser.add_argument("--wide", type=int, default=0, help="names more in each row")
    chosen = parser.parse_args()
    import wayside

    words = Ledger(chosen.ledger).words
    run = wayside.init(project="e2e", id=chosen.run)
    for number in range(chosen.count):
        row = payload(number, chosen.wide)
        while words[ALLOWED] and number >= words[ALLOWED]:
            time.sleep(0.01)
        words[BEGUN] = number + 1
        wayside.log(row, step=number)
        words[RETURNED] = number + 1
        if chosen.pause and number % chosen.every == 0:
            time.sleep(chosen.pause)
    if chosen.die:
        os.kill(os.getpid(), signal.SIGKILL)
    words[DONE] = 1
    while chosen.until is not None and not chosen.until.exists():
        time.sleep(0.02)
    run.finish()
    sys.stdout.write(f"{run.url}\n")


if __name__ == "__main__":
    main()
