"""What parts amount to, and how they are divided. Pure."""

from collections.abc import Callable, Iterable, Set

from wayside.row import Event, Row

from ..sinks.base import Part, Record, Ref, Step
from ..spool import Amount


def amount_of(records: Iterable[Record]) -> Amount:
    """What records count in the books, merged steps by the rows they are made of."""
    points = rows = events = 0
    for record in records:
        if isinstance(record, Row):
            rows += 1
            points += len(record.names)
        elif isinstance(record, Event):
            events += 1
        else:
            rows += len(record.seqs)
            points += record.points
    return Amount(points, rows, events)


def amount_of_parts(parts: Iterable[Part]) -> Amount:
    return amount_of(record for part in parts for record in part.records)


def seqs_of(record: Record) -> tuple[int, ...]:
    """The seqs of the rows or of the event that a record stands for."""
    return record.seqs if isinstance(record, Step) else (record.seq,)


def only(parts: Iterable[Part], refs: Set[Ref]) -> list[Part]:
    """Parts with those records alone that are named. A step is named by any of its rows."""
    return _split(parts, lambda part, record: _named(part, record, refs))


def without(parts: Iterable[Part], refs: Set[Ref]) -> list[Part]:
    """Parts with those records alone that are not named."""
    return _split(parts, lambda part, record: not _named(part, record, refs))


def _named(part: Part, record: Record, refs: Set[Ref]) -> bool:
    return any((part.session.id, seq) in refs for seq in seqs_of(record))


def _split(parts: Iterable[Part], keep: Callable[[Part, Record], bool]) -> list[Part]:
    kept = []
    for part in parts:
        records = [record for record in part.records if keep(part, record)]
        if records:
            kept.append(part._replace(records=records))
    return kept
