"""`watch` with the real torch, on a CPU: the numbers are torch's own, and training is the same."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from client.conftest import Place
from client.media.heard import media
from frameworks.environments import frameworks
from memory import make_folder
from standins.journal_reading import Frames, read_journal

HERE = Path(__file__)
CLIENT = HERE.parents[3] / "client"

pytestmark = pytest.mark.timeout(600)  # the first test to need torch builds its environment


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frames]:
    """The journal of the watched training, which is run once."""
    place = Place(make_folder("test-"), tmp_path_factory.mktemp("overflow"))
    environ = {**place.environ, "PYTHONPATH": str(CLIENT), "OMP_NUM_THREADS": "1"}
    command = [str(frameworks()), str(HERE.with_name("watched.py"))]
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        yield read_journal(*place.journals())
    finally:
        shutil.rmtree(place.beside)


def config(found: Frames) -> dict[str, Any]:
    """All that the script set."""
    return {key: value for event in found.events if event.kind == "config" for key, value in event.data["set"].items()}


def test_no_operation_needs_to_know_a_value(found: Frames) -> None:
    """All that is asked of a layer can be queued for a device that has computed nothing yet."""
    assert config(found)["without_data"] == ["meta", 70]


def test_watched(found: Frames) -> None:
    """Every second pass: norm, least, greatest and mean of each layer, at the step of the next row; counts add up."""
    expected = config(found)["expected"]
    points: dict[tuple[int | None, str], float] = {}
    for row in found.rows:
        for name, value in row.metrics.items():
            points[row.step, name] = value
    layers = ["0.weight", "0.bias", "2.weight", "2.bias"]
    for step in (1, 3):
        for layer in layers:
            said = [points[step, f"gradients/{layer}/{one}"] for one in ("norm", "min", "max", "mean")]
            assert np.allclose(said, expected[f"{step}/{layer}"], rtol=1e-4, atol=1e-7)
            assert points[step, f"parameters/{layer}/norm"] > 0
    told = {(event.step, event.data["name"]): event.data for event in found.events if event.kind == "media"}
    sizes = dict(zip(layers, (32, 8, 8, 1), strict=True))
    for (_, name), one in told.items():
        _kind, _, layer = name.partition("/")
        if layer in sizes:
            assert one["type"] == "histogram"
            assert sum(one["values"]["counts"]) == sizes[layer], name
            assert (len(one["values"]["edges"]), one["values"]["edges"] == sorted(one["values"]["edges"])) == (65, True)
    assert {name for step, name in told if step in (1, 3)} == {
        f"{kind}/{layer}" for kind in ("gradients", "parameters") for layer in layers
    }
    assert not any(name.startswith("gradients/") for step, name in told if step in (0, 2))


def test_a_pass_is_one_row_of_the_open_step(found: Frames) -> None:
    """Before the row that is logged after it, and closing no step: W&B would else have a line for each layer."""
    rows = [
        (row.step, row.commit, len(row.metrics)) for row in found.rows if "loss" in row.metrics or row.step in (1, 3)
    ]
    passes = [(1, False, 32), (3, False, 32)]
    losses = [(step, True, 1) for step in range(4)]
    assert rows == [losses[0], passes[0], *losses[1:3], passes[1], losses[3]]


def test_a_large_layer_is_sampled(found: Frames) -> None:
    """Its numbers are of all of it, its histogram of an even part; what is NaN is told as NaN, and not counted."""
    layers = [one for one in media(found) if one["name"] == "gradients/weight"]
    large, broken = (sum(one["values"]["counts"]) for one in layers)
    assert (large, broken) == (1500 * 1500 // 3, 2)
    norms = [row.metrics["gradients/weight/norm"] for row in found.rows if "gradients/weight/norm" in row.metrics]
    assert norms[0] == pytest.approx(1500, rel=0.01)
    assert np.isnan(norms[1])


def test_torchs_own_tensors(found: Frames) -> None:
    """Are pictures with their channels first, and histograms."""
    told = {one["name"]: one for one in media(found)}
    assert (told["img"]["width"], told["img"]["height"]) == (7, 5)
    assert sum(told["hist"]["values"]["counts"]) == 100
