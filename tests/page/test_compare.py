"""Several runs over each other."""

import pytest
from e2e.machine import Collector
from page.conftest import Visiting
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(90)


def test_two_runs(visit: Visiting, usual: Collector) -> None:
    """A line for each in every chart, the config where it differs, last and best values, the best marked."""
    v = visit(usual.url)
    page = v.open("/compare?runs=sft-1,sft-2")
    expect(page.locator(".differences")).to_contain_text("One value of their configs differs")
    expect(page.locator(".differences tbody tr")).to_have_count(1)
    expect(page.locator(".differences tbody tr")).to_have_text("lr0.00010.0002")
    assert "2 lines" in v.drawn("train/loss")
    expect(v.chart("train/loss").locator(".legend span")).to_have_text(["llama-8b lr 1e-4", "llama-8b lr 2e-4"])
    row = page.locator(".best tr", has=page.get_by_text("val/loss", exact=True))
    expect(row).to_contain_text("less is better")
    expect(row.locator("td").nth(2).locator(".won")).to_have_count(1)
    expect(row.locator("td").nth(1).locator(".won")).to_have_count(0)
    expect(page.locator(".best tr", has=page.get_by_text("train/lr", exact=True)).locator(".won")).to_have_count(0)


def test_an_address_to_send(visit: Visiting, usual: Collector) -> None:
    """Runs, axis and range stand in the address: opened elsewhere it shows the same."""
    v = visit(usual.url)
    v.open("/compare?runs=sft-1,sft-2,moe-1&axis=elapsed&from=100&to=200&smooth=0.5")
    there = v.drawn("train/loss")
    assert "3 lines" in there
    assert "1:40 to 3:20" in there
    starts = {one["from"][0] for one in v.data_asked()}
    assert len(starts) == 3, "each run is asked for by its own clock"
    other = visit(usual.url)
    other.open(v.page.url.removeprefix(usual.url))
    assert other.drawn("train/loss") == there
    other.page.get_by_label("Without moe-1").click()
    assert "2 lines" in other.drawn("train/loss")


@pytest.mark.parametrize("runs", ["", "sft-1", "sft-1,sft-1", "a,b,c,d,e,f"])
def test_nothing_to_compare(visit: Visiting, usual: Collector, runs: str) -> None:
    """Fewer than two and more than five are none, and the page says how to choose."""
    page = visit(usual.url).open(f"/compare?runs={runs}")
    expect(page.get_by_role("heading", name="Nothing to compare")).to_be_visible()
    expect(page.locator("main")).to_contain_text("Choose them in the list")


def test_a_run_that_is_gone(visit: Visiting, usual: Collector) -> None:
    """The others are compared, and which is not here is said; with one left there is the way to it."""
    v = visit(usual.url, expected=("404",))
    page = v.open("/compare?runs=sft-1,gone,sft-2")
    expect(page.locator(".ending")).to_contain_text("Run gone is not here")
    assert "2 lines" in v.drawn("train/loss")
    expect(page.locator(".best th")).to_have_text(["Metric", "llama-8b lr 1e-4", "llama-8b lr 2e-4"])
    page.get_by_role("link", name="Go on without").click()
    expect(page.locator(".ending")).to_have_count(0)
    assert v.params() == {"runs": ["sft-1,sft-2"]}
    page = v.open("/compare?runs=lost,sft-1,gone")
    expect(page.get_by_role("heading", name="Nothing to compare")).to_be_visible()
    expect(page.locator("main")).to_contain_text("Runs lost, gone are not here")
    expect(page.get_by_role("link", name="Open llama-8b lr 1e-4")).to_have_attribute("href", "/runs/sft-1")
