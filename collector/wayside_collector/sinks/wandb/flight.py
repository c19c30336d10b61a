"""Numbers a run's rows and knows which of them are on their way. Pure: nothing here waits, reads or writes.

W&B wants `_step` to grow with every line of a run's history. A row keeps the user's step while that is above the last
line's; otherwise it becomes last + 1 and carries its own step as the metric `wayside/step`. Nothing is dropped, as W&B
itself would do with a row that goes back, for example after a resume from a checkpoint.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from ..base import Ref

STEP = "wayside/step"  #: the metric that holds the user's step where `_step` is another
MAX_STEP = 1 << 53  #: W&B keeps numbers as 64-bit floats; from here on neighbouring steps become one
MAX_SESSIONS = 1024  #: sessions whose delivered rows are remembered; only a few are ever sent again


class RunKey(NamedTuple):
    """What names a run at W&B; entity None is the API key's own. offline: it goes into a folder, which is another way
    than W&B's even for a run that has both.
    """

    entity: str | None
    project: str
    id: str
    offline: bool = False

    def __str__(self) -> str:
        return "/".join(filter(None, self[:3]))


class Medium(NamedTuple):
    """A picture, table or the like, as its event tells it."""

    ref: Ref
    data: dict[str, Any]


class Line(NamedTuple):
    """A row to be: the records it is made of, the user's step, Unix time in seconds, metrics and texts by name. text:
    it holds nothing but the texts of a `log()` call whose row is not in the parcel. media: what was logged under a name
    and is not yet uploaded; then its value is among the values. late: it is what came of a step after the step.
    """

    refs: tuple[Ref, ...]
    step: int | None
    time: float
    values: dict[str, Any]
    text: bool = False
    media: Mapping[str, tuple[Medium, ...]] = MappingProxyType({})
    late: bool = False


class Numbered(NamedTuple):
    """A line with its `_step`. restepped: it is not the user's."""

    step: int
    line: Line
    restepped: bool


class Sent(NamedTuple):
    """Something on its way: the number of the batch that it left with, and what it is made of."""

    batch: int
    refs: tuple[Ref, ...]


def number(lines: Iterable[Line], last: int) -> list[Numbered]:
    """Each line with its `_step`, all above `last` and growing. The same lines after the same `last` get the same."""
    found = []
    for line in lines:
        keeps = line.step is not None and last < line.step < MAX_STEP
        last = line.step if keeps and line.step is not None else last + 1
        found.append(Numbered(last, line, line.step is not None and not keeps))
    return found


def row_values(numbered: Numbered, every_row: bool) -> dict[str, Any]:
    """What the SDK is given for a line: its values, its time, and the user's step where it was restepped, or on
    every row.
    """
    line = numbered.line
    values = {**line.values, "_timestamp": line.time}
    if line.step is not None and (numbered.restepped or every_row):
        values[STEP] = line.step
    return values


