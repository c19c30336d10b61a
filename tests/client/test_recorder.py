"""`log()`'s fast way: whom it asks nothing, what it leaves to the slow one, and what a reader sees meanwhile."""

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wayside
from client.conftest import Place
from client.test_journal import looked_at
from standins.journal_reading import read_journal
from standins.tensors import JaxArray, Tensor
from wayside.roots import Root
from wayside.values import EXACT


@pytest.fixture
def run(place: Place, monkeypatch: pytest.MonkeyPatch) -> wayside.Run:
    """A run without a collector, whose journal lies in memory, and which has logged `a` and `b` before."""
    monkeypatch.setenv("WAYSIDE_QUIET", "1")
    run = wayside.init()
    run.log({"a": 1.0, "b": 2.0})
    return run


def folder(run: wayside.Run) -> Path:
    assert run._journal is not None
    return Path(run._journal.shelf.folder.path)


def last(run: wayside.Run) -> dict[str, float]:
    return read_journal(folder(run)).rows[-1].metrics


def test_a_run_without_a_place_does_not_say_that_it_keeps(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line that greets says what the line about the place says."""
    blocked = place.beside / "file"
    blocked.write_text("x")
    monkeypatch.setattr(
        "wayside.sessions.find_roots", lambda socket, overflow, memory: [Root(f"{blocked}/below", True)]
    )
    run = wayside.init()
    run.log({"loss": 0.5})
    run.finish()
    told = capsys.readouterr().err
    assert "1 rows and events of this process are lost" in told
    assert "no place for the journal" in told
    assert "nothing is kept until" in told
    assert "kept in" not in told


def test_the_position_is_never_seen_as_zero(run: wayside.Run) -> None:
    """Another process that looks all the time sees a position that only grows, and whole frames up to it."""
    assert run._journal is not None
    shelf = run._journal.shelf
    with looked_at(folder(run)):
        for _ in range(150_000):
            run.log({"a": 0.5, "b": 1.5})
    assert shelf.folder.path == str(folder(run))


@pytest.mark.parametrize("value", [Tensor(0.5, device="cuda"), JaxArray(0.5, "gpu"), Tensor(0.5, device="xpu")])
def test_a_tensor_on_an_accelerator_is_never_read(run: wayside.Run, value: Any) -> None:
    """Packing asks `__float__`, which would wait for the GPU in silence: what is no plain number takes the slow way,
    which refuses it and keeps its neighbour.
    """
    for _ in range(3):
        run.log({"a": 0.25, "b": value})
        assert last(run) == {"a": 0.25}
    assert value.reads == 0
    assert sum(run.notices.refused.values()) == 3


def test_classes_of_their_own_take_the_slow_way(run: wayside.Run) -> None:
    """A subclass of float or int may compute its value: once a call, outside of the lock, and never while packing."""
    assert run._journal is not None
    held: list[bool] = []

    class Watching(float):
        def __float__(self) -> float:
            held.append(run._journal is not None and run._journal.writing)
            return 7.5

    run.log({"a": Watching(1.0), "b": 2.0})
    assert last(run) == {"a": 7.5, "b": 2.0}
    assert held == [False]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (EXACT, float(EXACT)),
        (-EXACT, -float(EXACT)),
        (EXACT + 1, float(EXACT)),
        (True, 1.0),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3.0),
        (Fraction(1, 4), 0.25),
        (10**400, None),
    ],
)
def test_numbers_of_every_kind_after_plain_ones(run: wayside.Run, value: Any, kept: float | None) -> None:
    """Names that were packed fast before may hold anything the next time; what is rounded or refused is told."""
    run.log({"a": 0.5, "b": value})
    assert last(run) == ({"a": 0.5} if kept is None else {"a": 0.5, "b": kept})
    told = " ".join(run.notices._told.values())
    assert ("rounded" in told) is bool(value == EXACT + 1)
    assert bool(run.notices.refused) is (kept is None)


def test_rounded_names_take_up_one_notice(run: wayside.Run, capsys: pytest.CaptureFixture[str]) -> None:
    """A wide row of big whole numbers leaves room for what is wrong elsewhere."""
    run.log({f"m{number}": EXACT + 1 for number in range(100)})
    run.log({"": 1.0})
    said = capsys.readouterr().err.splitlines()
    assert [line.split(" is ")[0] for line in said] == ["wayside: 'm0'", "wayside: ''"]


class Verbose:
    """A value whose exception prints all of it."""

    def item(self) -> float:
        raise RuntimeError("x" * 1_000_000)


def test_what_an_exception_prints_is_cut(run: wayside.Run, capsys: pytest.CaptureFixture[str]) -> None:
    """In what the user is told and in the counts, which must fit into a frame."""
    run.log({"a": Verbose()})
    assert len(capsys.readouterr().err) < 1000
    (reason,) = run.notices.refused
    assert len(reason) < 300
    assert reason.startswith("xxx")


def test_a_forked_child_counts_its_own_refusals(run: wayside.Run) -> None:
    """What the parent refused and lost is told by the parent, once."""
    run.log({"": 1.0})
    run._nowhere = 3
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, repr((run.notices.refused, run._nowhere)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 1000) == b"({}, 0)"
    os.close(read)
    os.close(write)
    assert (sum(run.notices.refused.values()), run._nowhere) == (1, 3)
    run._nowhere = 0
