"""A script that logs to wandb, unchanged, with the real SDK: what the collector has of it, and who uploads it."""

import pytest
from e2e.hooked import ROWS, heard, train
from e2e.machine import QUIET, Machine

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize(
    ("hook", "mode", "uploads"),
    [("mirror", "offline", False), ("mirror", "disabled", False), ("divert", "online", True)],
)
def test_who_uploads_the_run(machine: Machine, hook: str, mode: str, uploads: bool):
    """Only what wandb itself does not upload is for the collector's W&B sink, here the real SDK writing files."""
    collector = machine.collector({**QUIET, "sinks": {**QUIET["sinks"], "wandb": {"mode": "offline"}}}).wait_ready()
    said = train(machine, WAYSIDE_WANDB_HOOK=hook, WANDB_MODE=mode)
    status = collector.wait_delivered(sinks=("jsonl", "wandb"))
    assert heard(machine)["rows"] == ROWS
    assert "wayside: run n (hooked-1) of project hooked" in said
    (session,) = status["sessions"]
    assert (session["run"], session["project"]) == ("hooked-1", "hooked")
    rows = status["sinks"]["wandb"]["rows"]
    assert (rows["delivered"], rows["filtered"]) == ((len(ROWS), 0) if uploads else (0, len(ROWS)))


@pytest.mark.parametrize(("end", "code"), [("sys.exit(4)", 4), ("raise KeyError('theirs')", 1), ("pass", 0)])
@pytest.mark.parametrize(("hook", "mode"), [("mirror", "offline"), ("divert", "online")])
def test_a_script_that_ends_without_finish(machine: Machine, hook: str, mode: str, end: str, code: int):
    """Its exit code is the run's."""
    collector = machine.collector().wait_ready()
    train(machine, end=end, WAYSIDE_WANDB_HOOK=hook, WANDB_MODE=mode)
    collector.wait_delivered()
    assert heard(machine)["finish"] == [code]
