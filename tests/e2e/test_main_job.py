"""The main job, both ways of handing over: several ranks train, and everything they said arrives, once and in order."""

import re
import sys
import textwrap
import time
from typing import Any

import pytest
from e2e.checking import check_rows
from e2e.machine import HERE, Machine, free_port, until
from e2e.trainer import payload
from e2e.trainers import Trainer, wait_finishes

pytestmark = pytest.mark.timeout(90)

RANKS = 3
ROWS = 2000
POINTS = sum(len(payload(number)) for number in range(ROWS))

TALK = textwrap.dedent(
    """
    import os, sys, wayside
    with wayside.init(project="e2e", id="talk", name="a talk", config={"lr": 3e-4, "nested": {"depth": 2}}) as run:
        for step in range(5):
            wayside.log({"loss": 1.0 / (1 + step)}, step=step)
        wayside.log({"loss": float("nan"), "norm": float("inf")}, step=5)
        run.summary["accuracy"] = 0.5
        wayside.alert("loss is NaN", "look at step 5", level=wayside.AlertLevel.ERROR)
        wayside.log({"sample": "some text"}, step=6)
    """
)


def test_every_rank_arrives_once_and_in_order(machine: Machine, transport: str) -> None:
    """Ranks that log at once into one run: each rank's rows are all in jsonl once, in order, and the books balance."""
    collector = machine.collector().wait_ready()
    ranks = []
    for rank in range(RANKS):
        command = [sys.executable, str(HERE / "trainer.py"), "r1", str(ROWS), str(machine.folder / f"ledger-{rank}")]
        ranks.append(machine.start(command, RANK=str(rank), WORLD_SIZE=str(RANKS), WAYSIDE_TRANSPORT=transport))
    for process, log in ranks:
        assert process.wait(60) == 0, log.read_text()
    until(lambda: len(machine.events("finish", "r1")) == RANKS, "every rank's finish")
    status = collector.wait_delivered(sinks=("jsonl", "prometheus"))
    for rank in range(RANKS):
        check_rows([row for row in machine.rows("r1") if row["rank"] == rank], ROWS, ROWS)
    assert status["ingest"]["received_points"] == RANKS * POINTS
    assert status["ingest"]["lost_rows"] == status["ingest"]["malformed"] == 0
    for name in ("jsonl", "prometheus"):
        assert status["sinks"][name]["delivered"] == status["sinks"][name]["received"] == RANKS * POINTS, name
    assert {session["rank"] for session in status["sessions"]} == set(range(RANKS))


def test_everything_beside_the_rows_arrives(machine: Machine, transport: str) -> None:
    """Config, summary, alert, text, what the run is, and the finish stand in jsonl; not finite numbers as what they
    are; times are those of the calls.
    """
    machine.collector().wait_ready()
    began = time.time()
    done = machine.run(sys.executable, "-c", TALK, WAYSIDE_TRANSPORT=transport)
    ended = time.time()
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    finish = until(lambda: machine.events("finish", "talk"), "the finish")
    assert [event["exit_code"] for event in finish] == [0]
    config: dict[str, Any] = {}
    for event in machine.events("config", "talk"):
        config |= event["set"]
    assert config == {"lr": 3e-4, "nested": {"depth": 2}}
    assert machine.events("summary", "talk")[-1]["set"]["accuracy"] == 0.5
    (alert,) = machine.events("alert", "talk")
    assert (alert["title"], alert["text"], alert["level"]) == ("loss is NaN", "look at step 5", "ERROR")
    assert machine.events("text", "talk")[0]["values"] == {"sample": "some text"}
    assert "python" in machine.events("about", "talk")[0]
    rows = machine.rows("talk")
    assert rows[5]["metrics"] == {"loss": "NaN", "norm": "Infinity"}
    assert [row["step"] for row in rows][:6] == list(range(6))
    assert all(began <= row["time"] <= ended for row in rows)


