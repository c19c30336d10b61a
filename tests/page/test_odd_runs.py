"""Runs that are not as most are: what there is of them is shown, and what is not is said."""

import pytest
from e2e.machine import Collector
from page.conftest import Visiting
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(90)


def test_a_run_of_a_moment(visit: Visiting, odd: Collector) -> None:
    """A single point has some seconds around it, a count seen once says what it lacks."""
    v = visit(odd.url)
    v.open("/runs/short?axis=time")
    v.drawn("metrics/loss")
    over = v.chart("metrics/loss").locator(".u-over")
    for x in (40, 60):  # a mouse that only appears has not moved
        over.hover(position={"x": x, "y": 60})
    box, dot = over.bounding_box(), v.chart("metrics/loss").locator(".u-cursor-pt").bounding_box()
    assert dot["x"] + dot["width"] / 2 - box["x"] == pytest.approx(box["width"] / 2, abs=3), "in the middle"
    v.chart("~network/transmit_bytes_total").scroll_into_view_if_needed()
    expect(v.chart("~network/transmit_bytes_total").locator(".said")).to_have_text(
        "measured once: growth shows from the second time on"
    )
    expect(v.chart("~network/transmit_bytes_total").locator("canvas")).to_have_count(0)
