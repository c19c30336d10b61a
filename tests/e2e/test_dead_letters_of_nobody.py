"""`dead-letters --sink` of a name that no sink has."""

import pytest
from e2e.machine import Machine

pytestmark = pytest.mark.timeout(90)


@pytest.mark.parametrize("action", ["list", "replay", "drop"])
def test_a_sink_that_is_not_there(machine: Machine, action: str) -> None:
    """Exit code 2 and the names there are, asked by its address, beside a collector that runs, and after it."""
    collector = machine.collector().wait_ready()
    config = ("--config", str(machine.folder / "wayside.yaml"))
    for where in (("--url", collector.url), config):
        _check(machine, action, *where)
    assert collector.stop() == 0
    _check(machine, action, *config)


def _check(machine: Machine, action: str, *where: str) -> None:
    done = machine.wayside_collector("dead-letters", action, "--sink", "nosuch", *where)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "there is no sink nosuch" in done.stderr
    assert "jsonl, prometheus" in done.stderr
    there = machine.wayside_collector("dead-letters", action, "--sink", "jsonl", *where)
    assert there.returncode == 0, there.stderr
