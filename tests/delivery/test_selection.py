"""What a sink's options leave in, and what that amounts to."""

from typing import Any

import pytest
from delivery.shelf import make_batch
from delivery.virtual import T0
from wayside import wire
from wayside.row import Event, Row
from wayside_collector.delivery.parcels import amount_of
from wayside_collector.delivery.selection import Every, Kept, Selection, decode, keeps, merge, parse_every
from wayside_collector.registry import Known
from wayside_collector.sinks.base import SinkOptions, Traits
from wayside_collector.spool import Amount, Extent, Stored
from wayside_collector.testing import make_session

POINTS: list[Any] = [(0, {"loss": 1.0, "gpu": 2.0}), (1, {"loss": 1.0}), "alert", (2, {"gpu": 3.0})]


def stored(known: Known, points: list[Any], **options: Any) -> tuple[Stored, list[Row | Event]]:
    """A batch as the index has it, and its records."""
    batch = make_batch(known.key, 0, points, known.schemas, time=T0, **options)
    rows = Extent(1, 0, len(batch.rows)) if batch.rows else None
    found = Stored(1, known.key, 0, len(points), T0, rows, None, batch.amount, batch.composition)
    return found, merge(decode(known, batch.rows, 0), decode(known, batch.events, 0))


def session(**fields: Any) -> Known:
    return Known(1, make_session(**fields))


