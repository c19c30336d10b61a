"""Where the commands that ask the history find it: in the store itself, as the configuration says where that is, or,
with `--url`, at a collector or gateway over HTTP. Both answer alike.
"""

import argparse
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..configuration import config
from ..configuration.config import Config, ConfigError
from ..sinks import SINKS
from ..sinks.store import FILE, StoreOptions
from ..store import Reader
from ..store.answers import (
    Comparison,
    Curve,
    EventInfo,
    ProgressPage,
    RunInfo,
    RunPage,
    RunQuery,
    SeriesInfo,
    SessionInfo,
)
from ..store.walk import Range
from .asking import TOKEN
from .remote import Remote


class History(Protocol):
    """What can be asked: see `store.Reader`, which is one. Raises NotFound, StoreError, NoAnswer."""

    def runs(self, query: RunQuery | None = None, *, limit: int = 100, offset: int = 0) -> RunPage: ...
    def runs_progress(self, query: RunQuery | None = None, *, limit: int = 100, offset: int = 0) -> ProgressPage: ...
    def run(self, id: str) -> RunInfo: ...
    def sessions(self, run: str) -> list[SessionInfo]: ...
    def config(self, run: str) -> dict[str, Any]: ...
    def summary(self, run: str) -> dict[str, Any]: ...
    def series(self, run: str) -> list[SeriesInfo]: ...
    def compare(self, runs: Sequence[str]) -> Comparison: ...
    def close(self) -> None: ...

    def events(self, run: str, kinds: Sequence[str] = (), *, limit: int = 1000) -> list[EventInfo]: ...

    def curves(
        self,
        run: str,
        names: str | Sequence[str],
        wanted: Range = ...,
        *,
        max_points: int = 1000,
        ranks: Iterable[int | None] | None = None,
    ) -> list[Curve]: ...


class Unanswered(Exception):
    """What was asked cannot be answered; the text says why and what to do."""


class Misused(Exception):
    """The command line asks for what does not exist; the text says why and what to do."""


@contextlib.contextmanager
def opened(chosen: argparse.Namespace) -> Iterator[History]:
    """The history that was chosen. Raises ConfigError, Unanswered."""
    history: History = Remote(chosen.url, read_token(chosen.token_file)) if chosen.url else Reader(place_of(chosen))
    with contextlib.closing(history):
        yield history


def place_of(chosen: argparse.Namespace) -> str:
    """The store's file or address. Raises ConfigError."""
    return str(chosen.store) if chosen.store else store_of(config.load(chosen.config, config.environment()))


def store_of(found: Config) -> str:
    """Where the configuration's first store is, as `store.connect` takes it. Raises ConfigError when it has none."""
    for sink in found.sinks:
        if sink.kind is SINKS["store"] and isinstance(sink.options, StoreOptions):
            return sink.options.url or str(sink.options.path or found.dir / sink.name / FILE)
    raise ConfigError(["sinks: there is no `store`, so nothing is kept to be asked: add it, or give --store or --url"])


def read_token(path: Path | None) -> str | None:
    """The token of a file, else of the environment. Raises Unanswered."""
    if path is None:
        return config.environment().get(TOKEN) or None
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is no text"
        raise Unanswered(f"{path} cannot be read: {reason}; --token-file names a file with the token alone") from None
