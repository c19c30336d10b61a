"""Which runs a person means: by id, by the beginning of one, or by name."""

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from ..printing import plain, when
from ..store.answers import RunInfo, RunQuery, SeriesInfo
from ..store.reader import NotFound
from .base import say
from .history import History, Unanswered

PAGE = 1000  #: runs asked for at once
LISTED = 10  #: runs or metrics named in a refusal


def choose_run(history: History, text: str) -> RunInfo:
    """The run with this id; else the last begun of those with this name; else the only one whose id begins so: ids are
    made at random, so the beginning of one must not take a name's place. Raises Unanswered.
    """
    try:
        return history.run(text)
    except NotFound:
        pass
    candidates = list(_all(history, RunQuery(text=text))) if text else []
    named = [run for run in candidates if run.name == text]
    if named:
        if len(named) > 1:
            say(f"{len(named)} runs are called {text!r}; this is the latest, {named[0].id}; the others, by their ids:")
            say(_listed(named[1:]))
        return named[0]
    begun = [run for run in candidates if run.id.startswith(text)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise Unanswered(f"{text!r} may be several runs; which one? By id:\n{_listed(begun)}")
    near = f"; there are\n{_listed(candidates)}" if candidates else ""
    raise Unanswered(f"there is no run {text!r}, by id, its beginning, or name: `wayside-collector runs`{near}")


def choose_runs(history: History, texts: Iterable[str]) -> list[RunInfo]:
    """Several, each once. Raises Unanswered."""
    found = {run.id: run for run in (choose_run(history, text) for text in texts)}
    return list(found.values())


def _all(history: History, query: RunQuery) -> Iterator[RunInfo]:
    offset = 0
    while page := history.runs(query, limit=PAGE, offset=offset).runs:
        yield from page
        offset += len(page)


def _listed(runs: Sequence[RunInfo]) -> str:
    lines = [f"  {plain(run.id)}  {plain(run.name or '')}  begun {when(run.started)}" for run in runs[:LISTED]]
    return "\n".join(lines + [f"  … and {len(runs) - LISTED} more"] * (len(runs) > LISTED))


def choose_metrics(series: Sequence[SeriesInfo], patterns: Sequence[str], run: str) -> list[str]:
    """Names of metrics: as given, or all that a pattern like `val/*` fits, in the order asked. Raises Unanswered."""
    names = list(dict.fromkeys(one.name for one in series))
    found: dict[str, None] = {}
    for pattern in patterns:
        fitting = [pattern] if pattern in names else [name for name in names if fnmatchcase(name, pattern)]
        if not fitting:
            known = ", ".join(map(plain, names[:LISTED])) + (", …" if len(names) > LISTED else "")
            raise Unanswered(f"run {run} has no metric {pattern!r}; it has {known or 'none at all'}")
        found.update(dict.fromkeys(fitting))
    return list(found)
