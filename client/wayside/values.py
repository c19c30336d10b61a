"""From what a user logs to what a row can hold, without importing numpy, torch or anything else they come from.

Every object is taken by what it can do: a number as it is, a scalar tensor or array by its `item()`, a dictionary by
its entries. Nothing here raises for a value: what cannot be a point is named in `Taken.refused`, and the rest of the
row goes on.
"""

from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

from .wire import MAX_NAME, MAX_WIDTH

EXACT = 1 << 53  #: whole numbers up to here are exact as 64-bit floats
MAX_DEPTH = 16  #: of nested dictionaries; deeper is a structure that refers to itself, or no metric
MAX_TEXT = 65536  #: characters of one text value: a page of output, not a log file


class Taken(NamedTuple):
    """What became of one `log()` call.

    names, values: the points, as many of one as of the other. texts: the strings, by name. refused: (name, why) for
    what could not be taken. rounded: names whose whole number is beyond 2**53 and was rounded to the nearest 64-bit
    float. plain: the names are the dictionary's own keys, all of them and in order.
    """

    names: Tuple[str, ...]
    values: Tuple[float, ...]
    texts: Dict[str, str]
    refused: List[Tuple[str, str]]
    rounded: List[str]
    plain: bool


def take(data: Mapping[Any, Any]) -> Taken:
    """The points, texts and refusals of one call's data; nested dictionaries are flattened with "/"."""
    taken = Taken((), (), {}, [], [], False)
    points: Dict[str, float] = {}
    _take_into(data, "", 0, points, taken)
    names = tuple(points)
    return taken._replace(names=names, values=tuple(points.values()), plain=names == tuple(data))


def _take_into(data: Mapping[Any, Any], prefix: str, depth: int, points: Dict[str, float], taken: Taken) -> None:
    for key, value in data.items():
        name, problem = _name(key, prefix)
        if problem:
            taken.refused.append((name, problem))
        elif isinstance(value, Mapping):
            if depth < MAX_DEPTH:
                _take_into(value, name + "/", depth + 1, points, taken)
            else:
                taken.refused.append((name, f"nested more than {MAX_DEPTH} deep"))
        elif isinstance(value, str):
            taken.texts[name] = value if len(value) <= MAX_TEXT else value[:MAX_TEXT] + "…"
        elif len(points) >= MAX_WIDTH:
            taken.refused.append((name, f"more than {MAX_WIDTH} points in one row"))
        else:
            try:
                points[name] = number = as_float(value)
                if isinstance(value, int) and number == number and abs(number) > EXACT and int(number) != value:
                    taken.rounded.append(name)
            except Exception as problem_of_value:  # noqa: BLE001 -- a user's object may raise anything when asked
                taken.refused.append((name, str(problem_of_value) or type(problem_of_value).__name__))


def _name(key: Any, prefix: str) -> Tuple[str, str]:
    """The full name of a key, and what is wrong with it ("" when nothing is)."""
    if not isinstance(key, str):
        return f"{prefix}{key!r:.40}", f"a metric's name must be text, not {type(key).__name__}"
    name = prefix + key
    if not name.isascii():
        name = name.encode("utf-8", "replace").decode("utf-8")  # lone surrogates cannot cross the wire
    if not key:
        return name, "a metric's name is empty"
    if len(name) > MAX_NAME:
        return name[:40] + "…", f"a metric's name is longer than {MAX_NAME} characters"
    return name, ""


def as_float(value: Any) -> float:
    """One value as a 64-bit float; raises TypeError or OverflowError that says why it cannot be one."""
    if isinstance(value, (float, int)):
        return float(value)
    return _scalar(value)


def _scalar(value: Any) -> float:
    """A numpy scalar, a 0-d or one-element array, a tensor on the CPU, a Fraction or Decimal."""
    if value is None:
        raise TypeError("None is not a number")
    if getattr(value, "is_cuda", False):
        raise TypeError("a tensor on the GPU would have to wait for it; log `.item()` of it where waiting is right")
    item = getattr(value, "item", None)
    if callable(item):
        size = getattr(value, "numel", None)
        count = size() if callable(size) else getattr(value, "size", 1)
        if count != 1:
            raise TypeError(f"{type(value).__name__} with {count} elements is not a single number")
        inner = item()
        if hasattr(inner, "item") or isinstance(inner, complex):
            raise TypeError(f"{type(value).__name__} holds no real number")
        return as_float(inner)
    if hasattr(value, "__float__"):
        return float(value)
    raise TypeError(f"{type(value).__name__} is not a number, text or dictionary")
