"""A run while it runs: what it logs is seen without a hand on the mouse, and what becomes of it, too."""

import signal

import pytest
from e2e.machine import Collector, Machine, until
from page.browsing import Visit
from page.conftest import CONFIG, Visiting
from page.running import Training
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def collector(machine: Machine) -> Collector:
    return machine.collector(CONFIG).wait_ready()


def step_shown(visit: Visit) -> int:
    text = visit.page.locator(".facts div", has_text="Step").locator("dd").inner_text()
    return int(text.replace(",", "")) if text[:1].isdigit() else -1


def test_watched_from_its_url_to_its_end(machine: Machine, collector: Collector, visit: Visiting) -> None:
    """run.url leads to the run; steps, values, new metrics and alerts come by themselves, and so does the end."""
    training = Training(machine)
    v = visit(collector.url)
    until(lambda: "train/loss" in _series(v, "now"), "the first rows in the store")
    assert training.url == f"{collector.url}/runs/now"
    page = v.open("/runs/now")
    expect(page.get_by_role("heading", level=1)).to_have_text("watched")
    expect(page.locator(".run-head")).to_contain_text("running")
    v.drawn("train/loss")
    shown, value = step_shown(v), v.chart("train/loss").locator(".readout b").inner_text()
    until(lambda: step_shown(v) > shown + 20, "later steps")
    expect(v.chart("train/loss").locator(".readout b")).not_to_have_text(value)
    training.tell("more")
    v.drawn("val/accuracy")
    training.tell("alert")
    expect(page.locator(".tabs")).to_contain_text("⚑ 1")
    expect(v.chart("train/loss").get_by_label("Alert: Too hot: GPU 3")).to_be_attached()
    training.tell("stop")
    expect(page.locator(".run-head")).to_contain_text("finished")
    assert training.process.wait(30) == 0
    assert not page.locator(".away").count()


def test_a_run_that_is_killed_turns_crashed_before_ones_eyes(
    machine: Machine, collector: Collector, visit: Visiting
) -> None:
    """In the list a new run appears by itself, and its row tells when its process is gone."""
    v = visit(collector.url)
    page = v.open("/")
    expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    training = Training(machine)
    row = page.locator('[data-run="now"]')
    expect(row).to_contain_text("running")
    expect(row).to_contain_text("watched")
    training.process.send_signal(signal.SIGKILL)
    expect(row).to_contain_text("crashed")
    row.get_by_role("link", name="watched").click()
    expect(page.locator(".ending")).to_contain_text("Every row it had logged until then is here")


def test_a_collector_that_goes_and_comes(machine: Machine, collector: Collector, visit: Visiting) -> None:
    """While it is away the page says so and keeps what it shows; when it is back, the run goes on by itself."""
    port = collector.url.rpartition(":")[2]
    training = Training(machine)
    v = visit(collector.url, expected=_AWAY)
    until(lambda: "train/loss" in _series(v, "now"), "the first rows in the store")
    page = v.open("/runs/now")
    v.drawn("train/loss")
    collector.stop(signal.SIGKILL)
    expect(page.locator(".away")).to_contain_text("does not answer")
    expect(page.get_by_role("heading", level=1)).to_have_text("watched")
    shown = step_shown(v)
    machine.collector(CONFIG, WAYSIDE_LISTEN=f"127.0.0.1:{port}").wait_ready()
    expect(page.locator(".away")).to_have_count(0)
    until(lambda: step_shown(v) > shown, "later steps")
    training.tell("stop")
    expect(page.locator(".run-head")).to_contain_text("finished")


#: What Chromium's console says of a server that is gone.
_AWAY = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE")


def _series(visit: Visit, run: str) -> str:
    """What the collector knows of a run's series."""
    answer = visit.context.request.get(f"{visit.url}/api/v1/runs/{run}/series")
    return str(answer.text())
