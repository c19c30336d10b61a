"""The jsonl sink: strict JSON, files that follow one another, and what of them counts after a restart."""

import errno
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from wayside.row import TEXT
from wayside_collector.session import read_session
from wayside_collector.sinks.base import Changes, Context, Reject, Retry
from wayside_collector.sinks.introductions import Introduced
from wayside_collector.sinks.jsonl import JsonlOptions, JsonlSink
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session

pytestmark = pytest.mark.asyncio

LINE = 200  # bytes, more than a line of these tests takes


class Desk:
    """A sink and the state that its pump would keep for it."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.options = JsonlOptions(**options)
        self.state: dict[str, bytes] = {}
        self.counters: dict[str, int] = {}
        self.session = make_session("r1", rank=3, id="5" * 32)

    async def open(self) -> "Desk":
        self.sink = JsonlSink(self.options)
        await self.sink.open(Context("jsonl", self.folder, dict(self.state), self._count))
        return self

    def _count(self, name: str, by: int) -> None:
        self.counters[name] = self.counters.get(name, 0) + by

    async def send(self, *records: Any) -> Changes:
        """Delivered and committed."""
        changes = await self.sink.send(make_parcel(self.session, records))
        self.state.update({key: value for key, value in changes.items() if value is not None})
        return changes

    async def steps(self, first: int, count: int) -> None:
        for step in range(first, first + count):
            await self.send(*make_rows(1, seq=step, step=step))

    def files(self) -> list[Path]:
        return sorted(self.folder.rglob("*.jsonl"))

    def lines(self) -> list[dict[str, Any]]:
        return [strict(line) for path in self.files() for line in path.read_text().splitlines()]


def strict(line: str) -> dict[str, Any]:
    """As strict a reader as there is: no NaN, no name twice."""

    def no_constant(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({name for name, _ in pairs}) == len(pairs), pairs
        return dict(pairs)

    found: dict[str, Any] = json.loads(line, parse_constant=no_constant, object_pairs_hook=once)
    return found


async def test_a_line_says_all_of_a_row(tmp_path: Path) -> None:
    """Time, step, run, rank, session, seq and metrics, and nothing else; events have `event` instead of metrics."""
    desk = await Desk(tmp_path).open()
    (row,) = make_rows(1, {"loss": 0.5}, seq=4, step=9)
    await desk.send(row, row._replace(seq=5, step=None), make_event(TEXT, {"values": {"a": "b"}}, seq=6))
    common = {"time": row.time, "run": "r1", "rank": 3, "session": "5" * 32}
    assert desk.lines() == [
        {**common, "step": 9, "seq": 4, "metrics": {"loss": 0.5}},
        {**common, "step": None, "seq": 5, "metrics": {"loss": 0.5}},
        {**common, "step": None, "seq": 6, "event": {"kind": TEXT, "values": {"a": "b"}}},
    ]


async def test_what_is_not_finite_is_spelled_out(tmp_path: Path) -> None:
    """In rows and deep within events, by the three words; sums that overflow are no reason to spell anything."""
    desk = await Desk(tmp_path).open()
    odd = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.1, 'e"\n': -0.0}
    await desk.send(*make_rows(1, odd), *make_rows(1, {"x": 1.7e308, "y": 1.7e308}, seq=1))
    await desk.send(make_event("config", {"set": {"lr": [math.nan, {"z": -math.inf}]}}, seq=2))
    first, second, third = desk.lines()
    assert first["metrics"] == {"a": "NaN", "b": "Infinity", "c": "-Infinity", "d": 0.1, 'e"\n': -0.0}
    assert second["metrics"] == {"x": 1.7e308, "y": 1.7e308}
    assert third["event"]["set"] == {"lr": ["NaN", {"z": "-Infinity"}]}


async def test_a_full_file_is_followed_by_the_next(tmp_path: Path) -> None:
    """None is larger than its limit, their numbers follow one another, and the lines go on where they stopped."""
    desk = await Desk(tmp_path, max_size=5 * LINE).open()
    await desk.steps(0, 40)
    assert [path.name for path in desk.files()] == [f"rows-{n:08d}.jsonl" for n in range(1, len(desk.files()) + 1)]
    assert len(desk.files()) >= 5
    assert all(path.stat().st_size <= 5 * LINE for path in desk.files())
    assert [line["step"] for line in desk.lines()] == list(range(40))


async def test_the_oldest_files_go(tmp_path: Path) -> None:
    """Beyond their number, counted; what is left is the newest, whole."""
    desk = await Desk(tmp_path, max_size=2 * LINE, max_files=3).open()
    await desk.steps(0, 60)
    assert len(desk.files()) == 3
    left = [line["step"] for line in desk.lines()]
    assert left == list(range(60 - len(left), 60))
    numbers = [int(path.stem.rpartition("-")[2]) for path in desk.files()]
    assert desk.counters == {"files_removed": numbers[-1] - 3}


async def test_what_was_not_committed_is_cut_off(tmp_path: Path) -> None:
    """Killed between a write and its commit: the same rows come again, and stand there once."""
    desk = await Desk(tmp_path).open()
    await desk.steps(0, 3)
    await desk.sink.send(make_parcel(desk.session, make_rows(4, seq=3, step=3)))
    assert len(desk.lines()) == 7
    await desk.open()
    assert len(desk.lines()) == 3
    await desk.steps(3, 4)
    assert [line["step"] for line in desk.lines()] == list(range(7))


async def test_a_file_that_somebody_cut_is_left_as_it_is(tmp_path: Path) -> None:
    """Shorter than what was delivered: a new one is begun beside it, and it is counted."""
    desk = await Desk(tmp_path).open()
    await desk.steps(0, 3)
    (path,) = desk.files()
    path.write_bytes(path.read_bytes()[:10])
    await desk.open()
    await desk.steps(3, 1)
    assert path.read_bytes() == b'{"time":17'
    assert desk.counters == {"damaged_files": 1}
    assert strict(desk.files()[1].read_text())["step"] == 3


@pytest.mark.parametrize("harm", ["deleted", "shortened"])
async def test_a_file_that_somebody_harms_meanwhile_is_left_as_it_is(tmp_path: Path, harm: str) -> None:
    """What follows goes to a new file: no hole of zeros, no line that begins in the middle of another."""
    desk = await Desk(tmp_path).open()
    await desk.steps(0, 3)
    (path,) = desk.files()
    if harm == "deleted":
        path.unlink()
    else:
        os.truncate(path, 10)
    await desk.steps(3, 2)
    assert desk.counters == {"damaged_files": 1}
    assert [strict(line)["step"] for line in desk.files()[-1].read_text().splitlines()] == [3, 4]
    await desk.open()
    await desk.steps(5, 1)
    assert [strict(line)["step"] for line in desk.files()[-1].read_text().splitlines()] == [3, 4, 5]
    assert [file.stat().st_size for file in desk.files()[:-1]] == [10] * (harm == "shortened")


@pytest.mark.parametrize("kept", [b"1:200", b"", b"\xff", b"[1]", b'["a", 2]', b"null"])
async def test_a_place_that_does_not_say_costs_no_line(tmp_path: Path, kept: bytes) -> None:
    """As no version wrote it: the stream goes on in a new file, after the newest there is."""
    desk = await Desk(tmp_path, max_size=2 * LINE, max_files=3).open()
    await desk.steps(0, 40)
    before = {path: path.read_bytes() for path in desk.files()}
    desk.state["rows"] = kept
    desk.counters.clear()
    await desk.open()
    await desk.sink.send(make_parcel(desk.session, make_rows(1, seq=40, step=40)))
    assert desk.counters == {"damaged_places": 1}
    assert {path: path.read_bytes() for path in desk.files()[:-1]} == before
    assert strict(desk.files()[-1].read_text())["step"] == 40


async def test_the_layout_of_primus(tmp_path: Path) -> None:
    """That exporter's paths and keys, a file for each node and local rank; events and samples have no place there."""
    desk = await Desk(tmp_path, layout="primus").open()
    await desk.send(*make_rows(1, {"loss": 0.5}, step=7), make_event(TEXT, {"values": {}}, seq=1))
    desk.session = make_session("r1", local_rank=2, node_rank=1)
    await desk.send(*make_rows(1, {"loss": math.nan}, step=7))
    desk.session = make_session("system", kind="system")
    assert await desk.send(*make_rows(1, {"gpu/0/power_watts": 1.0})) == {}
    found = {str(path.relative_to(tmp_path)): strict(path.read_text()) for path in desk.files()}
    time = make_rows(1)[0].time
    assert found == {
        "node_0/rank_-1/wandb_metrics.jsonl": {"timestamp": time, "step": 7, "data": {"loss": 0.5}},
        "node_1/rank_2/wandb_metrics.jsonl": {"timestamp": time, "step": 7, "data": {"loss": "NaN"}},
    }


