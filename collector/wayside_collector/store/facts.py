"""A run's config and summary, and which framework it uses, key by key. Where two events say the same key, the lower
rank's counts, and of one rank the later one: so the outcome does not depend on the order in which they arrive.
"""

import json
from typing import Any, NamedTuple

from wayside.row import CONFIG, DETECTION, SUMMARY, Event

from .database import Database
from .texts import key_text, to_json

DETECTED = ("framework", "base_framework", "confidence")  #: what is kept of a detection beside the event itself
_PUT = (
    "INSERT INTO facts (run, kind, key, rank, time, session, seq, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (run, kind, key) DO UPDATE SET rank = excluded.rank, time = excluded.time,"
    " session = excluded.session, seq = excluded.seq, value = excluded.value"
    " WHERE excluded.rank < facts.rank OR (excluded.rank = facts.rank AND (excluded.time > facts.time"
    " OR (excluded.time = facts.time AND (excluded.session > facts.session"
    " OR (excluded.session = facts.session AND excluded.seq > facts.seq)))))"
)


class Speaker(NamedTuple):
    """Whose event it is. rank: -1 for a process without one."""

    run: int
    session: str
    rank: int


def take(db: Database, speaker: Speaker, event: Event) -> None:
    """What a config, summary or detection event sets and removes; nothing for other kinds."""
    if event.kind not in (CONFIG, SUMMARY, DETECTION):
        return
    given, removed = event.data.get("set"), event.data.get("remove")
    if event.kind == DETECTION:
        given, removed = {key: event.data.get(key) for key in DETECTED}, []
    values: dict[str, str | None] = {}
    if isinstance(removed, list):
        values.update((key_text(str(key)), None) for key in removed)
    if isinstance(given, dict):
        values.update((key_text(str(key)), to_json(value)) for key, value in given.items())
    stamp = (speaker.rank, event.time, speaker.session, event.seq)
    db.run_many(_PUT, [(speaker.run, event.kind, key, *stamp, value) for key, value in values.items()])


def read(db: Database, run: int, kind: str) -> dict[str, Any]:
    """What the run's config, summary or detection says now."""
    found = db.query("SELECT key, value FROM facts WHERE run = ? AND kind = ? AND value IS NOT NULL", run, kind)
    return {key: json.loads(value) for key, value in sorted(found)}
