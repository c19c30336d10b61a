"""`export`: every point of a run, in each format, and what stands where when it fails."""

import csv
import json
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest
from commands.history import ROWS, START, loss, rows_of, tell
from wayside_collector.commands.target import target

Capture = pytest.CaptureFixture[str]
FIRST = [row for rank in (0, 1) for row in rows_of(rank, START)]  #: of llama-a1


def same(one: object, other: object) -> bool:
    """Whether values are the same to the last bit; a nan is a nan."""
    return repr(one) == repr(other)


def test_csv(store: str, capsys: Capture) -> None:
    """A line for each logged row, a column for each metric: every value as it was, nothing where there was none."""
    told = tell(capsys, "export", "llama-a1", "--store", store)
    assert told.code == 0
    lines = list(csv.DictReader(told.out.splitlines()))
    assert len(lines) == 2 * ROWS == len(FIRST)
    for line, row, rank in zip(lines, FIRST, [0] * ROWS + [1] * ROWS, strict=True):
        assert (int(line["step"]), float(line["time"]), int(line["rank"])) == (row.step, row.time, rank)
        assert line["host"] == f"node-{rank}"
        assert same(float(line["train/loss"]), loss(row.step or 0, rank))
        assert line["val/acc"] == ("" if (row.step or 0) % 100 else repr((row.step or 0) / 2000))
    assert [lines[step]["train/loss"] for step in (700, 701, 702)] == ["NaN", "Infinity", "-Infinity"]
    assert "2600 rows, 5226 points" in told.err


def test_csv_long(store: str, capsys: Capture) -> None:
    """A line for each point, with its metric, rank and step."""
    told = tell(capsys, "export", "llama-a1", "--form", "long", "--metric", "val/*", "--rank", "1", "--store", store)
    lines = list(csv.DictReader(told.out.splitlines()))
    assert [(line["metric"], line["rank"], line["step"], line["value"]) for line in lines] == [
        ("val/acc", "1", str(step), repr(step / 2000)) for step in range(0, ROWS, 100)
    ]


