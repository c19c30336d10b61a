"""Runs that are not as most are: what there is of them is shown, and what is not is said."""

import pytest
from e2e.machine import Collector
from page.browsing import PHONE
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


def test_rows_without_steps(visit: Visiting, odd: Collector) -> None:
    """They are drawn over time, which is said, and can be zoomed into; who wants steps reads that there are none."""
    v = visit(odd.url)
    page = v.open("/runs/stepless")
    assert "10 points, from 0.41 to 0.5" in v.drawn("metrics/loss")
    expect(page.get_by_role("radio", name="Time")).to_be_checked()
    expect(page.get_by_role("toolbar")).to_contain_text("No row has a step: this is over time.")
    expect(v.chart("metrics/loss").locator(".readout b")).to_have_text("0.41")
    page.keyboard.press("+")
    expect(page.locator(".range")).to_contain_text("2026-01-01")
    page.get_by_text("Step", exact=True).last.click()
    expect(v.chart("metrics/loss").locator(".readout")).to_contain_text("no steps: over time")
    assert "10 points" in v.drawn("metrics/loss")


def test_points_that_are_no_numbers(visit: Visiting, odd: Collector) -> None:
    """Counted are those of the ranks that are drawn."""
    v = visit(odd.url)
    page = v.open("/runs/ranks")
    readout = v.chart("metrics/loss").locator(".readout")
    expect(readout).to_contain_text("2 not finite")
    page.get_by_label("Ranks").select_option("all")
    expect(readout).to_contain_text("4 not finite")


def test_hidden_metrics(visit: Visiting, odd: Collector) -> None:
    """What define_metric hides has no chart until somebody wants it, which its address tells."""
    v = visit(odd.url)
    page = v.open("/runs/hiding")
    expect(page.locator(".card .title")).to_have_text(["useful", "loss"])
    expect(page.get_by_text("define_metric hides 2 charts.")).to_be_visible()
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".card .title")).to_have_text(["a", "b", "useful", "loss"])
    assert v.params() == {"hidden": ["1"]}
    page.reload()
    expect(page.locator(".card")).to_have_count(4)
    page.get_by_role("button", name="Hide", exact=True).click()
    expect(page.locator(".card")).to_have_count(2)


def test_a_phone_shows_all_tabs(visit: Visiting, odd: Collector) -> None:
    """None of them is off the edge, where nobody would look for it."""
    page = visit(odd.url, viewport=PHONE).open("/runs/short")
    tabs = page.locator(".tabs a")
    expect(tabs).to_have_count(6)
    for tab in tabs.all():
        expect(tab).to_be_in_viewport(ratio=1)
