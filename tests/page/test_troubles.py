"""When something is not as it should be: each time the page says what it is, and what to do."""

import random
import sys
from pathlib import Path
from typing import Any

import pytest
from e2e.machine import Collector, Machine, until
from page.conftest import CONFIG, Visiting
from page.filling import START, Filler, fill_usual, session_of, training
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(90)

TOKEN = "a-reader's-token-0123456789"
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def test_a_run_that_is_not_there(visit: Visiting, usual: Collector) -> None:
    """Named, with the reasons there may be, and the way to those that are."""
    v = visit(usual.url, expected=("404",))
    page = v.open("/runs/no%20such%20run")
    expect(page.get_by_role("alert")).to_contain_text("there is no run 'no such run'")
    page.get_by_role("link", name="All runs", exact=True).click()
    expect(page.locator(".runs tbody tr")).to_have_count(5)
    v.open("/compare?runs=sft-1,nothing")
    expect(page.get_by_role("alert")).to_contain_text("Run nothing is not here")


def test_a_store_that_is_off(machine: Machine, visit: Visiting) -> None:
    """The list says so, and how it is switched on; the sinks are shown all the same."""
    collector = machine.collector({"sinks": {"prometheus": {}}, "sources": {}}).wait_ready()
    v = visit(collector.url, expected=("503",))
    page = v.open("/")
    expect(page.get_by_role("alert")).to_contain_text("No history to show")
    expect(page.get_by_role("alert")).to_contain_text("store: {}")
    page.get_by_role("link", name="Look at the sinks").click()
    expect(page.locator('[data-sink="prometheus"]')).to_contain_text("received")


def test_who_is_not_logged_in(machine: Machine, visit: Visiting) -> None:
    """At the public address a token is asked for, and leads back to where one wanted to go; when it is withdrawn, the
    page says so where one is.
    """
    tokens = machine.folder / "tokens"
    _write(tokens, f"reader {TOKEN}\n")
    fill_usual(machine.dir / "store" / "store.db")
    config: dict[str, Any] = {**CONFIG, "public": {"token_file": str(tokens)}}
    collector = machine.collector(config, WAYSIDE_LISTEN_PUBLIC="127.0.0.1:0").wait_ready()
    url = str(collector.status()["listen_public"]).rstrip("/")
    v = visit(url, expected=("401", "403"))
    page = v.open("/runs/sft-1?axis=time")
    page.get_by_label("Token").fill("wrong-token-0123456789")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("body")).to_contain_text("no token of this collector")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("llama-8b lr 1e-4")
    assert v.params() == {"axis": ["time"]}
    _write(tokens, "")
    until(lambda: v.context.request.get(f"{url}/status").status == 401, "the token is withdrawn")
    page.get_by_role("link", name="Config").click()
    expect(page.get_by_role("alert")).to_contain_text("You are not logged in")
    assert TOKEN not in page.content()
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_label("Token")).to_be_visible()


def test_what_was_logged_is_never_markup(machine: Machine, visit: Visiting) -> None:
    """Names, projects, tags and metrics are text wherever they stand, and ids are safe in addresses."""
    filler = Filler(machine.dir / "store" / "store.db")
    strange = session_of("a b%2Fc?&+#", EVIL, START, project=EVIL, tags=(EVIL,), notes=EVIL)
    rows = list(training(START, 60, level=1.0, noise=random.Random(1)))
    filler.write(strange, [rows[0]._replace(names=(f"{EVIL}/{EVIL}",), values=(1.0,)), *rows[1:]])
    filler.close()
    collector = machine.collector(CONFIG).wait_ready()
    v = visit(collector.url)
    page = v.open("/")
    page.get_by_role("link", name=EVIL).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(EVIL)
    v.drawn("train/loss")
    assert page.locator("img, main script").count() == 0
    page.locator(".tag").click()
    expect(page.locator(".runs tbody tr")).to_have_count(1)
    assert page.locator("img, main script").count() == 0


def test_a_sink_in_trouble(machine: Machine, visit: Visiting) -> None:
    """Its books still balance, what waits is told, and what it says is beside it; the others are well."""
    config = {"sinks": {"store": {}, "lens": {"endpoint": "http://127.0.0.1:1/v1"}}, "sources": {}}
    collector = machine.collector(config).wait_ready()
    program = "import wayside\nwith wayside.init(project='p') as run:\n    run.log({'loss': 1.0}, step=1)"
    done = machine.run(sys.executable, "-c", program, WAYSIDE_QUIET="1")
    assert done.returncode == 0
    v = visit(collector.url)
    page = v.open("/sinks")
    lens, store = page.locator('[data-sink="lens"]'), page.locator('[data-sink="store"]')
    expect(lens).to_contain_text("failing")
    expect(lens.locator(".books")).to_contain_text("1received=0delivered+1waiting+0dropped", use_inner_text=False)
    expect(store).to_contain_text("well")
    expect(store.locator(".books")).to_contain_text("1received=1delivered+0waiting+0dropped")
    page.get_by_role("button", name="events").click()
    assert v.params() == {"unit": ["events"]}
    expect(store.locator(".books")).not_to_contain_text("1received=1delivered")


def _write(path: Path, text: str) -> None:
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)
