"""One session's way into the spool: doubles refused, gaps booked, batches cut, and what makes no sense left out."""

import itertools
import math

import pytest
from wayside import row, wire
from wayside.notices import MAX_REASONS
from wayside_collector.intake import inlet as inlets
from wayside_collector.intake.inlet import Counters, Inlet, Stream
from wayside_collector.registry import Known
from wayside_collector.spool import Amount, Batch
from wayside_collector.testing import make_session

SCHEMA = wire.schema_frame(0, ["loss", "lr"])
FINISH = wire.event_frame(1e9, None, row.FINISH, {"exit_code": 0})


def make_inlet() -> Inlet:
    return Inlet(Known(7, make_session()), 0, 0, Counters())


def some(count: int, first: int = 0) -> bytes:
    """Rows of two points each."""
    return b"".join(wire.row_frame(0, 1e9 + step, step, [1.0, 2.0]) for step in range(first, first + count))


def drafted(inlet: Inlet) -> list[Batch]:
    """What it would hand over now, taken as stored."""
    batches, losses = inlet.hand_over()
    inlet.stored(batches, losses)
    return batches


def test_rows_become_batches_with_their_numbers() -> None:
    """First and next seq, points, rows, events, time of the first, and the schemas they need."""
    inlet, stream = make_inlet(), Stream()
    data = SCHEMA + some(3) + wire.event_frame(1e9, 2, row.ALERT, {"title": "t"})
    assert inlet.take(stream, data) == len(data)
    (batch,) = drafted(inlet)
    assert (batch.session, batch.first_seq, batch.next_seq, batch.next_point) == (7, 0, 4, 6)
    assert batch.amount == Amount(points=6, rows=3, events=1)
    assert batch.time == 1e9
    assert list(batch.defines) == [0]
    assert inlet.told_seq == 4
    inlet.take(stream, some(1, 3))
    (second,) = drafted(inlet)
    assert (second.first_seq, second.next_seq, second.defines) == (4, 5, {})


def test_doubles_are_refused_whichever_way_they_come() -> None:
    """The same rows from another stream: what is new among them is taken, the others are counted."""
    inlet = make_inlet()
    inlet.take(Stream(), SCHEMA + some(5))
    drafted(inlet)
    inlet.take(Stream(), SCHEMA + some(8) + FINISH)
    (batch,) = drafted(inlet)
    assert (batch.first_seq, batch.next_seq) == (5, 9)
    assert batch.amount == Amount(points=6, rows=3, events=1)
    assert inlet.counters.doubles == 5
    inlet.take(Stream(), SCHEMA + some(8) + FINISH)
    assert drafted(inlet) == []
    assert inlet.counters.doubles == 14
    assert inlet.finished


def test_a_gap_is_booked_with_its_points() -> None:
    """A SEQ frame that leaps ahead tells what the client dropped; the next row has the number it says."""
    inlet, stream = make_inlet(), Stream()
    inlet.take(stream, SCHEMA + some(2) + wire.seq_frame(12, 30) + some(1, 12))
    batches, losses = inlet.hand_over()
    ((loss),) = losses
    assert (loss.session, loss.first_seq, loss.next_seq, loss.points) == (7, 2, 12, 26)
    assert [(batch.first_seq, batch.next_seq, batch.next_point) for batch in batches] == [(0, 2, 4), (12, 13, 32)]
    inlet.stored(batches, losses)
    assert (inlet.counters.lost_rows, inlet.counters.lost_points) == (10, 26)
    assert inlet.told_seq == 13


def test_what_was_not_stored_never_came() -> None:
    """After a failure the same frames are taken again, with the same numbers and their schemas."""
    inlet = make_inlet()
    inlet.take(Stream(), SCHEMA + some(2))
    drafted(inlet)
    inlet.take(inlet.stream(), wire.schema_frame(1, ["x"]) + wire.row_frame(1, 1e9, 0, [1.0]) + FINISH)
    assert inlet.hand_over()[0]
    inlet.not_stored()
    assert (inlet.next_seq, inlet.told_seq, inlet.finished) == (2, 2, False)
    inlet.take(inlet.stream(), wire.schema_frame(1, ["x"]) + wire.row_frame(1, 1e9, 0, [1.0]))
    (batch,) = drafted(inlet)
    assert (batch.first_seq, batch.next_seq, list(batch.defines)) == (2, 3, [1])
    assert inlet.counters.doubles == 0


@pytest.mark.parametrize(
    "odd",
    [
        wire.row_frame(5, 1e9, 0, [1.0, 2.0]),
        wire.row_frame(0, 1e9, 0, [1.0]),
        wire.frame(wire.NAMED_ROW, bytes(16) + b"[1]"),
        wire.frame(wire.EVENT, bytes(16) + b"{}"),
        wire.frame(wire.EVENT, bytes(16) + b'{"kind":"x","a":%b1%b}' % (b"[" * 600, b"]" * 600)),
        wire.schema_frame(0, ["other"]),
        wire.frame(wire.SCHEMA, b"{}", 0, 1),
        wire.stored_frame(5),
        wire.frame(200, b""),
        wire.row_frame(0, math.nan, 0, [1.0, 2.0]),
        wire.row_frame(0, -1.0, 0, [1.0, 2.0]),
    ],
)
def test_a_frame_that_makes_no_sense_costs_itself_only(odd: bytes) -> None:
    """It is left out, counted and told; the rows around it are kept under their own numbers."""
    inlet, stream = make_inlet(), Stream()
    inlet.take(stream, SCHEMA + some(2) + odd + some(1, 2))
    kept = sum(batch.amount.rows for batch in drafted(inlet))
    assert kept == 3
    assert inlet.counters.malformed == 1
    assert inlet.problem


