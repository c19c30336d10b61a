"""Fakes that ship: for our own tests, and for anyone who writes a sink.

`make_session`, `make_rows` and `make_parcel` build what a pump would hand over; `MemorySink` remembers what it was
sent; `ScriptedSink` answers as it is told; `FakeClock` is time that moves when told to.
"""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from wayside.row import Event, Row

from .session import Run, Session
from .sinks.base import Changes, Context, Parcel, Part, Record, Traits

_numbers = itertools.count(1)


def make_session(
    run: str = "r1", *, rank: int | None = None, id: str | None = None, project: str | None = "demo", **fields: object
) -> Session:
    """A session of a run; `id` is 32 hexadecimal digits, a fresh one when not given. More fields as in `Session`."""
    session = id or f"{next(_numbers):032x}"
    values: dict[str, object] = {"started": 1_767_225_600.0, "host": "host-a", "pid": 1000, **fields}
    values.setdefault("run", Run(id=run, name=run, project=project))
    return Session(session=session, rank=rank, **values)  # type: ignore[arg-type]


def make_rows(
    count: int, metrics: dict[str, float] | None = None, *, seq: int = 0, step: int = 0, time: float = 1_767_225_600.0
) -> list[Row]:
    """`count` rows a second apart, each one step further; without `metrics`, a loss that falls."""
    return [
        Row(
            seq + i,
            time + i,
            step + i,
            True,
            False,
            tuple(metrics or ("train/loss",)),
            tuple((metrics or {"train/loss": 1.0 / (1 + step + i)}).values()),
        )
        for i in range(count)
    ]


def make_event(
    kind: str, data: dict[str, object], *, seq: int, time: float = 1_767_225_600.0, step: int | None = None
) -> Event:
    return Event(seq, time, step, kind, data)


def make_parcel(
    session: Session, records: Sequence[Record], *, open_runs: Iterable[Session] = (), primary: bool = True
) -> Parcel:
    """A parcel of one part."""
    return Parcel([Part(session, list(records), tuple(open_runs), primary)])


class FakeClock:
    """A clock that stands still until `forward` is called; calling it gives Unix time in seconds."""

    def __init__(self, now: float = 1_767_225_600.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


class MemorySink:
    """Remembers every part it was sent, in `parts`; accepts everything."""

    traits: ClassVar[Traits] = Traits()

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.opened = 0
        self.context = Context("memory", Path("."))

    async def open(self, context: Context) -> None:
        self.opened += 1
        self.context = context

    async def send(self, parcel: Parcel) -> Changes:
        self.parts.extend(parcel.parts)
        return {}

    async def close(self) -> None:
        return None

    @property
    def records(self) -> list[Record]:
        """Everything that arrived, in order."""
        return [record for part in self.parts for record in part.records]


class ScriptedSink(MemorySink):
    """Answers each send with the next of `answers`: an exception to raise, or None to accept; accepts when they are
    used up.
    """

    def __init__(self, answers: Iterable[Exception | None]) -> None:
        super().__init__()
        self.answers = list(answers)

    async def send(self, parcel: Parcel) -> Changes:
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return await super().send(parcel)
