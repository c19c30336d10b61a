"""A pump in miniature, for tests of the W&B sink: it sends, commits, and sends again, as `delivery/pump.py` does.

Kept of the real one: what a Retry names as delivered is taken out of the parcel, a merged step by any of its rows;
kept state and what is done are committed together (`state`, `done`), also into a file when there is one, so that a
killed process can be followed by another. Not kept: the spool, the books, the backoff's length.
"""

import asyncio
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wayside_collector.sinks.base import Changes, Context, Parcel, Part, Ref, Reject, Retry, Step
from wayside_collector.sinks.wandb import WandbOptions, WandbSink
from wayside_collector.sinks.wandb.limits import Limits

PAUSE = 0.1  # seconds between two tries
#: What the child's environment is made from: no API key of the machine's own.
ENVIRON = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}
FAST = Limits(pause=1.0, drain=2.0, flush_interval=0.1, behind=1.0)  #: limits for tests: less patience


class MiniPump:
    """`async with MiniPump(options, folder) as pump: await pump.deliver(parcel)`.

    retries: the texts of every Retry. rejected: refs and reason of every Reject. counts: the sink's counters.
    """

    def __init__(
        self,
        options: WandbOptions,
        folder: Path,
        limits: Limits = FAST,
        state_file: Path | None = None,
        sink: Any = None,  # another kind of sink, in the place of W&B's
    ) -> None:
        self.sink = sink if sink is not None else WandbSink(options, limits, ENVIRON)
        self.state: dict[str, bytes] = {}
        self.done: set[Ref] = set()
        self.retries: list[Retry] = []
        self.rejected: dict[Ref, str] = {}
        self.counts: dict[str, int] = {}
        self._options = options
        self._limits = limits
        self._folder = folder
        self._file = state_file
        if state_file is not None and state_file.exists():
            state, done = json.loads(state_file.read_text())
            self.state = {name: bytes.fromhex(value) for name, value in state.items()}
            self.done = {(session, seq) for session, seq in done}

    async def __aenter__(self) -> "MiniPump":
        await self.sink.open(self.context())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.sink.close()

    def context(self) -> Context:
        return Context("wandb", self._folder, dict(self.state), self._count)

    def _count(self, name: str, by: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + by

    async def reopen(self) -> None:
        """As after a restart of the collector: a new sink, the state as last committed."""
        await self.sink.close()
        self.sink = WandbSink(self._options, self._limits, ENVIRON)
        await self.sink.open(self.context())

    async def deliver(self, parcel: Parcel, seconds: float = 15.0) -> None:
        """Send until everything is delivered or rejected; raises AssertionError after `seconds`."""
        deadline = time.monotonic() + seconds
        parts = _without(parcel.parts, self.done)
        while parts:
            if not await self.send_once(Parcel(parts)):
                assert time.monotonic() < deadline, f"not delivered within {seconds} s: {self.retries[-3:]}"
                await asyncio.sleep(PAUSE)
            parts = _without(parts, self.done)

    async def send_once(self, parcel: Parcel) -> bool:
        """One try; whether the parcel is settled."""
        try:
            changes = await self.sink.send(parcel)
        except Retry as answer:
            self.retries.append(answer)
            self.commit(_named(parcel, answer.delivered), answer.changes)
            return False
        except Reject as answer:
            named = _named(parcel, answer.rows)
            self.rejected.update(dict.fromkeys(named, str(answer)))
            self.commit(parcel.refs(), answer.changes)
            return True
        self.commit(parcel.refs(), changes)
        return True

    def commit(self, done: Iterable[Ref], changes: Changes) -> None:
        """Cursor and state, at once."""
        self.done |= set(done)
        for name, value in changes.items():
            if value is None:
                self.state.pop(name, None)
            else:
                self.state[name] = value
        if self._file is not None:
            text = json.dumps([{name: value.hex() for name, value in self.state.items()}, sorted(self.done)])
            new = self._file.with_suffix(".new")
            new.write_text(text)
            os.replace(new, self._file)


def _seqs(record: object) -> tuple[int, ...]:
    return record.seqs if isinstance(record, Step) else (record.seq,)  # type: ignore[attr-defined]


def _named(parcel: Parcel, refs: Iterable[Ref]) -> set[Ref]:
    """All refs of the records that these name, by any of their rows."""
    wanted, found = set(refs), set()
    for part in parcel.parts:
        for record in part.records:
            own = {(part.session.id, seq) for seq in _seqs(record)}
            if own & wanted:
                found |= own
    return found


def _without(parts: Iterable[Part], done: set[Ref]) -> list[Part]:
    kept = [
        part._replace(records=[r for r in part.records if (part.session.id, _seqs(r)[0]) not in done]) for part in parts
    ]
    return [part for part in kept if part.records]


def steps(count: int, *, seq: int = 0, step: int = 0, time: float = 1_767_225_600.0, **metrics: float) -> list[Step]:
    """`count` merged steps of one row each, a second apart; the value tells the row: `x` is its seq."""
    return [
        Step((seq + i,), time + i, time + i, step + i, {"x": float(seq + i), **metrics}, 1 + len(metrics), False)
        for i in range(count)
    ]
