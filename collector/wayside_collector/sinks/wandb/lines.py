"""What stands in a run's history beside numbers, and what goes along with a run: texts, media, artifacts. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from wayside import row as kinds
from wayside.row import Event

from ..base import Record, Ref
from .names import metric_name, sound
from .plain import plain

IN_LINES = (kinds.TEXT, kinds.MEDIA)  # events that stand in the history


class Upload(NamedTuple):
    """An artifact, or files of the run itself."""

    ref: Ref
    kind: str
    data: dict[str, Any]

    def told(self) -> dict[str, Any]:
        """What W&B is told of an artifact beside its files."""
        data = self.data
        asked = data.get("aliases")
        aliases = [sound(one) for one in asked if isinstance(one, str) and one] if isinstance(asked, list) else []
        metadata = data.get("metadata")
        return {
            **{name: sound(data[name]) for name in ("name", "type", "description") if isinstance(data.get(name), str)},
            "aliases": aliases,
            "metadata": plain(metadata) if isinstance(metadata, dict) else {},
        }


class Texts(NamedTuple):
    """Text events that join a row of their part: by step, and their seqs."""

    by_step: dict[int | None, list[Event]]
    joined: set[int]


def texts_of(records: list[Record]) -> Texts:
    """Those of a part."""
    found = Texts({}, set())
    events = [record for record in records if isinstance(record, Event) and record.kind in IN_LINES]
    steps = {record.step for record in records if not isinstance(record, Event)} if events else set()
    for event in events:
        if event.step is not None and event.step in steps:
            found.by_step.setdefault(event.step, []).append(event)
            found.joined.add(event.seq)
    return found


def strings(event: Event, prefix: str) -> dict[str, Any]:
    """Texts by the names W&B gets."""
    values = event.data.get("values")
    told = values.items() if isinstance(values, dict) else ()
    return named({k: sound(v) for k, v in told if isinstance(v, str)}, prefix)


def named(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """By the names W&B gets."""
    return {metric_name(prefix + name): value for name, value in values.items()}
