"""The files that trainings ask for by PRIMUS_LENS_WANDB_OUTPUT_PATH: where they lie, and what nobody can make of it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from sinks.test_jsonl import Desk
from wayside_collector.session import Primus, Session
from wayside_collector.sinks.base import Parcel, Part, Retry
from wayside_collector.sinks.jsonl import JsonlOptions, leaves_out, writes_output
from wayside_collector.sinks.primus_files import MAX_OPEN, PrimusLayout, output_of
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session

pytestmark = pytest.mark.asyncio
FILE = "node_0/rank_0/wandb_metrics.jsonl"


def asking(output: Path | str | None, *, enhance: bool = False, **more: Any) -> Session:
    primus = Primus(output=None if output is None else str(output), enhance=enhance)
    return make_session("r1", primus=primus, **{"local_rank": 0, **more})


async def desk(root: Path, **options: Any) -> Desk:
    os.makedirs(root, exist_ok=True)
    return await Desk(root.parent / "own", layout="primus", outputs=(str(root),), **options).open()


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def steps(path: Path) -> list[int]:
    return [line["step"] for line in written(path)]


# --- whose files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        *[("/mnt/out", "/mnt/out"), ("/mnt/out/a/../b/", "/mnt/out/b"), ("/mnt/out//x", "/mnt/out/x")],
        *[
            ("/mnt/outer", None),
            ("/mnt/out/../etc", None),
            ("out", None),
            ("/", None),
            (None, None),
            ("/mnt/out\0", None),
        ],
    ],
)
async def test_a_path_is_followed_below_a_root_only(asked: str | None, found: str | None) -> None:
    """By its name alone, whatever is on the disk."""
    session = asking(asked)
    assert output_of(session, ["/elsewhere", "/mnt/out/"]) == found
    options = JsonlOptions(layout="primus", outputs=("/mnt/out",))
    assert writes_output(session, options) is (found is not None)
    assert leaves_out(session, options) == (None if found else "no_output_path")
    assert leaves_out(session, JsonlOptions()) is leaves_out(session, JsonlOptions(layout="primus")) is None


async def test_options_that_cannot_be() -> None:
    """Roots are absolute, and mean nothing to other layouts."""
    assert JsonlOptions(layout="primus", outputs=("out",)).check() == ["outputs: 'out' must be an absolute path"]
    assert JsonlOptions(outputs=("/out",)).check() == ["outputs: has no meaning without layout: primus"]
    assert JsonlOptions(layout="primus", outputs=("/out",)).check() == []


async def test_each_session_has_its_file_where_it_asked(tmp_path: Path) -> None:
    """By node and local rank; a call's texts are on its line; several sessions of one place share its file."""
    root = tmp_path / "out"
    sink = await desk(root)
    for asked in (asking(root), asking(root / "b", node_rank=1, local_rank=3), asking(root)):
        rows = make_rows(2, {"loss": 0.5})
        text = make_event("text", {"values": {"stage": "a"}}, seq=9, step=rows[1].step, time=rows[1].time)
        sink.session = asked
        await sink.send(*rows, text)
    assert steps(root / FILE) == [0, 1, 0, 1]
    assert written(root / "b/node_1/rank_3/wandb_metrics.jsonl")[1]["data"] == {"loss": 0.5, "stage": "a"}
    assert not (tmp_path / "own").exists()
    await sink.sink.close()


async def test_hardware_for_those_who_want_it(tmp_path: Path) -> None:
    """Under the exporter's names, the latest values, on each line; nothing for a run that asked for none."""
    root = tmp_path / "out"
    sink = await desk(root)
    wants, other = asking(root, enhance=True), asking(root / "b")
    system = make_session(kind="system")
    sample = {"host/cpu_utilization_ratio": 0.25, "gpu/0/utilization_ratio": 0.5, "gpu/0/memory_used_bytes": 2.0**21}
    rows = make_rows(1, {"loss": 0.5})
    await sink.sink.send(
        Parcel([Part(system, make_rows(1, sample), (wants, other)), Part(wants, rows), Part(other, rows)])
    )
    assert written(root / FILE)[0]["data"] == {
        "loss": 0.5,
        "_primus_sys_cpu_percent": 25.0,
        "_primus_gpu_0_util": 50.0,
        "_primus_gpu_0_mem_used_mb": 2.0,
    }
    assert written(root / "b" / FILE)[0]["data"] == {"loss": 0.5}
    await sink.sink.close()


