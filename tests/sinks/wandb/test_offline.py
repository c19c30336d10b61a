"""What lies in the run folders, offline, through the real SDK; and what `wandb sync` makes of them."""

import asyncio
import json
import math
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from standins.wandb_backend import WandbBackend
from standins.wandb_pump import MiniPump, steps
from wandb.proto import wandb_internal_pb2 as pb
from wayside_collector.sinks.base import Parcel, Part, Step
from wayside_collector.sinks.wandb import WandbOptions
from wayside_collector.sinks.wandb.limits import Limits
from wayside_collector.sinks.wandb.transaction_log import Log
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session

SESSION = make_session("r1", rank=0, id="a" * 32)


def folders(folder: Path) -> list[Path]:
    """The run folders, oldest first."""
    return sorted((folder / "wandb").glob("offline-run-*"))


def records(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """What a run's file holds, in order, as (kind, values); the SDK's own messages take it apart."""
    (path,) = folder.glob("*.wandb")
    found = []
    for raw in Log().feed(path.read_bytes()):
        record = pb.Record()
        record.ParseFromString(raw)
        kind = record.WhichOneof("record_type")
        found.append((kind, _values(kind, getattr(record, kind))))
    return found


def _values(kind: str, part: Any) -> dict[str, Any]:
    match kind:
        case "history":
            return _items(part.item)
        case "stats":
            return {**_items(part.item), "_timestamp": part.timestamp.seconds + part.timestamp.nanos / 1e9}
        case "config" | "summary":
            return _items(part.update)
        case "run":
            return {"id": part.run_id, "project": part.project, **_items(part.config.update)}
        case "exit":
            return {"code": part.exit_code}
        case "alert":
            return {"title": part.title}
    return {}


def _items(items: Any) -> dict[str, Any]:
    return {".".join(getattr(item, "nested_key", ())) or item.key: json.loads(item.value_json) for item in items}


def sync(backend: WandbBackend, folder: Path) -> None:
    """`wandb sync` of every folder, as its documentation says; it must find nothing to complain about."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environ |= {"WANDB_BASE_URL": backend.url, "WANDB_API_KEY": backend.key, "WANDB_ERROR_REPORTING": "false"}
    for one in folders(folder):
        command = [sys.executable, "-m", "wandb", "sync", str(one)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "ERROR" not in done.stderr, done.stderr
        assert list(one.glob("*.synced"))


@pytest.mark.asyncio
async def test_everything_is_in_the_file(offline: MiniPump, tmp_path: Path):
    """When a send returns, its rows lie in the run's file with true step and time, and what was said beside them."""
    system = make_session("sys", kind="system")
    told = [
        make_event("config", {"set": {"lr": 0.1}}, seq=0),
        Step((1,), 1e9, 1e9 + 0.25, 7, {"loss": 0.5, "bad": math.nan}, 2, False),
        make_event("summary", {"set": {"best": 0.5}}, seq=2),
        make_event("alert", {"title": "T"}, seq=3),
    ]
    samples = make_rows(1, {"gpu/0/utilization_ratio": 0.5}, time=1e9 + 0.75)
    await offline.deliver(Parcel([Part(SESSION, told), Part(system, samples, (SESSION,))]))
    (folder,) = folders(tmp_path)
    found = records(folder)
    (row,) = [values for kind, values in found if kind == "history"]
    assert (row["_step"], row["_timestamp"], row["loss"]) == (7, 1e9 + 0.25, 0.5)
    assert math.isnan(row["bad"])
    assert [values for kind, values in found if kind == "stats"] == [{"gpu.0.gpu": 50.0, "_timestamp": 1e9 + 0.75}]
    assert any(kind in ("run", "config") and values.get("lr") == 0.1 for kind, values in found)
    assert any(kind == "summary" and values.get("best") == 0.5 for kind, values in found)
    assert ("alert", {"title": "T"}) in found
    assert not any(kind == "exit" for kind, _ in found)
    await offline.deliver(make_parcel(SESSION, [make_event("finish", {"exit_code": 4}, seq=9)]))
    assert records(folder)[-1] == ("exit", {"code": 4})
    assert offline.retries == []


@pytest.mark.asyncio
async def test_after_crashes_wandb_sync_finds_each_row_once(backend: WandbBackend, offline: MiniPump, tmp_path: Path):
    """The child and wandb-core die while rows are on their way: what is in the file is not written again, what is not
    goes to a new folder with larger steps; a torn end is cut off, since `wandb sync` would stop there.
    """
    sent = 0
    for victim in ("child", "core"):
        await offline.deliver(make_parcel(SESSION, steps(50, seq=sent, step=sent)))
        sent += 50
        parcel = make_parcel(SESSION, steps(2000, seq=sent, step=sent))
        child = offline.sink._tools.runs.child
        sending = asyncio.create_task(offline.send_once(parcel))
        await asyncio.to_thread(backend.wait_for, lambda at=sent: _last(offline) > at + 600)
        os.kill(child.pid if victim == "child" else child.core, signal.SIGKILL)
        await sending
        (path,) = folders(tmp_path)[-1].glob("*.wandb")
        with path.open("ab") as file:
            file.write(struct.pack("<IHB", 0, 100, 1) + b"torn")  # a head, and not all that it promises
        await offline.deliver(parcel)
        sent += 2000
    await offline.deliver(make_parcel(SESSION, [make_event("finish", {"exit_code": 0}, seq=sent)]))
    assert len(folders(tmp_path)) >= 2
    await asyncio.to_thread(sync, backend, tmp_path)
    rows = backend.run("r1").rows
    assert [row["x"] for row in rows] == [row["_step"] for row in rows] == list(range(sent))
    assert backend.run("r1").exit_code == 0


def _last(pump: MiniPump) -> int:
    """The largest step handed to the SDK."""
    return max(course.flight.last for course in pump.sink._tools.runs.courses.values())


@pytest.mark.asyncio
async def test_rows_found_after_a_crash_stay_known_until_the_pump_is_told(offline: MiniPump, tmp_path: Path):
    """A commit is lost, the collector dies, comes back, is told of some of the rows again, dies once more: those it was
    not told of in between are still known to be there.
    """
    await offline.sink.send(make_parcel(SESSION, steps(20)))  # and its commit is lost
    await offline.reopen()
    await offline.deliver(make_parcel(SESSION, steps(5)))
    await offline.deliver(make_parcel(SESSION, steps(5, seq=20, step=20)))
    await offline.reopen()
    await offline.deliver(make_parcel(SESSION, steps(30)))
    rows = [values for folder in folders(tmp_path) for kind, values in records(folder) if kind == "history"]
    assert [row["x"] for row in rows] == [row["_step"] for row in rows] == list(range(30))


@pytest.mark.asyncio
async def test_folders_of_one_run_never_overlap(offline: MiniPump, tmp_path: Path):
    """A restart begins a new folder above the last one's steps, even when the last one is gone: `wandb sync` would
    number overlapping steps anew.
    """
    await offline.deliver(make_parcel(SESSION, [*steps(5), make_event("finish", {}, seq=9)]))
    await offline.reopen()
    for one in folders(tmp_path):
        one.rename(tmp_path / one.name)
    await offline.deliver(make_parcel(SESSION, steps(3, seq=10, step=2)))
    (folder,) = folders(tmp_path)
    rows = [values for kind, values in records(folder) if kind == "history"]
    assert [(row["_step"], row["wayside/step"]) for row in rows] == [(5, 2), (6, 3), (7, 4)]


@pytest.mark.asyncio
async def test_a_full_folder_is_said(tmp_path: Path):
    """Offline runs are never removed: when they fill the limit, rows wait, and the error says what to do."""
    options = WandbOptions(mode="offline", dir=str(tmp_path / "files"), max_dir_size=1 << 20)
    async with MiniPump(options, tmp_path / "own", Limits(tend_interval=0.0, flush_interval=0.1)) as pump:
        await pump.deliver(make_parcel(SESSION, steps(1)))
        (folder,) = folders(tmp_path / "files")
        (folder / "large").write_bytes(bytes(2 << 20))
        parcel = make_parcel(SESSION, steps(1, seq=1, step=1))
        assert not await pump.send_once(parcel)
        assert "sync and remove them" in str(pump.retries[0])
        assert "raise max_dir_size" in str(pump.retries[0])
        (folder / "large").unlink()
        await pump.deliver(parcel)
