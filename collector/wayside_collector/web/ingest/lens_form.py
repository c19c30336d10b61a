"""What AMD's wandb exporter sends to Primus Lens, as rows and events of ours. Pure.

Its requests are read as Lens's server reads them, in Go: keys in any case, fields that are not known ignored, null for
a field that is not there. More than that one reads the bare NaN that the exporter writes, a step with a decimal point,
and the good entries among bad ones: the exporter sends nothing twice, so what is refused is lost.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from wayside import wire

from ...plausible import MAX_TIME
from .rows import MAX_ROWS, MAX_TOLD, read_json

MAX_ENTRIES = 100_000  #: in a request, good and bad: of real ones 4 MiB hold fewer

_MAX_STEP = (1 << 63) - 1


class Malformed(ValueError):
    """Nothing of it can be read; the message is for the log, since Lens says only "invalid request format"."""


class Sender(NamedTuple):
    """Who a request says it is from; empty where it does not."""

    workload: str
    pod: str
    pod_uid: str
    run: str


class Entry(NamedTuple):
    """One call of `wandb.log`, or what is left of it. time: 0 for none. texts: its values that are text."""

    time: float
    step: int
    metrics: dict[str, float]
    texts: dict[str, str]


class Entries(NamedTuple):
    """A request's rows. total: of its metrics, or of its logs, good and bad. problems: of the bad ones, the first."""

    sender: Sender
    rows: list[Entry]
    total: int
    refused: int
    problems: list[str]


class _Problems:
    """What is wrong with entries: all of it is counted, and the first is told."""

    def __init__(self) -> None:
        self.count = 0
        self.told: list[str] = []

    def add(self, place: str, problem: ValueError) -> None:
        self.count += 1
        if len(self.told) < MAX_TOLD:
            self.told.append(f"{place}: {problem}")


class Detection(NamedTuple):
    """What is known of a run at its beginning. about: what else the exporter found out."""

    sender: Sender
    namespace: str
    project: str
    name: str
    tags: tuple[str, ...]
    config: dict[str, Any]
    about: dict[str, Any]


def read_body(body: bytes) -> dict[str, Any]:
    try:
        found = read_json(body)
    except (ValueError, RecursionError) as problem:
        raise Malformed(f"not JSON: {problem}") from None
    return _fields(found, "the request")


def read_metrics(value: Any) -> Entries:
    """`/wandb/metrics`: entries of one call have its time and its step in common."""
    request = _fields(value, "metrics")
    rows: dict[tuple[float, int], list[dict[str, float]]] = {}
    problems = _Problems()
    entries = _listed(request, "metrics")
    for place, entry in enumerate(entries):
        try:
            one = _fields(entry, "an entry")
            name = one.get("name")
            number = wire.as_number(name if isinstance(name, str) else "", one.get("value"))
            calls = rows.setdefault((_time(one.get("timestamp")), _step(one.get("step"))), [{}])
            if name in calls[-1]:
                calls.append({})
            calls[-1][str(name)] = number
        except (Malformed, wire.WireError) as problem:
            problems.add(f"metrics[{place}]", problem)
    found = [Entry(time, step, call, {}) for (time, step), calls in rows.items() for call in calls if call]
    return _entries(request, found, len(entries), problems)


def read_logs(value: Any) -> Entries:
    """`/wandb/logs`: an entry holds any JSON, of which numbers and texts are kept."""
    request = _fields(value, "logs")
    rows: list[Entry] = []
    problems = _Problems()
    entries = _listed(request, "logs")
    for place, entry in enumerate(entries):
        try:
            one = _fields(entry, "an entry")
            metrics, texts = _flat(_object(one.get("data"), "data"))
            if not metrics and not texts:
                raise Malformed("it holds neither a number nor a text")
            rows.append(Entry(_time(one.get("timestamp")), _step(one.get("step")), metrics, texts))
        except Malformed as problem:
            problems.add(f"logs[{place}]", problem)
    return _entries(request, rows, len(entries), problems)


def read_detection(value: Any) -> Detection:
    """`/wandb/detection`."""
    request = _fields(value, "detection")
    evidence = _fields(request.get("evidence"), "evidence")
    told = _fields(evidence.get("wandb"), "wandb")
    config = {key: value for key, value in _object(told.get("config"), "config").items() if key != "_wandb"}
    tags = tuple(str(tag)[:64] for tag in _list(told.get("tags"), "tags") if tag)[:256]
    about = {key: value for key, value in evidence.items() if key != "wandb" and value}
    if request.get("hints"):
        about["hints"] = request["hints"]
    sender = _sender(request)
    return Detection(
        sender._replace(run=_text(told.get("id"), "id") or sender.run),
        _text(request.get("namespace"), "namespace"),
        _text(told.get("project"), "project"),
        _text(told.get("name"), "name"),
        tags,
        config,
        about,
    )


def _listed(request: Mapping[str, Any], name: str) -> list[Any]:
    entries = _list(request.get(name), name)
    if len(entries) > MAX_ENTRIES:
        raise Malformed(f"{len(entries)} entries in a request; the limit is {MAX_ENTRIES}: send them in parts")
    return entries


def _entries(request: Mapping[str, Any], rows: list[Entry], total: int, problems: _Problems) -> Entries:
    if len(rows) > MAX_ROWS:
        raise Malformed(f"{len(rows)} rows in a request; the limit is {MAX_ROWS}")
    if total and not rows:
        raise Malformed(problems.told[0])
    return Entries(_sender(request), rows, total, problems.count, problems.told)


def _sender(request: Mapping[str, Any]) -> Sender:
    return Sender(*(_text(request.get(name), name) for name in ("workload_uid", "pod_name", "pod_uid", "run_id")))


def _fields(value: Any, what: str) -> dict[str, Any]:
    """An object's fields, which Go finds whatever the case of their keys."""
    return {key.lower(): inner for key, inner in _object(value, what).items()}


def _object(value: Any, what: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"{what} must be an object, not {value!r:.80}")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"{what} must be an array, not {value!r:.80}")
    return value


def _text(value: Any, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(f"{what} must be text, not {value!r:.80}")
    return value.encode("utf-8", "replace").decode()  # half a character cannot be kept


def _time(value: Any) -> float:
    """Unix seconds; 0 for none."""
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_TIME:
        raise Malformed(f"timestamp must be a Unix time in seconds, not {value!r:.80}")
    return float(value)


def _step(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -_MAX_STEP <= value <= _MAX_STEP:
        raise Malformed(f"step must be a whole number of 64 bits, not {value!r:.80}")
    return value


def _flat(data: Mapping[str, Any], prefix: str = "", depth: int = 0) -> tuple[dict[str, float], dict[str, str]]:
    """The numbers and the texts in it; nested objects have their names put together with `/`, as W&B shows them."""
    metrics: dict[str, float] = {}
    texts: dict[str, str] = {}
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and depth < 4:
            inner = _flat(value, f"{name}/", depth + 1)
            metrics.update(inner[0])
            texts.update(inner[1])
            continue
        try:
            metrics[name] = wire.as_number(name, value)
        except wire.WireError:
            if isinstance(value, str) and 0 < len(name) <= wire.MAX_NAME:
                texts[name] = value[:65536]
    return metrics, texts
