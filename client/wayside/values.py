"""From what a user logs to what a row can hold, without importing numpy, torch or anything else they come from.

Every object is taken by what it can do: a number as it is, a scalar tensor or array by its `item()`, a dictionary by
its entries. Nothing here raises for a value: what cannot be a point is named in `Taken.refused`, and the rest of the
row goes on. A user's object may run any code of its own when asked, so nothing here runs under a lock.
"""

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from .handlers import raised_by_handler
from .tensors import Coming, Events, begin
from .wire import MAX_NAME, MAX_WIDTH

EXACT = 1 << 53  #: whole numbers up to here are exact as 64-bit floats
MAX_STEP = (1 << 63) - 1  #: a step is a signed 64-bit number, and the lowest of them means none
MAX_DEPTH = 16  #: of nested dictionaries; deeper is a structure that refers to itself, or no metric
MAX_TEXT = 65536  #: characters of one text value: a page of output, not a log file
MAX_NAMES = 1_100_000  #: characters of all names of a row, two bytes each in JSON, beside MAX_WIDTH numbers
MAX_TEXTS = 500_000  #: characters of all texts of a call, six bytes each at worst: either fits a frame of 4 MiB

_MAX_PROBLEM = 200  # characters
_SHOWN = 40  # characters of an object in a message
_UNKNOWN = float("nan")  # in the place of a number that is coming


class Taken(NamedTuple):
    """What became of one `log()` call.

    names, values: the points, as many of one as of the other. texts: the strings, by name. refused: (name, why) for
    what could not be taken. rounded: names whose whole number is beyond 2**53 and was rounded to the nearest 64-bit
    float. coming: numbers on their way from an accelerator, by name; a NaN stands in their place.
    media: pictures, tables and the like, each as `media.recognise.Found`.
    """

    names: Tuple[str, ...]
    values: Tuple[float, ...]
    texts: Dict[str, str]
    refused: List[Tuple[str, str]]
    rounded: List[str]
    coming: Dict[str, Coming]
    media: List[Any]


def take(data: Mapping[Any, Any]) -> Taken:
    """The points, texts and refusals of one call's data; nested dictionaries are flattened with "/".

    Raises what the dictionary itself raises when it is asked for its entries.
    """
    taking = _Taking()
    taking.take_all(data, "", 0)
    names, values = tuple(taking.points), tuple(taking.points.values())
    return Taken(names, values, taking.texts, taking.refused, taking.rounded, taking.coming, taking.media)


class _Taking:
    """One call's data, on the way through it."""

    def __init__(self) -> None:
        self.points: Dict[str, float] = {}
        self.texts: Dict[str, str] = {}
        self.refused: List[Tuple[str, str]] = []
        self.rounded: List[str] = []
        self.coming: Dict[str, Coming] = {}
        self.media: List[Any] = []
        self._events: Events = {}
        self._names_size = self._texts_size = 0

    def take_all(self, data: Mapping[Any, Any], prefix: str, depth: int) -> None:
        for key, value in list(data.items()):  # a list: another thread may change the dictionary meanwhile
            name, problem = _name(key, prefix)
            if problem is None:
                try:
                    problem = self._take(name, value, depth)
                except Exception as raised:
                    if raised_by_handler(raised):
                        raise
                    problem = self._take_media(name, value, raised)
            if problem is not None:
                self.refused.append((name, problem))

    def _take(self, name: str, value: Any, depth: int) -> Optional[str]:
        """Put one entry where it belongs; returns why it has no place. Raises what the value raises."""
        if not isinstance(value, (float, int)):  # the rule first, since the exceptions take long to tell apart
            if isinstance(value, str):
                return self._take_text(name, str.__str__(value))
            if isinstance(value, Mapping):
                if depth >= MAX_DEPTH:
                    return f"nested more than {MAX_DEPTH} deep"
                self.take_all(value, name + "/", depth + 1)
                return None
            coming = begin(value, self._events)
            if coming is not None:
                problem = self._put(name, _UNKNOWN)
                if problem is None:
                    self.coming[name] = coming
                return problem
        number = as_float(value)
        problem = self._put(name, number)
        if problem is None and isinstance(value, int) and abs(value) > EXACT and int(number) != value:
            self.rounded.append(name)
        return problem

    def _put(self, name: str, number: float) -> Optional[str]:
        if name not in self.points:
            if len(self.points) >= MAX_WIDTH:
                return f"more than {MAX_WIDTH} points in one row"
            size = len(name) if name.isascii() and name.isprintable() else 3 * len(name)
            if self._names_size + size > MAX_NAMES:
                return f"the names of one row are longer than {MAX_NAMES} characters together"
            self._names_size += size
        self.points[name] = number
        self.coming.pop(name, None)
        return None

    def _take_media(self, name: str, value: Any, raised: Exception) -> Optional[str]:
        """What is no number may be a medium, or a list of them; else `raised` says what is wrong with it."""
        if value is None:
            return problem_of(raised)
        from .media.recognise import MAX_LIST, TOO_MANY, media_in  # when first needed

        try:
            found = media_in(name, value)
        except Exception as problem:
            if raised_by_handler(problem):
                raise
            return problem_of(problem)
        self.media.extend(found)
        if found:
            return TOO_MANY if found[0].of > MAX_LIST else None
        return problem_of(raised)

    def _take_text(self, name: str, text: str) -> Optional[str]:
        text = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
        if self._texts_size + len(name) + len(text) > MAX_TEXTS:
            return f"the texts of one call are longer than {MAX_TEXTS} characters together"
        self._texts_size += len(name) + len(text)
        self.texts[name] = text
        return None


