"""JSON lines: one object a line, for programs in any language, without a library of ours.

    {"metrics": {"loss": 0.5}, "step": 3, "time": 1767225600.5, "run": "r1"}

Only `metrics` is required. A bad line is answered with a JSON error line, and the connection goes on. Lines of one
run on one connection are one session; it ends with the connection.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import msgspec
from wayside import row, wire

from ..intake import Inlet, Intake, Refused
from ..spool import SpoolError
from .scribe import Scribe, store_all

READ_SIZE = 64 << 10  #: bytes taken at a time, and stored together: a commit a line would hold back a fast sender
MAX_LINE = 1 << 20  #: bytes of one line: ten thousand metrics
MAX_RUNS = 64  #: runs on one connection: each costs a session
DEFAULT_RUN = "json"

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line. time: Unix time in seconds, the time of its arrival when absent. step: a whole number of 64 bits."""

    metrics: dict[str, Any]
    step: Annotated[int, msgspec.Meta(ge=1 - (1 << 63), le=(1 << 63) - 1)] | None = None
    time: Annotated[float, msgspec.Meta(ge=0, lt=1e11)] | None = None
    run: Name = DEFAULT_RUN
    project: Name = "default"
    name: Name | None = None
    rank: Annotated[int, msgspec.Meta(ge=0)] | None = None


class LineError(ValueError):
    """A line that cannot be taken; the message is for its sender."""


def parse_line(text: bytes) -> tuple[Line, dict[str, float]]:
    """One line and its metrics as numbers; raises LineError saying what, where and what to do."""
    try:
        value = json.loads(text)  # and not msgspec, which refuses the bare NaN that Python's own encoder writes
    except (ValueError, RecursionError) as problem:
        raise LineError(f'not JSON: {problem}; send one object a line, like {{"metrics": {{"loss": 0.5}}}}') from None
    return read_line(value)


def read_line(value: Any) -> tuple[Line, dict[str, float]]:
    """What JSON holds as a line; raises LineError likewise."""
    try:
        line = msgspec.convert(_with_whole_step(value), Line)
        return line, {name: wire.as_number(name, number) for name, number in line.metrics.items()}
    except (msgspec.ValidationError, wire.WireError, UnicodeError) as problem:  # the last of a lone surrogate
        raise LineError(f'{problem}; a line is like {{"metrics": {{"loss": 0.5}}, "step": 3}}') from None


def _with_whole_step(value: Any) -> Any:
    """The same, its step as a whole number where it is one that is written with a point, as Lua, R and jq do."""
    step = value.get("step") if isinstance(value, dict) else None
    return {**value, "step": int(step)} if isinstance(step, float) and step.is_integer() else value


class LineSession:
    """The sessions of one connection that sends lines."""

    def __init__(self, intake: Intake, host: str, pid: int) -> None:
        self._intake = intake
        self._host = host
        self._pid = pid
        self._open: dict[tuple[str, int | None], Scribe] = {}

    async def take(self, line: bytes) -> None:
        """One line into its session's inlet, not yet stored; raises LineError."""
        value, metrics = parse_line(line)
        key = (value.run, value.rank)
        if key not in self._open:
            if len(self._open) >= MAX_RUNS:
                raise LineError(f"more than {MAX_RUNS} runs on one connection; open another one")
            self._open[key] = Scribe(self._intake, await self._begin(value))
        try:
            self._open[key].row(time.time() if value.time is None else value.time, value.step, metrics)
        except wire.WireError as problem:
            raise LineError(str(problem)) from None

    async def _begin(self, value: Line) -> Inlet:
        record = {
            "session": secrets.token_hex(16),
            "run": {"id": value.run, "name": value.name or value.run, "project": value.project},
            "rank": value.rank,
            "host": self._host,
            "pid": self._pid,
            "started": time.time(),
            "origin": "json",
        }
        try:
            return await self._intake.begin(record)
        except Refused as problem:
            raise LineError(str(problem)) from None

    async def store(self) -> None:
        """What was taken is on disk when this returns; raises SpoolError, and then it never came."""
        await store_all(self._intake, self._open.values())

    async def end(self) -> list[Inlet]:
        """The connection is closed: its sessions are over. Returns those that the spool could not end now."""
        left = []
        for scribe in self._open.values():
            scribe.event(time.time(), None, row.FINISH, {"exit_code": 0})
            try:
                await scribe.store()
                await self._intake.end(scribe.inlet)
            except SpoolError:
                left.append(scribe.inlet)
        return left


class LineTalk:
    """One connection that sends lines, to its end. count: a line that is not taken."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[], None]) -> None:
        self._reader = reader
        self._writer = writer
        self._count = count

    async def talk(self, begun: bytes, lines: LineSession) -> None:
        """Take lines, the first of which has begun with these bytes, until the peer is gone."""
        async for some in self._lines(begun):
            taken = 0
            for line in some:
                if line is None:
                    await self._answer(f"a line of more than {MAX_LINE} bytes, the limit; it is left out")
                elif line.strip():
                    taken += await self._take(lines, line)
            try:
                await lines.store()
            except SpoolError as problem:
                for _ in range(taken):
                    await self._answer(str(problem))

    async def _take(self, lines: LineSession, line: bytes) -> bool:
        try:
            await lines.take(line)
        except (LineError, SpoolError) as problem:
            await self._answer(str(problem))
            return False
        return True

    async def _lines(self, rest: bytes) -> AsyncIterator[list[bytes | None]]:
        """All lines that came together, at the end one without an end; None for one that is too long."""
        passing = False
        while data := await self._reader.read(READ_SIZE):
            *whole, rest = (rest + data).split(b"\n")
            found: list[bytes | None] = [line if len(line) <= MAX_LINE else None for line in whole]
            if found and passing:
                found[0], passing = None, False
            if len(rest) > MAX_LINE:
                rest, passing = b"", True
            yield found
        yield [None if passing else rest]

    async def _answer(self, problem: str) -> None:
        """Tell the peer of a line that is not taken; one that reads no answers is not read from."""
        self._count()
        self._writer.write(error_line(problem))
        await self._writer.drain()


def error_line(message: str) -> bytes:
    return json.dumps({"error": message}).encode() + b"\n"
