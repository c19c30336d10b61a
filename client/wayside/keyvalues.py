"""A run's config and summary: dictionaries whose every change is told.

Values are made plain (what JSON can hold) when they are set, so that nothing later depends on an object the user goes
on changing.
"""

from typing import Any, Callable, Dict, Iterator, List, Mapping, MutableMapping, Optional

from .handlers import raised_by_handler
from .values import text_of
from .wire import spell

MAX_DEPTH = 16  #: of nested values; deeper is a structure that refers to itself


class KeyValues(MutableMapping[str, Any]):
    """Like wandb's `config` and `summary`: keys as items and as attributes; `changed(set, remove)` hears of each
    change. Unlike `log()`, a tensor on the GPU is waited for.
    """

    def __init__(self, changed: Callable[[Dict[str, Any], List[str]], None]) -> None:
        object.__setattr__(self, "_changed", changed)
        object.__setattr__(self, "_values", {})

    def update(  # type: ignore[override]
        self, values: Optional[Any] = None, allow_val_change: Optional[bool] = None, **more: Any
    ) -> None:
        """Set many at once: a mapping, or anything with attributes (argparse's Namespace). `allow_val_change` is
        accepted, as wandb takes it: a value may always change. Raises TypeError for what has neither.
        """
        found = _mapping(values)
        found.update(more)
        fresh = {text_of(key): plain(value) for key, value in found.items()}
        if fresh:
            self._values.update(fresh)
            self._changed(fresh, [])

    def setdefaults(self, values: Any) -> None:
        """Set those keys that are not there yet."""
        self.update({key: value for key, value in _mapping(values).items() if key not in self._values})

    def update_locked(self, d: Any, user: Optional[str] = None, _allow_val_change: Optional[bool] = None) -> None:
        """As `update`: nothing is locked here."""
        self.update(d)

    def merge_locked(self, d: Any, user: Optional[str] = None, _allow_val_change: Optional[bool] = None) -> None:
        """As `update`, but what is a dictionary on both sides is merged."""
        self.update(_merged(self._values, _mapping(d)))

    def persist(self) -> None:
        """Accepted: every change is told at once."""

    def as_dict(self) -> Dict[str, Any]:
        return dict(self._values)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        del self._values[key]
        self._changed({}, [key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, key: str) -> Any:
        # What a copy asks for before it has any values must not be looked for among them.
        if key.startswith("__") or key not in self.__dict__.get("_values", ()):
            raise AttributeError(f"no {key!r} has been set")
        return self._values[key]

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value

    def __repr__(self) -> str:
        return repr(self._values)


def _mapping(values: Any) -> Dict[Any, Any]:
    if values is None:
        return {}
    if isinstance(values, Mapping):
        return dict(values)
    if hasattr(values, "__dict__"):
        return dict(vars(values))
    try:
        return dict(values)
    except (TypeError, ValueError):
        raise TypeError(f"a config is a dictionary of names and values, not {type(values).__name__}") from None


def _merged(old: Mapping[Any, Any], new: Mapping[Any, Any]) -> Dict[Any, Any]:
    """What is to be set so that `new` goes into `old`."""
    found = {}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(before, dict) and isinstance(value, Mapping):
            found[key] = {**before, **_merged(before, value)}
        else:
            found[key] = value
    return found


def plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON can hold it: text, numbers, lists and dictionaries as they are, scalars of arrays as numbers,
    anything else as text. Never raises.
    """
    try:
        return _plain(value, depth)
    except Exception as problem:
        if raised_by_handler(problem):
            raise
        return f"<{type(value).__name__} that cannot be shown: {type(problem).__name__}>"


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if value - value == 0 else spell(value)
    if depth < MAX_DEPTH:
        if isinstance(value, Mapping):
            return {text_of(key): plain(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [plain(inner, depth + 1) for inner in value]
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) in ((), None):
        inner = item()
        return _plain(inner, depth + 1) if isinstance(inner, (str, bool, int, float)) else text_of(value)
    return text_of(value)
