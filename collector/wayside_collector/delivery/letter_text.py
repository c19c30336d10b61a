"""A refused record as text and back, without losing anything: replayed, it is what the sink was handed.

JSON as Python writes it: a number comes back as the very same number, and NaN and the infinities have names. Pure.
"""

import json
from typing import Any

from wayside.row import Event, Row

from ..sinks.base import Record, Step
from .parcels import seqs_of

_KINDS: dict[str, Any] = {"row": Row, "step": Step, "event": Event}
_TUPLES = ("seqs", "names", "values")


class Unreadable(Exception):
    """Nothing a sink could be handed; the message says why."""


def write_record(record: Record, primary: bool) -> bytes:
    """A record as text, whatever it holds: that it was refused must not be lost to a second trouble. primary: as in
    `Part`.
    """
    kind = next(name for name, of in _KINDS.items() if isinstance(record, of))
    try:
        return json.dumps({"primary": primary, kind: record._asdict()}).encode()
    except (ValueError, TypeError, RecursionError):
        return json.dumps({"unreadable": {"time": record.time, "seqs": seqs_of(record)}}).encode()


def read_record(text: bytes) -> tuple[Record, bool]:
    """The record, and whether its session spoke for its run. A step comes back as a late one, for later steps have
    been handed over since. Raises Unreadable.
    """
    fields = read_fields(text)
    kind = next((name for name in _KINDS if name in fields), None)
    if kind is None:
        raise Unreadable("it could not be written down when it was refused")
    try:
        found = {name: tuple(value) if name in _TUPLES else value for name, value in fields[kind].items()}
        record: Record = _KINDS[kind](**found)
        return record._replace(late=True) if isinstance(record, Step) else record, bool(fields["primary"])
    except (KeyError, TypeError, AttributeError) as problem:
        raise Unreadable(f"it was kept in a way that this version does not read: {problem}") from None


def read_fields(text: bytes) -> dict[str, Any]:
    """What stands in it, for people. Raises Unreadable."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("it is damaged") from None
    if not isinstance(fields, dict):
        raise Unreadable("it was kept by a version that was never released")
    return fields
