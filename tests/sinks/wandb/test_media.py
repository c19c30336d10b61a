"""Pictures, tables and histograms at W&B, through the real SDK: whole, in the line of their step, each once."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from sinks.wandb.media import PICTURE, holding, inline, media, row
from standins.wandb_backend import WandbBackend
from standins.wandb_pump import MiniPump, steps
from wayside_collector.sinks.base import Parcel, Part
from wayside_collector.sinks.wandb import WandbOptions
from wayside_collector.testing import make_event, make_parcel, make_session

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


async def test_media_join_the_row_of_their_step(backend: WandbBackend, pump: MiniPump, tmp_path: Path) -> None:
    """A picture from a file, a histogram and a list of pictures stand in the line of their step, as the SDK spells
    them, and W&B has their files before.
    """
    folder = holding(pump, tmp_path)
    (folder / "1-0.png").write_bytes(PICTURE)
    records = [
        row(0, 10),
        media(1, "eval/a", type="image", format="png", file="1-0.png", caption="first", width=1, height=1),
        media(2, "grad", type="histogram", values={"edges": [0.0, 1.0, 2.0], "counts": [3, 4]}),
        media(3, "many", type="image", index=0, of=2, width=1, height=1, **inline(PICTURE, "png")),
        media(4, "many", type="image", index=1, of=2, caption="b", **inline(PICTURE + b"x", "png")),
        row(5, 20),
    ]
    await pump.deliver(make_parcel(make_session("r1"), records), 50)
    one, two = backend.run("r1").rows
    assert (one["_step"], one["loss"], two["_step"]) == (10, 0.5, 20)
    picture = one["eval/a"]
    assert (picture["_type"], picture["caption"], picture["width"]) == ("image-file", "first", 1)
    assert backend.uploads[picture["path"]] == PICTURE
    assert backend.keyed == [], "the key is for W&B alone, not for where it keeps files"
    assert one["grad"] == {"_type": "histogram", "bins": [0.0, 1.0, 2.0], "values": [3, 4]}
    many = one["many"]
    assert (many["_type"], many["count"], many["captions"]) == ("images/separated", 2, [None, "b"])
    assert [backend.uploads[name] for name in many["filenames"]] == [PICTURE, PICTURE + b"x"]
    assert pump.retries == []
    kinds = [kind for kind, _ in backend.requests]
    uploaded = backend.requests.index(("upload", picture["path"]))
    assert uploaded < len(kinds) - 1 - kinds[::-1].index("file_stream")


@pytest.mark.parametrize(
    ("type", "format", "told"),
    [
        ("html", "html", "html-file"),
        ("video", "mp4", "video-file"),
        *(
            pytest.param(*one, marks=pytest.mark.long)
            for one in (
                ("audio", "wav", "audio-file"),
                ("plot", "json", "plotly-file"),
                ("object3d", "glb", "object3D-file"),
                ("plot", "html", "html-file"),
            )
        ),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_every_kind_is_what_the_sdk_calls_it(
    shared_backend: WandbBackend, shared: MiniPump, type: str, format: str, told: str
) -> None:
    """Its file is there under the name that the line gives; without a row of its step it has a line of its own."""
    run = f"kind-{type}-{format}"
    await shared.deliver(make_parcel(make_session(run), [media(0, "x", type=type, **inline(b"{}", format))]), 50)
    (line,) = shared_backend.run(run).rows
    assert line["x"]["_type"] == told
    assert shared_backend.uploads[line["x"]["path"]] == b"{}"


async def test_a_table_is_a_file_and_an_artifact(backend: WandbBackend, pump: MiniPump) -> None:
    """Cells of all kinds, a picture among them; the artifact is whole before the line is there."""
    cell = {"media": inline(PICTURE, "png", type="image")}
    values = {"columns": ["n", "s", "p"], "rows": [[1, "x", None], [2.5, None, cell]]}
    await pump.deliver(make_parcel(make_session("r1"), [row(0, 10), media(1, "t/b", type="table", values=values)]), 50)
    (line,) = backend.run("r1").rows
    told = line["t/b"]
    assert (told["_type"], told["ncols"], told["nrows"]) == ("table-file", 3, 2)
    assert json.loads(backend.uploads[told["path"]])["columns"] == ["n", "s", "p"]
    (artifact,) = backend.artifacts
    assert artifact.type == "run_table"
    assert f"artifacts/{artifact.id}/t/b.table.json" in backend.uploads


async def test_a_chart_of_a_table_is_drawn_by_wandb(backend: WandbBackend, pump: MiniPump) -> None:
    """What `wandb.plot` makes: the table under the name that the chart looks for, and the chart in the run's config."""
    values = {"columns": ["x", "y"], "rows": [[0, 1], [1, 2]]}
    plot = {"spec": "wandb/line/v0", "fields": {"x": "x", "y": "y"}, "strings": {"title": "T"}}
    records = [row(0, 10), media(1, "curve", type="plot", values=values, plot=plot)]
    session = make_session("r1")
    await pump.deliver(make_parcel(session, records), 50)
    (line,) = backend.run("r1").rows
    assert line["curve_table"]["_type"] == "table-file"
    await pump.deliver(make_parcel(session, [make_event("finish", {"exit_code": 0}, seq=9)]), 50)
    told = json.loads(backend.run("r1").config_json)["_wandb"]["value"]["visualize"]["curve"]
    assert (told["panel_type"], told["panel_config"]["panelDefId"]) == ("Vega2", "wandb/line/v0")


