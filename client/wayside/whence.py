"""Which variables of the environment a value came from.

Found out by asking, so that no rule stands in two places: of the variables that were looked at and are set, those are
left without which the value would be another. Pure.
"""

from typing import Any, Callable, Dict, Iterator, Mapping, Tuple


class _Watched(Mapping[str, str]):
    """An environment that remembers which of its variables were looked at, in order."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.seen: Dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        value = self.seen[name] = self._environ[name]
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)


def whence(environ: Mapping[str, str], read: Callable[[Mapping[str, str]], Any]) -> Tuple[str, ...]:
    """The variables that `read` owes its value to; none where it would be the same with nothing set.

    Where several would do alone (an id that two launchers tell alike) it is the one that was looked at first.
    """
    watched = _Watched(environ)
    value = read(watched)
    kept, before = dict(watched.seen), -1
    while len(kept) != before:  # again, since one that was needed may not be once another is gone
        before = len(kept)
        for name in reversed(list(kept)):
            rest = {other: text for other, text in kept.items() if other != name}
            if read(rest) == value:
                kept = rest
    return tuple(kept)
