"""A chart says what the points say, whatever they are."""

import math
import re

import pytest
from wayside_collector.report.chart import HEIGHT, LEFT, TOP, WIDTH, Line, Mark, draw, ticks


def line(ys: list[float], lows: list[float] | None = None, highs: list[float] | None = None, xs: object = None) -> Line:
    places = [float(place) for place in range(len(ys))] if xs is None else xs
    assert isinstance(places, list)
    return Line("a", 0, False, places, ys, lows or ys, highs or ys)


def paths(svg: str) -> list[str]:
    return re.findall(r' d="([^"]*)"', svg)


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path)]


def test_a_line_goes_through_its_points() -> None:
    """From left to right, larger values higher, all of it within the frame."""
    (path,) = paths(draw([line([1.0, 3.0, 2.0])], [], "m", "step"))
    (x0, y0), (x1, y1), (x2, y2) = points(path)
    assert LEFT == x0 < x1 < x2 <= WIDTH
    assert TOP <= y1 < y2 < y0 <= HEIGHT


def test_a_line_is_broken_where_there_is_no_number() -> None:
    """Nothing is drawn over a gap, and a point between two gaps is a dot."""
    svg = draw([line([1.0, 2.0, math.nan, 3.0, math.inf, 2.0, 1.0])], [], "m", "step")
    (path,) = paths(svg)
    assert path.count("M") == 3
    assert svg.count("<circle") == 1


def test_the_band_reaches_from_the_least_to_the_greatest() -> None:
    """An outlier that a mean hides is in the frame."""
    svg = draw([line([1.0, 1.0, 1.0], [1.0, -5.0, 1.0], [1.0, 9.0, 1.0])], [], "m", "step")
    band, mean = paths(svg)
    heights = [y for _, y in points(band)]
    assert min(heights) < min(y for _, y in points(mean)) < max(heights)
    assert min(heights) >= TOP
    assert max(heights) <= HEIGHT


@pytest.mark.parametrize(
    "ys", [[0.0], [5.0, 5.0], [1e300, -1e300], [1.7e308, -1.7e308], [5e-324, 0.0], [1e15, 1e15 + 1], [-0.0, 0.0]]
)
def test_odd_ranges(ys: list[float]) -> None:
    """One point, equal points, and the far ends of what a number can be: every coordinate is a finite number."""
    svg = draw([line(ys)], [], "m", "step")
    assert "nan" not in svg.replace('"NaN"', "")
    assert "inf" not in svg
    assert paths(svg)


def test_nothing_to_draw() -> None:
    """No finite point, or none at all: a sentence, and no empty chart."""
    for ys in ([], [math.nan], [math.inf, -math.inf]):
        assert "<svg" not in draw([line(ys)], [], "m", "step")


def test_marks_are_within() -> None:
    """What happened at a step that is shown is marked, with its words escaped; what happened elsewhere is not."""
    svg = draw([line([1.0, 2.0, 3.0])], [Mark(1.0, "<b>", 0), Mark(7.0, "late", 0)], "m", "step")
    assert "&lt;b&gt;" in svg
    assert "late" not in svg


def test_ticks_are_round_and_within() -> None:
    """At most as many as asked, none outside, each a multiple of 1, 2 or 5 times a power of ten."""
    for low, high in ((0.0, 1.0), (-3.7, 12.2), (0.00012, 0.00019), (1e6, 1.3e6), (-5.0, -4.9)):
        found = ticks(low, high, 5)
        assert 1 < len(found) <= 6
        assert all(low - 1e-9 <= tick <= high * (1 + 1e-9) + 1e-9 for tick in found)
        size = found[1] - found[0]
        assert round(size / 10 ** math.floor(math.log10(size) + 1e-9), 6) in (1, 2, 5, 10)