def test_a_journal_is_let_go_while_the_run_goes_on(machine: Machine, transport: str) -> None:
    """A session that logs twice what its journal may hold loses nothing, as long as the collector keeps up."""
    wide, step, rows = 400, 1000, 10_000  # 32 MiB
    collector = machine.collector().wait_ready()
    trainer = Trainer(machine, "r1", "--wide", str(wide), rows=rows, allowed=step, WAYSIDE_TRANSPORT=transport)
    for stored in range(step, rows + 1, step):
        until(lambda to=stored: collector.status()["ingest"]["received_rows"] >= to, f"{stored} rows in the spool")
        trainer.ledger.allow(stored + step)
    trainer.end()
    wait_finishes(machine, [trainer], collector)
    status = collector.wait_delivered()
    trainer.check(machine, wide)
    assert status["ingest"]["lost_rows"] == 0
    assert not list(machine.beside.glob("journals/*/*.seg")), "segments are left over"


@pytest.mark.parametrize(
    ("end", "code", "told"),
    [
        ("raise RuntimeError('boom')", 1, {"exit_code": 1}),
        ("import sys; sys.exit(7)", 7, {"exit_code": 7}),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, {"exit_code": None, "reason": "crashed"}),
        ("import os; os._exit(0)", 0, {"exit_code": None, "reason": "crashed"}),
    ],
)
def test_how_a_run_ended_is_told(machine: Machine, transport: str, end: str, code: int, told: dict[str, Any]) -> None:
    """An exception, an exit code and a death without a word: each finish says which it was, after the last row."""
    machine.collector().wait_ready()
    program = "import wayside\nwith wayside.init(id='r1') as run:\n    wayside.log({'n': 1.0}, step=1)\n    " + end
    assert machine.run(sys.executable, "-c", program, WAYSIDE_TRANSPORT=transport).returncode == code
    (finish,) = until(lambda: machine.events("finish", "r1"), "the finish")
    assert {name: finish.get(name) for name in told} == told
    assert [row["metrics"] for row in machine.rows("r1")] == [{"n": 1.0}]
    assert machine.lines("r1")[-1]["event"]["kind"] == "finish"


def test_an_exit_code_without_a_with_block(machine: Machine, transport: str) -> None:
    """A script that begins a run and fails, with nobody to call finish(): exit code 1."""
    machine.collector().wait_ready()
    program = "import wayside\nwayside.init(id='r1')\nwayside.log({'n': 1.0})\nraise ValueError('x')"
    assert machine.run(sys.executable, "-c", program, WAYSIDE_TRANSPORT=transport).returncode == 1
    (finish,) = until(lambda: machine.events("finish", "r1"), "the finish")
    assert finish["exit_code"] == 1


def test_the_example_trains_and_everything_arrives(machine: Machine) -> None:
    """`make run ONCE=1`: two ranks learn something, both default sinks deliver all of it, exit code 0."""
    example = HERE.parents[1] / "examples" / "main_job.py"
    port = free_port()
    done = machine.run(
        sys.executable, str(example), "--once", "--steps", "150", WAYSIDE_LISTEN=f"127.0.0.1:{port}", PYTHONWARNINGS=""
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"accuracy ([0-9.]+); ([0-9]+) points logged, 0 of them lost", done.stdout)
    assert found, done.stdout
    assert float(found[1]) > 0.9
    assert str(machine.dir) in done.stdout
    assert len(machine.rows()) >= 300
    assert len(machine.events("finish")) >= 2


def test_a_socket_in_a_folder_on_disk(tmp_path_factory: pytest.TempPathFactory, transport: str) -> None:
    """Beside a socket on a disk, as it is with nothing configured, all rows arrive as well."""
    machine = Machine(tmp_path_factory.mktemp("disk"), memory=False)
    try:
        machine.collector().wait_ready()
        command = [sys.executable, str(HERE / "trainer.py"), "r1", "500", str(machine.folder / "ledger")]
        process, log = machine.start(command, WAYSIDE_TRANSPORT=transport)
        assert process.wait(60) == 0, log.read_text()
        until(lambda: machine.events("finish", "r1"), "the finish")
        check_rows(machine.rows("r1"), 500, 500)
    finally:
        machine.close()
