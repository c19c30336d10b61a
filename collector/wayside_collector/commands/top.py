"""`top`: a collector and its runs as they are now, again and again, until Ctrl-C. By rich, whose `Live` draws on the
terminal's other screen and gives the first one back however this ends.
"""

import argparse
import signal
import threading
import time
from collections import deque
from types import FrameType
from typing import Any

from rich.console import Console
from rich.live import Live

from ..configuration import config
from ..store import StoreError
from ..store.answers import ProgressPage, RunQuery
from .calling import NoAnswer, ask, url_of
from .history import History, opened, read_token
from .top_view import KEPT, Look, view

RUNS = 50  #: of one look: more than a terminal has lines


def show_top(chosen: argparse.Namespace) -> int:
    """One look where no terminal shows it, or by --once; else a look each interval."""
    console = Console(highlight=False)
    looks: deque[Look] = deque(maxlen=KEPT)
    with opened(chosen) as history:
        url = _url(chosen)
        looks.append(_look(chosen, url, history))
        if chosen.once or not console.is_terminal or console.is_dumb_terminal:
            console.print(view(looks, None))
            return 0 if looks[0].status is not None or looks[0].runs.runs else 1
        _watch(console, looks, lambda: _look(chosen, url, history), chosen.interval)
    return 0


def _watch(console: Console, looks: deque[Look], look: Any, interval: float) -> None:
    """Until Ctrl-C, or a SIGTERM, after which the terminal is as it was before."""
    over = threading.Event()
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        with Live(view(looks, console.height), console=console, screen=True, auto_refresh=False) as live:
            while not over.wait(interval):
                looks.append(look())
                live.update(view(looks, console.height), refresh=True)
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _url(chosen: argparse.Namespace) -> str | None:
    """Where the collector is; None where only a store was named."""
    if chosen.url:
        return str(chosen.url)
    return None if chosen.store else url_of(config.load(chosen.config, config.environment()))


def _look(chosen: argparse.Namespace, url: str | None, history: History) -> Look:
    """What is the case now. What cannot be asked is told in its place: it may come back."""
    status: dict[str, Any] | None = None
    troubles: list[str] = []
    if url is not None:
        try:
            status = ask(url, "/status", token=read_token(chosen.token_file))
        except NoAnswer as problem:
            troubles.append(str(problem))
    try:
        runs = history.runs_progress(RunQuery(text=chosen.text, state=chosen.state), limit=RUNS)
    except (NoAnswer, StoreError) as problem:
        troubles += [str(problem)] * (str(problem) not in troubles)
        runs = ProgressPage([], 0)
    return Look(time.monotonic(), time.time(), status, troubles, runs)
