"""`top`: what is drawn, and how the terminal is left."""

import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from fcntl import ioctl
from typing import Any

import pytest
from commands.history import tell
from e2e.machine import Machine, until
from e2e.trainers import Trainer
from rich.console import Console
from wayside_collector.commands.top_view import Look, points_rate, step_rates, view
from wayside_collector.store.answers import LossInfo, ProgressPage, RunProgress

Capture = pytest.CaptureFixture[str]
START = 1_767_225_600.0


def run(id: str, step: int | None, state: str = "running", name: str = "n", loss: float | None = None) -> RunProgress:
    last = None if loss is None else LossInfo("loss", loss, step)
    return RunProgress(
        id, name, "p", None, None, None, None, (), id, state, None, START, START + 60, step=step, last_loss=last
    )


def status(points: int, started: float = START) -> dict[str, Any]:
    sink = {"received": points, "delivered": 3, "waiting": 7, "dropped": {"age": 2}, "lag_seconds": 90.0}
    return {
        "version": "1", "started": started, "listen": "http://127.0.0.1:1", "ready": True, "sessions": [],
        "ingest": {"received_points": points}, "spool": {"bytes": 1 << 20, "max_bytes": 1 << 30},
        "sinks": {"jsonl": {**sink, "last_error": "disk \x1b[31mfull"}},
    }  # fmt: skip


def look(moment: float, runs: list[RunProgress], told: dict[str, Any] | None = None, total: int = 0) -> Look:
    return Look(moment, START + moment, told, [], ProgressPage(runs, total or len(runs)))


def drawn(looks: list[Look], height: int | None = None) -> str:
    console = Console(width=120, no_color=True, force_terminal=False, highlight=False)
    with console.capture() as captured:
        console.print(view(looks, height))
    return captured.get()


def test_sinks_and_runs() -> None:
    """Each sink's books and error, each run's step, speed and loss, and no text of theirs that moves the cursor."""
    looks = [look(0, [run("a", 100)], status(1000)), look(2, [run("a", 300, loss=0.5)], status(5000))]
    text = drawn(looks)
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["jsonl"][1:6] == ["5000", "3", "7", "2", "1.5"]
    assert rows["a"][:4] == ["a", "300", "100", "0.5"]
    assert "2,000 points/s" in text
    assert "\x1b" not in text
    assert "disk" in text


def test_rates_are_of_the_looks() -> None:
    """Rates go back to the oldest look that knows the run; a collector that was started anew has none yet."""
    looks = [look(0, []), look(10, [run("a", 50)]), look(20, [run("a", 150)])]
    assert step_rates(looks) == {"a": 10.0}
    assert points_rate([look(0, [], status(100)), look(4, [], status(300))]) == 50.0
    assert points_rate([look(0, [], status(100)), look(4, [], status(3, started=START + 3))]) is None
    assert points_rate([look(0, [])]) is None


def test_no_more_lines_than_there_are() -> None:
    """However many runs: the drawing fits the terminal, and says how many more there are."""
    text = drawn([look(0, [run(f"run-{number}", number) for number in range(50)], status(1), total=70)], 20)
    assert len(text.splitlines()) <= 20
    shown = sum(line.startswith("run-") for line in text.splitlines())
    assert f"and {70 - shown} more runs" in text


def test_one_look(store: str, capsys: Capture) -> None:
    """Where no terminal reads it: one look, and the end."""
    told = tell(capsys, "top", "--store", store)
    assert told.code == 0
    assert [line.split()[0] for line in told.out.splitlines() if line.strip()][1:] == [
        "zebra-c3-longer", "llama-b2", "llama-a1",
    ]  # fmt: skip
    assert "\x1b" not in told.out


def test_nothing_to_look_at(capsys: Capture) -> None:
    """Nobody answers and no run is known: said in its place, exit code 1."""
    told = tell(capsys, "top", "--once", "--url", "http://127.0.0.1:1")
    assert told.code == 1
    assert "no collector answers" in " ".join(told.out.split())


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    made = Machine(tmp_path_factory.mktemp("machine"))
    yield made
    made.close()


class Terminal:
    """A terminal of 24 lines, and a program on it."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
        self.process = subprocess.Popen(
            command, env={**environ, "TERM": "xterm"}, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.text = ""

    def read(self) -> str:
        """All it has shown so far."""
        while select.select([self._master], [], [], 0)[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the program is gone
                break
            if not data:
                break
            self.text += data.decode(errors="replace")
        return self.text

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        deadline = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read()  # a program that writes waits for its reader
            time.sleep(0.02)
        self.read()
        return self.process.wait(1)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_on_a_terminal(machine: Machine, number: signal.Signals, code: int) -> None:
    """Beside a real collector it shows sinks and runs, looks again, and gives the terminal back however it is ended."""
    config = {"sinks": {"jsonl": {}, "store": {}}, "sources": {}}
    collector = machine.collector(config).wait_ready()
    go_on = machine.folder / "go on"
    trainer = Trainer(machine, "my-run", "--until", str(go_on), rows=50)
    until(lambda: collector.status()["sinks"]["store"]["rows"]["delivered"] == 50, "all rows in the store")
    command = [sys.executable, "-m", "wayside_collector", "top", "--interval", "0.2"]
    terminal = Terminal([*command, "--config", str(machine.folder / "wayside.yaml")], machine.environ())
    try:
        shows(terminal, lambda text: "my-run" in text and "jsonl" in text and text.count("Ctrl-C ends it") > 2)
        assert "\x1b[?1049h" in terminal.text, "it draws on the other screen"
        assert terminal.end(number) == code
        text = terminal.text
        assert text.rfind("\x1b[?1049l") > text.rfind("\x1b[?1049h"), "the first screen is back"
        assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l"), "the cursor is back"
        assert "Traceback" not in text
    finally:
        terminal.close()
    go_on.touch()
    trainer.end()
    assert collector.stop() == 0


def shows(terminal: Terminal, what: Callable[[str], bool]) -> None:
    until(lambda: what(terminal.read()), "what it should show", within=60)
