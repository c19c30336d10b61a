"""How numbers, times and names are written for a person. Pure."""

import math
from datetime import datetime
from typing import Any

import msgspec

from .configuration.units import show_seconds
from .strict import strict


def number(value: float | int | None, digits: int = 6) -> str:
    """A number, rounded for reading; nothing where there is none."""
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return f"{value:.{digits}g}"


def when(time: float | None) -> str:
    """A moment, in this machine's time."""
    try:
        return "" if time is None else datetime.fromtimestamp(time).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):  # a clock that was wrong
        return f"{time:.0f}"


def span(seconds: float) -> str:
    return show_seconds(max(0.0, seconds))


def plain(text: str) -> str:
    """A text of the training code's as a terminal may have it: nothing in it moves the cursor or changes colours."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def owner(rank: int | None, host: str) -> str:
    """Whose a series is."""
    return f"rank {rank}" if rank is not None else plain(host)


def json_text(value: Any) -> str:
    """Strict JSON, readable; a number that is not finite spelled out, as the API does."""
    return msgspec.json.format(msgspec.json.encode(strict(msgspec.to_builtins(value))), indent=2).decode()
