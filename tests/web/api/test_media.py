"""Pictures, tables and histograms of a run over HTTP: which there are, when, one of them, and its bytes, which a
browser must take for nothing else.
"""

import base64
from pathlib import Path
from typing import Any

import pytest
from wayside_collector.sinks.base import Context
from wayside_collector.sinks.store import StoreOptions, StoreSink
from wayside_collector.testing import make_event, make_parcel, make_session
from web.api.asking import asking

pytestmark = pytest.mark.asyncio

ID = "5" * 32
PICTURE = b"\x89PNG\r\n and so on"
HTML = b"<script>alert(1)</script>"
HISTOGRAM = {"edges": [0.0, 1.0, 2.0], "counts": [3, 4]}


def inline(data: bytes, format: str, **fields: Any) -> dict[str, Any]:
    return {"format": format, "base64": base64.b64encode(data).decode(), "size": len(data), **fields}


async def filled(folder: Path, **options: Any) -> str:
    """A store with three pictures at two steps, a table with one in a cell, a histogram, a page and a strange thing."""
    spool = folder / "spool"
    (spool / ID).mkdir(parents=True)
    (spool / ID / "2-0.png").write_bytes(PICTURE)
    sink = StoreSink(StoreOptions(**options))
    await sink.open(Context("store", folder / "sink", media=lambda name: spool / name))
    picture = {"name": "eval/a", "type": "image"}
    table = {"columns": ["n", "p"], "rows": [[1, {"media": inline(PICTURE, "png", type="image")}], *[[2, None]] * 300]}
    events = [
        make_event("media", {**picture, **inline(PICTURE, "png")}, seq=0, step=1, time=1e9),
        make_event("media", {**picture, **inline(PICTURE, "png"), "index": 1, "of": 2}, seq=1, step=1, time=1e9),
        make_event("media", {**picture, "format": "png", "file": f"{ID}/2-0.png"}, seq=2, step=5, time=1e9 + 5),
        make_event("media", {"name": "t", "type": "table", "values": table}, seq=3, time=1e9 + 6),
        make_event("media", {"name": "h", "type": "histogram", "values": HISTOGRAM}, seq=4, step=5, time=1e9 + 7),
        make_event("media", {"name": "page", "type": "html", **inline(HTML, "html")}, seq=5, step=5, time=1e9 + 8),
        make_event("media", {"name": "odd", "type": "image", **inline(HTML, "svg")}, seq=6, step=5, time=1e9 + 8),
        make_event("media", {"name": "gone", "type": "image", "lost": "why"}, seq=7, step=5, time=1e9 + 9),
    ]
    await sink.send(make_parcel(make_session("r1", rank=0, id=ID), events))
    await sink.close()
    (spool / ID / "2-0.png").unlink()
    return str(folder / "sink" / "store.db")


async def test_names_moments_and_items(tmp_path: Path) -> None:
    """In words: what was logged under which name, at which steps, and all of it at one of them."""
    async with asking(await filled(tmp_path)) as ask:
        names = (await ask.get("/runs/r1/media"))["media"]
        assert [(one["name"], one["type"], one["count"]) for one in names] == [
            ("eval/a", "image", 3), ("gone", "image", 1), ("h", "histogram", 1), ("odd", "image", 1),
            ("page", "html", 1), ("t", "table", 1),
        ]  # fmt: skip
        assert (names[0]["first_step"], names[0]["last_step"]) == (1, 5)
        moments = (await ask.get("/runs/r1/media/moments?name=eval/a"))["moments"]
        assert moments == [{"step": 1, "time": 1e9}, {"step": 5, "time": 1e9 + 5}]
        at_one = (await ask.get("/runs/r1/media/items?name=eval/a&step=1"))["items"]
        assert [(one["seq"], one["contents"]) for one in at_one] == [(0, [0]), (1, [0])]
        assert "base64" not in at_one[0]["data"]
        (latest,) = (await ask.get("/runs/r1/media/items?name=eval/a"))["items"]
        assert (latest["step"], latest["contents"], latest["rank"]) == (5, [0], 0)
        (told,) = (await ask.get("/runs/r1/media/items?name=h"))["items"]
        assert told["data"]["values"] == HISTOGRAM
        (lost,) = (await ask.get("/runs/r1/media/items?name=gone"))["items"]
        assert (lost["contents"], lost["data"]["lost"]) == ([], "why")
        assert (await ask.get("/runs/r1/media/items?name=nothing"))["items"] == []


async def test_a_table_comes_with_its_first_rows(tmp_path: Path) -> None:
    """How many it has is told, and a picture in a cell is had by its number; without a step it is had by its time."""
    async with asking(await filled(tmp_path)) as ask:
        (table,) = (await ask.get(f"/runs/r1/media/items?name=t&time={1e9 + 6}"))["items"]
        assert (table["rows"], len(table["data"]["values"]["rows"]), table["contents"]) == (301, 200, [1])
        status, _, body = await ask.raw(f"/runs/r1/media/{ID}/3/1/content")
        assert (status, body) == (200, PICTURE)


@pytest.mark.parametrize("seq", [0, 2])
async def test_bytes_come_as_what_they_are(tmp_path: Path, seq: int) -> None:
    """From the event or from the file that the store keeps, though the spool's is gone."""
    async with asking(await filled(tmp_path)) as ask:
        status, headers, body = await ask.raw(f"/runs/r1/media/{ID}/{seq}/0/content")
        assert (status, body, headers["Content-Type"]) == (200, PICTURE, "image/png")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Disposition"].startswith("inline")


async def test_a_page_is_shown_in_a_sandbox(tmp_path: Path) -> None:
    """It can reach neither our page nor the network, and what is no known format is saved, not shown."""
    async with asking(await filled(tmp_path)) as ask:
        _, headers, body = await ask.raw(f"/runs/r1/media/{ID}/5/0/content")
        assert body == HTML
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("sandbox allow-scripts; default-src 'none'")
        assert "allow-same-origin" not in policy
        _, headers, _ = await ask.raw(f"/runs/r1/media/{ID}/6/0/content")
        assert (headers["Content-Type"], headers["X-Content-Type-Options"]) == ("application/octet-stream", "nosniff")
        assert headers["Content-Disposition"] == 'attachment; filename="6-0.svg"'


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/runs/r1/media/{ID}/4/0/content", 404),
        (f"/runs/r1/media/{ID}/0/1/content", 404),
        (f"/runs/r1/media/{ID}/99/0/content", 404),
        (f"/runs/r2/media/{ID}/0/0/content", 404),
        ("/runs/r1/media/..%2f..%2fetc/0/0/content", 400),
        (f"/runs/r1/media/{ID}/x/0/content", 400),
        ("/runs/r1/media/items", 400),
        ("/runs/none/media", 404),
    ],
)
async def test_what_is_not_there(tmp_path: Path, path: str, status: int) -> None:
    """Is told in words."""
    async with asking(await filled(tmp_path)) as ask:
        assert (await ask.get(path, status))["error"]


async def test_the_oldest_bytes_go_and_what_is_told_of_them_stays(tmp_path: Path) -> None:
    """Beyond `max_media`; the item says that there are none any more."""
    async with asking(await filled(tmp_path, max_media=3)) as ask:
        (latest,) = (await ask.get("/runs/r1/media/items?name=eval/a&step=5"))["items"]
        assert latest["contents"] == []
        assert (await ask.get(f"/runs/r1/media/{ID}/2/0/content", 404))["error"]
