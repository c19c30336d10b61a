"""What a session's own environment asks of W&B: a folder for it, or nothing; through the real SDK where it matters."""

import os
import stat
from pathlib import Path

import msgspec
import pytest
from sinks.wandb.test_offline import folders, records, sync
from standins.wandb_backend import WandbBackend
from standins.wandb_pump import MiniPump, steps
from wayside_collector.session import ForWandb, Session
from wayside_collector.sinks.base import Parcel, Part
from wayside_collector.sinks.wandb import WandbOptions
from wayside_collector.sinks.wandb.asked import folder_for, is_offline, leaves_out
from wayside_collector.sinks.wandb.written import usable
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session


def session(run: str, letter: str, **asked: object) -> Session:
    """A session that asks this of W&B."""
    made = make_session(run, rank=0, id=letter * 32)
    return msgspec.structs.replace(made, wandb=ForWandb(**asked))  # type: ignore[arg-type]


def test_who_is_left_out() -> None:
    """Runs that their own SDK uploads, and those whose user wants no W&B; whatever else is said, is not."""
    mirrored = msgspec.structs.replace(make_session("r1"), origin="wandb")
    assert leaves_out(mirrored, WandbOptions()) == "mirrored"
    assert leaves_out(session("r1", "a", mode="disabled"), WandbOptions()) == "wandb_disabled"
    for mode in ("online", "offline", "some day"):
        assert leaves_out(session("r1", "a", mode=mode), WandbOptions()) is None
    assert is_offline(session("r1", "a", mode="offline"), WandbOptions())
    assert not is_offline(session("r1", "a", mode="some day"), WandbOptions())
    assert is_offline(session("r1", "a"), WandbOptions(mode="offline"))


def test_a_folder_is_followed_below_a_root_only(tmp_path: Path) -> None:
    """Neither a neighbour whose name begins alike, nor a way up, nor a link that leads out of the root."""
    root = tmp_path / "runs"
    (root / "mine").mkdir(parents=True)
    (root / "out").symlink_to("/etc")
    options = WandbOptions(dirs=(str(root),))
    assert folder_for(session("r", "a", dir=str(root / "mine")), options) == str(root / "mine")
    assert folder_for(session("r", "a", dir=str(root)), options) == str(root)
    for path in (f"{root}-2", f"{root}/../x", f"{root}/out", "mine", "/", f"{root}/out/x"):
        assert folder_for(session("r", "a", dir=path), options) is None, path
    assert folder_for(session("r", "a"), options) is None
    assert folder_for(session("r", "a", dir=str(root)), WandbOptions()) is None


@pytest.mark.asyncio
@pytest.mark.timeout(60)
async def test_one_goes_to_wandb_and_one_into_a_folder(
    backend: WandbBackend, online: WandbOptions, tmp_path: Path
) -> None:
    """Of two runs in one parcel, with samples for both: each ends where its user wants it, whole, and a folder that
    people are to sync can be read by them and is what `wandb sync` takes.
    """
    wanted = tmp_path / "trainer"
    options = msgspec.structs.replace(online, dirs=(str(tmp_path),))
    up = session("up", "a")
    down = session("down", "b", mode="offline", dir=str(wanted))
    system = make_session("sys", kind="system")
    samples = make_rows(1, {"gpu/0/utilization_ratio": 0.5}, time=1e9 + 0.75)
    old = os.umask(0o022)
    try:
        async with MiniPump(options, tmp_path / "sink") as pump:
            parts = [Part(up, steps(5)), Part(down, steps(7)), Part(system, samples, (up, down))]
            await pump.deliver(Parcel(parts))
            await pump.deliver(Parcel([Part(one, [make_event("finish", {}, seq=9)]) for one in (up, down)]))
    finally:
        os.umask(old)
    assert [row["x"] for row in backend.run("up").rows] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert len(backend.run("up").samples) == 1
    assert [run.id for run in backend.runs] == ["up"]
    (folder,) = folders(wanted)
    found = records(folder)
    assert [values["x"] for kind, values in found if kind == "history"] == [float(n) for n in range(7)]
    assert [kind for kind, _ in found if kind in ("stats", "exit")] == ["stats", "exit"]
    for path in (wanted, wanted / "wandb", folder, *folder.glob("*.wandb")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o044 == 0o044, path
    assert not list((tmp_path / "sink" / "wandb").glob("offline-run-*"))
    sync(backend, wanted)
    assert [row["x"] for row in backend.run("down").rows] == [float(n) for n in range(7)]


@pytest.mark.asyncio
@pytest.mark.timeout(60)
async def test_a_folder_needs_no_key(backend: WandbBackend, tmp_path: Path) -> None:
    """Without a key what is meant for W&B waits, in the first place of a parcel too, and what goes into a folder does
    not; a run of both kinds keeps them apart over a restart.
    """
    key = tmp_path / "key"
    options = WandbOptions(base_url=backend.url, api_key_file=str(key), upload_interval=1)
    up, down = session("r1", "a"), session("r1", "b", mode="offline")
    async with MiniPump(options, tmp_path / "sink") as pump:
        parcel = Parcel([Part(up, steps(3)), Part(down, steps(4))])
        assert not await pump.send_once(parcel)
        assert pump.done == {(down.id, seq) for seq in range(4)}
        (told,) = pump.retries
        assert "api_key_file" in str(told)
        assert told.runs == {"r1"}
        await pump.reopen()
        await pump.deliver(make_parcel(down, steps(2, seq=4, step=4)))
        key.write_text(backend.key)
        await pump.deliver(parcel)
        await pump.deliver(Parcel([Part(one, [make_event("finish", {}, seq=9)]) for one in (up, down)]))
    assert [row["x"] for row in backend.run("r1").rows] == [0.0, 1.0, 2.0]
    found = [values["x"] for one in folders(tmp_path / "sink") for kind, values in records(one) if kind == "history"]
    assert found == [float(n) for n in range(6)]


def test_a_folder_that_cannot_be_written_is_not_used(tmp_path: Path) -> None:
    """What is not there is made, for others to read; where that cannot be, the sink's own folder is taken instead."""
    old = os.umask(0o077)
    try:
        wanted = tmp_path / "a/b/c"
        assert usable(str(wanted), 0o022) == str(wanted)
        assert [stat.S_IMODE(one.stat().st_mode) for one in (wanted, wanted.parent, tmp_path / "a")] == [0o755] * 3
        wanted.chmod(0o700)
        assert usable(str(wanted), 0o022) == str(wanted)
        assert stat.S_IMODE(wanted.stat().st_mode) == 0o700, "what was there is left as it is"
        (tmp_path / "file").write_text("")
        assert usable(str(tmp_path / "file/x"), 0o022) is None
        assert usable(str(tmp_path / "file"), 0o022) is None
        assert usable(None, 0o022) is None
    finally:
        os.umask(old)