@pytest.mark.parametrize(
    ("options", "amount"),
    [
        ({}, Amount(4, 3, 1)),
        ({"include": ("loss",)}, Amount(2, 2, 1)),
        ({"exclude": ("gp?",)}, Amount(2, 2, 1)),
        ({"include": ("*",), "exclude": ("*",)}, Amount(0, 0, 1)),
        ({"rename": {"loss": "l"}}, Amount(4, 3, 1)),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_what_a_batch_amounts_to_is_what_comes_of_it(options: Any, amount: Amount, named: bool) -> None:
    """Counted from its composition, or by its rows where they carry their names: both come to the same."""
    known = session()
    selection = Selection(SinkOptions(**options), Traits())
    batch, records = stored(known, POINTS, named=named)
    assert amount_of(selection.rows(known, records, True)) == amount
    assert selection.is_plain(batch) is (not named or not options)
    if selection.is_plain(batch):
        assert selection.amount(known, batch, True) == amount


def test_names_are_chosen_and_changed() -> None:
    """Exclude wins; the values go with their names; a row of which nothing is left is left out, an empty one is not."""
    known = session()
    selection = Selection(SinkOptions(include=("l*", "gpu"), exclude=("lr",), rename={"gpu": "g"}), Traits())
    rows: list[Row | Event] = [
        Row(0, T0, 0, True, False, ("loss", "lr", "gpu"), (1.0, 2.0, 3.0)),
        Row(1, T0, 1, True, False, ("lr",), (2.0,)),
        Row(2, T0, 2, True, False, (), ()),
        Row(3, T0, 3, True, False, ("lr", "gpu"), (2.0, 3.0)),
    ]
    found = [(row.seq, row.metrics) for row in selection.rows(known, rows, True) if isinstance(row, Row)]
    assert found == [(0, {"loss": 1.0, "g": 3.0}), (2, {}), (3, {"g": 3.0})]


def test_names_are_changed_without_anything_left_out() -> None:
    """`rename` alone, for rows of every session that has the name; a row without it is handed on as it is."""
    selection = Selection(SinkOptions(rename={"loss": "l"}), Traits())
    renamed, other = Row(0, T0, 0, True, False, ("loss", "lr"), (1.0, 2.0)), Row(1, T0, 1, True, False, ("lr",), (2.0,))
    for known in (session(), session(rank=1)):
        first, second = selection.rows(known, [renamed, other], True)
        assert isinstance(first, Row)
        assert first.metrics == {"l": 1.0, "lr": 2.0}
        assert second is other


def test_a_session_that_does_not_speak_sends_its_events() -> None:
    """With `ranks: primary` its rows are left out, its config and its finish are not."""
    known = session(rank=3)
    selection = Selection(SinkOptions(ranks="primary"), Traits())
    batch, records = stored(known, POINTS)
    assert selection.amount(known, batch, False) == Amount(0, 0, 1) == amount_of(selection.rows(known, records, False))
    assert selection.amount(known, batch, True) == Amount(4, 3, 1)
    assert Selection(SinkOptions(ranks="all"), Traits(ranks="primary")).amount(known, batch, False) == Amount(4, 3, 1)


def test_samples_and_mirrored_sessions_are_taken_or_not() -> None:
    """By the option, else the sink's own default; a mirrored session not by the sink that would upload it twice."""
    system = session(kind="system")
    assert not Selection(SinkOptions(), Traits(system=False)).wants(system)
    assert Selection(SinkOptions(system=True), Traits(system=False)).wants(system)
    assert not Selection(SinkOptions(system=False), Traits()).wants(system)
    mirrored = session(origin="wandb")
    assert Selection(SinkOptions(), Traits()).wants(mirrored)
    leaves_out = Traits(leaves_out=lambda session, options: "mirrored" if session.origin == "wandb" else None)
    assert not Selection(SinkOptions(), leaves_out).wants(mirrored)
    assert Selection(SinkOptions(), leaves_out).wants(session())


@pytest.mark.parametrize(
    ("text", "every"),
    [
        (None, None),
        ("10", Every(10, False)),
        ("10 steps", Every(10, False)),
        ("1 step", Every(1, False)),
        ("30s", Every(30.0, True)),
        ("5 minutes", Every(300.0, True)),
        ("2h", Every(7200.0, True)),
    ],
)
def test_every_is_read(text: str | None, every: Every | None) -> None:
    """Steps when no unit is given."""
    assert parse_every(text) == every


def test_every_keeps_whole_steps() -> None:
    """One in ten by number, all rows of a step or none; a step that jumps over a boundary is kept; a step that goes
    back is not.
    """
    last: Kept | None = None
    kept = []
    for seq, step in enumerate([0, 0, 1, 9, 10, 10, 25, 26, 3, 30]):
        found = keeps(Every(10, False), last, Row(seq, T0, step, True, False, ("a",), (0.0,)))
        if found is not None:
            last = found
            kept.append((seq, step))
    assert kept == [(0, 0), (1, 0), (4, 10), (5, 10), (6, 25), (9, 30)]


def test_every_by_time_and_for_rows_without_a_step() -> None:
    """By the row's own time; without a step by its place in the session."""
    at = [keeps(Every(10.0, True), None, Row(0, T0 + s, 0, True, False, (), ())) for s in (0.0, 9.9, 10.0)]
    assert [kept.bucket - at[0].bucket for kept in at if kept and at[0]] == [0, 0, 1]
    assert keeps(Every(2, False), Kept(1, None), Row(3, T0, None, True, False, (), ())) is None
    assert keeps(Every(2, False), Kept(1, None), Row(4, T0, None, True, False, (), ())) == Kept(2, None)


def test_rows_that_passed_every_before_pass_it_again() -> None:
    """After a restart those below the cursor were chosen already."""
    known = session()
    selection = Selection(SinkOptions(every="10 steps"), Traits())
    selection.last[known.key] = Kept(5, 50)
    rows = [Row(seq, T0, step, True, False, ("a",), (0.0,)) for seq, step in ((0, 40), (1, 51), (2, 60))]
    assert [row.seq for row in selection.rows(known, rows, True, decided_below=1)] == [0, 2]


def test_bytes_that_are_no_rows_are_told() -> None:
    """A schema nobody knows is a KeyError, a row that does not fit its schema a WireError."""
    known = session()
    row = wire.row_frame(0, T0, 0, (1.0, 2.0))
    with pytest.raises(KeyError):
        decode(known, row, 0)
    known.schemas[0] = ("a",)
    with pytest.raises(wire.WireError):
        decode(known, row, 0)
