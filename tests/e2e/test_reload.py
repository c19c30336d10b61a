"""The configuration read again while the collector runs: a signal, a changed file, Kubernetes' exchange of a link."""

import json
import os
import signal
from typing import Any

import pytest
import yaml
from e2e.checking import check_rows
from e2e.machine import COLLECTOR, QUIET, Collector, Machine, check_books, until
from e2e.trainers import Trainer
from standins.certificates import make_certificate

pytestmark = pytest.mark.timeout(90)


class Reloadable:
    """A running collector and its configuration's file."""

    def __init__(self, machine: Machine, config: dict[str, Any]) -> None:
        self.file = machine.folder / "wayside.yaml"
        self.collector: Collector = machine.collector(config).wait_ready()

    def write(self, config: "dict[str, Any] | str") -> None:
        """As editors do: another file in its place."""
        beside = self.file.with_suffix(".new")
        beside.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
        beside.replace(self.file)

    def config(self) -> dict[str, Any]:
        """What the status says of it."""
        found: dict[str, Any] = self.collector.status()["config"]
        return found

    def reload(self, config: "dict[str, Any] | str") -> None:
        """Write it, tell the collector by SIGHUP, and wait until it was read."""
        before = self.config()
        self.write(config)
        self.collector.process.send_signal(signal.SIGHUP)
        until(lambda: self.config() != before, f"read again; the log:\n{self.collector.read_log()}")

    def metric(self, name: str) -> float:
        (line,) = [line for line in self.collector.metrics().splitlines() if line.startswith(f"{name} ")]
        return float(line.split()[1])


def with_sinks(**sinks: Any) -> dict[str, Any]:
    return {**QUIET, "sinks": {"jsonl": {}, **sinks}}


def copy_to(machine: Machine, **options: Any) -> dict[str, Any]:
    """A second sink of files."""
    return {"kind": "jsonl", "path": str(machine.folder / "copy"), **options}


