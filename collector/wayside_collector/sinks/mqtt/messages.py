"""From rows and events to messages: topic and payload. Pure."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from wayside import wire
from wayside.row import CLIENT, MEDIA, Event, Row

from ...media_events import without_bytes
from ...session import Session
from ...strict import strict
from ..base import Parcel, Record, Ref
from .options import MqttOptions

NOTHING = "-"  #: in the place of a level that is not known, or empty
LOT = 500  #: messages handed over before their acknowledgements are awaited
LOT_BYTES = 4 << 20  #: of their payloads, likewise
MAX_TOPIC = 65_535  #: bytes, the protocol's own

_UNFIT = re.compile("[+#/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_UNFIT_NAME = re.compile("[+#\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Message(NamedTuple):
    ref: Ref
    run: str
    topic: str
    payload: bytes

    def packet(self, version: str) -> int:
        """Bytes of it as a packet of quality of service 1: topic, number and, in version 5, no properties."""
        rest = 2 + len(self.topic.encode()) + 2 + (version == "5") + len(self.payload)
        return 1 + max(1, -(-rest.bit_length() // 7)) + rest


class Lot(NamedTuple):
    """Messages to be handed over at once. ends: rows and events that have none after these. too_long: messages left
    out for their topics.
    """

    messages: list[Message]
    ends: list[Ref]
    too_long: int


def level(text: str | None) -> str:
    """One level of a topic: what would end it, or mean something to a broker, becomes `_`."""
    return _dollar(_UNFIT.sub("_", text)) if text else NOTHING


def levels(name: str) -> str:
    """A metric's name: its slashes part levels, as they do in its name."""
    parts = _UNFIT_NAME.sub("_", name).split("/")
    return "/".join(_dollar(part) if part else NOTHING for part in parts)


def _dollar(text: str) -> str:
    return "_" + text[1:] if text.startswith("$") else text


def fill(template: str, places: dict[str, str]) -> str:
    return re.sub(r"\{(.*?)\}", lambda found: places[found[1]], template)


class Messages:
    """Makes messages by these options."""

    def __init__(self, options: MqttOptions) -> None:
        self._options = options

    def of(self, session: Session, record: Record) -> Iterator[Message]:
        """Those of one row or event; none for events that nobody wants."""
        ref = session.id, getattr(record, "seq", 0)
        if isinstance(record, Row):
            template = self._options.system_topic if session.kind == "system" else self._options.topic
            for metric, body in _bodies(session, record, apart="{metric}" in template):
                yield Message(ref, session.run.id, fill(template, places(session, metric)), body)
        elif isinstance(record, Event) and self._options.event_topic and record.kind != CLIENT and record.kind:
            named = {**places(session, ""), "kind": level(record.kind)}
            yield Message(ref, session.run.id, fill(self._options.event_topic, named), _event(session, record))


def lots(messages: Messages, parcel: Parcel) -> Iterator[Lot]:
    """The messages of a parcel, so many at once that they may be held in memory."""
    lot: list[Message] = []
    ends: list[Ref] = []
    too_long = size = 0
    for part in parcel.parts:
        for record in part.records:
            for message in messages.of(part.session, record):
                if len(message.topic.encode()) > MAX_TOPIC:
                    too_long += 1
                    continue
                lot.append(message)
                size += len(message.payload)
                if len(lot) >= LOT or size >= LOT_BYTES:
                    yield Lot(lot, ends, too_long)
                    lot, ends, too_long, size = [], [], 0, 0
            ends.append((part.session.id, getattr(record, "seq", 0)))
    yield Lot(lot, ends, too_long)


def places(session: Session, metric: str) -> dict[str, str]:
    return {
        "project": level(session.run.project),
        "run": level(session.run.id),
        "rank": level(None if session.rank is None else str(session.rank)),
        "host": level(session.host),
        "session": session.id,
        "metric": levels(metric),
    }


def _bodies(session: Session, row: Row, apart: bool) -> Iterator[tuple[str, bytes]]:
    head = _head(session, row)
    if apart:
        for name, value in zip(row.names, row.values, strict=True):
            yield name, msgspec.json.encode({"value": _number(value), **head, "metric": _text(name)})
    elif row.names:
        metrics = {_text(name): _number(value) for name, value in zip(row.names, row.values, strict=True)}
        yield "", msgspec.json.encode({"metrics": metrics, **head})


def _head(session: Session, record: Row | Event) -> dict[str, Any]:
    """What every payload says; (session, seq) names the row for ever, so that one that comes twice is known."""
    head: dict[str, Any] = {"step": record.step, "time": record.time}
    if session.kind == "system":
        head["host"] = _text(session.host)
    else:
        head |= {"run": _text(session.run.id), "rank": session.rank}
    return {**head, "session": session.id, "seq": record.seq}


def _number(value: float) -> float | str:
    """JSON knows no number that is not finite."""
    return value if value - value == 0 else wire.spell(value)


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _event(session: Session, event: Event) -> bytes:
    data = without_bytes(event.data) if event.kind == MEDIA else event.data
    told = {"event": strict({"kind": event.kind, **data}), **_head(session, event)}
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