# --- with others in the folder ---------------------------------------------------------------------------------------


async def test_files_of_a_client_are_left_alone(tmp_path: Path) -> None:
    """What is there already, the first file and later ones, is never written to, cut or removed."""
    root = tmp_path / "out"
    (root / "node_0/rank_0").mkdir(parents=True)
    theirs = {root / FILE: b"theirs\n", root / "node_0/rank_0/wandb_metrics-00000003.jsonl": b"theirs too\n"}
    for path, text in theirs.items():
        path.write_bytes(text)
    sink = await desk(root, max_size=300)
    sink.session = asking(root)
    for step in range(12):
        await sink.send(*make_rows(1, seq=step, step=step))
    await sink.sink.close()
    await sink.open()
    await sink.send(*make_rows(1, seq=90, step=90))
    await sink.sink.close()
    assert {path: path.read_bytes() for path in theirs} == theirs
    ours = [path for path in sorted(root.rglob("*.jsonl")) if path not in theirs]
    assert [step for path in ours for step in steps(path)] == [*range(12), 90]


async def test_what_was_not_committed_is_cut_off(tmp_path: Path) -> None:
    """After a crash what the pump sends again stands there once."""
    root = tmp_path / "out"
    sink = await desk(root)
    sink.session = asking(root)
    await sink.send(*make_rows(3))
    await sink.sink.send(make_parcel(sink.session, make_rows(2, seq=3, step=3)))  # its commit is lost
    await sink.open()
    await sink.send(*make_rows(4, seq=3, step=3))
    assert steps(root / FILE) == [0, 1, 2, 3, 4, 5, 6]
    await sink.sink.close()


async def test_a_folder_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    """The user cleans up while his run goes on: what comes after that is there."""
    root = tmp_path / "out"
    sink = await desk(root)
    sink.session = asking(root / "run")
    await sink.send(*make_rows(1))
    for path in sorted((root / "run").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (root / "run").rmdir()
    await sink.send(*make_rows(2, seq=1, step=1))
    assert [step for path in (root / "run").rglob("*.jsonl") for step in steps(path)] == [1, 2]
    await sink.sink.close()


# --- what a trainer may plant ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["run", "run/node_0", "run/node_0/rank_0"])
async def test_no_link_leads_out_of_the_root(where: str, tmp_path: Path) -> None:
    """Wherever it stands on the way: rows wait, the error names the path, and nothing is written behind the link."""
    root, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    (root / where).parent.mkdir(parents=True)
    (root / where).symlink_to(outside)
    sink = await desk(root)
    sink.session = asking(root / "run")
    with pytest.raises(Retry, match="out/run/node_0/rank_0 cannot be written"):
        await sink.send(*make_rows(1))
    assert list(outside.iterdir()) == []
    await sink.sink.close()


@pytest.mark.parametrize("kind", ["link", "hard link", "fifo", "folder"])
async def test_nothing_but_a_plain_file_is_written_to(kind: str, tmp_path: Path) -> None:
    """Not behind a link, not into a pipe, which would hang, nor what has another name: the next number is taken."""
    root, outside = tmp_path / "out", tmp_path / "outside"
    outside.write_text("mine\n")
    sink = await desk(root, max_size=1)
    sink.session = asking(root)
    await sink.send(*make_rows(1))
    (root / FILE).unlink()
    if kind == "link":
        (root / FILE).symlink_to(outside)
    elif kind == "hard link":
        (root / FILE).hardlink_to(outside)
    elif kind == "fifo":
        os.mkfifo(root / FILE)
    else:
        (root / FILE).mkdir()
    await sink.open()
    await sink.send(*make_rows(1, seq=1, step=1))
    assert outside.read_text() == "mine\n"
    assert steps(root / "node_0/rank_0/wandb_metrics-00000002.jsonl") == [1]
    await sink.sink.close()


async def test_few_folders_are_held_open(tmp_path: Path) -> None:
    """However many ranks there are, and after close none."""
    root = tmp_path / "out"
    root.mkdir()
    layout = PrimusLayout(tmp_path, [str(root)])
    before = len(os.listdir("/proc/self/fd"))
    for rank in range(MAX_OPEN + 20):
        assert layout.folder(f"{root}/node_0/rank_{rank}/wandb_metrics", make=True).is_dir()
    assert len(os.listdir("/proc/self/fd")) == before + MAX_OPEN
    layout.close()
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(PermissionError):
        layout.folder("/etc/node_0/wandb_metrics", make=True)
