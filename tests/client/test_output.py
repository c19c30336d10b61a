"""The files of PRIMUS_LENS_WANDB_OUTPUT_PATH, where the training process writes them itself."""

import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wayside
from client.conftest import Place
from waiting import until
from wayside import wire
from wayside.handover import Handover, Plan
from wayside.header import SegmentHeader
from wayside.output import HERE, THERE, Output
from wayside.peer import Answer
from wayside.primus_lines import file_name, folder_of, lines
from wayside.row import Event, Row

NAMES = ("loss", "lr")


class Segment:
    """A journal's segment that grows."""

    def __init__(self, number: int, frames: bytes) -> None:
        header = SegmentHeader(wire.HEADER_SIZE, False, number, 0, 0, b"b" * 16, b"s" * 16)
        self.number = number
        self.data = header.pack() + frames

    @property
    def position(self) -> int:
        return len(self.data)

    def read(self, start: int, end: int) -> bytes:
        return self.data[start:end]


def rows_of(count: int) -> bytes:
    return wire.schema_frame(0, NAMES) + b"".join(wire.row_frame(0, 1.0, step, (0.5, 0.1)) for step in range(count))


def written(path: Path) -> list[dict[str, Any]]:
    """The lines of a file; none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


# --- lines -----------------------------------------------------------------------------------------------------------


def test_a_call_is_a_line() -> None:
    """Its numbers and its texts together; what is not finite is spelled; no other event is a line."""
    row = Row(0, 5.0, 3, True, False, ("loss", "bad"), (0.5, float("inf")))
    text = Event(1, 5.0, 3, "text", {"values": {"stage": "warmup"}})
    late = Event(2, 6.0, 3, "text", {"values": {"note": "alone"}})
    other = Event(3, 6.0, None, "config", {"set": {"a": 1}})
    found = [json.loads(line) for line in lines([row, text, late, other, row._replace(step=None)], {"cpu": 5})]
    assert found == [
        {"timestamp": 5.0, "step": 3, "data": {"loss": 0.5, "bad": "Infinity", "stage": "warmup", "cpu": 5}},
        {"timestamp": 6.0, "step": 3, "data": {"note": "alone", "cpu": 5}},
        {"timestamp": 5.0, "step": None, "data": {"loss": 0.5, "bad": "Infinity", "cpu": 5}},
    ]


def test_where_a_file_lies() -> None:
    """As AMD's exporter has it: by node and local rank, -1 where there is none."""
    assert folder_of(2, 7) == "node_2/rank_7"
    assert folder_of(None, None) == "node_0/rank_-1"
    assert [file_name(number) for number in (1, 2)] == ["wandb_metrics.jsonl", "wandb_metrics-00000002.jsonl"]


