"""wandb's own objects, as a script whose wandb is diverted logs them: made by the real SDK, told as ours."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb
import wayside
from client.conftest import Place
from client.media.heard import finished, media
from wayside.media.recognise import medium_of

PIXELS = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)


@pytest.fixture
def html(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_text("<b>hi</b>")
    return path


def test_every_kind(place: Place, html: Path, tmp_path: Path) -> None:
    """Pictures, histograms, tables, pages, videos, charts keep their bytes, values and captions."""
    wayside.init()
    gif = tmp_path / "a.gif"
    gif.write_bytes(b"GIF89a frames")
    table = wandb.Table(columns=["a", "p"], data=[[1, wandb.Image(PIXELS)]])
    wayside.log(
        {
            "img": [wandb.Image(PIXELS, caption="one"), wandb.Image(PIXELS)],
            "hist": wandb.Histogram([1.0, 2.0, 2.0], num_bins=2),
            "table": table,
            "html": wandb.Html(str(html), inject=False),
            "video": wandb.Video(str(gif), caption="v"),
            "chart": wandb.plot.line(wandb.Table(columns=["x", "y"], data=[[1, 2]]), "x", "y", title="T"),
            "loss": 0.5,
        }
    )
    found = finished(place)
    assert found.rows[0].metrics == {"loss": 0.5}
    told = {f"{one['name']}{one.get('index', '')}": one for one in media(found)}
    assert told["img0"]["caption"] == "one"
    assert (told["img0"]["format"], told["img0"]["width"], told["img0"]["of"]) == ("png", 2, 2)
    assert told["hist"]["values"] == {"edges": [1.0, 1.5, 2.0], "counts": [1, 2]}
    assert told["table"]["values"]["rows"][0][1]["media"]["width"] == 2
    assert base64.b64decode(told["html"]["base64"]) == b"<b>hi</b>"
    assert (told["video"]["type"], told["video"]["format"], told["video"]["caption"]) == ("video", "gif", "v")
    assert told["chart"]["plot"] == {
        "spec": "wandb/line/v0",
        "fields": {"x": "x", "y": "y", "stroke": None},
        "strings": {"title": "T"},
    }
    assert told["chart"]["values"] == {"columns": ["x", "y"], "rows": [[1, 2]]}


def test_the_same_as_ours() -> None:
    """A chart, a histogram and a table of wandb's say what ours say."""
    rows: list[Any] = [[1, 2], [3, 4]]
    for theirs, ours in (
        (wandb.Histogram([1, 2, 3]), wayside.Histogram([1, 2, 3])),
        (wandb.Table(columns=["x", "y"], data=rows), wayside.Table(columns=["x", "y"], data=rows)),
        (
            wandb.plot.scatter(wandb.Table(columns=["x", "y"], data=rows), "x", "y"),
            wayside.plot.scatter(wayside.Table(columns=["x", "y"], data=rows), "x", "y"),
        ),
    ):
        medium = medium_of(theirs)
        assert medium is not None
        assert medium._snapshot()._encode() == ours._snapshot()._encode()
        assert medium._type == ours._type


def test_what_is_none_of_them() -> None:
    """A run, a class, a plain object of wandb's are no media."""
    for value in (wandb.Settings(), wandb.Image, object(), "wandb.Image", io.BytesIO()):
        assert medium_of(value) is None
