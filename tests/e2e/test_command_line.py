"""The command `wayside-collector` as people and supervisors use it: what it says, and with which exit code it ends."""

import contextlib
import json
import signal
import socket
import subprocess
import sys

import pytest
import yaml
from e2e.checking import check_rows
from e2e.machine import COLLECTOR, QUIET, Machine, free_port, until
from e2e.trainers import Trainer, wait_finishes
from wayside_collector import __version__

pytestmark = pytest.mark.timeout(90)

LOG_THREE = "import wayside\nwith wayside.init(id='r1'):\n    for n in range(3): wayside.log({'n': n}, step=n)\n"


def run_beside(machine: Machine, *command: str) -> "tuple[int, str, str]":
    """`wayside-collector exec -- COMMAND`: its exit code, stdout and stderr."""
    config = machine.folder / "exec.yaml"
    config.write_text(yaml.safe_dump(QUIET))
    done = machine.wayside_collector("exec", "--config", str(config), "--", *command)
    return done.returncode, done.stdout, done.stderr


def test_the_version() -> None:
    """`--version` names the program and its version, and no command at all explains itself with exit code 2."""
    done = subprocess.run([*COLLECTOR, "--version"], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, f"wayside-collector {__version__}\n")
    done = subprocess.run(COLLECTOR, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "exec -- python train.py" in done.stdout


# --- exec ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 3])
def test_exec_ends_as_the_job_does(machine: Machine, transport: str, code: int) -> None:
    """The job's exit code is the command's; what the job logged is delivered, and the books are shown at the end."""
    job = f"import os\nos.environ['WAYSIDE_TRANSPORT'] = {transport!r}\n{LOG_THREE}raise SystemExit({code})"
    ended, _, said = run_beside(machine, sys.executable, "-c", job)
    assert ended == code, said
    assert [row["metrics"]["n"] for row in machine.rows("r1")] == [0, 1, 2]
    assert machine.events("finish", "r1")[0]["exit_code"] == 0
    assert "jsonl" in said


def test_exec_is_quiet(machine: Machine) -> None:
    """Of its collector's life nothing is told, unless the log's level is somebody's wish."""
    _, _, said = run_beside(machine, sys.executable, "-c", LOG_THREE)
    assert " INFO " not in said
    done = machine.wayside_collector("exec", "--", "true", WAYSIDE_LOG__LEVEL="info", WAYSIDE_SOURCES="{}")
    assert " INFO " in done.stderr


def test_exec_tells_of_a_job_that_was_killed(machine: Machine) -> None:
    """A job that dies of a signal gives 128 and the signal's number, as a shell does, and its rows arrive."""
    ended, _, said = run_beside(machine, sys.executable, "-c", LOG_THREE + "import os; os.kill(os.getpid(), 9)")
    assert ended == 128 + signal.SIGKILL, said
    assert len(machine.rows("r1")) == 3


def test_exec_of_what_is_not_there(machine: Machine) -> None:
    """A command that does not exist is 127, one that cannot be run 126, and each is named."""
    ended, _, said = run_beside(machine, "no-such-program-anywhere")
    assert ended == 127
    assert "no-such-program-anywhere" in said
    ended, _, said = run_beside(machine, str(machine.folder))
    assert ended == 126
    assert str(machine.folder) in said


def test_exec_of_nothing(machine: Machine) -> None:
    """`exec` without a command is a mistake that is explained."""
    ended, _, said = run_beside(machine)
    assert ended == 2
    assert "exec -- python train.py" in said


def test_exec_hands_arguments_over_untouched(machine: Machine) -> None:
    """What stands after the first `--` is the job's, another `--` and options of ours included."""
    program = "import sys; print(sys.argv[1:])"
    ended, out, said = run_beside(machine, sys.executable, "-c", program, "--config", "x", "--", "-v")
    assert (ended, out) == (0, "['--config', 'x', '--', '-v']\n"), said


def test_exec_passes_signals_on(machine: Machine) -> None:
    """SIGTERM, as a pod's end, goes to the job, which has its time to end; what it then logs still arrives."""
    config = machine.folder / "exec.yaml"
    config.write_text(yaml.safe_dump(QUIET))
    job = (
        "import signal, sys, wayside\n"
        "run = wayside.init(id='r1')\n"
        "def end(number, frame):\n"
        "    wayside.log({'n': 1})\n"
        "    run.finish()\n"
        "    sys.exit(5)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "wayside.log({'n': 0})\n"
        "signal.pause()\n"
    )
    process, log = machine.start([*COLLECTOR, "exec", "--config", str(config), "--", sys.executable, "-c", job])
    until(lambda: machine.rows("r1"), "the first row")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 5, log.read_text()
    assert [row["metrics"]["n"] for row in machine.rows("r1")] == [0, 1]


def test_exec_runs_the_job_where_a_collector_runs(machine: Machine) -> None:
    """Its socket or its folder held by another collector: the job runs with that one, which has its rows."""
    first = machine.collector().wait_ready()
    ended, _, said = run_beside(machine, sys.executable, "-c", LOG_THREE)
    assert ended == 0, said
    assert f"pid {first.process.pid}" in said
    assert str(machine.socket) in said
    until(lambda: len(machine.rows("r1")) == 3, "the rows, by the first collector")
    elsewhere = {"WAYSIDE_SOCKET": str(machine.folder / "w.sock")}
    done = machine.wayside_collector("exec", "--", sys.executable, "-c", LOG_THREE.replace("r1", "r2"), **elsewhere)
    assert done.returncode == 0, done.stderr
    assert str(machine.dir) in done.stderr
    until(lambda: len(machine.rows("r2")) == 3, "the rows that were left in its folder")
    assert first.is_ready()


def test_exec_needs_no_port_of_its_own(machine: Machine) -> None:
    """The default port taken by whomever: the job runs, on a free one; a port that was asked for must be had."""
    config = machine.folder / "exec.yaml"
    config.write_text(yaml.safe_dump(QUIET))
    command = ["exec", "--config", str(config), "--", sys.executable, "-c", LOG_THREE]
    environ = machine.environ()
    del environ["WAYSIDE_LISTEN"]
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # somebody else has it: as good
            taken.bind(("127.0.0.1", 9750))
            taken.listen()
        done = subprocess.run(
            [*COLLECTOR, *command], cwd=machine.folder, env=environ, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert "127.0.0.1:9750 is taken" in done.stderr
        assert len(machine.rows("r1")) == 3
        done = machine.wayside_collector(*command, WAYSIDE_LISTEN="127.0.0.1:9750")
        assert done.returncode == 1
        assert "`listen`" in done.stderr


# --- status ----------------------------------------------------------------------------------------------------------


def test_status_for_people_and_for_programs(machine: Machine) -> None:
    """Beside a running collector: a table with every sink and open run, or all of it as JSON; exit code 0."""
    collector = machine.collector().wait_ready()
    go_on = machine.folder / "go on"
    trainer = Trainer(machine, "r1", "--until", str(go_on), rows=7)
    until(lambda: len(machine.rows("r1")) == 7, "all rows")
    shown = machine.wayside_collector("status", "--url", collector.url)
    assert shown.returncode == 0
    for word in (f"pid {collector.process.pid}", str(machine.socket), "prometheus", "jsonl", "r1", __version__):
        assert word in shown.stdout
    told = machine.wayside_collector("status", "--json", "--url", f"{collector.url}/")
    status = json.loads(told.stdout)
    assert status["sinks"]["jsonl"]["rows"]["delivered"] == 7
    assert [session["run"] for session in status["sessions"]] == ["r1"]
    go_on.touch()
    trainer.end()


def test_status_finds_the_collector_by_its_configuration(machine: Machine) -> None:
    """Without `--url` the address is the configuration's `listen`."""
    machine.collector(WAYSIDE_LISTEN=(listen := f"127.0.0.1:{free_port()}")).wait_ready()
    assert machine.wayside_collector("status", WAYSIDE_LISTEN=listen).returncode == 0


def test_the_short_option_for_the_configuration(machine: Machine) -> None:
    """`-c` is `--config` wherever there is one, and what stands after `exec --` stays the job's."""
    config = machine.folder / "none.yaml"
    for command in (["run"], ["status"], ["sync", str(machine.folder)], ["recover"], ["dead-letters", "list"]):
        done = machine.wayside_collector(*command, "-c", str(config))
        assert (done.returncode, str(config) in done.stderr) == (2, True), done.stderr
    config.write_text(yaml.safe_dump(QUIET))
    done = machine.wayside_collector("exec", "-c", str(config), "--", sys.executable, "-c", "print('job')")
    assert (done.returncode, done.stdout) == (0, "job\n"), done.stderr


def test_status_without_a_collector(machine: Machine) -> None:
    """Where nothing answers it says so, where it asked, and what to do, with exit code 1."""
    listen = f"127.0.0.1:{free_port()}"
    done = machine.wayside_collector("status", WAYSIDE_LISTEN=listen)
    assert done.returncode == 1
    assert listen in done.stderr
    assert "is it running?" in done.stderr


# --- check -----------------------------------------------------------------------------------------------------------

WRONG = """
listen: nowhere
spool: {max_size: a lot}
grace: soon
sinks:
  prometeus: {}
  lens: {endpoint: "not an address", push: everything}
  jsonl: {max_files: 1, colour: red}
  wandb: {api_key: SECRET-0123456789, mode: sometimes}
"""


def test_check_of_a_good_configuration(machine: Machine) -> None:
    """Exit code 0, and what it would do; nothing is started or created."""
    path = machine.folder / "good.yaml"
    path.write_text(yaml.safe_dump(QUIET))
    done = machine.wayside_collector("check", str(path))
    assert done.returncode == 0
    assert "jsonl, prometheus" in done.stdout
    assert not machine.dir.exists()


def test_check_tells_everything_that_is_wrong_at_once(machine: Machine) -> None:
    """Exit code 2, every problem with its path in one go, and no secret repeated; `run` refuses it the same way."""
    path = machine.folder / "wrong.yaml"
    path.write_text(WRONG)
    for command in (("check", str(path)), ("run", "--config", str(path))):
        done = machine.wayside_collector(*command)
        assert done.returncode == 2
        for place in (
            "spool.max_size",
            "grace",
            "sinks.prometeus",
            "sinks.lens.endpoint",
            "sinks.lens.push",
            "sinks.jsonl.max_files",
            "sinks.jsonl.colour",
            "sinks.wandb.mode",
        ):
            assert place in done.stderr, (place, done.stderr)
        assert "SECRET" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("text", "told"), [("sinks: [", "YAML"), ("just text", "names and values"), (None, "cannot be read")]
)
def test_check_of_what_is_no_configuration(machine: Machine, text: str | None, told: str) -> None:
    """A file that is not YAML, not a mapping, or not there: one sentence and exit code 2, and no traceback."""
    path = machine.folder / "odd.yaml"
    if text is not None:
        path.write_text(text)
    done = machine.wayside_collector("check", str(path))
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


# --- two collectors, and the end -------------------------------------------------------------------------------------


def test_a_second_collector_refuses_and_says_who_holds_it(machine: Machine) -> None:
    """On the same spool, and on the same socket with another spool: exit code 3, naming the first one's process."""
    first = machine.collector().wait_ready()
    done = machine.wayside_collector("run")
    assert done.returncode == 3, done.stderr
    assert f"pid {first.process.pid}" in done.stderr
    assert str(machine.dir / "spool") in done.stderr
    done = machine.wayside_collector("run", WAYSIDE_DIR=str(machine.folder / "other"))
    assert done.returncode == 3, done.stderr
    assert f"pid {first.process.pid}" in done.stderr
    assert str(machine.socket) in done.stderr
    assert first.is_ready()
    assert first.stop() == 0


def test_a_collector_takes_the_place_of_one_that_was_killed(machine: Machine) -> None:
    """The socket, the note and the locks that a killed one leaves behind are no obstacle."""
    machine.collector().wait_ready().kill()
    assert machine.socket.exists()
    assert machine.collector().wait_ready().stop() == 0
    assert not machine.socket.exists()


def test_a_port_in_use_is_named(machine: Machine) -> None:
    """Exit code 1 and a sentence with the address and the option to change; no traceback."""
    first = machine.collector().wait_ready()
    listen = first.url.removeprefix("http://")
    other = {"WAYSIDE_DIR": str(machine.folder / "other"), "WAYSIDE_SOCKET": str(machine.beside / "other.sock")}
    done = machine.wayside_collector("run", WAYSIDE_LISTEN=listen, **other)
    assert done.returncode == 1
    assert listen in done.stderr
    assert "`listen`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_everything_delivered(machine: Machine, transport: str, number: signal.Signals) -> None:
    """Told to stop while rows wait: they are in jsonl when it has ended, with exit code 0, and nothing is left over."""
    collector = machine.collector().wait_ready()
    go_on = machine.folder / "go on"
    trainer = Trainer(machine, "r1", "--until", str(go_on), rows=20_000, WAYSIDE_TRANSPORT=transport)
    until(lambda: trainer.ledger.done, "the last call's return")
    until(lambda: collector.status()["ingest"]["received_rows"] == 20_000, "all rows in the spool")
    assert collector.stop(number) == 0, collector.read_log()
    check_rows(machine.rows("r1"), 20_000, 20_000)
    assert not machine.socket.exists()
    assert "Traceback" not in collector.read_log()
    go_on.touch()
    trainer.end()


def test_a_signal_ends_it_beside_a_trainer_that_goes_on(machine: Machine, transport: str) -> None:
    """Rows that keep coming do not hold the end up, whatever the grace time; the next collector has all of them."""
    config = {**QUIET, "grace": "1h"}
    first = machine.collector(config).wait_ready()
    trainer = Trainer(machine, "r1", "--pause", "0.01", rows=10_000, WAYSIDE_TRANSPORT=transport)
    until(lambda: machine.rows("r1"), "the first rows")
    assert first.stop() == 0, first.read_log()
    assert not trainer.ledger.done, "the trainer was done first: the test asks too little"
    assert "Traceback" not in first.read_log()
    second = machine.collector(config).wait_ready()
    trainer.end()
    wait_finishes(machine, [trainer], second)
    trainer.check(machine)


def blocked_lens(grace: str) -> dict[str, object]:
    """A configuration with a sink that never gets anything through."""
    lens = {"endpoint": f"http://127.0.0.1:{free_port()}/v1", "workload_uid": "w-1"}
    return {"sinks": {"jsonl": {}, "lens": lens}, "sources": {}, "grace": grace}


def test_what_cannot_be_delivered_is_waited_for_no_longer_than_the_grace_time(machine: Machine) -> None:
    """A dead sink with rows waiting holds the end up for the grace time only; jsonl has everything, exit code 0, and
    the next start still has what waited.
    """
    config = blocked_lens("1s")
    collector = machine.collector(config).wait_ready()
    Trainer(machine, "r1", rows=50).end()
    until(lambda: machine.events("finish", "r1"), "the finish")
    assert collector.status()["sinks"]["lens"]["rows"]["waiting"] == 50
    assert collector.stop() == 0
    check_rows(machine.rows("r1"), 50, 50)
    again = machine.collector(config).wait_ready()
    assert again.status()["sinks"]["lens"]["rows"]["waiting"] == 50


def test_a_second_signal_stops_at_once(machine: Machine) -> None:
    """While the end waits for a dead sink, a second SIGTERM ends it, as its exit code says."""
    collector = machine.collector(blocked_lens("1h")).wait_ready()
    Trainer(machine, "r1", rows=50).end()
    until(lambda: machine.events("finish", "r1"), "the finish")
    collector.process.send_signal(signal.SIGTERM)
    until(lambda: "stopping" in collector.read_log(), "the first signal heard")
    assert collector.stop() == 128 + signal.SIGTERM