def rows_of_copy(machine: Machine, run: str = "r1") -> list[dict[str, Any]]:
    """What the second sink wrote; whole lines only."""
    files = sorted((machine.folder / "copy").glob("rows-*.jsonl"))
    lines = [line for path in files for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return [row for row in map(json.loads, lines) if row["run"] == run and "metrics" in row]


def start(machine: Machine, *options: str) -> Collector:
    """A collector with other options than the usual file."""
    return Collector(machine, *machine.start([*COLLECTOR, "run", *options])).wait_ready()


def test_a_sink_added_while_rows_flow_gets_all_that_is_stored(machine: Machine, transport: str) -> None:
    """It begins at the oldest row still in the spool, here at the run's first; neither it nor the sink that was there
    before loses a row or has one twice.
    """
    running = Reloadable(machine, with_sinks())
    trainer = Trainer(machine, "r1", "--pause", "0.005", rows=6000, WAYSIDE_TRANSPORT=transport)
    until(lambda: len(machine.rows("r1")) > 500, "some rows before")
    running.reload(with_sinks(copy=copy_to(machine)))
    assert not trainer.ledger.done, "the trainer was done first: the test asks too little"
    trainer.end()
    status = running.collector.wait_delivered(sinks=("jsonl", "copy"))
    assert status["sinks"]["copy"]["rows"]["received"] == status["sinks"]["jsonl"]["rows"]["received"] == 6000
    check_rows(machine.rows("r1"), 6000, 6000)
    check_rows(rows_of_copy(machine), 6000, 6000)


def test_a_changed_sink_goes_on_where_it_was(machine: Machine, transport: str) -> None:
    """Exchanged again and again while rows flow, it has every row once; the options count from where they changed."""
    running = Reloadable(machine, with_sinks(copy=copy_to(machine)))
    trainer = Trainer(machine, "r1", "--pause", "0.005", rows=6000, WAYSIDE_TRANSPORT=transport)
    for size in (1, 2, 3):
        until(lambda size=size: len(rows_of_copy(machine)) > 300 * size, "rows between two changes")
        running.reload(with_sinks(copy=copy_to(machine, max_size=f"{size + 1}MiB")))
    assert not trainer.ledger.done, "the trainer was done first: the test asks too little"
    trainer.end()
    running.collector.wait_delivered(sinks=("jsonl", "copy"))
    check_rows(machine.rows("r1"), 6000, 6000)
    check_rows(rows_of_copy(machine), 6000, 6000)
    assert running.collector.read_log().count("sinks changed: copy") == 3
    running.reload(with_sinks(copy=copy_to(machine, include=["loss"])))
    Trainer(machine, "r2", rows=10).end()
    running.collector.wait_delivered(sinks=("jsonl", "copy"))
    assert all(set(row["metrics"]) == {"loss"} for row in rows_of_copy(machine, "r2"))
    assert len(rows_of_copy(machine, "r2")) == 10


def test_a_changed_prometheus_sink_keeps_its_page(machine: Machine) -> None:
    """The latest values stand there before any row comes, after an exchange and after a restart."""
    running = Reloadable(machine, with_sinks(prometheus={}))
    over = machine.folder / "over"
    trainer = Trainer(machine, "r1", "--until", str(over), rows=20)

    def shown() -> list[str]:
        return [line for line in running.collector.metrics().splitlines() if 'run="r1"' in line]

    until(lambda: running.collector.status()["sinks"]["prometheus"]["rows"]["delivered"] == 20, "all rows")
    before = shown()
    assert any(line.startswith("wayside_loss{") for line in before), before
    running.reload(with_sinks(prometheus={"max_series": 5000}))
    assert "sinks changed: prometheus" in running.collector.read_log()
    assert shown() == before
    running.collector.stop()
    running.collector = machine.collector(with_sinks(prometheus={"max_series": 5000})).wait_ready()
    assert shown() == before
    over.touch()
    trainer.end()


def test_a_sink_that_becomes_another_kind_begins_anew(machine: Machine) -> None:
    """The old one has what waited, and nothing of what it kept is handed to the new one, whose books are its own."""
    running = Reloadable(machine, with_sinks(mine=copy_to(machine)))
    Trainer(machine, "r1", rows=100).end()
    running.collector.wait_delivered(sinks=("jsonl", "mine"))
    running.reload(with_sinks(mine={"kind": "store"}))
    assert "sink mine was of kind jsonl, and is of kind store now" in running.collector.read_log()
    Trainer(machine, "r2", rows=30).end()
    status = running.collector.wait_delivered(sinks=("jsonl", "mine"))
    assert status["sinks"]["mine"]["last_error"] is None
    assert status["sinks"]["mine"]["rows"]["delivered"] in (30, 130)
    assert rows_of_copy(machine, "r2") == []
    check_rows(rows_of_copy(machine), 100, 100)


def test_a_removed_sink_has_what_waited_and_goes_on_when_it_is_back(machine: Machine) -> None:
    """It gets what was stored up to then and no more, holds nobody up, and back under its name it misses nothing."""
    running = Reloadable(machine, with_sinks(copy=copy_to(machine)))
    Trainer(machine, "r1", rows=200).end()
    running.collector.wait_delivered(sinks=("jsonl", "copy"))
    running.reload(with_sinks())
    assert set(running.collector.status()["sinks"]) == {"jsonl"}
    Trainer(machine, "r2", rows=100).end()
    running.collector.wait_delivered()
    assert len(rows_of_copy(machine, "r1")) == 200
    assert rows_of_copy(machine, "r2") == []
    running.reload(with_sinks(copy=copy_to(machine)))
    running.collector.wait_delivered(sinks=("jsonl", "copy"))
    check_rows(rows_of_copy(machine, "r1"), 200, 200)
    check_rows(rows_of_copy(machine, "r2"), 100, 100)


def test_a_removed_sink_that_delivers_nothing_is_given_up_after_the_grace_time(machine: Machine) -> None:
    """A dead sink is let go, saying how much it had waiting; the others' books are untouched."""
    lens = {"endpoint": "http://127.0.0.1:9/v1", "workload_uid": "w-1"}
    running = Reloadable(machine, {**with_sinks(lens=lens), "grace": "1s"})
    Trainer(machine, "r1", rows=50).end()
    running.collector.wait_delivered()
    running.reload({**with_sinks(), "grace": "1s"})
    assert "lens is removed, and had 50 rows waiting" in running.collector.read_log()
    check_books(running.collector.status()["sinks"]["jsonl"])
    running.reload({**with_sinks(lens=lens), "grace": "1s"})
    assert running.collector.status()["sinks"]["lens"]["rows"]["waiting"] == 50


BAD = {
    "not YAML": ("sinks: [", "not YAML"),
    "an unknown sink": ({"sinks": {"jsonnl": {}}}, "jsonnl"),
    "an unknown option": ({"colour": "red"}, "colour"),
    "a wrong value": ({"sinks": {"jsonl": {"max_files": "many"}}}, "sinks.jsonl.max_files"),
}


def test_a_bad_file_keeps_the_old_configuration(machine: Machine) -> None:
    """Nothing changes, and the log, the status and a metric say what is wrong, until a good one is there."""
    running = Reloadable(machine, with_sinks(prometheus={}))
    read_at = running.metric("wayside_config_last_reload_success_timestamp_seconds")
    assert running.metric("wayside_config_last_reload_successful") == 1
    for bad, word in BAD.values():
        running.reload(bad)
        found = running.config()
        assert word in found["last_error"]
        assert word in running.collector.read_log()
        assert running.metric("wayside_config_last_reload_successful") == 0
        assert running.metric("wayside_config_last_reload_success_timestamp_seconds") == read_at
        assert set(running.collector.status()["sinks"]) == {"jsonl", "prometheus"}
    running.file.unlink()
    running.collector.process.send_signal(signal.SIGHUP)
    until(lambda: "cannot be read" in running.config()["last_error"], "the file is missed")
    Trainer(machine, "r1", rows=10).end()
    running.collector.wait_delivered()
    check_rows(machine.rows("r1"), 10, 10)
    running.reload(with_sinks(prometheus={}))
    assert running.config()["last_error"] is None
    assert running.metric("wayside_config_last_reload_successful") == 1
    assert running.metric("wayside_config_last_reload_success_timestamp_seconds") > read_at


def test_a_changed_file_is_noticed(machine: Machine) -> None:
    """Without a signal; and a bad one is not said again and again."""
    running = Reloadable(machine, with_sinks())
    running.write(with_sinks(copy=copy_to(machine)))
    until(lambda: "copy" in running.collector.status()["sinks"], "the new sink")
    running.write("sinks: [")
    until(lambda: running.config()["last_error"], "the bad file")
    running.write("sinks: [[")
    until(lambda: running.collector.read_log().count("cannot be used") == 2, "the other bad file")
    running.write(with_sinks())
    until(lambda: set(running.collector.status()["sinks"]) == {"jsonl"}, "the sink is gone again")
    assert running.collector.read_log().count("cannot be used") == 2


def test_kubernetes_exchange_of_a_mounted_folder_is_noticed(machine: Machine) -> None:
    """A ConfigMap's file is a link to `..data/FILE`, and `..data` a link that is renamed over; the file's own time may
    be older than the one before.
    """

    def publish(name: str, config: dict[str, Any]) -> None:
        (mount / name).mkdir()
        (mount / name / "wayside.yaml").write_text(yaml.safe_dump(config))
        os.utime(mount / name / "wayside.yaml", (1, 1))
        (mount / "..data_tmp").symlink_to(name)
        (mount / "..data_tmp").replace(mount / "..data")

    mount = machine.folder / "config"
    mount.mkdir()
    publish("..one", with_sinks())
    (mount / "wayside.yaml").symlink_to("..data/wayside.yaml")
    collector = start(machine, "--config", str(mount / "wayside.yaml"))
    publish("..two", with_sinks(copy=copy_to(machine)))
    until(lambda: "copy" in collector.status()["sinks"], "the new sink")
    assert collector.status()["config"]["file"] == str(mount / "wayside.yaml")


def test_sources_limits_and_the_log_change_without_a_restart(machine: Machine) -> None:
    """A sampler comes, gets another interval, and goes; the spool's limit and the log's level are the new ones."""
    running = Reloadable(machine, QUIET)
    assert running.collector.status()["sources"] == {}
    running.reload({**QUIET, "sources": {"host": {"interval": "100ms"}}})
    until(lambda: running.collector.status()["sources"]["host"]["samples"] > 2, "samples")
    running.reload({**QUIET, "sources": {"host": {"interval": "1h"}}, "spool": {"max_size": "123MiB"}})
    status = running.collector.status()
    assert status["spool"]["max_bytes"] == 123 << 20
    until(lambda: running.collector.status()["sources"]["host"]["samples"] == 1, "one sample an hour")
    running.reload({**QUIET, "log": {"level": "error"}})
    assert running.collector.status()["sources"] == {}
    before = running.collector.read_log()
    running.reload({**QUIET, "log": {"level": "error"}, "grace": "3s"})
    assert running.collector.read_log() == before, "what is INFO is still logged"


def test_what_needs_a_restart_is_said_and_left_as_it_is(machine: Machine) -> None:
    """A folder stays; the log and the status name the option, until the file has the old value again."""
    running = Reloadable(machine, QUIET)
    running.reload({**QUIET, "spool": {"path": str(machine.folder / "else")}, "grace": "3s"})
    found = running.config()
    assert found["last_error"] is None
    assert found["needs_restart"] == ["spool.path"]
    assert "spool.path: another value takes effect at the next start only" in running.collector.read_log()
    running.reload(QUIET)
    assert running.config()["needs_restart"] == []
    assert not (machine.folder / "else").exists()


def test_a_renewed_certificate_is_taken_up(machine: Machine) -> None:
    """A file that a sink's options name is part of the configuration: its sink is exchanged when it changes."""
    ca = machine.folder / "ca.pem"
    ca.write_bytes(make_certificate(machine.folder, "one").cert.read_bytes())
    lens = {"endpoint": "https://127.0.0.1:9/v1", "workload_uid": "w-1", "ca_file": str(ca)}
    running = Reloadable(machine, with_sinks(lens=lens))
    ca.write_bytes(make_certificate(machine.folder, "two").cert.read_bytes())
    until(lambda: "sinks changed: lens" in running.collector.read_log(), "the sink is exchanged")
    assert running.config()["last_error"] is None


def test_without_a_file_a_signal_changes_nothing(machine: Machine) -> None:
    """SIGHUP, which ends most programs, is answered by reading the environment again, and the collector goes on."""
    collector = start(machine)
    before = collector.status()["config"]
    collector.process.send_signal(signal.SIGHUP)
    until(lambda: collector.status()["config"]["loaded"] > before["loaded"], "read again")
    assert collector.status()["config"]["file"] is None
    assert collector.stop() == 0
