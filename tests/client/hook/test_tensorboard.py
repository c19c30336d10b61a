"""TensorBoard's writers, heard: which run their scalars go to, and under which names."""

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wayside
from client.conftest import Place
from standins.journal_reading import Frames, read_journal
from wayside.hook import native, tensorboard


class SummaryWriter:
    """As torch's: what is written, and the writer that `add_hparams` makes for itself."""

    def __init__(self, log_dir: str) -> None:
        self.log_dir = log_dir
        self.written: list[Any] = []

    def add_scalar(self, tag: str, scalar_value: Any, global_step: Any = None, walltime: Any = None) -> str:
        """Adds a scalar."""
        self.written.append((tag, scalar_value, global_step))
        return "theirs"

    def add_scalars(self, main_tag: str, tag_scalar_dict: Any, global_step: Any = None) -> None:
        self.written.append((main_tag, tag_scalar_dict, global_step))

    def add_hparams(self, hparam_dict: Any, metric_dict: Any) -> None:
        inner = type(self)(f"{self.log_dir}/1795243751.663541")
        for name, value in metric_dict.items():
            inner.add_scalar(name, value)


@pytest.fixture
def writer(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[SummaryWriter]]:
    """A class of writers that is hooked, in a process where nothing was heard yet."""
    monkeypatch.setenv("WAYSIDE_QUIET", "1")
    for name, value in {"_ours": None, "_yielded": False, "_folders": {}}.items():
        monkeypatch.setattr(tensorboard, name, value)
    monkeypatch.setattr(native, "_to", "")
    kind = type("SummaryWriter", (SummaryWriter,), dict(vars(SummaryWriter)))
    tensorboard.patch(types.SimpleNamespace(SummaryWriter=kind))
    yield kind
    if tensorboard._ours is not None:
        tensorboard._ours.finish()


def heard() -> Frames:
    assert tensorboard._ours is not None
    assert tensorboard._ours._journal is not None
    return read_journal(Path(tensorboard._ours._journal.shelf.folder.path))


def rows() -> list[tuple[int | None, dict[str, float]]]:
    return [(row.step, row.metrics) for row in heard().rows]


def test_scalars_are_rows_of_a_run_that_says_where_they_come_from(writer: type[SummaryWriter]) -> None:
    """By tag and step; the writer's own work, its answer and its signature are as ever."""
    one = writer("runs/exp")
    assert one.add_scalar("loss", 0.5, 3) == "theirs"
    one.add_scalars("group", {"a": 1.0, "b": 2.0}, global_step=4)
    one.add_hparams({"lr": 0.1}, {"best": 0.25})
    assert rows() == [(3, {"loss": 0.5}), (4, {"group/a": 1.0, "group/b": 2.0}), (4, {"best": 0.25})]
    assert one.written == [("loss", 0.5, 3), ("group", {"a": 1.0, "b": 2.0}, 4)]
    (record,) = heard().records
    assert record["origin"] == "tensorflow"
    assert record["run"]["name"] == "exp"  # type: ignore[index]
    assert [event.data["set"] for event in heard().events if event.kind == "config"] == [{"lr": 0.1}]
    assert writer.add_scalar.__doc__ == "Adds a scalar."


def test_writers_of_several_folders_share_the_run(writer: type[SummaryWriter]) -> None:
    """The tags of the first stay as they are, those of others begin with their folder's name."""
    train, val, again = writer("runs/exp/train"), writer("runs/exp/val"), writer("runs/exp/train")
    for one in (train, val, again):
        one.add_scalar("loss", 0.5, 1)
    assert rows() == [(1, {"loss": 0.5}), (1, {"val/loss": 0.5}), (1, {"loss": 0.5})]


def test_megatrons_second_axis_is_left_out(writer: type[SummaryWriter]) -> None:
    """The same numbers by samples would open steps of their own, far beyond the training's."""
    one = writer("runs")
    one.add_scalar("lm loss", 0.5, 1)
    one.add_scalar("lm loss vs samples", 0.5, 512)
    assert rows() == [(1, {"lm loss": 0.5})]


def test_it_yields_to_a_run_that_logs_the_training(
    writer: type[SummaryWriter], capsys: pytest.CaptureFixture[str]
) -> None:
    """The script's own run, an adapter's or one beside wandb's: nothing arrives twice, and it is said once."""
    run = wayside.init(id="own")
    one = writer("runs")
    one.add_scalar("loss", 0.5, 1)
    one.add_scalar("loss", 0.5, 2)
    assert tensorboard._ours is None
    assert one.written == [("loss", 0.5, 1), ("loss", 0.5, 2)]
    run.finish()
    assert capsys.readouterr().err.count("left to run own") == 1


def test_it_yields_to_a_native_adapter(writer: type[SummaryWriter]) -> None:
    """From the moment one says so."""
    wayside.hook.yield_to("keras")
    writer("runs").add_scalar("loss", 0.5, 1)
    assert tensorboard._ours is None


def test_a_failure_of_ours_is_ours(writer: type[SummaryWriter], monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer writes all the same."""

    def broken(*args: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(tensorboard, "_log", broken)
    one = writer("runs")
    assert one.add_scalar("loss", 0.5, 1) == "theirs"
    assert one.written == [("loss", 0.5, 1)]


def test_what_is_no_writer_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of that name that holds something else."""
    tensorboard.patch(types.SimpleNamespace())
    module = types.SimpleNamespace(SummaryWriter=len)
    tensorboard.patch(module)
    assert module == types.SimpleNamespace(SummaryWriter=len)
