"""What every sink promises its pump, for this one."""

import importlib.util
import logging
import os
import sys
from pathlib import Path

import pytest
from standins.wandb_backend import WandbBackend
from standins.wandb_pump import ENVIRON, FAST, MiniPump, steps
from wayside_collector.sinks.base import Context, Parcel, Retry
from wayside_collector.sinks.wandb import WandbOptions, WandbSink
from wayside_collector.testing import make_event, make_parcel, make_session

pytestmark = pytest.mark.asyncio


async def test_close_without_open_and_twice(online: WandbOptions, tmp_path: Path):
    """Closing is safe at any time."""
    sink = WandbSink(online, FAST, {})
    await sink.close()
    await sink.open(Context("wandb", tmp_path))
    await sink.close()
    await sink.close()
    with pytest.raises(Retry, match="not open"):
        await sink.send(make_parcel(make_session(), steps(1)))


async def test_opening_starts_nothing(backend: WandbBackend, online: WandbOptions, tmp_path: Path):
    """No child, no request and no files for a sink that nobody has sent anything yet; nor for an empty parcel."""
    sink = WandbSink(online, FAST, {})
    await sink.open(Context("wandb", tmp_path))
    assert await sink.send(Parcel([])) == {}
    changes = await sink.send(make_parcel(make_session(), [make_event("client", {"refused": {}}, seq=0)]))
    assert changes == {}
    assert sink._tools.runs.child is None
    await sink.close()
    assert backend.requests == []
    assert os.listdir(tmp_path) == ["ledger"]


async def test_without_wandb_rows_wait(online: WandbOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The error says what to install; a second open, with it installed, works."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "wandb" else find(name, *rest))
    sink = WandbSink(online, FAST, {})
    with pytest.raises(Retry, match=r"wandb is not installed: pip install 'wayside-collector\[wandb\]'"):
        await sink.open(Context("wandb", tmp_path))
    monkeypatch.undo()
    (tmp_path / "empty" / "wandb").mkdir(parents=True)  # as the SDK makes them where it runs
    with monkeypatch.context() as only:
        only.setattr(sys, "path", [str(tmp_path / "empty")])
        only.delitem(sys.modules, "wandb", raising=False)
        with pytest.raises(Retry, match="wandb is not installed"):
            await sink.open(Context("wandb", tmp_path))
    await sink.open(Context("wandb", tmp_path))
    await sink.close()


async def test_without_a_key_rows_wait(backend: WandbBackend, tmp_path: Path):
    """The error says where a key may stand; offline none is needed."""
    sink = WandbSink(WandbOptions(base_url=backend.url), FAST, ENVIRON)
    await sink.open(Context("wandb", tmp_path))
    with pytest.raises(Retry, match="no W&B API key: set api_key_file, api_key, or WANDB_API_KEY"):
        await sink.send(make_parcel(make_session("r1"), steps(1)))
    await sink.close()
    sink = WandbSink(WandbOptions(base_url=backend.url), FAST, {"WANDB_API_KEY": backend.key})
    await sink.open(Context("wandb", tmp_path))
    await sink.close()
    sink = WandbSink(WandbOptions(mode="offline"), FAST, {})
    await sink.open(Context("wandb", tmp_path))
    await sink.close()


async def test_a_folder_that_cannot_be_written_is_said(online: WandbOptions, tmp_path: Path):
    """A file where the sink's folder should be: the error names it."""
    (tmp_path / "sink").write_text("")
    sink = WandbSink(online, FAST, {})
    with pytest.raises(Retry, match=r"sink's folder .*/sink cannot be read"):
        await sink.open(Context("wandb", tmp_path / "sink"))
    await sink.close()


async def test_the_state_stays_small(backend: WandbBackend, pump: MiniPump):
    """Two keys for one run, however many rows: what is settled needs no entry."""
    session = make_session("r1")
    await pump.deliver(make_parcel(session, steps(1000)))
    assert set(pump.state) == {"batch", "run:/demo/r1"}
    assert sum(len(value) for value in pump.state.values()) < 50
    assert len(backend.run("r1").rows) == 1000


async def test_no_secret_leaves_the_sink(backend: WandbBackend, pump: MiniPump, caplog: pytest.LogCaptureFixture):
    """Neither the log, at DEBUG, nor an error holds the API key or the relay's address; no file holds the key, and none
    that may hold the address is for other users.
    """
    caplog.set_level(logging.DEBUG)
    backend.fail("file_stream", 403)
    await pump.deliver(make_parcel(make_session("r1"), steps(3)))
    (course,) = pump.sink._tools.runs.opened
    said = caplog.text + " ".join(map(str, pump.retries)) + repr(pump.sink._options)
    files = {path: path.read_bytes() for path in Path(course.folder).parents[1].rglob("*") if path.is_file()}
    assert "W&B SDK" in said
    assert any(path.suffix == ".log" for path in files)
    assert backend.key not in said
    assert course.feed.token not in said
    assert [path for path, text in files.items() if backend.key.encode() in text] == []
    with_address = [path for path, text in files.items() if course.feed.token.encode() in text]
    assert with_address
    assert [path for path in with_address if path.stat().st_mode & 0o077] == []


async def test_without_a_ledger_nothing_is_sent(backend: WandbBackend, pump: MiniPump):
    """Rows that could not be accounted for after a crash stay where they are, and the error says why."""
    await pump.deliver(make_parcel(make_session("r1", id="a" * 32), steps(3)))
    pump.sink._tools.ledger.close()
    posts = backend.requests.count(("file_stream", "r1"))
    parcel = make_parcel(make_session("r1", id="a" * 32), steps(3, seq=3, step=3))
    assert not await pump.send_once(parcel)
    assert str(pump.retries[0]) == "the W&B sink's ledger cannot be written: Bad file descriptor"
    assert backend.requests.count(("file_stream", "r1")) == posts
    pump.sink._tools.ledger.open(0)
    await pump.deliver(parcel)
    assert [row["x"] for row in backend.run("r1").rows] == list(range(6))