# --- a whole client --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 3000])
def test_without_a_collector_the_client_writes(
    rows: int, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call is a line, in order, when finish returns; a second run has a file of its own."""
    out = tmp_path / "out"
    monkeypatch.setenv("PRIMUS_LENS_WANDB_OUTPUT_PATH", str(out))
    monkeypatch.setenv("WAYSIDE_MODE", "offline")
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setenv("NODE_RANK", "1")
    for _ in range(2):
        with wayside.init(project="p") as run:
            for step in range(rows):
                run.log({"loss": step / 8, "stage": "a"} if step % 100 == 0 else {"loss": step / 8}, step=step)
    for number in (1, 2):
        path = out / "node_1/rank_3" / file_name(number)
        until(lambda path=path: len(written(path)) == rows, f"{rows} lines in {path}")
        found = written(path)
        assert [line["step"] for line in found] == list(range(rows))
        assert [line["data"]["loss"] for line in found] == [step / 8 for step in range(rows)]
        assert found[0]["data"]["stage"] == "a"


@pytest.mark.parametrize("switch", ["false", "0", "no", "off"])
def test_save_local_switches_it_off(switch: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In any usual spelling; then there is not even a folder."""
    monkeypatch.setenv("PRIMUS_LENS_WANDB_OUTPUT_PATH", str(tmp_path / "out"))
    monkeypatch.setenv("PRIMUS_LENS_WANDB_SAVE_LOCAL", switch)
    monkeypatch.setenv("WAYSIDE_MODE", "offline")
    with wayside.init(project="p") as run:
        run.log({"loss": 1.0})
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_told_once(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The training goes on, its rows are kept as ever, and the user hears which folder it was."""
    (tmp_path / "out").write_text("a file")
    monkeypatch.setenv("PRIMUS_LENS_WANDB_OUTPUT_PATH", str(tmp_path / "out"))
    monkeypatch.setenv("PRIMUS_LENS_WANDB_ENHANCE_METRICS", "1")
    monkeypatch.setenv("WAYSIDE_MODE", "offline")
    with wayside.init(project="p") as run:
        for step in range(10):
            run.log({"loss": 1.0}, step=step)
    said = capsys.readouterr().err
    assert said.count("cannot be written") == 1
    assert str(tmp_path / "out") in said
    assert said.count("hardware is measured by the collector") == 1
    assert place.journals()


# --- who writes, and what cannot be kept up with ---------------------------------------------------------------------


def test_whoever_writes_first_goes_on(tmp_path: Path) -> None:
    """Nothing is written while a collector does; once this process does, no later collector takes it away."""
    told: list[str] = []
    output = Output(str(tmp_path / "o"), False, lambda key, text: told.append(text))
    segment = Segment(0, rows_of(5))
    output.decide(HERE)
    output.follow([segment])
    assert not output.writes
    output.decide(THERE)
    output.decide(HERE)
    output.follow([segment])
    segment.data += wire.row_frame(0, 2.0, 9, (0.25, 0.1))
    output.follow([segment, Segment(1, rows_of(2))])
    output.follow([segment])
    output.close()
    assert [line["step"] for line in written(tmp_path / "o/wandb_metrics.jsonl")] == [0, 1, 2, 3, 4, 9, 0, 1]
    assert told == []


def test_what_the_folder_cannot_take_in_time_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that hangs: the link goes on, what waits is bounded, names of metrics are not forgotten, and it is told
    how much is missing.
    """
    monkeypatch.setattr("wayside.output.MAX_WAITING", 2000)
    monkeypatch.setattr("wayside.output.PATIENCE", 0.2)
    folder = tmp_path / "o"
    folder.mkdir()
    os.mkfifo(folder / "wandb_metrics.jsonl")  # it exists: the file is another one, so this alone hangs nothing
    told: list[str] = []
    output = Output(str(folder), False, lambda key, text: told.append(text))
    output.writes = True  # without its thread: the folder takes nothing
    output.follow([Segment(number, rows_of(20)) for number in range(5)])
    assert sum(map(len, output._waiting)) < 4000
    output.writes = False
    output.decide(THERE)
    tail = Segment(10, wire.row_frame(0, 3.0, 77, (1.0, 2.0)))
    until(lambda: not output._waiting, "the folder takes it again")
    output.follow([tail])
    output.close()
    steps = [line["step"] for line in written(folder / "wandb_metrics-00000002.jsonl")]
    assert steps[-1] == 77
    assert len(steps) < 100
    assert any("bytes of rows are not in the file" in text for text in told)


def test_a_line_that_was_torn_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full in the middle of a line: what comes once there is room again begins a line of its own."""
    told: list[str] = []
    output = Output(str(tmp_path / "o"), False, lambda key, text: told.append(text))
    output.decide(THERE)
    path = tmp_path / "o/wandb_metrics.jsonl"
    output.follow([Segment(0, rows_of(2))])
    until(lambda: len(written(path)) == 2, "the first are written")
    write = os.write

    def full(fd: int, data: Any) -> int:
        if fd != output._fd:
            return write(fd, data)
        if path.read_bytes().endswith(b"\n"):
            return write(fd, bytes(data)[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("wayside.output.os.write", full)
    output.follow([Segment(1, rows_of(2))])
    until(lambda: told, "it is told")
    monkeypatch.undo()
    output.follow([Segment(2, rows_of(3))])
    output.close()
    lines = path.read_text().splitlines()
    assert len(lines) == 2 + 1 + 3
    assert [json.loads(line)["step"] for line in lines[3:]] == [0, 1, 2]


# --- what is said for those who debug --------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "says"), [("1", True), ("off", False), ("", False)])
def test_the_lines_of_the_guide(
    value: str, says: bool, place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, each beginning as the guide has people look for it, and only where they are asked for."""
    monkeypatch.setenv("PRIMUS_LENS_WANDB_DEBUG", value)
    monkeypatch.setenv("WAYSIDE_MODE", "offline")
    monkeypatch.setenv("WAYSIDE_QUIET", "1")
    with wayside.init(project="p") as run:
        run.log({"loss": 1.0})
    said = [line for line in capsys.readouterr().err.splitlines() if "Primus Lens" in line]
    assert sum("✓ Metrics data queued for reporting" in line for line in said) == says
    assert sum("✓ Detection data queued for reporting" in line for line in said) == says
    assert bool(said) is says


def test_nothing_is_let_go_before_it_was_copied() -> None:
    """A collector may have stored what was logged a moment ago; whoever writes the files looks once more before that
    goes, and knows by then who writes.
    """
    order: list[str | None] = []
    shelf = SimpleNamespace(let_go=lambda seq: order.append(f"gone below {seq}"))
    journal: Any = SimpleNamespace(seq=10, left=False, shelf=shelf)
    keeper: Any = SimpleNamespace(segments=[], let_go=lambda seq: None, forget_copy=lambda: None)
    plan = Plan({"origin": "wayside"}, [], "/nowhere", 1, False, None, dict, lambda key, text: None)
    handover = Handover(journal, keeper, plan)
    handover.before_let_go = order.append
    handover._hear_answer(Answer(1, (1,), True, "", 5, None, None, output=HERE))
    handover._let_go(7)
    assert order == [HERE, None, "gone below 5", None, "gone below 7"]
    order.clear()
    handover._hear_answer(Answer(1, (1,), True, "", 8, None, None))  # an older collector, which knows of no files
    assert order == [THERE, None, "gone below 8"]
