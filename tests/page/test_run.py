"""One run: what a person reads there, whatever became of it, and the ways to look at its charts."""

import pytest
from e2e.machine import Collector
from page.conftest import Visiting
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(90)


def test_what_a_person_reads(visit: Visiting, usual: Collector) -> None:
    """Name, state, tags, how far it came, last loss, where it ran; charts in groups, losses first, hardware last."""
    v = visit(usual.url)
    page = v.open("/runs/sft-2")
    expect(page.get_by_role("heading", level=1)).to_have_text("llama-8b lr 2e-4")
    head = page.locator(".run-head")
    for text in ("finished", "long", "best", "999 / 1,000", "8k context", "node-17", "33 min", "job-sft-2"):
        expect(head).to_contain_text(text)
    expect(page.locator(".charts h2 button")).to_have_text(["▾train", "▾val", "▾perf", "▾gpu", "▾host", "▾network"])
    assert page.locator('[data-group="train"] .title').all_inner_texts()[0] == "loss"
    assert "1,000 points, from 1." in v.drawn("train/loss")
    last = page.locator('[data-chart="train/loss"] .readout')
    assert last.inner_text() == page.locator(".facts dd", has_text="1.3").first.inner_text()


def test_only_what_is_on_the_screen_is_asked_for(visit: Visiting, usual: Collector) -> None:
    """Charts further down are fetched when they come into sight, few of them in a request."""
    v = visit(usual.url, viewport={"width": 700, "height": 500})
    v.open("/runs/sft-1")
    v.drawn("train/loss")
    first = v.data_asked()
    assert not any("network" in name for one in first for name in one["metric"])
    assert all(len(one["metric"]) <= 8 and int(one["max_points"][0]) <= 800 for one in first)
    v.chart("~network/transmit_bytes_total").scroll_into_view_if_needed()
    assert "B/s" in v.chart("~network/transmit_bytes_total").locator(".readout b").inner_text()
    assert any("network/eth0/transmit_bytes_total" in one["metric"] for one in v.data_asked())


def test_hardware_beside_the_training(visit: Visiting, usual: Collector) -> None:
    """Both GPUs are lines of one chart, in their units; on the axis of time they have the training's."""
    v = visit(usual.url)
    page = v.open("/runs/sft-1?axis=time")
    chart = v.chart("~gpu/power_watts")
    chart.scroll_into_view_if_needed()
    assert "2 lines" in v.drawn("~gpu/power_watts")
    expect(chart.locator(".legend li")).to_have_count(2)
    expect(chart.locator(".legend")).to_contain_text("W")
    page.get_by_text("Hardware", exact=True).click()
    expect(page.locator(".charts h2 button")).to_have_text(["▾gpu", "▾host", "▾network"])
    page.get_by_text("Training", exact=True).click()
    expect(page.locator(".charts h2 button")).to_have_text(["▾train", "▾val", "▾perf"])


def test_ways_to_look(visit: Visiting, usual: Collector) -> None:
    """Axis, smoothing, logarithm, ranks, filter, a large chart: all stand in the address, which shows them again."""
    v = visit(usual.url)
    page = v.open("/runs/sft-1")
    v.drawn("train/loss")
    page.get_by_text("Elapsed", exact=True).click()
    page.get_by_label("Log scale").check()
    page.get_by_label("Min\N{EN DASH}max").uncheck()
    page.get_by_label("Ranks").select_option("all")
    page.get_by_label("Smoothing").fill("0.9")
    page.get_by_label("Find a chart").fill("train loss")
    expect(page.locator(".card")).to_have_count(1)
    page.get_by_label("Make loss large").click()
    expect(v.chart("train/loss").locator(".legend li")).to_have_count(2)
    wanted = {
        "axis": ["elapsed"],
        "log": ["1"],
        "band": ["0"],
        "ranks": ["all"],
        "smooth": ["0.9"],
        "show": ["train loss"],
        "wide": ["train/loss"],
    }
    assert v.params() == wanted
    smoothed = v.chart("train/loss").locator(".legend").inner_text()
    v.data_asked()
    page.reload()
    expect(v.chart("train/loss").locator(".legend")).to_have_text(smoothed, use_inner_text=True)
    expect(page.locator(".card.wide")).to_have_count(1)
    assert v.params() == wanted
    (asked,) = v.data_asked()
    assert (asked["axis"], asked["rank"]) == (["time"], ["0", "1"])


