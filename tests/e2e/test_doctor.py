"""`wayside doctor` beside a real collector: what it says is so, its row comes back, and no sink sees it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from e2e.machine import Machine, fetch, until

DOCTOR = (sys.executable, "-c", "from wayside.command import main; main()", "doctor")


def ask(machine: Machine, *arguments: str, **environ: str) -> tuple[int, dict[str, Any]]:
    """The doctor's exit code, and what it says as JSON; its checks by name."""
    done = machine.run(*DOCTOR, "--json", *arguments, **environ)
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    report["checks"] = {check["name"]: check for check in report["checks"]}
    assert done.returncode == (0 if report["ok"] else 1)
    return done.returncode, report


def journals(machine: Machine) -> list[Path]:
    return [path for root in (machine.beside, machine.dir) for path in (root / "journals").glob("*")]


def test_a_row_there_and_back(machine: Machine, transport: str) -> None:
    """With a collector every check is right, the row was stored, nothing of it is left behind, and neither a file, nor
    a page, nor the list of sessions shows it.
    """
    collector = machine.collector().wait_ready()
    code, report = ask(machine, WAYSIDE_TRANSPORT=transport)
    assert (code, report["ok"]) == (0, True)
    assert collector.url in report["checks"]["collector"]["found"]
    way = "read from the journal" if transport == "journal" else "sent over the socket"
    assert way in report["checks"]["row"]["found"]
    assert journals(machine) == []

    def is_taken() -> bool:
        books = collector.status()["sinks"]
        return all(sink["filtered"] == 1 and not sink["rows"]["waiting"] for sink in books.values())

    until(is_taken, "every sink has looked at the row")
    status = collector.status()
    assert (status["ingest"]["received_rows"], status["ingest"]["received_points"]) == (1, 1)
    assert status["sessions"] == []
    assert all(sink["received"] == sink["delivered"] == 0 for sink in status["sinks"].values())
    assert machine.lines() == []
    assert "doctor" not in collector.metrics()


def test_a_running_training_is_not_disturbed(machine: Machine) -> None:
    """Its rows are delivered, all of them and nothing else, however often the doctor comes."""
    collector = machine.collector().wait_ready()
    program = """
import sys, wayside
with wayside.init(project="demo", id="mine"):
    for step in range(200):
        wayside.log({"loss": 1.0}, step=step)
        if step == 100:
            sys.stdout.write("half\\n"); sys.stdout.flush(); sys.stdin.readline()
"""
    job = subprocess.Popen(
        [sys.executable, "-c", program],
        env=machine.environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert job.stdout is not None
    assert job.stdout.readline() == "half\n"
    for _ in range(3):
        assert ask(machine)[0] == 0
    job.communicate("\n", timeout=30)
    collector.wait_delivered()
    assert {line["run"] for line in machine.lines()} == {"mine"}
    assert [row["step"] for row in machine.rows()] == list(range(200))


def test_the_second_place_answers(machine: Machine) -> None:
    """Without WAYSIDE_SOCKET the usual places are looked at in their order, and the one that answers is used."""
    runtime = machine.beside / "run"
    (runtime / "wayside").mkdir(parents=True)
    os.symlink(machine.socket, runtime / "wayside" / "wayside.sock")
    machine.collector().wait_ready()
    code, report = ask(machine, WAYSIDE_SOCKET="", XDG_RUNTIME_DIR=str(runtime))
    assert code == 0
    connects = {socket["path"]: socket["connects"] for socket in report["sockets"]}
    assert connects.pop(str(runtime / "wayside" / "wayside.sock"))
    assert not any(connects.values())
    assert len(connects) == 2


def test_a_killed_collector(machine: Machine) -> None:
    """What it left is told from a collector that listens, with what to do."""
    machine.collector().wait_ready().kill()
    code, report = ask(machine)
    assert code == 1
    assert "left by a collector that is no more" in report["sockets"][0]["state"]
    assert "start the collector again" in report["checks"]["collector"]["do"]
    assert "row" not in report["checks"]
    assert journals(machine) == []


def test_a_frozen_collector(machine: Machine) -> None:
    """One that takes the connection and says nothing is given up after the time that was asked for."""
    collector = machine.collector().wait_ready()
    collector.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    code, report = ask(machine, "--timeout", "0.3")
    assert code == 1
    assert "did not answer in time" in report["checks"]["collector"]["found"]
    assert "stopped" in report["checks"]["collector"]["do"]
    assert time.monotonic() - begun < 15
    assert journals(machine) == []
    collector.process.send_signal(signal.SIGCONT)
    assert ask(machine)[0] == 0


def test_people_read_it(machine: Machine) -> None:
    """As text it has the same checks, a line each, OK or FAIL, and what to do below."""
    machine.collector().wait_ready()
    done = machine.run(*DOCTOR, WAYSIDE_RUN_ID="a/b")
    assert (done.returncode, done.stderr) == (1, "")
    assert "  OK   row: a test row was stored" in done.stdout
    assert "  FAIL identity: the environment's run id is 'a/b'" in done.stdout
    assert "WAYSIDE_RUN_ID\n" in done.stdout


def test_what_is_shown_can_be_opened(machine: Machine) -> None:
    """A run's url, the doctor's and the public one in the status open, also where all interfaces are listened on."""
    collector = machine.collector(WAYSIDE_LISTEN_PUBLIC="0.0.0.0:0").wait_ready()
    program = "import wayside\nwith wayside.init() as run: print(run.url)"
    done = machine.run(sys.executable, "-c", program, WAYSIDE_QUIET="1")
    assert done.stderr == ""
    assert "</html>" in fetch(done.stdout.strip())
    assert done.stdout.startswith(f"{collector.url}/runs/")
    assert collector.url in ask(machine)[1]["checks"]["collector"]["found"]
    public = str(collector.status()["listen_public"])
    assert "0.0.0.0" not in public
    assert fetch(f"{public}livez") == "ok\n"


def test_what_nobody_read_is_named_and_delivered(machine: Machine) -> None:
    """A run killed with its collector gone: the doctor names it with a command, which delivers every row of it, and
    then there is nothing to name and nothing left in memory.
    """
    program = (
        "import os, wayside\nrun = wayside.init(id='left')\nfor step in range(50): run.log({'loss': 0.5}, step=step)\n"
        "os.kill(os.getpid(), 9)"
    )
    assert machine.run(sys.executable, "-c", program).returncode == -signal.SIGKILL
    (orphan,) = ask(machine)[1]["orphans"]
    assert (orphan["run"], orphan["dir"]) == ("left", str(machine.dir))
    check = ask(machine)[1]["checks"]["orphans"]
    command = f"wayside-collector sync {machine.dir}"
    assert f"`{command}`" in check["do"]
    done = machine.wayside_collector(*command.split()[1:])
    assert done.returncode == 0, done.stderr
    assert len(machine.rows("left")) == 50
    assert ask(machine)[1]["orphans"] == []
    assert journals(machine) == []
