"""The page: from opening a run of 200 series of a million points each until its first charts are drawn, in Chromium.

    python bench/run.py page        STEPS=10000 python bench/run.py page      smaller: the whole takes minutes, and 2 GB

Each opening is a visitor's first, with nothing kept in the browser; times are the browser's own, from the start of the
navigation. Losses as most are: of float32.
"""

import os
import random
import shutil
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from wayside.row import FINISH, Event, Row
from wayside_collector.sinks.base import Part
from wayside_collector.store import Writer, connect
from wayside_collector.testing import make_session

from bench.harness import collector, gate, percentile, scratch, show, wait_for

STEPS = int(os.environ.get("STEPS", 1_000_000))
WIDTH = 200
PARCEL = 1000  #: rows; each has 200 points
OPENINGS = 9
ON_SCREEN = 6  #: charts that are seen at once
START = 1_767_225_600.0
NAMES = tuple(f"{('train', 'val', 'layers', 'time')[number % 4]}/m{number}" for number in range(WIDTH))

#: Notes when the first chart, and when the last of those on the screen, was drawn.
WATCH = """
window.drawn = [];
new MutationObserver(changes => {
  for (const { target } of changes) if (target.ariaLabel && target.matches('.plot')) drawn.push(performance.now());
}).observe(document, { attributes: true, attributeFilter: ['aria-label'], subtree: true });
"""


def rows(steps: int) -> Iterator[list[Row | Event]]:
    noise = random.Random(1)
    values = [struct.unpack("f", struct.pack("f", noise.gauss(2, 0.1)))[0] for _ in range(100_003)]
    for begin in range(0, steps, PARCEL):
        made: list[Row | Event] = []
        for step in range(begin, min(steps, begin + PARCEL)):
            place = step * 7919 % (len(values) - WIDTH)
            made.append(Row(step, START + step / 5, step, True, False, NAMES, tuple(values[place : place + WIDTH])))
        yield made
    yield [Event(steps, START + steps / 5, None, FINISH, {"exit_code": 0})]


def fill(path: Path) -> None:
    path.parent.mkdir()
    db = connect(str(path))
    db.migrate()
    writer, session = Writer(db), make_session("wide", rank=0)
    began = time.perf_counter()
    for lot in rows(STEPS):
        writer.write([Part(session, lot)])
    show(
        f"filled with {WIDTH} series of {STEPS} points",
        f"{time.perf_counter() - began:.0f} s",
        "",
        f"{db.size() / 1e9:.1f} GB",
    )
    db.close()


def openings(url: str) -> list[list[float]]:
    """Of each opening: milliseconds until text was painted, the first chart was drawn, and the last on the screen."""
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        for _ in range(OPENINGS):
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            page = context.new_page()
            page.add_init_script(WATCH)
            page.goto(f"{url}runs/wide")
            page.wait_for_load_state("networkidle")
            wait_for(lambda page=page: page.evaluate("drawn.length") >= ON_SCREEN)
            times = page.evaluate(
                "[performance.getEntriesByName('first-contentful-paint')[0].startTime, drawn[0], Math.max(...drawn)]"
            )
            found.append(times)
            context.close()
        browser.close()
    return found


def main() -> None:
    if shutil.which("chromium") is None:
        show("the page", "no chromium here: scripts/install-test-packages")
        return
    with scratch() as folder:
        fill(folder / "store" / "store.db")
        with collector(sinks="{store: {}}", sources="{}", folder=folder) as running:
            columns = list(zip(*openings(running.url), strict=True))
    for what, times in zip(
        ("text painted", "first chart drawn", "all charts on the screen drawn"), columns, strict=True
    ):
        p50, worst = percentile(times, 0.5), max(times)
        verdict = f"≤ 1 s: {gate(worst <= 1000)}" if "first chart" in what else ""
        show(f"a run of {WIDTH} series opened: {what}", f"{p50:.0f} ms", f"worst of {len(times)}: {worst:.0f}", verdict)


if __name__ == "__main__":
    sys.exit(main())
