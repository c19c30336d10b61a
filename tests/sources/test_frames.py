"""Rows that come as names and numbers, written as frames."""

import pytest
from wayside import wire
from wayside_collector.sources import frames
from wayside_collector.sources.frames import FrameWriter


def types(data: bytes) -> list[int]:
    found = wire.scan(data)
    assert (found.error, found.end) == (None, len(data))
    return [span.type for span in found.spans]


def test_a_schema_is_announced_once() -> None:
    """Before its first row; and again when what was written did not get into the spool."""
    writer = FrameWriter()
    assert types(writer.row(1.0, None, {"a": 1})) == [wire.SCHEMA, wire.ROW]
    assert types(writer.row(2.0, 5, {"a": 2})) == [wire.ROW]
    assert types(writer.row(2.0, 5, {"b": 2, "a": 1})) == [wire.SCHEMA, wire.ROW]
    writer.announce_again()
    assert types(writer.row(3.0, None, {"a": 3})) == [wire.SCHEMA, wire.ROW]


def test_the_rows_are_what_was_given() -> None:
    """Time, step or none, names and values, through the wire and back."""
    data = FrameWriter().row(1.5, None, {"a": 1.0, "b": float("inf")})
    schema, span = wire.scan(data).spans
    (row,) = wire.read_rows(data, span, wire.read_schema(data, schema), 7)
    assert (row.seq, row.time, row.step, row.metrics) == (7, 1.5, None, {"a": 1.0, "b": float("inf")})


def test_too_many_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit names are written out: nothing is lost, and what was announced stays in use."""
    monkeypatch.setattr(frames, "MAX_SCHEMAS", 2)
    writer = FrameWriter()
    written = [types(writer.row(1.0, None, {name: 1})) for name in ("a", "b", "c", "d", "a")]
    assert written == [[wire.SCHEMA, wire.ROW]] * 2 + [[wire.NAMED_ROW]] * 2 + [[wire.ROW]]


@pytest.mark.parametrize(
    "metrics", [{"": 1.0}, {"x" * (wire.MAX_NAME + 1): 1.0}, dict.fromkeys(map(str, range(wire.MAX_WIDTH + 1)), 1.0)]
)
def test_a_row_beyond_the_limits_is_refused(metrics: dict[str, float]) -> None:
    """With an error, and without a trace: the next row is written as if it had not been."""
    writer = FrameWriter()
    with pytest.raises(wire.WireError):
        writer.row(1.0, None, metrics)
    assert types(writer.row(1.0, None, {"a": 1})) == [wire.SCHEMA, wire.ROW]
