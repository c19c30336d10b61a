"""Trainers whose every row can be checked (`trainer.py`), as processes with their ledgers."""

import signal
import sys

from e2e.checking import check_rows
from e2e.machine import HERE, Collector, Machine, until
from e2e.trainer import Ledger

ROWS = 4000  #: of one trainer: a quarter megabyte, so that no limit is reached whoever is dead


class Trainer:
    """A trainer and its ledger. allowed: how many rows it may log before it is told to go on; 0 for any number."""

    def __init__(
        self, machine: Machine, run: str, *options: str, rows: int = ROWS, allowed: int = 0, **environ: str
    ) -> None:
        self.run = run
        self.rows = rows
        ledger = machine.folder / f"{run}.ledger"
        self.ledger = Ledger(ledger)
        self.ledger.allow(allowed)
        command = [sys.executable, str(HERE / "trainer.py"), run, str(rows), str(ledger), *options]
        self.process, self.log = machine.start(command, **environ)

    def wait_first_row(self) -> None:
        until(lambda: self.ledger.returned or self.process.poll() is not None, "a first row")

    def end(self) -> None:
        code = self.process.wait(60)
        assert code in (0, -signal.SIGKILL), self.log.read_text()

    def check(self, machine: Machine, wide: int = 0) -> None:
        """Every row it logged is there once, none that it did not log, and one finish. wide: as it was told."""
        check_rows(machine.rows(self.run), self.ledger.returned, self.ledger.begun, wide)
        finishes = machine.events("finish", self.run)
        assert len(finishes) == 1, finishes
        if self.process.returncode == 0:
            assert self.ledger.returned == self.rows
            assert finishes[0]["exit_code"] == 0
        else:
            assert finishes[0]["reason"] == "crashed"


def wait_finishes(machine: Machine, trainers: list[Trainer], collector: Collector) -> None:
    def all_finished() -> bool:
        return all(machine.events("finish", trainer.run) for trainer in trainers)

    until(all_finished, f"every run's finish; the collector's log:\n{collector.read_log()}", within=60)
