"""A run with more charts than anybody looks at: only what is on the screen costs anything."""

import pytest
from e2e.machine import Machine
from page.conftest import CONFIG, Visiting
from page.filling import START, Filler, session_of
from playwright.sync_api import expect
from wayside.row import Row

pytestmark = pytest.mark.timeout(90)

CHARTS = 200


def test_two_hundred_charts(machine: Machine, visit: Visiting) -> None:
    """The first are asked for alone; far from the screen drawings are let go, and come again when one comes back."""
    names = tuple(f"train/m{number:03}" for number in range(CHARTS))
    filler = Filler(machine.dir / "store" / "store.db")
    values = tuple(float(number) for number in range(CHARTS))
    rows = [Row(step, START + step, step, True, False, names, values) for step in range(30)]
    filler.write(session_of("many", "many", START), rows)
    filler.close()
    v = visit(machine.collector(CONFIG).wait_ready().url)
    page = v.open("/runs/many")
    v.drawn("train/m000")
    asked = [name for one in v.data_asked() for name in one["metric"]]
    assert "train/m000" in asked
    assert len(asked) <= 30
    expect(page.locator(".charts h2 small")).to_have_text(f"{CHARTS} charts")
    for number in range(0, CHARTS, 9):
        v.chart(names[number]).scroll_into_view_if_needed()
        v.chart(names[number]).locator("canvas").wait_for()
    v.chart(names[-1]).scroll_into_view_if_needed()
    v.chart(names[-1]).locator("canvas").wait_for()
    assert page.locator("canvas").count() <= 90, "60 are kept, beside those on the screen"
    v.chart(names[0]).scroll_into_view_if_needed()
    v.chart(names[0]).locator("canvas").wait_for()
    expect(v.chart(names[0]).locator(".readout b")).to_have_text("0")
