"""The child process, its environment and its end; and what it is told."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wayside_collector.sinks.wandb.process import Child, ChildFailed, ChildLost, environment, reap, temporary
from wayside_collector.sinks.wandb.protocol import (
    HEAD,
    MAX_FRAME,
    Close,
    Done,
    Failed,
    Identity,
    Open,
    RowOp,
    SampleOp,
    Ship,
    Start,
    length,
    pack,
    read_command,
    read_reply,
)

START = Start("/nowhere", 1, 0.5, 5.0, 5.0)


def test_the_environment_is_made_anew(tmp_path: Path):
    """Settings, proxies and other sinks' secrets do not reach the SDK; what a program needs does."""
    environ = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "WANDB_SERVICE": "3-1-tcp-localhost-1-1",
        "WANDB_API_KEY": "k",
        "WANDB_MODE": "disabled",
        "HTTPS_PROXY": "http://p",
        "LENS_TOKEN": "t",
    }
    found = environment(environ, tmp_path)
    ours = {"TMPDIR", "PYTHONUNBUFFERED", "WAYSIDE_WANDB_HOOK"}
    assert {name for name in found if not name.startswith("WANDB_")} == {"PATH", "LC_ALL", *ours}
    assert not {"WANDB_SERVICE", "WANDB_API_KEY", "WANDB_MODE"} & set(found)
    assert found["WANDB_CACHE_DIR"] == f"{tmp_path}/.cache"
    assert (found["WANDB_ERROR_REPORTING"], found["WAYSIDE_WANDB_HOOK"]) == ("false", "off")


def test_temporary_files_go_where_they_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What the environment names, else the usual place; in a container whose root cannot be written, our own."""
    assert temporary(str(tmp_path), tmp_path) == str(tmp_path)
    assert temporary("/nowhere", tmp_path) == "/tmp"
    monkeypatch.setattr(os, "access", lambda *_: False)  # as on a root that is mounted to be read
    assert temporary("/tmp", tmp_path / "sink") == str(tmp_path / "sink/.tmp")
    assert (tmp_path / "sink/.tmp").is_dir()


@pytest.mark.parametrize(
    "message",
    [
        START,
        Open("1", Identity("r", "p", tags=("a",)), {"lr": 0.1, "deep": [None, {"a": "é"}]}, "http://x", "k"),
        Ship("1", [RowOp(5, {"x": float("inf"), "t": "text"}), SampleOp(1.5, {"cpu": 1.0})]),
        Close("1", 3),
    ],
)
def test_commands_arrive_as_they_left(message):
    """Both ends mean the same by the same bytes."""
    frame = pack(7, message)
    assert length(frame[:HEAD]) == len(frame) - HEAD
    assert read_command(frame[HEAD:]) == (7, message)


def test_replies_arrive_as_they_left():
    """A reply carries the id of its command."""
    assert read_reply(pack(9, Done())[HEAD:]) == (9, Done())
    assert read_reply(pack(9, Failed("why"))[HEAD:]) == (9, Failed("why"))


def test_frames_are_bounded():
    """Neither side can be made to read or hold more than a frame may be."""
    with pytest.raises(ValueError, match="longer than the limit"):
        pack(1, Ship("1", [RowOp(0, {"x": "y" * MAX_FRAME})]))
    with pytest.raises(ValueError, match="longer than the limit"):
        length(b"\xff\xff\xff\xff")


@given(st.binary(max_size=60))
def test_anything_else_is_told(data):
    """Bytes that are no message are an error of one of two kinds, never a wrong message."""
    for read in (read_command, read_reply):
        try:
            id, message = read(data)
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue
        assert isinstance(id, int)
        assert isinstance(message, msgspec.Struct)


def test_reap_ends_what_an_earlier_collector_left(tmp_path: Path):
    """A named process that is still the same one is killed, and it is waited for; another with its number is not."""
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    file = tmp_path / "processes"
    file.write_text(json.dumps([[left.pid, psutil.Process(left.pid).create_time()], [os.getpid(), 1.0]]))
    began = time.monotonic()
    reap(file)
    assert time.monotonic() - began < 5
    left.poll()
    assert not psutil.pid_exists(left.pid)
    assert not file.exists()
    reap(file)
    file.write_text("torn")
    reap(file)


@pytest.mark.asyncio
async def test_a_child_that_ends_says_why(tmp_path: Path):
    """Its last words are in the error, without secrets; asking it again says the same; killing it twice is safe."""
    child = Child(tmp_path / "processes", frozenset({"hunter2"}), lambda: None)
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    (tmp_path / "wandb.py").write_text(f"raise RuntimeError('no wandb today, hunter2 {'a1' * 20}')")
    start = msgspec.structs.replace(START, folder=str(tmp_path / "files"))
    with pytest.raises(ChildLost, match=r"no wandb today, \*\*\* \*\*\*"):
        await child.start(start, environ)
    with pytest.raises(ChildLost):
        await child.ask(Close("1", 0), 1.0)
    assert child.gone
    assert not child.ready
    await child.kill()
    await child.kill()


@pytest.mark.asyncio
async def test_a_child_is_spoken_to(tmp_path: Path):
    """It answers each command, refuses what it cannot do, and its end takes wandb-core with it."""
    ended = []
    child = Child(tmp_path / "processes", frozenset(), lambda: ended.append(True))
    await child.start(msgspec.structs.replace(START, folder=str(tmp_path)), os.environ)
    core = child.core
    assert psutil.Process(core).name() == "wandb-core"
    assert json.loads((tmp_path / "processes").read_text())[1][0] == core
    with pytest.raises(ChildFailed, match="not open"):
        await child.ask(Ship("1", []), 5.0)
    assert await child.ask(Close("1", 0), 5.0) == Done()
    with pytest.raises(ChildLost, match=r"did not answer within 0 s"):
        await child.ask(Close("1", 0), 0.0)
    await child.kill()
    assert not psutil.pid_exists(core) or psutil.Process(core).status() == psutil.STATUS_ZOMBIE
    assert not (tmp_path / "processes").exists()
