"""The history, asked over HTTP of a collector or gateway: the questions of `store.Reader`, answered by `/api/v1`."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

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
from ..store.reader import EVERY_STEP, NotFound
from ..store.walk import Range
from .calling import NoAnswer, ask, foreign

METRICS = 50  #: of one request: the most that is answered
LONGEST = 6000  #: characters of an address' query: aiohttp takes lines of 8,190 bytes, and proxies of 8 KiB
EVENTS = 1000  #: of one answer at most

Answer = TypeVar("Answer")


class _Events(msgspec.Struct):
    """A page of them, and what to ask for as `after` for the next one; as the API tells it."""

    events: list[EventInfo]
    next: str | None


class Remote:
    """Answers as `store.Reader` does. Raises NoAnswer, NotFound."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url.rstrip("/")
        self._token = token

    def close(self) -> None:
        return None

    def runs(self, query: RunQuery | None = None, *, limit: int = 100, offset: int = 0) -> RunPage:
        return self._runs(query, limit, offset, RunPage)

    def runs_progress(self, query: RunQuery | None = None, *, limit: int = 100, offset: int = 0) -> ProgressPage:
        return self._runs(query, limit, offset, ProgressPage)

    def _runs(self, query: RunQuery | None, limit: int, offset: int, kind: type[Answer]) -> Answer:
        query = query or RunQuery()
        asked: list[tuple[str, Any]] = [("limit", limit), ("offset", offset)]
        named = {"q": query.text, "project": query.project, "group": query.group, "workload": query.workload}
        asked += [(name, value) for name, value in {**named, "state": query.state}.items() if value is not None]
        asked += [("tag", tag) for tag in query.tags]
        asked += [(f"config.{key}", _spelled(value)) for key, value in query.config.items()]
        return self._ask(f"/runs?{urlencode(asked)}", kind)

    def run(self, id: str) -> RunInfo:
        return self._of(id, "", RunInfo)

    def sessions(self, run: str) -> list[SessionInfo]:
        return self._part(run, "", "sessions", list[SessionInfo])

    def config(self, run: str) -> dict[str, Any]:
        return self._of(run, "/config", dict[str, Any])

    def summary(self, run: str) -> dict[str, Any]:
        return self._of(run, "/summary", dict[str, Any])

    def events(self, run: str, kinds: Sequence[str] = (), *, limit: int = 1000) -> list[EventInfo]:
        """So many of them, in as many answers as that takes: one has fewer where they are long."""
        found: list[EventInfo] = []
        after: list[tuple[str, str]] = []
        while len(found) < limit:
            asked = [("limit", str(min(EVENTS, limit - len(found)))), *(("kind", kind) for kind in kinds), *after]
            page = self._of(run, f"/events?{urlencode(asked)}", _Events)
            found += page.events
            if page.next is None or not page.events:
                break
            after = [("after", page.next)]
        return found

    def series(self, run: str) -> list[SeriesInfo]:
        return self._part(run, "/series", "series", list[SeriesInfo])

    def curves(
        self,
        run: str,
        names: str | Sequence[str],
        wanted: Range = EVERY_STEP,
        *,
        max_points: int = 1000,
        ranks: Iterable[int | None] | None = None,
    ) -> list[Curve]:
        names = [names] if isinstance(names, str) else list(names)
        rest: list[tuple[str, Any]] = [("axis", wanted.axis), ("max_points", max_points)]
        rest += [(name, end) for name, end in (("from", wanted.start), ("to", wanted.end)) if end is not None]
        rest += [("kept", "true")] * wanted.kept
        rest += [("rank", "none" if rank is None else rank) for rank in ranks or ()]
        found: list[Curve] = []
        for some in _portions(names, LONGEST - len(urlencode(rest))):
            asked = [("metric", name) for name in some] + rest
            found += self._part(run, f"/data?{urlencode(asked)}", "curves", list[Curve])
        return found

    def compare(self, runs: Sequence[str]) -> Comparison:
        return self._ask(f"/compare?{urlencode({'runs': ','.join(runs)})}", Comparison)

    # --- asking ---------------------------------------------------------------------------------------

    def _of(self, run: str, rest: str, kind: type[Answer]) -> Answer:
        try:
            return self._ask(f"/runs/{quote(run, safe='')}{rest}", kind)
        except NoAnswer as problem:
            if problem.status == 404:
                raise NotFound(f"there is no run {run!r}") from problem
            raise

    def _part(self, run: str, rest: str, name: str, kind: type[Answer]) -> Answer:
        return self._read(self._of(run, rest, dict[str, Any]).get(name), kind)

    def _ask(self, path: str, kind: type[Answer]) -> Answer:
        return self._read(ask(self._url, f"/api/v1{path}", token=self._token), kind)

    def _read(self, answer: Any, kind: type[Answer]) -> Answer:
        try:
            # Not strict: a number that is not finite is told as a text, "NaN".
            return msgspec.convert(answer, kind, strict=False)
        except msgspec.ValidationError as problem:
            raise NoAnswer(f"{foreign(self._url)}, or one of another version ({problem})") from problem


def _portions(names: Sequence[str], room: int) -> Iterator[list[str]]:
    """The names in their order, as many at a time as one request may have, by number and by length."""
    some: list[str] = []
    length = 0
    for name in names:
        more = len(urlencode([("metric", name)])) + 1
        if some and (len(some) == METRICS or length + more > room):
            yield some
            some, length = [], 0
        some.append(name)
        length += more
    if some:
        yield some


def _spelled(value: Any) -> str:
    """As the API reads it: JSON, or a text as it is where that could not be taken for JSON."""
    if isinstance(value, str):
        try:
            msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return value
    return msgspec.json.encode(value).decode()