def _name(key: Any, prefix: str) -> Tuple[str, Optional[str]]:
    """The full name of a key, and what is wrong with it, None when nothing is."""
    if not issubclass(type(key), str):  # and not isinstance, which would ask the key
        return prefix + shown(key), f"a metric's name must be text, not {type(key).__name__}"
    name = prefix + str.__str__(key)  # plain text even where the key is of a class of its own
    if not name.isascii():
        name = name.encode("utf-8", "replace").decode("utf-8")  # lone surrogates cannot cross the wire
    if len(name) == len(prefix):
        return name, "a metric's name is empty"
    if len(name) > MAX_NAME:
        return name[:_SHOWN] + "…", f"a metric's name is longer than {MAX_NAME} characters"
    return name, None


def as_float(value: Any) -> float:
    """One value as a 64-bit float; raises TypeError or OverflowError that says why it cannot be one."""
    if isinstance(value, (float, int)):
        return float(value)
    if value is None:
        raise TypeError("None is not a number")
    if on_device(value):
        if getattr(getattr(value, "device", None), "type", None) == "meta":
            raise TypeError("a tensor on the device `meta` has no value")
        raise TypeError("a tensor on the GPU would have to be waited for; log its `.item()` where waiting is right")
    return scalar(value)


def as_step(value: Any) -> int:
    """A step as a whole number of 64 bits; raises an error that says why it cannot be one."""
    if on_device(value):
        raise TypeError("a tensor on the GPU would have to be waited for")
    if hasattr(value, "__index__"):
        step = int(value.__index__())
    else:
        number = as_float(value)
        if not number.is_integer():
            raise ValueError(f"{number:g} is not a whole number")
        step = int(number)
    if not -MAX_STEP <= step <= MAX_STEP:
        raise OverflowError("a step must fit 64 bits")
    return step


def on_device(value: Any) -> bool:
    """Whether a tensor or array lies on an accelerator, where reading it would wait for all work queued before it.

    CUDA and ROCm say so themselves; other devices by the name of what they are (torch's `device.type`, jax's
    `device.platform`, TensorFlow's and numpy's text).
    """
    if getattr(value, "is_cuda", False) is True:
        return True
    device = getattr(value, "device", None)
    kind = device if isinstance(device, str) else getattr(device, "type", None) or getattr(device, "platform", None)
    return isinstance(kind, str) and "cpu" not in kind.lower()


def scalar(value: Any) -> float:
    """A numpy scalar, a 0-d or one-element array, a tensor, a Fraction or Decimal, read now; raises as `as_float`."""
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


def are_exact(values: Tuple[Any, ...]) -> bool:
    """Whether all are floats, or whole numbers a 64-bit float holds exactly."""
    for value in values:
        kind = type(value)
        if kind is not float and (kind is not int or not -EXACT <= value <= EXACT):
            return False
    return True


def truth(commit: Any) -> Optional[bool]:
    """`commit` as wandb takes it: anything that can be true or false."""
    try:
        return None if commit is None else bool(commit)
    except Exception as problem:
        if raised_by_handler(problem):
            raise
        return None


def text_of(value: Any) -> str:
    """`str(value)` of any object; where it has none, what it is instead."""
    try:
        return str.__str__(str(value))
    except Exception as problem:  # noqa: BLE001 -- a user's object may raise anything when asked
        return f"<{type(value).__name__} that cannot be shown: {type(problem).__name__}>"


def problem_of(problem: Exception) -> str:
    """What an exception says, cut: that of a tensor may print all of it."""
    found = text_of(problem) or type(problem).__name__
    return found if len(found) <= _MAX_PROBLEM else found[:_MAX_PROBLEM] + "…"


def shown(value: Any) -> str:
    """The first characters of any object's `repr`, for a message."""
    try:
        found = repr(value)
    except Exception:  # noqa: BLE001 -- as above
        return f"<{type(value).__name__}>"
    return found if len(found) <= _SHOWN else found[:_SHOWN] + "…"
