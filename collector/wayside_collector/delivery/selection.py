"""What a sink's own options leave in: `ranks`, `include`, `exclude`, `rename`, `every`. Pure but for what it remembers.

The same decision is taken twice of each batch: when it is stored, to know what the sink has received, and when it is
read, to know what to send. Both come to the same, since each depends on nothing but the options, the rows before, and
the election.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from fnmatch import translate
from operator import itemgetter
from typing import NamedTuple

from wayside import wire
from wayside.row import Event, Row

from ..registry import Known
from ..sinks.base import SinkOptions, Traits
from ..spool import Amount, Stored

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Every(NamedTuple):
    """One step in so many, or one in so many seconds."""

    size: float
    by_time: bool


def parse_every(text: str | None) -> Every | None:
    """The option `every`: "10 steps", "30s", "5 minutes"; a bare number means steps."""
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]+) ?([a-z]*)", text)
    assert match is not None  # the option's pattern has been checked
    unit = match[2][:2]
    if unit in ("", "st"):
        return Every(int(match[1]), False)
    return Every(int(match[1]) * _SECONDS[unit[0]], True)


class Kept(NamedTuple):
    """Where `every` stands in one session: the bucket and the step of the last row it kept."""

    bucket: int
    step: int | None


def keeps(every: Every, last: Kept | None, row: Row) -> Kept | None:
    """Whether `every` keeps this row: the new state, or None to leave the row out. Rows of one step stay together."""
    place = row.time if every.by_time else row.seq if row.step is None else row.step
    bucket = int(place // every.size)
    if last is not None and row.step is not None and row.step == last.step:
        return Kept(max(bucket, last.bucket), row.step)
    if last is None or bucket > last.bucket:
        return Kept(bucket, row.step)
    return None


class Plan(NamedTuple):
    """What becomes of rows with one set of names. pick takes the values that stay; None takes all as they are. as_is:
    whether the names stay, too.
    """

    names: tuple[str, ...]
    pick: Callable[[tuple[float, ...]], tuple[float, ...]] | None
    kept: bool
    as_is: bool = False


class Selection:
    """One sink's choice. last: session key to where `every` stands. left_out: session key to why the sink leaves the
    whole session out, in a word.
    """

    def __init__(self, options: SinkOptions, traits: Traits) -> None:
        self.primary_only = (options.ranks or traits.ranks) == "primary"
        self.every = parse_every(options.every)
        self.last: dict[int, Kept] = {}
        self._system = traits.system if options.system is None else options.system
        self.left_out: dict[int, str] = {}
        self._options = options
        self._leaves_out = traits.leaves_out
        self._include = [re.compile(translate(pattern)) for pattern in options.include]
        self._exclude = [re.compile(translate(pattern)) for pattern in options.exclude]
        self._rename = options.rename
        self._rows, self._takes_event = traits.rows, traits.takes_event
        self._event_options = options
        self._plain = not (self._include or self._exclude or self._rename)
        self._plans: dict[tuple[str, ...], Plan] = {}

    def wants(self, known: Known) -> bool:
        """Whether anything of this session is for this sink."""
        session = known.session
        if session.kind == "system":
            return self._system
        if session.kind != "run":
            return False
        reason = self._leaves_out(session, self._options)
        if reason is not None:
            self.left_out[known.key] = reason
        return reason is None

    def plan(self, names: tuple[str, ...]) -> Plan:
        found = self._plans.get(names)
        if found is None:
            found = self._make_plan(names)
            if len(self._plans) > 4096:
                self._plans.clear()
            self._plans[names] = found
        return found

    def _make_plan(self, names: tuple[str, ...]) -> Plan:
        if self._plain:
            return Plan(names, None, True, as_is=True)
        picked = [index for index, name in enumerate(names) if self._passes(name)]
        kept = bool(picked) or not names
        renamed = tuple(self._rename.get(names[index], names[index]) for index in picked)
        if len(picked) == len(names):
            return Plan(renamed, None, kept, as_is=renamed == names)
        if len(picked) == 1:
            only = picked[0]
            return Plan(renamed, lambda values: (values[only],), kept)
        return Plan(renamed, itemgetter(*picked) if picked else lambda values: (), kept)

    def _passes(self, name: str) -> bool:
        if self._include and not any(pattern.match(name) for pattern in self._include):
            return False
        return not any(pattern.match(name) for pattern in self._exclude)

    # --- a whole batch ------------------------------------------------------------------------------------------------

    def is_plain(self, batch: Stored) -> bool:
        """Whether what a batch amounts to follows from its composition, without reading it."""
        if self._takes_event is not None and batch.amount.events:
            return False
        return self.every is None and (self._plain or all(number >= 0 for number, _ in batch.composition))

    def amount(self, known: Known, batch: Stored, primary: bool) -> Amount:
        """What of a batch is for this sink; the most it can be, for batches that are not plain."""
        if not self.wants(known):
            return Amount()
        if not self.takes_rows(known, primary):
            return batch.amount.of("events")
        if self._plain or any(number not in known.schemas for number, _ in batch.composition):
            return batch.amount
        points = rows = 0
        for number, count in batch.composition:
            plan = self.plan(known.schemas[number])
            if plan.kept:
                rows += count
                points += count * len(plan.names)
        return Amount(points, rows, batch.amount.events)

    def takes_rows(self, known: Known, primary: bool) -> bool:
        """Whether rows of this session, which speaks for its run or does not, are for this sink."""
        return self._rows and (primary or not self.primary_only or known.session.kind == "system")

    def rows(
        self, known: Known, records: Iterable[Row | Event], primary: bool, decided_below: int = 0
    ) -> Iterator[Row | Event]:
        """The records of a batch that stay, as the sink gets them. Rows below a seq have passed `every` before."""
        if not self.wants(known):
            return
        takes_rows = self.takes_rows(known, primary)
        for record in records:
            if isinstance(record, Event):
                if self._takes_event is None or self._takes_event(record, self._event_options):
                    yield record
            elif takes_rows:
                plan = self.plan(record.names)
                if not plan.kept:
                    continue
                if self.every is not None and record.seq >= decided_below:
                    kept = keeps(self.every, self.last.get(known.key), record)
                    if kept is None:
                        continue
                    self.last[known.key] = kept
                if not plan.as_is:
                    values = record.values if plan.pick is None else plan.pick(record.values)
                    record = record._replace(names=plan.names, values=values)
                yield record


def decode(known: Known, data: bytes, first_seq: int) -> list[Row | Event]:
    """The records of one part of a batch, in order. Raises wire.WireError for bytes that are none, KeyError for rows of
    a schema nobody knows.
    """
    found: list[Row | Event] = []
    seq = first_seq
    walked = wire.scan(data)
    if walked.end != len(data):
        raise wire.WireError(f"{len(data) - walked.end} bytes at its end are no frames")
    for span in walked.spans:
        if span.type == wire.ROW:
            found += wire.read_rows(data, span, known.schemas[span.schema], seq)
            seq += span.frames
        elif span.type == wire.SEQ:
            seq, _ = wire.read_pair(data, span)
        elif span.type == wire.EVENT:
            found.append(wire.read_event(data, span, seq))
            seq += 1
        elif span.type == wire.NAMED_ROW:
            found.append(wire.read_named_row(data, span, seq))
            seq += 1
    return found


def merge(rows: list[Row | Event], events: list[Row | Event]) -> list[Row | Event]:
    """Both parts of a batch in the order of their seqs."""
    if not (rows and events):
        return rows or events
    return sorted(rows + events, key=itemgetter(0))
