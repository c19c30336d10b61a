"""Batches of one session that were stored near each other, read and decoded at once.

A job that logs now and then stores a batch a row: one by one, what each batch costs is many times what its rows do.
"""

import contextlib
import logging
import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple

from wayside import wire
from wayside.row import Event, Row

from ..media_events import held_files
from ..registry import Known
from ..spool import Damaged, PartName, Spool, Stored
from .selection import Selection, decode, merge

_SEQ_SIZE = len(wire.seq_frame(0, 0))
_SEQ_HEAD = wire.head(_SEQ_SIZE, wire.SEQ, 0, 0)
_SEQ_START = struct.Struct("<QQ")

Lost = dict[int, tuple[tuple[PartName, str], ...]]  #: batch to the parts of it that cannot be read, and why

log = logging.getLogger(__name__)


class Group(NamedTuple):
    """Batches in the order of their session. speaks: whether it speaks for its run in them. joins: whether more may be
    added.
    """

    known: Known
    speaks: bool
    joins: bool
    batches: list[Stored]


class Groups:
    """What is due to be taken, in the order in which the first of each group was stored."""

    def __init__(self) -> None:
        self._groups: list[Group] = []
        self._last: dict[int, Group] = {}

    def add(self, known: Known, batch: Stored, speaks: bool, *, joins: bool) -> None:
        """The next batch; one that does not join is a group by itself."""
        last = self._last.get(batch.session)
        follows = last is not None and last.batches[-1].next_seq <= batch.first_seq
        if last is not None and follows and joins and last.joins and last.speaks == speaks:
            last.batches.append(batch)
            return
        group = self._last[batch.session] = Group(known, speaks, joins, [batch])
        self._groups.append(group)

    def take(self) -> list[Group]:
        """All of them; from now on there are none."""
        groups, self._groups = self._groups, []
        self._last.clear()
        return groups


def read_group(spool: Spool, selection: Selection, group: Group) -> tuple[list[Row | Event], Lost]:
    """The group's records, as far as they are for this sink and can be had."""
    known, lost = group.known, Lost()
    if not selection.wants(known):
        return [], lost

    def lose(batch: Stored, part: PartName, reason: str, problem: Exception) -> None:
        lost[batch.id] = (*lost.get(batch.id, ()), (part, reason))
        log.error("the %s of batch %d of session %s cannot be read: %s", part, batch.id, known.session.id[:8], problem)

    found: dict[PartName, list[Row | Event]] = {"rows": [], "events": []}
    parts: tuple[PartName, ...] = ("rows", "events") if selection.takes_rows(known, group.speaks) else ("events",)
    for part in parts:
        pieces: list[tuple[Stored, bytes]] = []
        for batch in group.batches:
            extent = batch.rows if part == "rows" else batch.events
            if extent is None:
                continue
            try:
                pieces.append((batch, spool.read(extent)))
            except Damaged as problem:
                lose(batch, part, "damaged", problem)
            except OSError as problem:
                lose(batch, part, "missing", problem)
        found[part] = _decode(known, part, pieces, lose)
    found["events"] = _with_media(spool, group, found["events"], lose)
    return merge(found["rows"], found["events"]), lost


def _decode(
    known: Known,
    part: PartName,
    pieces: list[tuple[Stored, bytes]],
    lose: Callable[[Stored, PartName, str, Exception], None],
) -> list[Row | Event]:
    """All pieces at once; where that fails one by one, so that a bad one costs itself only."""
    if len(pieces) > 1:
        with contextlib.suppress(wire.WireError, KeyError):
            return decode(known, b"".join(_joined(pieces)), pieces[0][0].first_seq)
    out: list[Row | Event] = []
    for batch, data in pieces:
        try:
            out += decode(known, data, batch.first_seq)
        except (wire.WireError, KeyError) as problem:
            lose(batch, part, "damaged", problem)
    return out


def _with_media(
    spool: Spool,
    group: Group,
    events: list[Row | Event],
    lose: Callable[[Stored, PartName, str, Exception], None],
) -> list[Row | Event]:
    """The events but those of which a file is gone that must be there; such an event is in a batch of its own."""
    gone: set[int] = set()
    for event in events:
        for name in held_files(event) if isinstance(event, Event) else ():
            if not (name.startswith(group.known.session.id) and spool.media.has(name)):
                gone.add(event.seq)
    for batch in group.batches:
        if any(batch.first_seq <= seq < batch.next_seq for seq in gone):
            lose(batch, "events", "media_lost", FileNotFoundError("a file of it is gone"))
    return [event for event in events if event.seq not in gone] if gone else events


def _joined(pieces: Iterable[tuple[Stored, bytes]]) -> Iterable[bytes]:
    """The pieces as one stream. A number that goes without saying is left out: rows alike are walked many at a time,
    and only as long as nothing stands between them.
    """
    following = -1
    for batch, data in pieces:
        head, seq = _SEQ_START.unpack_from(data) if len(data) >= _SEQ_SIZE else (0, 0)
        if head != _SEQ_HEAD:
            raise wire.WireError(f"batch {batch.id} does not say where it begins")
        yield data[_SEQ_SIZE:] if seq == following else data
        following = batch.next_seq if batch.amount.rows == batch.next_seq - batch.first_seq else -1
