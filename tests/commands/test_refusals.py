"""What cannot be answered is told in a sentence, whatever it was that stood in the way."""

import socket

import msgspec
import pytest
from commands.history import tell
from wayside_collector.commands import asking, calling, history
from wayside_collector.store import Reader
from wayside_collector.store.answers import SeriesInfo
from wayside_collector.store.finding import MAX_RUNS
from wayside_collector.store.reader import MAX_POINTS, NotFound
from wayside_collector.web.api.readers import DEADLINE
from wayside_collector.web.api.runs import RunsAsked

Capture = pytest.CaptureFixture[str]


def test_more_than_one_answer_has(store: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many curves are refused with their number and what to do."""
    monkeypatch.setattr("wayside_collector.store.reader.MAX_CURVES", 5)
    told = tell(capsys, "query", "llama-a1", "*", "--store", store)
    assert (told.code, told.out) == (1, "")
    assert told.err == "6 curves, and 5 is the limit: ask for fewer metrics or ranks\n"


def test_a_run_that_was_just_let_go_of(store: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that goes between two questions is said to be none."""

    class Forgetful(Reader):
        def series(self, run: str) -> list[SeriesInfo]:
            raise NotFound(f"there is no run {run!r}")

    monkeypatch.setattr(history, "Reader", Forgetful)
    told = tell(capsys, "query", "llama-a1", "--store", store)
    assert (told.code, told.out, told.err) == (1, "", "there is no run 'llama-a1'\n")


def test_a_collector_that_is_busy(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that listens and says nothing is not called absent; it is given the time that it gives itself."""
    assert calling.LOOK_TIMEOUT > DEADLINE
    monkeypatch.setattr(calling, "LOOK_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        told = tell(capsys, "runs", "--url", url)
    assert (told.code, told.out) == (1, "")
    assert f"what listens at {url} did not answer within" in told.err


@pytest.mark.parametrize(
    "arguments",
    [["runs", "--limit", "0"], ["runs", "--limit", "1001"], ["runs", "--limit", "x"], ["query", "r", "--points", "-1"]],
)
def test_numbers_out_of_bounds(store: str, capsys: Capture, arguments: list[str]) -> None:
    """What neither the store nor a collector would follow is refused before either is asked."""
    told = tell(capsys, *arguments, "--store", store)
    assert (told.code, told.out) == (2, "")
    assert f"{arguments[-1]!r} is no number from 1 to" in told.err


def test_the_bounds_are_those_of_the_store_and_the_api() -> None:
    """The most that may be asked for is what either of them tells at once."""
    assert asking.MOST_RUNS == MAX_RUNS
    assert asking.MOST_POINTS == MAX_POINTS
    msgspec.convert({"limit": asking.MOST_RUNS}, RunsAsked)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"limit": asking.MOST_RUNS + 1}, RunsAsked)
