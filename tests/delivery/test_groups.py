"""Batches decoded at once come to what they come to one by one, and a bad one costs itself only."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from wayside import wire
from wayside.row import Event, Row
from wayside_collector.delivery.groups import Group, Groups, read_group
from wayside_collector.delivery.selection import Selection, decode, merge
from wayside_collector.intake.inlet import Counters, Inlet, Stream
from wayside_collector.registry import Known
from wayside_collector.sinks.base import SinkOptions, Traits
from wayside_collector.spool import Batch, Damaged, Extent, Stored
from wayside_collector.testing import make_session

SCHEMAS = {0: ("a",), 1: ("b", "c")}
#: What a look may find: rows of a schema, a row with its names, an event, a gap.
LOOKS = st.lists(st.lists(st.sampled_from(["a", "a", "a", "bc", "named", "event", "gap"]), max_size=6), max_size=12)


class Bytes:
    """What a group asks of a spool."""

    def __init__(self) -> None:
        self.data: dict[Extent, bytes] = {}
        self.damaged: set[Extent] = set()

    def put(self, number: int, batch: Batch) -> Stored:
        rows = self._extent(number, 0, batch.rows)
        events = self._extent(number, 1, batch.events)
        place = (number, batch.session, batch.first_seq, batch.next_seq, batch.time)
        return Stored(*place, rows, events, batch.amount, batch.composition)

    def _extent(self, number: int, which: int, data: bytes) -> Extent | None:
        if not data:
            return None
        extent = Extent(which, number, len(data))
        self.data[extent] = data
        return extent

    def read(self, extent: Extent) -> bytes:
        if extent in self.damaged:
            raise Damaged("as the test wants it")
        return self.data[extent]


def batches_of(looks: list[list[str]], spool: Bytes) -> tuple[Known, list[Stored]]:
    """A batch for each look, as intake makes them."""
    known = Known(7, make_session())
    inlet, stream = Inlet(known, 0, 0, Counters()), Stream()
    inlet.take(stream, b"".join(wire.schema_frame(number, names) for number, names in SCHEMAS.items()))
    inlet.hand_over()
    step = 0
    for look in looks:
        data = b""
        for what in look:
            step += 1
            if what == "gap":
                inlet.take(stream, data)
                data = wire.seq_frame(stream.seq + 3, stream.point + 3)
            elif what == "event":
                data += wire.event_frame(1e9, step, "alert", {"n": step})
            elif what == "named":
                data += wire.named_row_frame(1e9, step, {"x": step + 0.5})
            else:
                schema = 0 if what == "a" else 1
                data += wire.row_frame(schema, 1e9, step, [step + 0.5] * len(SCHEMAS[schema]))
        inlet.take(stream, data)
    return known, [spool.put(number, batch) for number, batch in enumerate(inlet.batches, 1)]


def one_by_one(known: Known, spool: Bytes, batches: list[Stored]) -> list[Row | Event]:
    found: list[Row | Event] = []
    for batch in batches:
        parts = [
            decode(known, spool.data[extent], batch.first_seq)
            for extent in (batch.rows, batch.events)
            if extent is not None and extent not in spool.damaged
        ]
        found += merge(*parts) if len(parts) == 2 else [record for part in parts for record in part]
    return found


def read(spool: Any, known: Known, batches: list[Stored]) -> tuple[list[Row | Event], Any]:
    return read_group(spool, Selection(SinkOptions(), Traits()), Group(known, True, True, batches))


@settings(max_examples=300, deadline=None)
@given(looks=LOOKS, choice=st.randoms())
def test_a_group_comes_to_what_its_batches_come_to(looks: list[list[str]], choice: Any) -> None:
    """With events and gaps between rows, with batches that are not of the group, and with any of them damaged."""
    spool = Bytes()
    known, batches = batches_of(looks, spool)
    batches = [batch for batch in batches if choice.random() < 0.8]
    spool.damaged = {extent for extent in spool.data if choice.random() < 0.1}
    found, lost = read(spool, known, batches)
    assert found == one_by_one(known, spool, batches)
    damaged = {batch.id for batch in batches if spool.damaged & {batch.rows, batch.events}}
    assert set(lost) == damaged


def test_what_is_no_frame_costs_its_batch_only() -> None:
    """Though its bytes are those that were written: the others of its group are read all the same."""
    spool = Bytes()
    known, batches = batches_of([["a"]] * 5, spool)
    extent = batches[2].rows
    assert extent is not None
    for bad in (b"\0" * 8, spool.data[extent][:-8], spool.data[extent][:16]):
        spool.data[extent] = bad
        found, lost = read(spool, known, batches)
        assert [record.seq for record in found] == [0, 1, 3, 4]
        assert lost == {3: (("rows", "damaged"),)}


def test_groups_keep_the_order_of_each_session() -> None:
    """Of a session whose rank speaks, is silent and speaks again, and of one that goes on meanwhile."""
    spool = Bytes()
    known, batches = batches_of([["a"]] * 6, spool)
    other = Known(8, make_session())
    groups = Groups()
    for batch, speaks, joins in zip(batches, (True, True, False, False, True, True), (1, 1, 1, 1, 1, 0), strict=True):
        groups.add(known, batch, speaks, joins=bool(joins))
        groups.add(other, batch._replace(session=8), True, joins=True)
    found = [(group.known.key, group.speaks, [batch.id for batch in group.batches]) for group in groups.take()]
    assert found == [
        (7, True, [1, 2]), (8, True, [1, 2, 3, 4, 5, 6]), (7, False, [3, 4]), (7, True, [5]), (7, True, [6])
    ]  # fmt: skip
    assert groups.take() == []


def test_what_comes_again_is_not_taken_as_new() -> None:
    """A batch that overlaps the one before is looked at by itself, when that one is done."""
    spool = Bytes()
    known, batches = batches_of([["a", "a"]] * 2, spool)
    groups = Groups()
    for batch in (batches[0], batches[0]._replace(id=9), batches[1]):
        groups.add(known, batch, True, joins=True)
    assert [[batch.id for batch in group.batches] for group in groups.take()] == [[1], [9, 2]]
