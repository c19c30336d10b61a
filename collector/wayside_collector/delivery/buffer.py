"""What is read and not yet in flight: parts in the order they were stored, those of runs set aside among them. Pure."""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence

from ..sinks.base import Parcel, Part, Record, Ref
from .aside import Aside


class Buffer:
    """One sink's. aside: the runs of which nothing is to be sent now."""

    def __init__(self) -> None:
        self.aside = Aside()
        self._parts: deque[Part] = deque()

    def __iter__(self) -> Iterator[Part]:
        return iter(self._parts)

    def append(self, part: Part) -> None:
        """What follows on the last part of its session goes into that one; samples stay with the runs of their time."""
        last = self._parts[-1] if self._parts else None
        alike = last is not None and last.session is part.session and last.primary == part.primary
        if last is not None and alike and part.session.kind != "system":
            last.records.extend(part.records)
        else:
            self._parts.append(part)

    @property
    def ready(self) -> int:
        """Records that may be sent."""
        return sum(len(part.records) for part in self._parts if not self.aside.holds(part.session.run.id))

    @property
    def held(self) -> int:
        """Records of runs set aside."""
        return sum(len(part.records) for part in self._parts) - self.ready

    def cut(self, most: int) -> list[Part]:
        """Take at most `most` records, those of runs set aside left out."""
        parts: list[Part] = []
        passed: list[Part] = []
        while self._parts and most > 0:
            part = self._parts.popleft()
            if self.aside.holds(part.session.run.id):
                passed.append(part)
                continue
            if len(part.records) > most:
                self._parts.appendleft(part._replace(records=part.records[most:]))
                part = part._replace(records=part.records[:most])
            parts.append(part)
            most -= len(part.records)
        self.put_back(passed)
        return parts

    def put_back(self, parts: Sequence[Part]) -> None:
        """These go first when they go."""
        self._parts.extendleft(reversed(parts))

    def forget_troubles(self, sent: Collection[str]) -> None:
        """A run of which nothing is left here or among the sent is in trouble no more."""
        here = {part.session.run.id for part in self._parts if part.records}
        self.aside.forgive(self.aside.runs - here - frozenset(sent))

    def refs(self) -> set[Ref]:
        return Parcel(list(self._parts)).refs()

    def drop_empty(self) -> None:
        """Parts of which nothing is left."""
        self._parts = deque(part for part in self._parts if part.records)


def take(part: Part, gone: Callable[[Record], bool]) -> list[Record]:
    """Take out of a part what is gone from the spool."""
    found = [record for record in part.records if gone(record)]
    if found:
        left = {id(record) for record in found}
        part.records[:] = [record for record in part.records if id(record) not in left]
    return found
