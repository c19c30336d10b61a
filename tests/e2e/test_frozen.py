"""A collector that hangs: stopped by SIGSTOP, with its socket open, while a trainer goes on."""

import signal

import pytest
from e2e.checking import check_payloads
from e2e.machine import Machine, until
from e2e.trainer import payload
from e2e.trainers import Trainer, wait_finishes

pytestmark = pytest.mark.timeout(120)

MORE_THAN_FITS = 500_000  # rows of about a hundred bytes: three times the 16 MiB a session's journal may hold


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
    client, and the trainer says how many.
    """
    collector = machine.collector().wait_ready()
    go_on = machine.folder / "go on"
    trainer = Trainer(machine, "r1", "--until", str(go_on), rows=MORE_THAN_FITS, WAYSIDE_TRANSPORT=transport)
    until(lambda: machine.rows("r1"), "the first rows, in jsonl")
    collector.process.send_signal(signal.SIGSTOP)
    until(lambda: trainer.ledger.done, "the last call's return, beside a stopped collector", within=60)
    collector.process.send_signal(signal.SIGCONT)
    go_on.touch()
    trainer.end()
    wait_finishes(machine, [trainer], collector)
    status = collector.wait_delivered()
    rows = machine.rows("r1")
    check_payloads(rows)
    numbers = [int(row["metrics"]["n"]) for row in rows]
    assert numbers == sorted(set(numbers)), "rows twice, or out of order"
    missing = set(range(MORE_THAN_FITS)).difference(numbers)
    assert missing, "nothing was lost: the test asks too little"
    assert status["ingest"]["lost_points"] == sum(len(payload(number)) for number in missing)
    seqs = {line["seq"] for line in machine.lines("r1")}
    gone = max(seqs) + 1 - len(seqs)  # rows, and what the client says of itself in that time
    assert status["ingest"]["lost_rows"] == gone
    assert 0 <= gone - len(missing) < 5
    told = machine.events("client", "r1")[-1]["dropped"]
    assert told == {"rows": gone, "points": status["ingest"]["lost_points"]}