class Flight:
    """What one run was given, until the pump has been told that it arrived.

    last: the largest `_step` given out. samples: how many lines of system metrics were. lines: `_step` to what is on
    its way with it; probes: the same for samples, by number. landed, landed_probes: what arrived and is not reported
    yet; a crash before that puts it in question again. segment: offline, the folder of the run's file and the number
    of the first sample in it.
    """

    def __init__(self, last: int = -1, samples: int = 0) -> None:
        self.last = last
        self.samples = samples
        self.segment: tuple[str, int] | None = None
        self.lines: dict[int, Sent] = {}
        self.probes: dict[int, Sent] = {}
        self.landed: dict[int, Sent] = {}
        self.landed_probes: dict[int, Sent] = {}
        self._aloft: dict[Ref, int] = {}  # how many lines a ref is in

    def __len__(self) -> int:
        return len(self.lines) + len(self.probes)

    def __contains__(self, ref: Ref) -> bool:
        return ref in self._aloft

    def depart(self, batch: int, lines: Sequence[Numbered], samples: Sequence[Ref]) -> None:
        """These were handed to the SDK."""
        for numbered in lines:
            self._rise(self.lines, numbered.step, Sent(batch, numbered.line.refs))
            self.last = numbered.step
        for ref in samples:
            self._rise(self.probes, self.samples, Sent(batch, (ref,)))
            self.samples += 1

    def resume(self, lines: dict[int, Sent], samples: dict[int, Sent]) -> None:
        """These may be on their way from before."""
        for step, sent in lines.items():
            self._rise(self.lines, step, sent)
        for index, sent in samples.items():
            self._rise(self.probes, index, sent)
        self.last = max(lines, default=self.last)
        self.samples = max(samples, default=self.samples - 1) + 1

    def land(self, step: int) -> list[Ref]:
        """The lines up to `step` have arrived: what of them was on its way."""
        found = {n: self.lines.pop(n) for n in [n for n in self.lines if n <= step]}
        self.landed.update(found)
        return self._fall(found.values())

    def land_samples(self, until: int, first: int = 0) -> list[Ref]:
        """The samples with numbers from `first` to before `until` have arrived."""
        found = {n: self.probes.pop(n) for n in [n for n in self.probes if first <= n < until]}
        self.landed_probes.update(found)
        return self._fall(found.values())

    def report(self, refs: Collection[Ref]) -> None:
        """The pump is being told that these arrived."""
        for group in (self.landed, self.landed_probes):
            for number in [n for n, sent in group.items() if all(ref in refs for ref in sent.refs)]:
                del group[number]

    def take(self, step: int) -> list[Ref]:
        """The line with this `_step` ended otherwise."""
        sent = self.lines.pop(step, None)
        return self._fall([sent] if sent is not None else [])

    def take_sample(self, index: int) -> list[Ref]:
        """The sample with this number ended otherwise."""
        sent = self.probes.pop(index, None)
        return self._fall([sent] if sent is not None else [])

    def withdraw(self, ref: Ref) -> bool:
        """The sample of this ref never left; whether it was on its way."""
        for index, sent in self.probes.items():
            if sent.refs == (ref,):
                self.take_sample(index)
                return True
        return False

    def restart(self, last: int, samples: int) -> None:
        """The run goes on after `last` and so many samples: what is still on its way never arrived."""
        self.last, self.samples, self.segment = last, samples, None
        self.lines.clear()
        self.probes.clear()
        self._aloft.clear()

    def oldest(self) -> int | None:
        """The oldest batch of which something is on its way, or not reported."""
        groups = (self.lines, self.probes, self.landed, self.landed_probes)
        return min((sent.batch for group in groups for sent in group.values()), default=None)

    def _rise(self, group: dict[int, Sent], number: int, sent: Sent) -> None:
        group[number] = sent
        for ref in sent.refs:
            self._aloft[ref] = self._aloft.get(ref, 0) + 1

    def _fall(self, found: Iterable[Sent]) -> list[Ref]:
        refs = [ref for sent in found for ref in sent.refs]
        for ref in refs:
            left = self._aloft.get(ref, 1) - 1
            if left:
                self._aloft[ref] = left
            else:
                self._aloft.pop(ref, None)
        return refs


class Ranges:
    """A set of whole numbers, kept as ranges: seqs come nearly without gaps."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []  # exclusive

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number < self._ends[at]

    def add(self, number: int) -> None:
        at = bisect_right(self._starts, number) - 1
        if at >= 0 and number < self._ends[at]:
            return
        joins_left = at >= 0 and self._ends[at] == number
        joins_right = at + 1 < len(self._starts) and self._starts[at + 1] == number + 1
        if joins_left and joins_right:
            self._ends[at] = self._ends.pop(at + 1)
            self._starts.pop(at + 1)
        elif joins_left:
            self._ends[at] = number + 1
        elif joins_right:
            self._starts[at + 1] = number
        else:
            self._starts.insert(at + 1, number)
            self._ends.insert(at + 1, number + 1)


class Delivered:
    """What W&B has of each session, run by run, since this process began: should a commit have failed, the same rows
    come again, and must not be sent twice. Remembers the MAX_SESSIONS sessions last touched.
    """

    def __init__(self, limit: int = MAX_SESSIONS) -> None:
        self._limit = limit
        self._sessions: OrderedDict[tuple[RunKey, str], Ranges] = OrderedDict()

    def add(self, key: RunKey, refs: Iterable[Ref]) -> None:
        for session, seq in refs:
            ranges = self._sessions.get((key, session))
            if ranges is None:
                ranges = self._sessions[key, session] = Ranges()
                if len(self._sessions) > self._limit:
                    self._sessions.popitem(last=False)
            else:
                self._sessions.move_to_end((key, session))
            ranges.add(seq)

    def has(self, key: RunKey, ref: Ref) -> bool:
        ranges = self._sessions.get((key, ref[0]))
        return ranges is not None and ref[1] in ranges
