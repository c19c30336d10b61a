"""A million points: one that is far off is seen at every zoom, and each zoom is asked for anew."""

from typing import Any

import pytest
from e2e.machine import Collector
from page.browsing import Visit
from page.conftest import Visiting
from page.filling import SPIKE
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(120)  # a million points are written first

STEP, VALUE = SPIKE


def drag(visit: Visit, begin: float, end: float) -> dict[str, list[str]]:
    """Drag over a part of the chart; what was asked for."""
    before = visit.drawn("train/loss")
    visit.data_asked()
    box: Any = visit.chart("train/loss").locator(".u-over").bounding_box()
    y = box["y"] + 40
    visit.page.mouse.move(box["x"] + box["width"] * begin, y)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + box["width"] * (begin + end) / 2, y)
    visit.page.mouse.move(box["x"] + box["width"] * end, y)
    visit.page.mouse.up()
    expect(visit.chart("train/loss").locator(".plot")).not_to_have_attribute("aria-label", before)
    visit.page.mouse.move(0, 0)
    (asked,) = visit.data_asked()
    return asked


def drawn_above(visit: Visit) -> str:
    """What is drawn in the chart's upper half, where only what is far off reaches: the band's thin edge, the line
    itself, or nothing.
    """
    strongest: int = (
        visit.chart("train/loss")
        .locator("canvas")
        .evaluate(
            """canvas => {
          const { width, height } = canvas;
          const { data } = canvas.getContext("2d").getImageData(width * 0.2, height * 0.1, width * 0.75, height * 0.4);
          let found = 0; // how strong the blue is; what lies on the opaque grid is as pale as it is weak
          for (let i = 0; i < data.length; i += 4) {
            const [red, , blue, alpha] = data.slice(i, i + 4);
            if (blue - red > 40) found = Math.max(found, red < 60 ? alpha : 100);
          }
          return found;
        }"""
        )
    )
    return "line" if strongest > 230 else "edge" if strongest > 60 else "nothing"


def test_one_point_in_a_million(visit: Visiting, million: Collector) -> None:
    """The whole, and every part it is in, reach up to it; a part it is not in does not."""
    v = visit(million.url, expected=("willReadFrequently",))  # since the test reads pixels
    page = v.open("/runs/million")
    assert v.drawn("train/loss").startswith("train/loss: 1,000,000 points")
    assert v.drawn("train/loss").endswith("to 1,000,000")
    assert drawn_above(v) == "edge", "the mean of its bucket is a thousandth of it"
    low, high = 0.0, 999_999.0
    while high - low > 2000:
        asked = drag(v, 0.55, 0.75) if low == 0 else drag(v, *_around(STEP, low, high))
        shown = [float(v.params()[name][0]) for name in ("from", "to")]
        assert low < shown[0] <= STEP <= shown[1] < high
        assert [float(asked[name][0]) for name in ("from", "to")] == [int(shown[0]), -int(-shown[1] // 1)]
        low, high = shown
        assert v.drawn("train/loss").endswith("to 1,000,000"), (low, high)
        assert drawn_above(v) in ("edge", "line")
    assert f"step {round(low):,} to step {round(high):,}" in v.drawn("train/loss")
    v.open("/runs/million?from=100&to=653000")
    assert not v.drawn("train/loss").endswith("to 1,000,000")
    v.open("/runs/million?band=0")
    v.drawn("train/loss")
    assert drawn_above(v) == "line", "without the band the axis ends at the greatest mean"
    v.open("/runs/million?from=100&to=653000")
    expect(page.locator(".range")).to_contain_text("step 100 \N{EN DASH} 653,000")


def _around(step: int, low: float, high: float) -> tuple[float, float]:
    middle = (step - low) / (high - low)
    return max(0.02, middle - 0.15), min(0.98, middle + 0.15)


def test_ways_out(visit: Visiting, million: Collector) -> None:
    """Double-click, the button, 0 and the browser's Back all show what was before; + and - zoom without a mouse."""
    v = visit(million.url)
    page = v.open("/runs/million")
    whole = v.drawn("train/loss")
    plot = v.chart("train/loss").locator(".plot")
    for way in ("double-click", "button", "key", "back"):
        drag(v, 0.2, 0.4)
        if way == "double-click":
            v.chart("train/loss").locator(".u-over").dblclick()
        elif way == "button":
            page.get_by_role("button", name="Show all").click()
        elif way == "key":
            page.keyboard.press("0")
        else:
            page.go_back()
        expect(plot).to_have_attribute("aria-label", whole)
        assert v.params() == {}
    page.keyboard.press("+")
    expect(plot).not_to_have_attribute("aria-label", whole)
    assert [float(v.params()[name][0]) for name in ("from", "to")] == pytest.approx([250_000, 750_000], abs=2)
    page.keyboard.press("-")
    expect(plot).to_have_attribute("aria-label", whole)