async def test_what_is_late_joins_a_later_line(backend: WandbBackend, pump: MiniPump) -> None:
    """Media whose step went before do not move the steps of the rows that follow."""
    session = make_session("r1")
    await pump.deliver(make_parcel(session, [row(0, 10), row(1, 11)]), 25)
    picture = media(2, "late", step=10, type="image", **inline(PICTURE, "png"))
    await pump.deliver(make_parcel(session, [picture, row(3, 12)]), 25)
    assert [line["_step"] for line in backend.run("r1").rows] == [10, 11, 12]
    assert "late" in backend.run("r1").rows[2]


async def test_what_makes_no_sense_costs_itself_only(backend: WandbBackend, pump: MiniPump) -> None:
    """A histogram that is none and a type nobody knows are refused; the row and its other media arrive."""
    records = [
        row(0, 10),
        media(1, "bad", type="histogram", values={"edges": [1], "counts": [1, 2]}),
        media(2, "odd", type="molecule", **inline(b"x", "pdb")),
        media(3, "good", type="image", **inline(PICTURE, "png")),
        media(4, "gone", type="image", lost="why"),
    ]
    session = make_session("r1")
    await pump.deliver(make_parcel(session, records), 50)
    (line,) = backend.run("r1").rows
    assert line["loss"] == 0.5
    assert {"bad", "odd", "gone"}.isdisjoint(line)
    assert line["good"]["_type"] == "image-file"
    assert pump.rejected.keys() == {(session.id, 1), (session.id, 2)}
    assert pump.counts["media_lost"] == 1


@pytest.mark.long
@pytest.mark.timeout(90)
@pytest.mark.parametrize("where", ["upload", "CreateRunFiles"])
async def test_a_file_that_fails_comes_again(backend: WandbBackend, pump: MiniPump, where: str) -> None:
    """Its line waits for it."""
    backend.fail(where, 503, times=2)
    await pump.deliver(make_parcel(make_session("r1"), [media(0, "x", type="image", **inline(PICTURE, "png"))]), 60)
    (line,) = backend.run("r1").rows
    assert backend.uploads[line["x"]["path"]] == PICTURE


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_after_a_crash_each_line_is_there_once_with_its_file(
    backend: WandbBackend, online: WandbOptions, tmp_path: Path
) -> None:
    """The child is killed while pictures go up: what was not acknowledged is sent again."""
    records: list[Any] = []
    for n in range(8):
        records += [row(2 * n, n), media(2 * n + 1, "p", n, type="image", **inline(PICTURE + bytes([n]), "png"))]
    async with MiniPump(online, tmp_path) as pump:
        session = make_session("r1")
        fault = backend.hang("upload")
        sending = asyncio.create_task(pump.send_once(Parcel([Part(session, records[:8], (), True)])))
        await asyncio.to_thread(backend.wait_for, lambda: fault.met > 0, 30)
        child = pump.sink._tools.runs.child
        assert child is not None
        os.kill(child.pid, signal.SIGKILL)
        fault.release.set()
        await sending
        await pump.deliver(make_parcel(session, records), 60)
    lines = backend.run("r1").rows
    assert [line["_step"] for line in lines] == list(range(8))
    assert [backend.uploads[line["p"]["path"]][-1] for line in lines] == list(range(8))


async def test_rows_without_media_ask_for_nothing_more(backend: WandbBackend, pump: MiniPump) -> None:
    """No file of the run is uploaded that nobody saved."""
    session = make_session("r1")
    await pump.deliver(make_parcel(session, [*steps(5), make_event("finish", {"exit_code": 0}, seq=9)]), 50)
    assert backend.uploads == {}
