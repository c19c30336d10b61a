"""What one send gives to one run: which of the plan's items still have to go, as ops for the SDK, in order. Pure but
for the course, which learns what was handed over (`depart`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..base import Ref
from .course import Course, is_in
from .encode import Config, Item, Plan, Sample, Told
from .flight import STEP, Line, Numbered, number, row_values
from .ledger import Entry, Segment, intent
from .lines import Upload
from .protocol import AlertOp, ConfigOp, MetricOp, Op, RowOp, SampleOp, SummaryOp

MAX_OPS = 500  #: ops of one message to the child, so that its answer is never far
MAX_POINTS = 100_000  #: points of one message: a few MiB
RESHIP = 60.0  #: seconds after which a change that W&B has not acknowledged is handed to the SDK again


class Load(NamedTuple):
    """One op, and what it is of: a numbered line, a ref, or nothing that the pump knows."""

    op: Op
    of: Numbered | Ref | None

    @property
    def ref(self) -> Ref | None:
        return None if isinstance(self.of, Numbered) else self.of


@dataclass
class Shipment:
    """loads: in order. done: refs that need nothing any more. restepped: how many lines have another `_step` than the
    user's.
    """

    course: Course
    loads: list[Load] = field(default_factory=list)
    done: list[Ref] = field(default_factory=list)
    restepped: int = 0

    @property
    def lines(self) -> list[Numbered]:
        return [load.of for load in self.loads if isinstance(load.of, Numbered)]

    @property
    def samples(self) -> list[Ref]:
        return [ref for one in self.loads if isinstance(one.op, SampleOp) and (ref := one.ref) is not None]

    def entries(self, batch: int) -> list[Entry]:
        """What the ledger must hold before this leaves; nothing when there are neither lines nor samples."""
        if not self.lines and not self.samples:
            return []
        segment = self.course.flight.segment
        noted: list[Entry] = [] if segment is None else [Segment(self.course.key, *segment)]
        return [*noted, intent(self.course.key, batch, self.course.flight, self.lines, self.samples)]

    def chunks(self) -> Iterator[list[Load]]:
        """The loads in messages of bounded size."""
        chunk: list[Load] = []
        points = 0
        for one in self.loads:
            width = len(one.op.values) if isinstance(one.op, RowOp | SampleOp) else 1
            if chunk and (len(chunk) >= MAX_OPS or points + width > MAX_POINTS):
                yield chunk
                chunk, points = [], 0
            chunk.append(one)
            points += width
        if chunk:
            yield chunk

    def depart(self, chunk: list[Load], batch: int, now: float) -> None:
        """These are handed to the SDK at this moment."""
        lines = [one.of for one in chunk if isinstance(one.of, Numbered)]
        samples = [ref for one in chunk if isinstance(one.op, SampleOp) and (ref := one.ref) is not None]
        self.course.flight.depart(batch, lines, samples)
        for one in chunk:
            if one.ref is None or isinstance(one.op, RowOp | SampleOp):
                continue
            if isinstance(one.op, AlertOp):
                self.course.alerts.append(one.ref)
            else:
                self.course.expect(one.ref, one.op, now)

    def turned_down(self, one: Load) -> list[Ref]:
        """The SDK did not take this one: the refs it was of."""
        if isinstance(one.of, Numbered):
            return self.course.flight.take(one.of.step)
        if one.of is None:
            return []
        self.course.withdraw(one.of)
        return [one.of]


class Loading:
    """Makes a shipment. settled: whether W&B has a ref, or will never take it. every_row: `wayside/step` on every row,
    and as the x-axis. held: told of an alert that comes too soon after the last of its title.
    """

    def __init__(
        self, course: Course, settled: Callable[[Ref], bool], every_row: bool, now: float, held: Callable[[], None]
    ) -> None:
        self._shipment = Shipment(course)
        self._course = course
        self._settled = settled
        self._every_row = every_row
        self._now = now
        self._held = held
        self._last = course.flight.last
        self._texts: list[Line] = []  # and late rows: they join a line of their session that has no such names
        self._placed: dict[tuple[str, int | None], int] = {}  # session and step to its line's load; None: the newest

    def load(self, plan: Plan) -> Shipment:
        """What of this plan still has to go."""
        loads = self._shipment.loads
        overridden = _overridden(plan.items)
        for index, item in enumerate(plan.items):
            if isinstance(item, Line):
                self._line(item)
            elif self._settled(item.ref) or isinstance(item, Upload):
                continue
            elif isinstance(item, Sample):
                if item.ref not in self._course.flight:
                    loads.append(Load(SampleOp(item.time, item.values), item.ref))
            elif isinstance(item, Config):
                self._change(item.ref, self._course.may_set(item.op, item.primary))
            elif isinstance(item.op, SummaryOp):
                self._change(item.ref, _without(item.op, overridden[index]))
            elif isinstance(item.op, AlertOp):
                self._alert(item, item.op)
            else:
                self._change(item.ref, item.op)
        for text in [text for text in self._texts if not self._join(text, None)]:
            self._number(text)
        self._tell_step()
        return self._shipment

    def _line(self, line: Line) -> None:
        fresh = tuple(ref for ref in line.refs if not self._settled(ref))
        if any(ref in self._course.flight for ref in fresh) or not fresh:
            return  # it has arrived, or is on its way; a row merged anew with one on its way waits for that
        # A row merged anew with one that has arrived goes whole: what is new in it cannot be told any more.
        line = line._replace(refs=fresh)
        if (line.text or line.late) and line.step is not None and line.step <= self._last:
            if self._join(line, line.step):
                return
            newest = self._placed.get((line.refs[0][0], None))
            if line.late and newest is not None and not self._join(line, None):
                self._number(line)  # the same metrics again: it goes back
            elif not line.late or newest is None:
                self._texts.append(line)  # its row went before; as a line of its own it would move all later steps
        else:
            self._number(self._with_texts(line))

    def _join(self, text: Line, step: int | None) -> bool:
        """Put it into the line of this step that is about to go; None: into the newest."""
        loads, index = self._shipment.loads, self._placed.get((text.refs[0][0], step))
        into = loads[index].of if index is not None else None
        if index is None or not isinstance(into, Numbered) or not text.values.keys().isdisjoint(into.line.values):
            return False
        joined = into._replace(line=_joined(into.line, text))
        loads[index] = Load(RowOp(joined.step, row_values(joined, self._every_row)), joined)
        return True

    def _with_texts(self, line: Line) -> Line:
        """The line with the texts that wait for one of their session. A late row that it has no room for goes first:
        rows that go back for good, as after a resume from a checkpoint, stay in their order.
        """
        for text in [text for text in self._texts if text.refs[0][0] == line.refs[0][0]]:
            if text.values.keys().isdisjoint(line.values):
                line = _joined(line, text)
                self._texts.remove(text)
            elif text.late:
                self._number(text)
                self._texts.remove(text)
        return line

    def _number(self, line: Line) -> None:
        (numbered,) = number([line], self._last)
        self._last = numbered.step
        self._shipment.restepped += numbered.restepped
        for step in (line.step, None):
            self._placed[line.refs[0][0], step] = len(self._shipment.loads)
        self._shipment.loads.append(Load(RowOp(numbered.step, row_values(numbered, self._every_row)), numbered))

    def _change(self, ref: Ref, op: ConfigOp | SummaryOp | MetricOp) -> None:
        course, feed = self._course, self._course.feed
        waiting = course.expected.get(ref)
        if not isinstance(op, MetricOp) and not op.set and not op.remove:
            self._shipment.done.append(ref)
        elif isinstance(op, ConfigOp) and feed is not None and waiting is None and is_in(feed.config, op):
            self._shipment.done.append(ref)  # it went along when the run was opened
        elif waiting is None or self._now - waiting.since > RESHIP:
            self._shipment.loads.append(Load(op, ref))

    def _alert(self, item: Told, op: AlertOp) -> None:
        if item.ref in self._course.alerts:
            return
        if self._course.may_alert(op, item.time, item.wait):
            self._shipment.loads.append(Load(op, item.ref))
        else:
            self._held()
            self._shipment.done.append(item.ref)

    def _tell_step(self) -> None:
        """Before the first row that carries `wayside/step`, tell the SDK what it is."""
        course, shipment = self._course, self._shipment
        if course.step_told or not shipment.lines or not (shipment.restepped or self._every_row):
            return
        course.step_told = True
        told: list[dict[str, Any]] = [{"name": STEP, "hidden": True}]
        if self._every_row:
            told.append({"name": "*", "step_metric": STEP})
        shipment.loads[:0] = [Load(MetricOp(arguments), None) for arguments in told]


def _joined(line: Line, text: Line) -> Line:
    return line._replace(refs=line.refs + text.refs, values={**line.values, **text.values})


def _overridden(items: list[Item]) -> dict[int, set[str]]:
    """For each summary change, the names that later rows of the parcel give another value."""
    if not any(isinstance(item, Told) and isinstance(item.op, SummaryOp) for item in items):
        return {}
    found: dict[int, set[str]] = {}
    later: set[str] = set()
    for index in range(len(items) - 1, -1, -1):
        item = items[index]
        if isinstance(item, Line):
            later.update(item.values)
        elif isinstance(item, Told) and isinstance(item.op, SummaryOp):
            found[index] = set(later)
    return found


def _without(op: SummaryOp, names: set[str]) -> SummaryOp:
    kept = {name: value for name, value in op.set.items() if name not in names}
    return SummaryOp(kept, [name for name in op.remove if name not in names])