async def test_what_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    """A file in the place of the folder is no failure of the sink: one line with the path and the option; once it is
    mended the rows arrive.
    """
    obstacle = tmp_path / "out"
    obstacle.write_text("")
    desk = await Desk(tmp_path, path=str(obstacle)).open()
    with pytest.raises(Retry, match=r"`sinks\.jsonl\.path`") as caught:
        await desk.send(*make_rows(1))
    assert str(obstacle) in str(caught.value)
    assert "\n" not in str(caught.value)
    obstacle.unlink()
    await desk.send(*make_rows(1))
    assert len(desk.lines()) == 1


async def test_a_full_disk_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a write names no file by itself: the line has the folder all the same."""

    def full(*arguments: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    desk = await Desk(tmp_path).open()
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(Retry, match="No space left on device") as caught:
        await desk.send(*make_rows(1))
    assert str(tmp_path) in str(caught.value)


async def test_who_the_sessions_are(tmp_path: Path) -> None:
    """A file beside the rows says all that a session said of itself, once, and anew after a restart; rows say nothing
    of it. A sampler's session also says for whose runs it measured, where that changes.
    """
    desk = await Desk(tmp_path).open()
    await desk.steps(0, 3)
    path = tmp_path / "sessions-00000001.ndjson"
    (line,) = path.read_text().splitlines()
    assert read_session(strict(line)["record"]) == desk.session
    await desk.open()
    await desk.steps(3, 1)
    assert len(path.read_text().splitlines()) == 2
    system = make_session("system", kind="system", id="6" * 32)
    for seq, open_runs in ((4, (desk.session,)), (5, (desk.session,)), (6, ())):
        parcel = make_parcel(system, make_rows(1, seq=seq), open_runs=open_runs)
        desk.state.update((key, value) for key, value in (await desk.sink.send(parcel)).items() if value)
    told = Introduced([path])
    assert set(told.sessions) == {desk.session.id, system.id}
    assert [told.open_runs(system.id, seq) for seq in (3, 4, 5, 6)] == [None, [desk.session], [desk.session], []]


async def test_what_was_not_written_is_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that failed leaves the session untold, so that it is told with the next one."""
    desk = await Desk(tmp_path).open()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", lambda fd: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
        with pytest.raises(Retry):
            await desk.steps(0, 1)
    await desk.steps(0, 1)
    assert list(Introduced([tmp_path / "sessions-00000001.ndjson"]).sessions) == [desk.session.id]


async def test_an_event_nested_too_deep_is_rejected(tmp_path: Path) -> None:
    """It alone is refused, by name; what stands around it is written, and its place is kept."""
    desk = await Desk(tmp_path).open()
    deep: Any = 1.0
    for _ in range(5000):
        deep = [deep]
    before, after = make_rows(1, seq=0), make_rows(1, seq=2)
    with pytest.raises(Reject) as caught:
        await desk.send(*before, make_event(TEXT, {"values": deep}, seq=1), *after)
    assert caught.value.rows == {(desk.session.id, 1)}
    assert caught.value.changes["rows"]
    assert [line["seq"] for line in desk.lines()] == [0, 2]
