"""Taking a file_stream request apart."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standins.wandb_runs import StandInRun
from wayside_collector.sinks.wandb.file_stream import EVENTS, HISTORY, SUMMARY, Post, read, step_of


def post(history: int = 0, events: int = 0, offset: int = 0, **beside) -> Post:
    files = {}
    if history:
        lines = [json.dumps({"_step": offset + i, "_timestamp": 1.5, "x": i}) for i in range(history)]
        files[HISTORY] = {"offset": offset, "content": lines}
    if events:
        files[EVENTS] = {"offset": 3, "content": [json.dumps({"_timestamp": i, "cpu": 1}) for i in range(events)]}
    return Post({"files": files, **beside})


def test_nan_in_a_line_is_read():
    """Lines are JSON in which NaN and Infinity stand bare, as the SDK writes them."""
    assert step_of('{"_step":7,"x":NaN,"y":-Infinity}') == 7
    assert step_of("no json") is None
    assert step_of('["_step"]') is None


@pytest.mark.parametrize("body", [b"", b"{}", b'{"files":{}}'])
def test_a_heartbeat_carries_nothing(body):
    """An empty request keeps the run alive, and is none to take apart."""
    found = read(body)
    assert found.chunk(HISTORY) is None
    assert found.pieces() == []
    assert found.blank() is None


def test_what_is_no_object_is_refused():
    """Anything but a JSON object is no file_stream request."""
    for body in (b"[]", b"x", b"1"):
        with pytest.raises(ValueError, match=r"JSON|malformed|truncated"):
            read(body)


def leaves(one: Post) -> list[Post]:
    pieces = one.pieces()
    return [leaf for piece in pieces for leaf in leaves(piece)] if pieces else [one]


@given(st.integers(0, 20), st.integers(0, 5), st.integers(0, 10), st.booleans())
def test_the_pieces_say_what_the_whole_says(history, events, offset, complete):
    """Cut down to single lines and written one after the other, a request leaves the run as it would whole."""
    whole = post(history, events, offset, **({"complete": True, "exitcode": 3} if complete else {}))
    whole.value["files"][SUMMARY] = {"offset": 0, "content": ['{"x": 1}']}
    one, other = StandInRun("e", "p", "r"), StandInRun("e", "p", "r")
    one.write(whole.files)
    parts = leaves(read(whole.encode()))
    for part in parts:
        other.write(part.files)
    assert one == other
    assert all(len(chunk["content"]) == 1 for part in parts for chunk in part.files.values())
    assert [part.completes for part in parts if part.completes] == [True] * complete
    assert len(parts) == history + events + 1 + complete


def test_a_blank_line_keeps_step_and_time():
    """What stands for a refused line has its number and its place on the axes, and no values."""
    (one, other) = post(2, offset=5).pieces()
    assert one.blank().files == {
        HISTORY: {"offset": 5, "content": [json.dumps({"_step": 5, "_timestamp": 1.5})]},
    }
    assert other.blank().chunk(HISTORY).offset == 6
    assert post(2).blank() is None
    assert Post({"complete": True}).blank() is None


def test_known_lines_are_blanked_out():
    """Lines that were refused before are not tried again."""
    found = post(3, offset=10)
    assert found.blank_out(HISTORY, {9, 11, 13})
    assert [list(json.loads(line)) for line in found.chunk(HISTORY).content] == [
        ["_step", "_timestamp", "x"],
        ["_step", "_timestamp"],
        ["_step", "_timestamp", "x"],
    ]
    assert not found.blank_out(EVENTS, {1})
    assert not found.blank_out(HISTORY, {100})


def test_the_end_can_be_kept_back():
    """A run that is only closed here is not told to be over."""
    found = post(1, complete=True, exitcode=0, uploaded=["x"])
    assert found.completes
    kept = found.without_end()
    assert not kept.completes
    assert set(kept.value) == {"files", "uploaded"}
    assert found.completes
