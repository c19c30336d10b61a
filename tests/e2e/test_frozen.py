"""A collector that hangs: stopped by SIGSTOP, with its socket open, while a trainer goes on."""

import signal

import pytest
from e2e.checking import check_payloads
from e2e.machine import Collector, Machine, until
from e2e.trainer import payload
from e2e.trainers import Trainer, wait_finishes

pytestmark = pytest.mark.timeout(120)

WIDE = 200
MORE_THAN_FITS = 12_000  # rows of 1.7 kB: more than the 16 MiB a session's journal may hold


def test_training_goes_on_beside_a_frozen_collector(machine: Machine, transport: str) -> None:
    """Every call returns while the collector is stopped, and everything arrives once when it goes on."""
    collector = machine.collector().wait_ready()
    trainer = Trainer(machine, "r1", "--pause", "0.01", WAYSIDE_TRANSPORT=transport)
    until(lambda: machine.rows("r1"), "the first rows, in jsonl")
    collector.process.send_signal(signal.SIGSTOP)
    frozen_at = trainer.ledger.returned
    assert frozen_at < trainer.rows, "the trainer was done before the collector was stopped"
    until(lambda: trainer.ledger.done, "the last call's return, beside a stopped collector")
    collector.process.send_signal(signal.SIGCONT)
    trainer.end()
    wait_finishes(machine, [trainer], collector)
    status = collector.wait_delivered()
    trainer.check(machine)
    assert status["ingest"]["lost_rows"] == 0


def test_what_does_not_fit_is_booked_exactly(machine: Machine, transport: str) -> None:
    """More rows than a journal may hold, while nobody reads it: each is either there once or booked as lost by the
    client, who says so itself, and the run ends as it did.
    """
    collector = machine.collector().wait_ready()
    go_on = machine.folder / "go on"
    options = ["--until", str(go_on), "--wide", str(WIDE), "--pause", "0.001"]
    trainer = Trainer(machine, "r1", *options, rows=MORE_THAN_FITS, WAYSIDE_TRANSPORT=transport)
    until(lambda: machine.rows("r1"), "the first rows, in jsonl")
    collector.process.send_signal(signal.SIGSTOP)
    until(lambda: trainer.ledger.done, "the last call's return, beside a stopped collector", within=60)
    collector.process.send_signal(signal.SIGCONT)
    go_on.touch()
    check_losses(machine, collector, trainer)


def test_a_journal_that_runs_full_again_and_again(machine: Machine, transport: str) -> None:
    """A collector that hangs, goes on and hangs again beside a tight loop: no call fails, and every loss is booked."""
    collector = machine.collector().wait_ready()
    trainer = Trainer(machine, "r1", "--wide", str(WIDE), rows=4 * MORE_THAN_FITS, WAYSIDE_TRANSPORT=transport)
    for turn in (0, 2):
        until(lambda to=turn * MORE_THAN_FITS: trainer.ledger.returned > to, "rows while the collector runs")
        collector.process.send_signal(signal.SIGSTOP)
        until(lambda to=(turn + 1) * MORE_THAN_FITS: trainer.ledger.returned > to, "rows while it does not")
        collector.process.send_signal(signal.SIGCONT)
    check_losses(machine, collector, trainer)


def check_losses(machine: Machine, collector: Collector, trainer: Trainer) -> None:
    """What of a trainer's rows is missing is what the collector booked and the trainer told, point by point."""
    trainer.end()
    assert trainer.process.returncode == 0, trainer.log.read_text()
    wait_finishes(machine, [trainer], collector)
    status = collector.wait_delivered()
    lines = machine.lines("r1")
    rows = [line for line in lines if "metrics" in line]
    check_payloads(rows, WIDE)
    numbers = [int(row["metrics"]["n"]) for row in rows]
    assert numbers == sorted(set(numbers)), "rows twice, or out of order"
    missing = set(range(trainer.rows)).difference(numbers)
    assert missing, "nothing was lost: the test asks too little"
    assert status["ingest"]["lost_points"] == sum(len(payload(number, WIDE)) for number in missing)
    seqs = {line["seq"] for line in lines}
    gone = max(seqs) + 1 - len(seqs)  # rows, and what the client says of itself in that time
    assert status["ingest"]["lost_rows"] == gone
    assert 0 <= gone - len(missing) < 5
    told = machine.events("client", "r1")[-1]["dropped"]
    assert told == {"rows": gone, "points": status["ingest"]["lost_points"]}
    assert [event["exit_code"] for event in machine.events("finish", "r1")] == [0]
