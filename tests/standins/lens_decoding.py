"""How Go decodes a request to Lens: the strictness that the stand-in (`lens_server.py`) shares with the real server.

Keys are read in any case, unknown ones ignored, null is nothing; a wrong type, a bare NaN or a step with a decimal
point anywhere refuses the whole request.
"""

import json
from typing import Any


class Malformed(Exception):
    """What Go's decoder would refuse."""


def decode(body: bytes) -> Any:
    def refuse(constant: str) -> float:
        raise Malformed(constant)

    try:
        return json.loads(body.decode("utf-8", "replace"), parse_constant=refuse)
    except ValueError as problem:
        raise Malformed(str(problem)) from problem


def lower(value: object) -> dict[str, Any]:
    """An object as a Go struct reads it: keys in any case, null for nothing."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed("not an object")
    return {key.lower(): inner for key, inner in value.items()}


def typed(value: object, kind: type | tuple[type, ...], zero: Any) -> Any:
    if value is None:
        return zero
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Malformed(f"{value!r:.80} is no {kind}")
    return value


def number(value: object) -> float:
    try:
        found = float(typed(value, (int, float), 0.0))
    except OverflowError as problem:
        raise Malformed("out of range") from problem
    if found in (float("inf"), float("-inf")):
        raise Malformed("out of range")
    return found


def step_of(value: object) -> int:
    step = typed(value, int, 0)
    if not -(2**63) <= step < 2**63:
        raise Malformed("out of range")
    return step


def metrics(header: dict[str, Any]) -> list[tuple[int, float, dict[str, Any]]]:
    rows: dict[int, tuple[int, float, dict[str, Any]]] = {}
    for item in typed(header.get("metrics"), list, []):
        metric = lower(item)
        name, value = typed(metric.get("name"), str, ""), number(metric.get("value"))
        step, time = step_of(metric.get("step")), number(metric.get("timestamp"))
        for tag in typed(metric.get("tags"), dict, {}).values():
            typed(tag, str, "")
        rows.setdefault(step, (step, time, {}))[2][name] = value
    return list(rows.values())


def logs(header: dict[str, Any]) -> list[tuple[int, float, dict[str, Any]]]:
    entries = [lower(item) for item in typed(header.get("logs"), list, [])]
    return [(step_of(e.get("step")), number(e.get("timestamp")), typed(e.get("data"), dict, {})) for e in entries]