def test_bytes_that_are_no_frames_end_the_stream() -> None:
    """With an error, once nothing before them is left to take."""
    inlet, stream = make_inlet(), Stream()
    data = SCHEMA + some(2)
    taken = inlet.take(stream, data + b"\x07" * 16)
    assert taken == len(data)
    with pytest.raises(wire.WireError):
        inlet.take(stream, b"\x07" * 16)
    assert sum(batch.amount.rows for batch in drafted(inlet)) == 2


def test_a_batch_has_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes in one piece is cut, so that a sink never has to decode more than that at once."""
    monkeypatch.setattr(inlets, "BATCH_SIZE", 10 * wire.row_size(2))
    inlet = make_inlet()
    inlet.take(Stream(), SCHEMA + some(95))
    batches = drafted(inlet)
    assert sum(batch.amount.rows for batch in batches) == 95
    assert max(len(batch.rows) for batch in batches) <= 11 * wire.row_size(2)
    assert all(one.next_seq == two.first_seq for one, two in itertools.pairwise(batches))


def test_a_large_frame_has_a_batch_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event or a row wider than a batch goes by itself: no batch is larger than the limit, or than one frame."""
    most = 10 * wire.row_size(2)
    monkeypatch.setattr(inlets, "BATCH_SIZE", most)
    inlet = make_inlet()
    small = wire.event_frame(1e9, 0, row.ALERT, {"title": "t"})
    large = wire.event_frame(1e9, 0, row.ABOUT, {"text": "x" * 5 * most})
    wide = wire.named_row_frame(1e9, 7, {f"m{number}": 0.5 for number in range(most // 8)})
    inlet.take(Stream(), SCHEMA + small + some(5) + large + small + some(3) + wide + some(2))
    batches = drafted(inlet)
    begin = len(wire.seq_frame(0, 0))
    for data in (part for batch in batches for part in (batch.rows, batch.events) if part):
        assert len(data) <= max(most, begin + max(span.size for span in wire.scan(data).spans))
    assert sum(batch.amount.rows for batch in batches) == 11
    assert sum(batch.amount.events for batch in batches) == 3
    assert all(one.next_seq == two.first_seq for one, two in itertools.pairwise(batches))


def told_refused(refused: object) -> bytes:
    return wire.event_frame(1e9, None, row.CLIENT, {"refused": refused})


def test_what_clients_refuse_is_added_up() -> None:
    """Each session tells its totals; what comes again is not counted again, and a peer may say anything."""
    counters = Counters()
    inlet = Inlet(Known(7, make_session()), 0, 0, counters)
    for refused in ({"no number": 2}, {"no number": 5, "empty": 1}, 7, {"no number": "x", "y": -1, "z": 1 << 60}, None):
        inlet.take(inlet.stream(), told_refused(refused))
    inlet.take(Stream(), told_refused({"no number": 99}))
    assert counters.client_refused == {"no number": 5, "empty": 1}
    another = Inlet(Known(8, make_session()), 0, 0, counters)
    another.take(Stream(), told_refused({"no number": 1, **{f"r{number}": 1 for number in range(100)}}))
    assert counters.client_refused["no number"] == 6
    assert sum(counters.client_refused.values()) <= 107
    assert len(counters.client_refused) == MAX_REASONS + 1


def test_a_session_has_so_many_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A schema beyond the limit is refused, with the rows that need it; the others go on."""
    monkeypatch.setattr(wire, "MAX_SLOTS", 5)
    inlet, stream = make_inlet(), Stream()
    inlet.take(stream, SCHEMA + some(1) + wire.schema_frame(1, ["a", "b", "c", "d"]))
    inlet.take(stream, wire.row_frame(1, 1e9, 1, [1.0] * 4) + some(1, 2))
    assert inlet.counters.malformed == 2
    inlet.take(stream, wire.named_row_frame(1e9, 3, dict.fromkeys("abcd", 1.0)))
    assert sum(batch.amount.rows for batch in drafted(inlet)) == 3


def test_a_session_has_so_many_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with the number of schemas; one that is known may be announced again at the limit."""
    monkeypatch.setattr(wire, "MAX_SCHEMAS", 2)
    inlet, stream = make_inlet(), Stream()
    inlet.take(stream, b"".join(wire.schema_frame(number, [f"m{number}"]) for number in (0, 1, 2, 1)))
    assert inlet.counters.malformed == 1
    assert set(inlet.known.schemas) == {0, 1}


def test_a_named_row_has_so_many_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as one with a schema."""
    monkeypatch.setattr(wire, "MAX_WIDTH", 3)
    inlet = make_inlet()
    inlet.take(Stream(), wire.named_row_frame(1e9, 0, dict.fromkeys("abcd", 1.0)) + wire.named_row_frame(1e9, 0, {}))
    assert inlet.counters.malformed == 1
    assert [batch.amount for batch in drafted(inlet)] == [Amount(points=0, rows=1, events=0)]


def test_a_session_taken_for_dead_goes_on_in_its_own_numbers() -> None:
    """It is another session here, from where it was; it asks and is told in the numbers it knows."""
    session = make_session(continues=("c" * 32, 10, 25))
    inlet = Inlet(Known(8, session), 0, 0, Counters())
    stream = Stream(10, 25)
    inlet.take(stream, SCHEMA + some(2, 10))
    (batch,) = drafted(inlet)
    assert (batch.first_seq, batch.next_seq, batch.next_point) == (0, 2, 4)
    assert (inlet.client_id, inlet.told_seq) == ("c" * 32, 12)
    assert (inlet.stream().seq, inlet.stream().point) == (12, 29)
