"""The list of runs: found, filtered and opened, by mouse and by key, on a desk and on a phone."""

import re

import pytest
from e2e.machine import Collector
from page.browsing import PHONE, Visit
from page.conftest import Visiting
from playwright.sync_api import expect

NONE = "\N{EN DASH}"  #: where a number would stand

pytestmark = pytest.mark.timeout(90)  # the first test starts the browser and fills a store


def names(visit: Visit) -> list[str]:
    return visit.page.locator(".runs .run-name").all_inner_texts()


def test_what_each_run_came_to(visit: Visiting, usual: Collector) -> None:
    """The last begun first, each with its state in words, its project, its last step and its last loss."""
    v = visit(usual.url)
    page = v.open("/")
    rows = page.locator(".runs tbody tr")
    expect(rows).to_have_count(5)
    assert names(v) == [
        "smoke test",
        "moe-16x, diverged",
        "moe-16x without warm-up",
        "llama-8b lr 2e-4",
        "llama-8b lr 1e-4",
    ]
    for place, told in enumerate(
        [
            ("finished", "moe", NONE, NONE),
            ("failed (exit 1)", "moe", "79", "NaN"),
            ("crashed", "long", "119", "2.7"),
            ("finished", "llama-sft", "999", "1.3"),
        ]
    ):
        for text in told:
            expect(rows.nth(place)).to_contain_text(text)
    expect(page.locator(".count")).to_have_text("5 runs")
    expect(page).to_have_title("Runs · Wayside")


def test_searched_as_one_types(visit: Visiting, usual: Collector) -> None:
    """By name, state, project and tag; the address tells what is shown, and shows it again."""
    v = visit(usual.url)
    page = v.open("/")
    page.get_by_label("Search").fill("LLAMA")
    expect(page.locator(".runs tbody tr")).to_have_count(2)
    assert v.params() == {"q": ["LLAMA"]}
    page.get_by_label("Search").fill("")
    page.get_by_label("State").select_option("crashed")
    expect(page.locator(".runs tbody tr")).to_have_count(1)
    assert v.params() == {"state": ["crashed"]}
    page.locator(".tag", has_text="long").click()
    expect(page.locator(".runs tbody tr")).to_have_count(2)
    page.reload()
    expect(page.locator(".runs tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Without tag long").click()
    expect(page.locator(".runs tbody tr")).to_have_count(5)
    page.get_by_label("Search").fill("no such thing")
    expect(page.get_by_text("No run is like this.")).to_be_visible()
    v.open("/?config.lr=0.0002")
    expect(page.locator(".runs .run-name")).to_have_text(["llama-8b lr 2e-4"])


def test_without_a_mouse(visit: Visiting, usual: Collector) -> None:
    """j and k move, Enter opens, Escape comes back, / searches, x chooses, c compares, ? tells the keys."""
    v = visit(usual.url)
    page = v.open("/")
    expect(page.locator(".runs tbody tr")).to_have_count(5)
    for key in "jjjk":
        page.keyboard.press(key)
    expect(page.locator("tr.at .run-name")).to_have_text("moe-16x, diverged")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="moe-16x, diverged")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".runs tbody tr")).to_have_count(5)
    page.keyboard.press("/")
    page.keyboard.type("lr")
    expect(page.locator(".runs tbody tr")).to_have_count(2)
    page.keyboard.press("Escape")
    for key in "jxjx":
        page.keyboard.press(key)
    expect(page.locator(".compare-bar")).to_contain_text("2 runs chosen")
    page.keyboard.press("?")
    expect(page.locator("dialog.help")).to_contain_text("compare the chosen")
    page.keyboard.press("Escape")
    expect(page.locator("dialog.help")).to_have_count(0)
    page.keyboard.press("c")
    expect(page.get_by_role("heading", name="Comparison")).to_be_visible()
    assert re.search(r"/compare\?runs=sft-2%2Csft-1$", page.url)


def test_every_control_has_a_name(visit: Visiting, usual: Collector) -> None:
    """What can be pressed, chosen or filled in says what it is to who does not see it."""
    v = visit(usual.url)
    for path in ("/", "/runs/sft-1", "/compare?runs=sft-1,sft-2", "/sinks", "/runs/sft-1?tab=code"):
        page = v.open(path)
        page.locator("h1, h2, table").first.wait_for(state="attached")
        for control in page.locator("button, input, select, a").all():
            assert control.evaluate(_NAME).strip(), (path, control.evaluate("one => one.outerHTML"))


def test_workloads(visit: Visiting, usual: Collector) -> None:
    """Each with its runs, and a way to them."""
    v = visit(usual.url)
    page = v.open("/")
    page.get_by_role("link", name="Workloads").click()
    expect(page.locator(".runs tbody tr")).to_have_count(5)
    page.get_by_role("link", name="job-sft-1").click()
    expect(page.locator(".runs .run-name")).to_have_text(["llama-8b lr 1e-4"])


def test_on_a_phone(visit: Visiting, usual: Collector) -> None:
    """Nothing is wider than the screen, on any page, and the names can be read."""
    v = visit(usual.url, viewport=PHONE, has_touch=True)
    for path in ("/", "/runs/sft-1", "/compare?runs=sft-1,sft-2", "/sinks", "/runs/sft-1?tab=events"):
        page = v.open(path)
        page.locator("main *:not([aria-busy])").first.wait_for(state="attached")
        page.wait_for_load_state("load")
        page.locator("h1, .event, table").first.wait_for(state="attached")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
    v.open("/")
    expect(page.get_by_text("llama-8b lr 2e-4")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dark_and_light(visit: Visiting, usual: Collector, scheme: str) -> None:
    """As the machine has it, until the switch says otherwise; that is kept. Text stands out from what is behind it."""
    v = visit(usual.url, color_scheme=scheme)
    page = v.open("/runs/sft-1")
    v.drawn("train/loss")
    assert _is_dark(v) is (scheme == "dark")
    for spot in ("h1", ".state", ".facts dt", ".tabs a:nth-child(2)", ".title", ".tag"):
        assert _contrast(v, spot) >= 4.5, spot
    other = "Dark" if scheme == "light" else "Light"
    while page.get_by_label(re.compile("^Colours")).inner_text() != other:
        page.get_by_label(re.compile("^Colours")).click()
    assert _is_dark(v) is (scheme == "light")
    page.reload()
    v.drawn("train/loss")
    assert _is_dark(v) is (scheme == "light")


def _is_dark(visit: Visit) -> bool:
    return bool(visit.page.evaluate(f"() => {{ {_LUMINANCE} return luminance({_PAPER}) < 0.5; }}"))


def _contrast(visit: Visit, spot: str) -> float:
    """By WCAG, of the first such element's text to the page behind it."""
    found: float = visit.page.evaluate(
        f"""spot => {{ {_LUMINANCE}
        const one = luminance(getComputedStyle(document.querySelector(spot)).color);
        const other = luminance({_PAPER});
        return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05); }}""",
        spot,
    )
    return found


_NAME = "one => one.ariaLabel || one.textContent || [...(one.labels || [])].map(label => label.textContent).join()"
_PAPER = "getComputedStyle(document.body).backgroundColor"
_LUMINANCE = """function luminance(color) {
  const [r, g, b] = color.match(/[0-9.]+/g).slice(0, 3).map(Number).map(
    part => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}"""
