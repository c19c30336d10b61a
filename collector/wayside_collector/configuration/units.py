"""Sizes and times as people write them in the configuration: "1GiB", "256 MB", "30s", "7d". Plain numbers are bytes
and seconds.
"""

import math
import re
import types
from collections.abc import Mapping
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

_SIZES = {
    **{"": 1, "b": 1, "k": 1 << 10, "kib": 1 << 10, "kb": 1000, "m": 1 << 20, "mib": 1 << 20, "mb": 1000**2},
    **{"g": 1 << 30, "gib": 1 << 30, "gb": 1000**3, "t": 1 << 40, "tib": 1 << 40, "tb": 1000**4},
}
_TIMES = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


MAX_BYTES = 1 << 60  #: an exbibyte: more is a slip of the pen, or a wish for no limit
MAX_SECONDS = 3.2e8  #: ten years, likewise

#: Field types of options: plain numbers when read, written with or without a unit in the configuration.
Bytes = Annotated[int, msgspec.Meta(ge=1, le=MAX_BYTES, extra={"unit": "bytes"})]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=MAX_SECONDS, extra={"unit": "seconds"})]
SampleInterval = Annotated[float, msgspec.Meta(ge=0.1, le=3600, extra={"unit": "seconds"})]


def unit_of(kind: Any) -> str | None:
    """The unit of an option's type, when it has one."""
    if get_origin(kind) is Annotated:
        for meta in kind.__metadata__:
            if isinstance(meta, msgspec.Meta) and meta.extra:
                return meta.extra.get("unit")
    if get_origin(kind) in (Union, types.UnionType):  # such an option may be left out
        return next(filter(None, map(unit_of, get_args(kind))), None)
    return None


def parse_size(value: Any) -> int:
    """Bytes from a number or a text like "1GiB"; raises ValueError."""
    return int(_parse(value, _SIZES, 'a size is a number of bytes or a text like "256MiB"'))


def parse_duration(value: Any) -> float:
    """Seconds from a number or a text like "30s"; raises ValueError."""
    return _parse(value, _TIMES, 'a time is a number of seconds or a text like "30s", "5m", "7d"')


def _parse(value: Any, units: Mapping[str, float], help: str) -> float:
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*([a-z]*)", str(value)[:80].strip().lower())
    if isinstance(value, bool) or match is None or match[2] not in units:
        raise ValueError(f"{help}, not {value!r:.40}")
    number = float(match[1]) * units[match[2]]
    if not 0 < number < math.inf:
        raise ValueError(f"{help}, more than zero, not {value!r:.40}")
    return number


def show_size(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return ""


def show_seconds(seconds: float) -> str:
    """A time span for people."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "m")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
