"""What a run says to its user: each thing once, within bounds, and never at the price of an exception."""

import io
import sys
from typing import Any

import pytest
from wayside.notices import LOSSES, MAX_REASONS, MAX_TOLD, Notices, say


class Broken:
    """A stderr that is anybody's object."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def write(self, text: str) -> None:
        raise self.error


def test_each_thing_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    """By its key, however often it happens and whatever it says the second time."""
    notices = Notices()
    for text in ("first", "second"):
        notices.tell("key", text)
    notices.tell("other", "third")
    assert capsys.readouterr().err == "wayside: first\nwayside: third\n"


def test_there_is_an_end_to_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A training log is not ours to fill, and a table of reasons has an end, while the counts stay right."""
    notices = Notices()
    for number in range(1000):
        notices.refuse(f"reason {number}", f"m{number} is refused")
    told = capsys.readouterr().err.splitlines()
    assert len(told) == MAX_TOLD + 1
    assert "further ones are not told" in told[-1]
    assert len(notices.refused) == MAX_REASONS + 1
    assert notices.refused["other"] == 1000 - MAX_REASONS
    assert sum(notices.refused.values()) == 1000


def test_one_reason_is_said_once_whatever_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    """A row of a thousand names too many leaves room for what is wrong elsewhere, and is counted whole."""
    notices = Notices()
    for number in range(1000):
        notices.refuse("too wide", f"m{number} is refused")
    notices.tell("other", "something else")
    assert capsys.readouterr().err == "wayside: m0 is refused\nwayside: something else\n"
    assert notices.refused == {"too wide": 1000}


@pytest.mark.parametrize(
    "stderr",
    [
        None,
        Broken(OSError()),
        Broken(ValueError()),
        Broken(RuntimeError("reentrant call")),
        Broken(ZeroDivisionError()),
    ],
    ids=lambda value: type(getattr(value, "error", value)).__name__,
)
def test_a_stderr_that_cannot_be_written_costs_nothing(monkeypatch: pytest.MonkeyPatch, stderr: Any) -> None:
    """None, closed, full, busy, or any object: what could not be said is counted."""
    monkeypatch.setattr(sys, "stderr", stderr)
    notices = Notices()
    notices.tell("key", "text")
    notices.refuse("b", "c")
    assert notices.unsaid == 2


def test_a_line_is_written_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that lines of several ranks do not mix."""
    pieces: list[str] = []
    stream = io.StringIO()
    monkeypatch.setattr(stream, "write", pieces.append)
    monkeypatch.setattr(sys, "stderr", stream)
    assert say("text")
    assert pieces == ["wayside: text\n"]


@pytest.mark.parametrize("key", LOSSES)
def test_lost_rows_are_told_whatever_was_told_before(capsys: pytest.CaptureFixture[str], key: str) -> None:
    """The bound on notices hides no loss."""
    notices = Notices()
    for number in range(MAX_TOLD + 5):
        notices.tell(f"key {number}", "something")
    capsys.readouterr()
    notices.tell(key, "rows are lost")
    notices.tell(key, "rows are lost")
    assert capsys.readouterr().err == "wayside: rows are lost\n"
