"""A sidecar that is an ordinary container: it ends when the training has, by itself, with everything delivered."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.machine import COLLECTOR, QUIET, Machine, until
from e2e.trainers import Trainer

ALONE = {**QUIET, "exit_when_alone": 0.5}


@pytest.mark.timeout(90)
def test_it_ends_after_the_last_session(machine: Machine) -> None:
    """Where it sees no other container's processes, it ends after the last session has, and not while one is open."""
    collector = machine.collector(ALONE).wait_ready()
    first = Trainer(machine, "r1", rows=100)
    first.end()
    second = Trainer(machine, "r2", rows=200, allowed=100)
    second.wait_first_row()
    with pytest.raises(subprocess.TimeoutExpired):
        collector.process.wait(3)  # six times what it waits for
    second.ledger.allow(0)
    second.end()
    assert collector.process.wait(60) == 0, collector.read_log()
    first.check(machine)
    second.check(machine)


class SharedPod:
    """A process namespace as of a pod whose containers share it, with Kubernetes's own process as its first."""

    def __init__(self, folder: Path) -> None:
        first = folder / "pause"
        shutil.copy(shutil.which("sleep") or "/bin/sleep", first)
        self._outer = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", str(first), "infinity"]
        )
        self.first = until(self._find, "the first process of the namespace")

    def _find(self) -> int:
        assert self._outer.poll() is None, "no namespace could be made"
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
        # Until it has become the program, its name is still that of its parent.
        return next((int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text() == "pause\n"), 0)

    def enter(self) -> list[str]:
        """What a command in it begins with."""
        return ["nsenter", "--target", str(self.first), "--pid", "--mount", "--"]

    def close(self) -> None:
        self._outer.kill()
        self._outer.wait()


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[SharedPod]:
    made = SharedPod(tmp_path)
    yield made
    made.close()


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a process namespace here")


@needs_root
@pytest.mark.timeout(90)
def test_it_ends_after_the_last_process(machine: Machine, shared: SharedPod) -> None:
    """Where it sees them, it ends when no other process is left, though the training has never logged anything; and it
    does not end while one still runs.
    """
    config = machine.folder / "alone.yaml"
    config.write_text("sinks: {jsonl: {}}\nsources: {}\nexit_when_alone: 0.5\n")
    collector, log = machine.start([*shared.enter(), *COLLECTOR, "run", "--config", str(config)])
    until(lambda: (machine.socket.parent / "collector.json").exists(), "the collector's note")
    gate = machine.folder / "gate"
    script = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.05)"
    training, _ = machine.start([*shared.enter(), sys.executable, "-c", script])
    with pytest.raises(subprocess.TimeoutExpired):
        collector.wait(3)
    gate.touch()
    assert training.wait(60) == 0
    assert collector.wait(60) == 0, log.read_text()


@needs_root
@pytest.mark.timeout(90)
def test_nothing_is_lost_at_the_end(machine: Machine, shared: SharedPod) -> None:
    """Every row of a training that ends is delivered before the collector has ended."""
    config = machine.folder / "alone.yaml"
    config.write_text("sinks: {jsonl: {}}\nsources: {}\nexit_when_alone: 0.5\n")
    collector, log = machine.start([*shared.enter(), *COLLECTOR, "run", "--config", str(config)])
    script = "import wayside\nfor n in range(2000): n or wayside.init(id='r1'); wayside.log({'n': n}, step=n)"
    training, said = machine.start([*shared.enter(), sys.executable, "-c", script])
    assert training.wait(60) == 0, said.read_text()
    assert collector.wait(60) == 0, log.read_text()
    assert [row["step"] for row in machine.rows("r1")] == list(range(2000))
