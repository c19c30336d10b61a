"""`sync` says what it found this time, beside what the sinks have had in all."""

import pytest
import yaml
from e2e.machine import QUIET, Machine
from e2e.trainers import Trainer

pytestmark = pytest.mark.timeout(90)


def test_what_was_found_is_said(machine: Machine) -> None:
    """One journal with its rows the first time, none the second, though the table shows the rows both times."""
    config = machine.folder / "wayside.yaml"
    config.write_text(yaml.safe_dump(QUIET))
    Trainer(machine, "r1", rows=20, WAYSIDE_MODE="offline").end()
    first = machine.wayside_collector("sync", str(machine.dir), "--config", str(config))
    assert (first.returncode, first.stdout.splitlines()[0][:29]) == (0, "1 journal, 20 rows this time;"), first.stderr
    second = machine.wayside_collector("sync", str(machine.dir), "--config", str(config))
    assert second.returncode == 0, second.stderr
    assert second.stdout.startswith(f"no journals found below {machine.dir};")
    assert second.stdout.splitlines()[1:] == first.stdout.splitlines()[1:]


def test_what_waits_and_why_is_said(machine: Machine) -> None:
    """With a sink that cannot be reached each line of progress says something new: which sink, how much, its error;
    in the end that it is kept, with exit code 1.
    """
    config = machine.folder / "wayside.yaml"
    config.write_text(yaml.safe_dump({**QUIET, "sinks": {"jsonl": {}, "lens": {"endpoint": "http://127.0.0.1:1/v1"}}}))
    Trainer(machine, "r1", rows=20, WAYSIDE_MODE="offline", WORKLOAD_UID="w").end()
    done = machine.wayside_collector("sync", str(machine.dir), "--config", str(config), "--timeout", "9")
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("delivering:")]
    assert any("points for lens (http://127.0.0.1:1" in line and "Ctrl-C keeps what waits" in line for line in said)
    assert len(said) == len(set(said))
    assert "kept in the spool" in done.stderr
    assert len(machine.rows("r1")) == 20
