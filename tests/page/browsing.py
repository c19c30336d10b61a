"""A browser, and what its visitor sees: Debian's Chromium, driven by Playwright.

Playwright waits by itself until what is asked for is there. A visit also notes what went wrong unseen: errors in the
browser's console, requests to other hosts, and answers that are errors.
"""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright
from wayside_collector.web.page_files import BUILT

PATIENCE = 30_000  #: milliseconds: only a broken page needs them
DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}

# Root may not have a sandbox, and a container's /dev/shm is small.
_ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("there is no chromium here: scripts/install-test-packages")
    if not (BUILT / "index.html").is_file():
        pytest.fail("the page is not built: make setup")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


class Visit:
    """One visitor, with a window and a history. expected: what an error in the console may have in it here."""

    def __init__(self, browser: Browser, url: str, expected: tuple[int, ...] = (), **options: Any) -> None:
        self.url = url.rstrip("/")
        self._expected = expected
        self.context: BrowserContext = browser.new_context(**{"viewport": DESK, "color_scheme": "light", **options})
        self.context.set_default_timeout(PATIENCE)
        self.page: Page = self.context.new_page()
        self.asked: list[str] = []
        self.trouble: list[str] = []
        self.page.on("request", self._see)
        self.page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        self.page.on("console", self._hear)

    def _see(self, request: Request) -> None:
        self.asked.append(request.url)
        if not request.url.startswith((f"{self.url}/", "data:")):
            self.trouble.append(f"another host: {request.url}")

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            if any(expected in message.text for expected in self._expected):
                return
            self.trouble.append(f"console: {message.text}")

    def open(self, path: str) -> Page:
        self.page.goto(f"{self.url}{path}")
        return self.page

    def data_asked(self) -> list[dict[str, list[str]]]:
        """Of each request for curves what it asked for, since the last time this was asked."""
        asked, self.asked = self.asked, []
        return [parse_qs(urlsplit(url).query) for url in asked if urlsplit(url).path.endswith("/data")]

    def params(self) -> dict[str, list[str]]:
        """The parameters of the address shown."""
        return parse_qs(urlsplit(self.page.url).query)

    def chart(self, id: str) -> Any:
        return self.page.locator(f'[data-chart="{id}"]')

    def drawn(self, id: str) -> str:
        """What a chart is said to show, once it is drawn."""
        plot = self.chart(id).locator(".plot[aria-label]")
        plot.wait_for()
        return str(plot.get_attribute("aria-label"))

    def close(self) -> None:
        self.context.close()
        assert self.trouble == []