@pytest.mark.parametrize("form", ["wide", "long"])
def test_json(store: str, capsys: Capture, form: str) -> None:
    """One array of objects, a line each, strict JSON; what is not finite spelled out."""
    told = tell(capsys, "export", "llama-a1", "--format", "json", "--form", form, "--store", store)
    found = json.loads(told.out, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    assert len(told.out.splitlines()) == len(found) + 2
    if form == "wide":
        values = [line["metrics"]["train/loss"] for line in found]
    else:
        values = [line["value"] for line in found if line["metric"] == "train/loss"]
        assert sum(line["metric"] == "val/acc" for line in found) == 26
    assert values[700:703] == ["NaN", "Infinity", "-Infinity"]
    for value, row in zip(values, FIRST, strict=True):
        assert same(float(value), row.metrics["train/loss"])


def test_json_of_nothing(store: str, capsys: Capture) -> None:
    """Where no row is wanted it is an empty array; a metric the run does not have is refused."""
    told = tell(capsys, "export", "llama-a1", "--format", "json", "--rank", "7", "--store", store)
    assert json.loads(told.out) == []
    told = tell(capsys, "export", "llama-a1", "--metric", "none", "--store", store)
    assert (told.code, told.out) == (1, "")
    assert "none" in told.err


@pytest.mark.parametrize("form", ["wide", "long"])
def test_parquet(store: str, tmp_path: Path, capsys: Capture, form: str) -> None:
    """Typed columns; NaN is NaN and not missing; the run, its config and summary are in the file's metadata."""
    path = tmp_path / "run.parquet"
    assert tell(capsys, "export", "llama-a1", "-o", str(path), "--form", form, "--store", store).code == 0
    table = pyarrow.parquet.read_table(path)
    assert str(table.schema.field("step").type) == "int64"
    told = {key.decode(): json.loads(value) for key, value in table.schema.metadata.items() if b"wayside" in key}
    assert told["wayside.run"]["id"] == "llama-a1"
    assert told["wayside.config"]["model"]["depth"] == 12
    if form == "wide":
        values = table["train/loss"].to_pylist()
        assert table["val/acc"].null_count == 2 * ROWS - 26
    else:
        values = [line["value"] for line in table.to_pylist() if line["metric"] == "train/loss"]
    for value, row in zip(values, FIRST, strict=True):
        assert same(value, row.metrics["train/loss"])
    assert [found.name for found in tmp_path.iterdir()] == ["run.parquet"]


def test_parquet_without_its_library(
    store: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where pyarrow is not installed, that is said with what to install, before anything is written."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    told = tell(capsys, "export", "llama-a1", "-o", str(tmp_path / "run.parquet"), "--store", store)
    assert told.code == 1
    assert "wayside-collector[parquet]" in told.err
    assert not list(tmp_path.iterdir())


def test_a_file_is_whole_or_not_there(
    store: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails half-way leaves the file that was there before as it was, and nothing beside it."""
    path = tmp_path / "run.csv"
    path.write_text("before")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        told = tell(capsys, "export", "llama-a1", "-o", str(path), "--store", store)
    assert told.code == 1
    assert "No space left" in told.err
    assert path.read_text() == "before"
    assert [found.name for found in tmp_path.iterdir()] == ["run.csv"]
    assert tell(capsys, "export", "llama-a1", "-o", str(path), "--store", store).code == 0
    assert path.read_text().startswith("step,time,rank,host,")


def test_ctrl_c(store: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted by a person, it ends without a word, with a shell's exit code for that, and leaves nothing behind."""

    def interrupted(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wayside_collector.commands.tables.CsvTable.end", interrupted)
    told = tell(capsys, "export", "llama-a1", "-o", str(tmp_path / "run.csv"), "--store", store)
    assert told == (130, "", "")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written(store: str, tmp_path: Path, capsys: Capture) -> None:
    """A folder that is not there, and an ending that says no format, are named; nothing is made."""
    told = tell(capsys, "export", "llama-a1", "-o", str(tmp_path / "no" / "run.csv"), "--store", store)
    assert (told.code, "run.csv" in told.err) == (1, True)
    told = tell(capsys, "export", "llama-a1", "-o", str(tmp_path / "run.xlsx"), "--store", store)
    assert (told.code, "--format" in told.err) == (2, True)
    assert not list(tmp_path.iterdir())


def test_what_is_no_plain_file(store: str, tmp_path: Path, capsys: Capture) -> None:
    """A folder, what may not be opened, and a device that takes nothing are named with what is wrong with each."""
    told = tell(capsys, "export", "llama-a1", "-o", str(tmp_path), "--format", "csv", "--store", store)
    assert (told.code, told.err) == (2, f"{tmp_path} is a folder: -o names a file\n")
    place = tmp_path / "socket.csv"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        told = tell(capsys, "export", "llama-a1", "-o", str(place), "--store", store)
    assert (told.code, told.err.startswith(f"{place} cannot be written: ")) == (1, True)
    told = tell(capsys, "export", "llama-a1", "-o", "/dev/full", "--format", "csv", "--store", store)
    assert (told.code, "/dev/full cannot be written: No space left" in told.err) == (1, True)


def test_what_fails_beside_the_file_is_not_its_fault(tmp_path: Path) -> None:
    """An error of whoever writes, as of reading elsewhere, stays what it was, and nothing is left behind."""
    with pytest.raises(PermissionError), target(tmp_path / "run.csv", binary=False):
        raise PermissionError(13, "somewhere else")
    assert not list(tmp_path.iterdir())


def test_metrics_that_are_called_like_columns(tmp_path: Path, capsys: Capture) -> None:
    """A metric named `step` or `time` has a column of its own name's, and takes nothing of the row's own."""
    from wayside_collector.store import Writer, connect
    from wayside_collector.testing import make_parcel, make_rows, make_session

    place = str(tmp_path / "store.db")
    db = connect(place)
    db.migrate()
    metrics = {"step": 7.0, "time": 8.0, "metrics/step": 9.0, "a,b": 1.0}
    Writer(db).write(make_parcel(make_session("r"), make_rows(2, metrics)).parts)
    db.close()
    out = tell(capsys, "export", "r", "--store", place).out
    first = next(csv.DictReader(out.splitlines()))
    assert (first["step"], first["metrics/metrics/step"], first["metrics/time"]) == ("0", "7.0", "8.0")
    assert (first["metrics/step"], first["a,b"]) == ("9.0", "1.0")


def test_whoever_reads_on_no_more(store: str) -> None:
    """A pipe that is closed early ends it without a word, as `head` does to any other program."""
    command = f"{sys.executable} -m wayside_collector export llama-a1 --form long --store {store} | head -n 2"
    script = f"{command}; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert (len(done.stdout.splitlines()), done.stdout.splitlines()[-1]) == (3, "141")
    assert done.stderr == ""
