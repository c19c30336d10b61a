"""Pictures, tables and histograms of a run in the browser: seen at their steps, and kept from reaching anything."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.machine import Collector
from page.conftest import Visiting, _filled
from page.filling import START, Filler, session_of
from playwright.sync_api import expect
from wayside.row import FINISH, MEDIA, Event
from wayside_collector.testing import make_event, make_rows

pytestmark = pytest.mark.timeout(90)

PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100"
    "18dd8db00000000049454e44ae426082"
)
HTML = b"<p id='told'>before</p><script>try { parent.document; } catch (e) { told.textContent = 'kept in'; }</script>"


def inline(data: bytes, format: str, **fields: Any) -> dict[str, Any]:
    return {"format": format, "base64": base64.b64encode(data).decode(), "size": len(data), **fields}


def medium(seq: int, name: str, step: int, **data: Any) -> Event:
    return make_event(MEDIA, {"name": name, **data}, seq=seq, step=step, time=START + step)


def fill(path: Path) -> None:
    filler = Filler(path)
    rows = [[n, f"<b>{n}</b>", {"media": inline(PICTURE, "png", type="image")} if n == 0 else None] for n in range(300)]
    values = {"columns": ["n", "text", "picture"], "rows": rows}
    told = [
        medium(10, "eval/sample", 5, type="image", caption="early", **inline(PICTURE, "png")),
        medium(11, "eval/sample", 50, type="image", caption="late one", **inline(PICTURE, "png")),
        medium(12, "eval/sample", 50, type="image", caption="late two", **inline(PICTURE, "png")),
        medium(13, "grad", 50, type="histogram", values={"edges": [0.0, 1.0, 2.0, 3.0], "counts": [3, 12, 6]}),
        medium(14, "predictions", 50, type="table", values=values),
        medium(15, "page", 50, type="html", **inline(HTML, "html")),
        medium(16, "gone", 50, type="image", lost="no room for it"),
    ]
    session = session_of("pictured", "with pictures", START)
    filler.write(
        session, [*make_rows(10, time=START), *told, make_event(FINISH, {"exit_code": 0}, seq=20, time=START + 60)]
    )
    filler.write(session_of("plain", "without", START), make_rows(10, time=START))
    filler.close()


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    yield from _filled(tmp_path_factory.mktemp("pictured"), fill)


def test_pictures_are_seen_at_their_steps(visit: Visiting, pictured: Collector) -> None:
    """The latest first; the slider goes back to what was logged before."""
    page = visit(pictured.url).open("/runs/pictured?tab=media")
    card = page.locator('[data-media="eval/sample"]')
    expect(card.locator("figcaption")).to_have_text(["late one", "late two"])
    expect(card.locator(".where")).to_have_text("step 50")
    expect(card.locator("img").first).to_have_js_property("naturalWidth", 1)
    card.get_by_role("slider").fill("0")
    expect(card.locator("figcaption")).to_have_text(["early"])
    expect(card.locator(".where")).to_have_text("step 5")


def test_a_table_shows_its_first_rows(visit: Visiting, pictured: Collector) -> None:
    """Text is text, never markup; a picture in a cell is one; how much is left is said."""
    page = visit(pictured.url).open("/runs/pictured?tab=media")
    card = page.locator('[data-media="predictions"]')
    expect(card.locator("th")).to_have_text(["n", "text", "picture"])
    expect(card.locator("tbody tr")).to_have_count(200)
    expect(card.locator("tbody tr").first.locator("td").nth(1)).to_have_text("<b>0</b>")
    expect(card.locator("td img")).to_have_js_property("naturalWidth", 1)
    expect(card).to_contain_text("and 100 more rows")


def test_a_histogram_is_drawn(visit: Visiting, pictured: Collector) -> None:
    """A bar for each bin, the highest of full height, each saying what it holds."""
    page = visit(pictured.url).open("/runs/pictured?tab=media")
    bars = page.locator('[data-media="grad"] .bars i')
    expect(bars).to_have_count(3)
    assert bars.nth(1).get_attribute("style") == "height: 100%"
    assert bars.nth(1).get_attribute("title") == "1 to 2: 12"
    expect(page.locator('[data-media="grad"]')).to_contain_text("0")


def test_a_page_cannot_reach_ours(visit: Visiting, pictured: Collector) -> None:
    """Its script runs in an origin of its own; what has no bytes says why."""
    page = visit(pictured.url).open("/runs/pictured?tab=media")
    frame = page.frame_locator('[data-media="page"] iframe')
    expect(frame.locator("#told")).to_have_text("kept in")
    expect(page.locator('[data-media="gone"]')).to_contain_text("no room for it")


def test_a_run_without_media_says_so(visit: Visiting, pictured: Collector) -> None:
    """In a sentence; the tab leads there."""
    page = visit(pictured.url).open("/runs/plain")
    page.get_by_role("link", name="Media").click()
    expect(page.locator(".tab .empty")).to_have_text("No pictures, tables or histograms were logged.")
