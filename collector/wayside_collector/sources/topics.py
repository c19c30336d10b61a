"""What a message of a broker says: topic and payload become a row of a run. Pure.

A topic is taken by a template such as `sensors/{run}/{metric}`: a place stands for one level, `{metric}` at the end for
all that follow, `+` and `#` are what they are to a broker. A payload is a number; or an object of the form in which our
own sink writes, with `value` or `metrics`; or any object, whose numbers are metrics under their keys.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from wayside import wire

from ..run_ids import sound_id

MAX_PAYLOAD = 1 << 20  #: bytes of a message: a row of ten thousand metrics
MAX_METRICS = 10_000  #: of one message
MAX_NESTED = 4  #: objects in one another, as which metrics may come

PLACES = ("project", "run", "rank", "metric")
_MILLISECONDS = 1e11  # a Unix time beyond it is in milliseconds: as seconds it would be in the year 5138


class BadMessage(ValueError):
    """A message that is no row, and why."""


class Default(NamedTuple):
    """What is not told by topic or payload."""

    run: str
    project: str


class Reading(NamedTuple):
    """A row, and whose. time: Unix time in seconds, None for none."""

    run: str
    project: str
    rank: int | None
    time: float | None
    step: int | None
    metrics: dict[str, float]


class Template(NamedTuple):
    """A template of topics. filter: what a broker is asked for."""

    text: str
    filter: str
    pattern: re.Pattern[str]


def read_template(text: str) -> Template:
    """Raises ValueError with what is wrong."""
    levels = text.split("/")
    filters, patterns = [], []
    for place, level in enumerate(levels):
        is_last = place == len(levels) - 1
        named = re.fullmatch(r"\{(.*)\}", level)
        if named is not None:
            if named[1] not in PLACES:
                raise ValueError(f"there is no {level:.40}; there are {', '.join(f'{{{one}}}' for one in PLACES)}")
            deep = is_last and named[1] == "metric"
            filters.append("#" if deep else "+")
            patterns.append(f"(?P<{named[1]}>.+)" if deep else f"(?P<{named[1]}>[^/]+)")
        elif level == "+" or (level == "#" and is_last):
            filters.append(level)
            patterns.append("[^/]*" if level == "+" else ".*")
        elif any(letter in level for letter in "+#{}\x00"):
            raise ValueError(f"{level:.40} is no level: a place, + or # stands alone between slashes, # at the end")
        else:
            filters.append(level)
            patterns.append(re.escape(level))
    try:
        return Template(text, "/".join(filters), re.compile("/".join(patterns)))
    except re.error:
        raise ValueError("a place may stand there once") from None


def read_message(template: Template, topic: str, payload: bytes, default: Default) -> Reading:
    """Raises BadMessage."""
    match = template.pattern.fullmatch(topic)
    if match is None:
        raise BadMessage("its topic is of no template")
    if len(payload) > MAX_PAYLOAD:
        raise BadMessage(f"{len(payload)} bytes, the limit is {MAX_PAYLOAD}")
    said = match.groupdict()
    name = said.get("metric") or topic.rpartition("/")[2] or "value"
    value = _decode(payload)
    told = value if isinstance(value, dict) else {}
    metrics = dict(_metrics(name, value, "metric" in said))
    if not metrics:
        raise BadMessage("there is no number in it")
    if len(metrics) > MAX_METRICS:
        raise BadMessage(f"{len(metrics)} metrics, the limit is {MAX_METRICS}")
    return Reading(
        sound_id(_text(told.get("run")) or said.get("run") or default.run, default.run),
        _text(told.get("project")) or said.get("project") or default.project,
        _whole(told.get("rank"), said.get("rank")),
        _time(told.get("time")),
        _whole(told.get("step")),
        metrics,
    )


def _decode(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = payload.strip().decode("utf-8", "replace")
    try:
        return float(text)
    except ValueError:
        raise BadMessage("neither a number nor JSON") from None


def _metrics(name: str, value: Any, is_named: bool) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        if isinstance(value.get("metrics"), dict):
            yield from _numbers("", value["metrics"], 0)
            return
        if "value" in value:
            value = value["value"]
            yield from _number(name, value)
            return
        head = {"run", "project", "rank", "time", "step", "session", "seq", "metric"}
        rest = {key: one for key, one in value.items() if key not in head}
        yield from _numbers(f"{name}/" if is_named else "", rest, 0)
        return
    yield from _number(name, value)


def _numbers(prefix: str, values: Mapping[str, Any], depth: int) -> Iterator[tuple[str, float]]:
    for key, value in values.items():
        if isinstance(value, dict):
            if depth < MAX_NESTED:
                yield from _numbers(f"{prefix}{key}/", value, depth + 1)
        else:
            yield from _number(f"{prefix}{key}", value)


def _number(name: str, value: Any) -> Iterator[tuple[str, float]]:
    """The number it is, spelled out or not; whatever is none is passed over, for such objects hold texts, too."""
    if 0 < len(name) <= wire.MAX_NAME and isinstance(value, int | float | str):
        try:
            yield name, wire.as_number(name, value)
        except wire.WireError:
            return


def _text(value: Any) -> str:
    return value.strip()[:1024] if isinstance(value, str) else ""


def _whole(*values: Any) -> int | None:
    for value in values:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53:
            return value
    return None


def _time(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        return None
    return value / 1000 if value > _MILLISECONDS else float(value)
