"""All that the SDK wrote into a run's `.wandb` file, but for what differs between any two runs of one script.

Out are: times, durations and what was measured of the machine (`_timestamp`, `_runtime`, `start_time`, `startedAt`,
`runtime`, `stats`, the disk's usage), with the records' numbers, which count `stats`; names made up at random
(`writerId`); and the order of names within a record, which is that of a map in Go.
Frameworks measure time, too: what they call `…runtime` and `…per_second` is out, and so are lines that print it.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from wandb.proto import wandb_internal_pb2 as pb
from wayside_collector.sinks.wandb.transaction_log import Log

_DIFFER = re.compile(r"_timestamp|_wandb|.*runtime|.*per_second")
_NOTHING: dict[str, Any] = {"update": []}  # a summary of times alone
_TIMES = re.compile(r"runtime|per_second")
_FIELDS = frozenset({"startTime", "startedAt", "runtime", "writerId", "disk", "timestamp", "uuid", "control", "num"})
_KINDS = frozenset({"stats"})


def records(path: Path) -> list[dict[str, Any]]:
    """In the order they were written; at the end what was printed, which is read by a thread of its own."""
    found: list[dict[str, Any]] = []
    printed: dict[int, str] = {}
    for raw in Log().feed(path.read_bytes()):
        record = pb.Record()
        record.ParseFromString(raw)
        kind = record.WhichOneof("record_type")
        if kind == "output_raw":
            output = record.output_raw
            printed[output.output_type] = printed.get(output.output_type, "") + output.line
        elif kind not in _KINDS:
            told = _same(MessageToDict(record))
            if told.get("summary") != _NOTHING:
                found.append(told)
    lines = {kind: [line for line in text.splitlines() if not _TIMES.search(line)] for kind, text in printed.items()}
    return [*found, {"printed": lines}]


def kinds(found: list[dict[str, Any]]) -> Counter[str]:
    """How many of each kind."""
    return Counter(name for record in found for name in record)


def _same(value: Any) -> Any:
    """Without what differs."""
    if isinstance(value, list):
        items = [
            _same(one) for one in value if not (isinstance(one, dict) and any(map(_DIFFER.fullmatch, _names(one))))
        ]
        return sorted(items, key=lambda item: sorted(_names(item))) if _are_items(items) else items
    if isinstance(value, dict):
        return {name: _same(one) for name, one in value.items() if name not in _FIELDS}
    return value


def _are_items(values: list[Any]) -> bool:
    return all(isinstance(value, dict) and _names(value) != {""} for value in values)


def _names(item: dict[str, Any]) -> set[str]:
    """What an item of a row, of the summary or of the config is called."""
    return {item.get("key", ""), *item.get("nestedKey", [])}
