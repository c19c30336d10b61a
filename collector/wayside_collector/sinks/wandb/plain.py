"""What JSON values of events become on their way to the SDK. Pure."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from wayside.wire import spell

from .names import sound

MAX_ABOUT = 16 << 10  #: bytes of one field of the `about` event in the config: the longest command lines


def plain(value: Any) -> Any:
    """A JSON value as the SDK and its pipe take it: NaN and the infinities as text (the SDK makes them null in a
    config and drops them from a summary), integers beyond 64 bits as floats, which W&B makes of them anyway.
    """
    if isinstance(value, str):
        return sound(value)
    if isinstance(value, float) and not math.isfinite(value):
        return spell(value)
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return plain(_as_float(value))
    if isinstance(value, dict):
        return {sound(str(k)): plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def changes(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What a config or summary event sets and removes."""
    told, removed = data.get("set"), data.get("remove")
    kept = {sound(k): plain(v) for k, v in told.items() if k} if isinstance(told, dict) else {}
    return kept, [sound(name) for name in removed if isinstance(name, str)] if isinstance(removed, list) else []


def about(data: Mapping[str, Any], count: Callable[[str, int], None]) -> dict[str, Any]:
    """What of an `about` event goes into the config. W&B makes a column of every value: so no packages, no lists of
    files, no diff. count: adds to `cut` for what is too long.
    """
    found: dict[str, Any] = {}
    for name, value in data.items():
        kept = _single_values(value) if name == "git" and isinstance(value, dict) else value
        if (isinstance(value, dict) and name != "git") or kept in (None, [], {}):
            continue
        if len(json.dumps(kept, default=str)) > MAX_ABOUT:
            count("cut", 1)
        else:
            found[name] = plain(kept)
    return found


def _single_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are neither lists nor objects, and not long."""
    return {k: v for k, v in values.items() if v is not None and not isinstance(v, dict | list) and k != "diff"}
