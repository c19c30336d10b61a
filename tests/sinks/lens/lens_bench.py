"""A Lens sink and the stand-in it pushes to, for the tests of `send.py`."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from standins.lens_server import LensServer
from wayside_collector.session import Pod, Session
from wayside_collector.sinks.base import Context, Parcel, Part, Reject, Retry, Step
from wayside_collector.sinks.lens import LensOptions, LensSink
from wayside_collector.testing import FakeClock, make_session

NOW = 1_767_225_600.0
SESSION = make_session(workload="w1", pod=Pod(name="pod-0"), host="h")
OTHER = make_session("r2", workload="w2", pod=Pod(name="pod-2"), host="h")
POD_ONLY = make_session("r3", pod=Pod(name="pod-3"))


def steps(count: int, first: int = 0) -> list[Step]:
    return [
        Step((i,), NOW + i, NOW + i, i, {"train/loss": 1.0 / (1 + i)}, 1, False) for i in range(first, first + count)
    ]


def refs(session: Session, *seqs: int) -> set[tuple[str, int]]:
    return {(session.id, seq) for seq in seqs}


@dataclass
class Bench:
    """A sink, the stand-in it pushes to, and all that was counted."""

    lens: LensServer
    sink: LensSink
    counted: Counter[str]
    state: dict[str, bytes] = field(default_factory=dict)
    monotonic: FakeClock = field(default_factory=FakeClock)

    async def send(self, *parts: Part) -> None:
        self._keep(await self.sink.send(Parcel(list(parts))))

    async def retry(self, *parts: Part) -> Retry:
        with pytest.raises(Retry) as caught:
            await self.sink.send(Parcel(list(parts)))
        self._keep(caught.value.changes)
        return caught.value

    async def reject(self, *parts: Part) -> Reject:
        with pytest.raises(Reject) as caught:
            await self.sink.send(Parcel(list(parts)))
        self._keep(caught.value.changes)
        return caught.value

    def _keep(self, changes) -> None:
        for key, value in changes.items():
            self.state[key] = value
        self.state = {key: value for key, value in self.state.items() if value is not None}


@asynccontextmanager
async def bench(lens: LensServer | None = None, path: str | None = None, **options: object) -> AsyncIterator[Bench]:
    """A sink open at `path` of the stand-in, by default where it listens."""
    async with lens or LensServer() as server:
        values = {"endpoint": server.base if path is None else server.origin + path, **options}
        counted: Counter[str] = Counter()
        clock, monotonic = FakeClock(NOW), FakeClock()
        sink = LensSink(LensOptions(**values), clock=clock, monotonic=monotonic, environ={})
        await sink.open(Context("lens", Path("."), count=lambda name, by: counted.update({name: by})))
        try:
            yield Bench(server, sink, counted, monotonic=monotonic)
        finally:
            await sink.close()
