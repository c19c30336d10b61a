"""Rows as AMD's exporter writes them into its files: one line a `log()` call, its numbers and its texts together. Pure.

    {"timestamp": 1767225600.5, "step": 3, "data": {"loss": 0.5, "stage": "warmup"}}

Strict JSON, unlike theirs: what is not finite stands as "NaN", "Infinity", "-Infinity". A call's texts are an event
beside its row, of the same time and step.
"""

import json
from typing import Any, Dict, Iterable, Iterator, Mapping, Optional, Tuple, Union

from . import wire
from .row import TEXT, Event, Row

FILE = "wandb_metrics"  #: the files' name; further ones have a number after it


def folder_of(node_rank: Optional[int], local_rank: Optional[int]) -> str:
    """Where a process's file lies, below the folder that was asked for."""
    return f"node_{node_rank or 0}/rank_{-1 if local_rank is None else local_rank}"


def file_name(number: int) -> str:
    """The first file has the name that their readers look for."""
    return f"{FILE}.jsonl" if number == 1 else f"{FILE}-{number:08d}.jsonl"


def lines(records: Iterable[Union[Row, Event]], more: Mapping[str, Any]) -> Iterator[str]:
    """A line for each call among these records of one session, in order. more: what is put into each beside."""
    held: Optional[Tuple[float, Optional[int], Dict[str, Any]]] = None
    for record in records:
        if isinstance(record, Event) and record.kind != TEXT:
            continue
        data = _data(record)
        if isinstance(record, Event) and not data:
            continue
        same = held is not None and held[:2] == (record.time, record.step) and isinstance(record, Event)
        if held is not None and same:
            held[2].update(data)
            continue
        if held is not None:
            yield _line(held, more)
        held = (record.time, record.step, data)
    if held is not None:
        yield _line(held, more)


def _data(record: Union[Row, Event]) -> Dict[str, Any]:
    if isinstance(record, Event):
        values = record.data.get("values")
        return dict(values) if isinstance(values, dict) else {}
    pairs = zip(record.names, record.values)
    return {name: value if value - value == 0 else wire.spell(value) for name, value in pairs}


def _line(call: Tuple[float, Optional[int], Dict[str, Any]], more: Mapping[str, Any]) -> str:
    time, step, data = call
    return json.dumps({"timestamp": time, "step": step, "data": {**data, **more}}, ensure_ascii=False) + "\n"