def test_the_cursor_reads_all_charts(visit: Visiting, usual: Collector) -> None:
    """Over one chart, the others tell their values at the same step."""
    v = visit(usual.url)
    v.open("/runs/sft-1")
    v.drawn("train/loss")
    v.drawn("train/grad_norm")
    for x in (120, 150):  # a mouse that only appears has not moved
        v.chart("train/loss").locator(".u-over").hover(position={"x": x, "y": 60})
    told = [v.chart(id).locator(".where") for id in ("train/loss", "train/grad_norm")]
    expect(told[1]).to_contain_text("step ")
    steps = [int(one.inner_text().removeprefix("step ").replace(",", "")) for one in told]
    assert abs(steps[0] - steps[1]) <= 3, "a bucket's first step is its own"


def test_alerts_stand_on_the_charts(visit: Visiting, usual: Collector) -> None:
    """At their step, with their words, and counted at the events."""
    v = visit(usual.url)
    page = v.open("/runs/sft-1")
    v.drawn("train/loss")
    mark = v.chart("train/loss").get_by_label("Alert: Throughput fell: by a fifth, for a minute")
    expect(mark).to_be_visible()
    over = v.chart("train/loss").locator(".u-over").bounding_box()
    at = mark.bounding_box()
    assert at["x"] - over["x"] == pytest.approx(over["width"] * 402 / 999, abs=12)
    page.get_by_role("link", name="Events").click()
    expect(page.locator(".event-alert")).to_contain_text("Throughput fell")
    page.get_by_label("Kind of event").select_option("finish")
    expect(page.locator(".event")).to_have_count(2)


def test_what_else_is_known(visit: Visiting, usual: Collector) -> None:
    """Config by path, metrics in numbers, command, code with its changes, packages, and the processes."""
    v = visit(usual.url)
    page = v.open("/runs/sft-2")
    page.get_by_role("link", name="Config").click()
    row = page.locator("tr", has_text="optimizer.betas")
    expect(row).to_contain_text("[0.9,0.95]")
    page.get_by_role("link", name="Summary").click()
    row = page.locator("tr", has_text="val/loss").first
    expect(row).to_contain_text("20")
    page.get_by_label("Find a metric").fill("power")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("link", name="Code & environment").click()
    for text in ("train.py --lr 2e-4 --config 'configs/llama 8b.yaml'", "longer-context", "torchrun", "2 processes"):
        expect(page.locator("main")).to_contain_text(text)
    page.get_by_text("Changes that were not committed").click()
    expect(page.locator(".diff .plus").last).to_have_text("+lr = 2e-4\n")
    page.get_by_text("4 packages").click()
    expect(page.locator("tr", has_text="torch").last).to_contain_text("2.9.1")


@pytest.mark.parametrize(
    ("run", "told"),
    [
        ("moe-1", ["crashed", "ended without a word", "Every row it had logged until then is here"]),
        ("moe-2", ["failed (exit 1)", "exit code 1", "20 not finite"]),
        ("empty-1", ["finished", "Nothing was logged yet"]),
    ],
)
def test_runs_that_went_otherwise(visit: Visiting, usual: Collector, run: str, told: list[str]) -> None:
    """Crashed, failed and empty runs say what they are; what they logged is drawn."""
    v = visit(usual.url)
    page = v.open(f"/runs/{run}")
    for text in told:
        expect(page.locator("main")).to_contain_text(text)
    if run != "empty-1":
        assert "points, from" in v.drawn("train/loss")
    page.get_by_role("link", name="Code & environment").click()
    expect(page.locator("main")).to_contain_text("told nothing of its code")
