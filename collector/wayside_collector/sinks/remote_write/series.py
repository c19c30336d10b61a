"""From rows to samples of named series: pure but for its own state.

A *unit* is what one row or event comes to: it is sent whole, and taken or refused by itself. Time is counted in
milliseconds, as the protocol does: of two values of one series within one, the later is sent and the other counted as
superseded.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from wayside.row import FINISH, Event, Row

from ...session import Session
from ..base import Part, Record, Ref
from ..devices import DEVICE, DeviceBook
from ..names import Kind, cut, sound
from ..run_info import RUN_INFO, RUN_LAST_STEP, info, own_labels
from ..sampled import described, parse_sampled
from .encode import STALE, Series
from .naming import Naming
from .options import RemoteWriteOptions

PREFIX = "wayside_"
INFO_EVERY = 60_000  #: ms between two samples of a session's `wayside_run_info`: Prometheus looks back five minutes
MAX_SERIES = 200_000  #: series remembered with what was sent of them last, some 100 MB at the very most

Pairs = Iterable[tuple[str, str | None]]


class Unit(NamedTuple):
    """What is sent of one row, or at a session's end. time: ms."""

    ref: Ref
    session: Session
    time: int
    samples: tuple[tuple[Series, float], ...]
    ends: bool = False


class SeriesMaker:
    """Makes units. sent: the time, in ms, of the last sample that each series has at the receiver, as far as known."""

    def __init__(self, options: RemoteWriteOptions, naming: Naming, devices: DeviceBook) -> None:
        self._options = options
        self._external = tuple(sorted(options.external_labels.items()))
        self.naming = naming
        self.devices = devices
        self.sent: dict[Series, int] = {}
        self._made: dict[tuple[str, str], Series] = {}
        self._told: dict[str, int] = {}  # when a session's info was sent

    def units(self, part: Part, records: Sequence[Record]) -> Iterator[Unit]:
        """Those of records of a part, in their order; what has nothing to send has none."""
        session = part.session
        for record in records:
            if isinstance(record, Row):
                if record.values:
                    yield self._of_row(session, record)
            elif isinstance(record, Event) and record.kind == FINISH:
                yield self._end(session, record)
            elif isinstance(record, Event) and record.kind == DEVICE and session.kind == "system":
                self.devices.describe(session.host, record.data)
                self._made = {key: series for key, series in self._made.items() if key[0] != session.id}

    def took(self, unit: Unit) -> None:
        """The receiver has it."""
        if len(self.sent) > MAX_SERIES:
            self.sent.clear()
        for series, _ in unit.samples:
            self.sent[series] = max(unit.time, self.sent.get(series, unit.time))
        if unit.ends:
            self.naming.forget(unit.session.id)
            self._told.pop(unit.session.id, None)

    def _of_row(self, session: Session, row: Row) -> Unit:
        time = round(row.time * 1000)
        samples = [(self._series(session, name), value) for name, value in zip(row.names, row.values, strict=True)]
        self.naming.saw(session.id, row.names)
        if session.kind != "system":
            if row.step is not None:
                samples.append((self._labelled(RUN_LAST_STEP, own_labels(session)), float(row.step)))
            if abs(time - self._told.get(session.id, -INFO_EVERY)) >= INFO_EVERY:
                self._told[session.id] = time
                samples.append((self._labelled(RUN_INFO, info(session), "info"), 1.0))
        return Unit((session.id, row.seq), session, time, tuple(samples))

    def _end(self, session: Session, event: Event) -> Unit:
        """Markers for every series that nobody has gone on with."""
        series = [self._series(session, name) for name in self.naming.open.get(session.id, ())]
        if session.kind != "system":
            series.append(self._labelled(RUN_LAST_STEP, own_labels(session)))
            series.append(self._labelled(RUN_INFO, info(session), "info"))
        time = round(event.time * 1000) + 1
        mine = tuple((one, STALE) for one in series if self.sent.get(one, time) <= time)
        return Unit((session.id, event.seq), session, time, mine, ends=True)

    def _series(self, session: Session, name: str) -> Series:
        key = session.id, name
        found = self._made.get(key)
        if found is None:
            if len(self._made) > MAX_SERIES:
                self._made.clear()
            found = self._made[key] = self._make(session, name)
        return found

    def _make(self, session: Session, name: str) -> Series:
        if session.kind == "system":
            sampled = parse_sampled(name)
            pairs = (("host", session.host), *described(sampled.labels, self.devices.of(session.host), sampled.device))
            return self._labelled(sampled.plain, pairs, sampled.kind)
        exposed = self.naming.name(name) if self._options.names == "legacy" else PREFIX + sound(name)
        return self._labelled(exposed, own_labels(session))

    def _labelled(self, name: str, pairs: Pairs, kind: Kind = "gauge") -> Series:
        limit = self._options.max_label_length
        labels = {label: sound(cut(value, limit)) for label, value in pairs if value}
        return Series(tuple(sorted({**dict(self._external), **labels, "__name__": name}.items())), kind)


def bundles(units: Iterable[Unit], limit: int) -> Iterator[list[Unit]]:
    """The units in requests of at most so many samples; a unit with more has one for itself."""
    bundle: list[Unit] = []
    size = 0
    for unit in units:
        if bundle and size + len(unit.samples) > limit:
            yield bundle
            bundle, size = [], 0
        bundle.append(unit)
        size += len(unit.samples)
    if bundle:
        yield bundle


def gather(units: Iterable[Unit], sent: dict[Series, int]) -> tuple[dict[Series, list[tuple[int, float]]], int]:
    """The samples of a request, by series and in the order of time; and how many values gave way to others of the same
    millisecond.
    """
    found: dict[Series, list[tuple[int, float]]] = {}
    superseded = 0
    for unit in units:
        for series, value in unit.samples:
            points = found.setdefault(series, [])
            if points and points[-1][0] == unit.time:
                points[-1] = unit.time, value
                superseded += 1
            elif sent.get(series) == unit.time:
                superseded += 1
            else:
                points.append((unit.time, value))
    return {series: points for series, points in found.items() if points}, superseded
