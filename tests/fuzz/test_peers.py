"""What peers send: frames, JSON lines, session records, and a client's environment. Nothing of it stops the collector
or the training, and what neighbours sent is stored as it was.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fuzz.damage import JSON, TEXT, damaged
from fuzz.effort import EFFORTS, Effort, bounded
from hypothesis import strategies as st
from standins.memory_spool import MemorySpool
from wayside import wire
from wayside.peer import Answer, understand
from wayside.sessions import MAX_RECORD, fit
from wayside.settings import MODES, TRANSPORTS, read_settings, socket_candidates
from wayside_collector.intake import Intake, Refused, Stream
from wayside_collector.intake.inlet import Inlet
from wayside_collector.registry import Registry
from wayside_collector.session import read_session
from wayside_collector.sources.json_lines import LineError, LineSession

T0 = 1_767_225_600.0
FLOOR = 4 << 20  # what is first imported and cached, a read of MAX_FRAME at most


def record(number: int) -> dict[str, Any]:
    return {"session": f"{number:032x}", "run": {"id": "r1", "name": "first"}, "rank": 0, "started": T0}


FRAMES = b"".join(
    [
        wire.json_frame(wire.HELLO, record(1)),
        wire.schema_frame(0, ["train/loss", "lr"]),
        *[wire.row_frame(0, T0 + step, step, [0.5, 1.0]) for step in range(12)],
        wire.schema_frame(1, ["a"]),
        wire.row_frame(1, T0, None, [float("nan")]),
        wire.named_row_frame(T0, 13, {"b": 1.5, "c": 2.5}),
        wire.event_frame(T0, 13, "config", {"set": {"lr": 3e-4}, "remove": []}),
        wire.seq_frame(30, 60),
        wire.row_frame(1, T0, 14, [0.5]),
        wire.event_frame(T0, None, "finish", {"exit_code": 0}),
    ]
)
NEIGHBOUR = wire.schema_frame(0, ["a"]) + wire.row_frame(0, T0, 1, [0.25]) * 3
LINE = {
    "metrics": {"loss": 0.5, "x": "NaN"},
    "step": 3,
    "time": T0,
    "run": "r1",
    "project": "p",
    "name": "n",
    "rank": 0,
}
KEYS = st.sampled_from([*LINE, "more"])


def opened() -> tuple[MemorySpool, Intake]:
    spool = MemorySpool()
    return spool, Intake(spool, Registry())  # type: ignore[arg-type]


def checked(work: Callable[[MemorySpool, Intake, Inlet], Awaitable[None]], size: int) -> None:
    """Do it beside a session that sends before and after, and whose rows must all be there in the end. Everything that
    is stored can be read.
    """

    async def run() -> None:
        spool, intake = opened()
        neighbour = await intake.begin(record(2))
        stream = Stream()
        neighbour.take(stream, NEIGHBOUR)
        with bounded(size, FLOOR):
            await work(spool, intake, neighbour)
        neighbour.take(stream, NEIGHBOUR)
        await intake.store(intake.alive())
        assert [row.seq for row in spool.records(neighbour.key)] == list(range(6))
        for row in spool.sessions():
            spool.records(row.key)

    asyncio.run(run())


@pytest.mark.parametrize("effort", EFFORTS)
def test_frames(effort: Effort) -> None:
    """Frames in pieces of any size, damaged anywhere: they are stored or refused, and never both."""

    def check(example: tuple[bytes, int]) -> None:
        data, piece = example

        async def send(spool: MemorySpool, intake: Intake, neighbour: Inlet) -> None:
            inlet, stream, buffer = await intake.begin(record(1)), Stream(), b""
            for start in range(0, len(data), piece):
                buffer += data[start : start + piece]
                try:
                    while taken := inlet.take(stream, buffer):
                        buffer = buffer[taken:]
                        await intake.store([inlet, neighbour])
                except wire.WireError:
                    break
            await intake.store([inlet])

        checked(send, len(data))

    effort.run(st.tuples(damaged(FRAMES) | st.binary(max_size=300), st.sampled_from([1 << 20, 64, 500])), check)


@pytest.mark.parametrize("effort", EFFORTS)
def test_json_lines(effort: Effort) -> None:
    """Any line is stored or answered with an error, and a good one after it is stored."""

    def check(lines: list[bytes]) -> None:
        async def send(spool: MemorySpool, intake: Intake, neighbour: Inlet) -> None:
            session = LineSession(intake, "host", 1)
            good, refusals = 0, []
            for line in [*lines, json.dumps({"metrics": {"good": 1.0}, "run": "good", "time": T0}).encode()]:
                try:
                    await session.take(line)
                    good += 1
                except LineError as problem:
                    refusals.append(str(problem))
                await session.store()
            await session.end()
            names = [row.names for one in spool.sessions() for row in spool.records(one.key) if hasattr(row, "names")]
            assert all(refusals)
            assert ("good",) in names
            assert len(names) == good

        checked(send, sum(map(len, lines)))

    whole = json.dumps(LINE).encode()
    changed = st.dictionaries(KEYS, JSON, max_size=3).map(lambda given: json.dumps({**LINE, **given}).encode())
    metrics = st.dictionaries(TEXT, JSON, max_size=4).map(lambda given: json.dumps({"metrics": given}).encode())
    effort.share(2).run(st.lists(damaged(whole) | changed | metrics | st.binary(max_size=60), max_size=5), check)


@pytest.mark.parametrize("effort", EFFORTS)
def test_session_records(effort: Effort) -> None:
    """Any record is taken or refused; what is kept of one that was taken can be read again after a restart, and is the
    session it calls itself, alone.
    """

    def check(given: dict[str, Any]) -> None:
        async def begin(spool: MemorySpool, intake: Intake, neighbour: Inlet) -> None:
            frame = wire.json_frame(wire.HELLO, given)
            told = wire.read_json(frame, wire.scan(frame).spans[0])
            try:
                inlet = await intake.begin(told)
            except Refused:
                return
            assert inlet.client_id == told["session"]
            (row,) = [row for row in spool.sessions() if row.key == inlet.key]
            assert read_session(wire.read_json(row.record, wire.scan(row.record).spans[0])) == inlet.known.session
            Registry().load(spool)  # type: ignore[arg-type]

        checked(begin, len(json.dumps(given)))

    full = {**record(1), "versions": [1], "workload": "w", "attempt": "0", "pod": {"name": "p"}, "host": "h", "pid": 1}
    full["continues"] = [f"{2:032x}", 0, 0]
    run = st.fixed_dictionaries({"id": JSON}, optional={"name": JSON, "tags": JSON, "notes": JSON})
    changes = st.dictionaries(st.sampled_from(list(full)), JSON, max_size=3)
    effort.share(2).run(
        st.builds(lambda one, other: {**full, **one, **other}, changes, st.just({}) | st.builds(_run, run)), check
    )


def _run(run: dict[str, Any]) -> dict[str, Any]:
    return {"run": run}


ANSWER = {"versions": [1], "collector": "0.1.0", "url": "http://h:1/", "journal": "ok", "reason": "", "stored": 3}


@pytest.mark.parametrize("effort", EFFORTS)
def test_answers_to_a_client(effort: Effort) -> None:
    """Whatever calls itself a collector: its words are messages or an error, and never more than is there."""

    def check(data: bytes) -> None:
        with bounded(len(data), FLOOR):
            for span in wire.scan(data).spans:
                try:
                    message = understand(data, span)
                except wire.WireError:
                    continue
                assert not isinstance(message, Answer) or message.stored >= 0

    said = wire.json_frame(wire.ANSWER, ANSWER) + wire.stored_frame(7) + wire.json_frame(wire.ERROR, {"error": "no"})
    changed = st.dictionaries(st.sampled_from(list(ANSWER)), JSON, max_size=3)
    answers = changed.map(lambda given: wire.json_frame(wire.ANSWER, {**ANSWER, **given}))
    effort.run(damaged(said) | answers | JSON.map(lambda given: wire.json_frame(wire.ANSWER, given)), check)


VARIABLES = [
    *["WAYSIDE_SOCKET", "WAYSIDE_DIR", "WAYSIDE_KEPT_LIMIT", "WAYSIDE_MODE", "WAYSIDE_TRANSPORT", "WAYSIDE_RUN_ID"],
    *["WAYSIDE_PROJECT", "WAYSIDE_NAME", "WAYSIDE_TAGS", "WAYSIDE_NOTES", "WAYSIDE_GROUP", "WAYSIDE_QUIET"],
    *["WANDB_MODE", "WANDB_TAGS", "WANDB_RUN_ID", "WANDB_NOTES", "XDG_RUNTIME_DIR", "WAYSIDE_DISABLE_GIT"],
]
# What an environment can hold: any bytes but a zero.
VALUES = st.binary(max_size=12).map(lambda value: os.fsdecode(value.replace(b"\0", b"")))
VALUES |= st.text("0123456789.eE+-_ kKmMgGiIbB", max_size=12) | st.sampled_from([*MODES, *TRANSPORTS, "1e999GiB"])


@pytest.mark.parametrize("effort", EFFORTS)
def test_client_settings(effort: Effort) -> None:
    """Any environment gives settings that can be used, and says in one line each what could not be."""

    def check(environ: dict[str, str]) -> None:
        with bounded(sum(map(len, environ.values())), FLOOR):
            settings = read_settings(environ, os.sep)
            assert settings.mode in MODES
            assert settings.transport in TRANSPORTS
            assert settings.kept_limit > 0
            assert all(len(problem) < 500 and "\n" not in problem for problem in settings.problems)
            for address in socket_candidates(settings):
                assert len(os.fsencode(address)) <= 107
            fields = {
                name: list(value) if isinstance(value, tuple) else value for name, value in settings._asdict().items()
            }
            assert len(wire.json_frame(wire.HELLO, fit({"session": "0" * 32, "run": fields}))) <= MAX_RECORD

    effort.run(st.dictionaries(st.sampled_from(VARIABLES), VALUES, max_size=5), check)
