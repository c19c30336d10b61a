"""All that the page shows, and how rows and scrapes change it. Pure but for its own state: time comes in as an
argument, and the caller (`sink.py`) lets one thread in at a time.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from wayside.row import ALERT, FINISH, Event, Row

from ...session import Session
from ..base import Record
from ..carrying import BESIDE
from .hosts import Hosts
from .kept import Damaged, trimmed
from .members import Member, Members, from_record
from .options import PrometheusOptions
from .page import Page, Shot
from .runs import Runs

DEVICE = "device"  #: the kind of the samplers' events that describe devices

_log = logging.getLogger(__name__)


class Taken(NamedTuple):
    """What became of points that are not on the page. superseded: another value took the place before any scrape.
    over_limit: their series is not shown. impossible: counters that were negative or not finite. media_left_out: events
    of pictures, tables and the like.
    """

    superseded: int = 0
    over_limit: int = 0
    impossible: int = 0
    media_left_out: int = 0


class Board:
    """The page with what it takes to keep it."""

    def __init__(self, options: PrometheusOptions, reserved: Iterable[str] = ()) -> None:
        self._page = Page(options.max_series, options.max_label_length, reserved)
        self._members = Members(self._page)
        self._runs = Runs(options, self._members)
        self._hosts = Hosts(options, self._members, self._runs.make_room)

    @property
    def size(self) -> int:
        """Series on the page."""
        return self._page.size

    def take(self, session: Session, records: Sequence[Record], now: float) -> Taken:
        """Take records of a session, in its order; those taken before are passed over. now: Unix time in seconds."""
        member = self._members.by_id.get(session.id) or self._join(session)
        rows = [record for record in records if isinstance(record, Row) and record.seq > member.seq]
        events = [record for record in records if isinstance(record, Event) and record.seq > member.seq]
        if not rows and not events:
            return Taken()
        member.seq = max(record.seq for last in (rows[-1:], events[-1:]) for record in last)
        member.taken = now
        self._members.changed.add(session.id)
        if session.kind == "system":
            return self._take_system(member, rows, events, now)
        taken = Taken(*self._runs.take_rows(member, rows)) if rows else Taken()
        for event in events:
            if event.kind == ALERT:
                self._runs.take_alert(member, event)
            elif event.kind == FINISH and not (rows and rows[-1].seq > event.seq):
                self._runs.take_finish(member, event)
        return taken._replace(media_left_out=sum(event.kind in BESIDE for event in events))

    def scrape(self, now: float) -> list[Shot]:
        """A copy of the page; whatever ended or grew stale goes first. now: Unix time in seconds."""
        self._members.scrapes += 1
        self._runs.expire()
        self._hosts.sweep(now)
        return self._page.snapshot()

    def changes(self, now: float) -> dict[str, bytes | None]:
        """Kept records that changed since the last call, by session id; None for one that is no longer kept."""
        self._hosts.sweep(now)
        for id in list(self._members.changed):
            member = self._members.by_id.get(id)
            if member is not None and member.session.kind == "run":
                self._runs.tidy(member)
        return self._members.changes()

    def restore(self, state: Mapping[str, bytes], now: float) -> int:
        """Show what was kept; returns how many records could not be read. Those are no longer kept."""
        found = []
        damaged = []
        for key, record in state.items():
            try:
                entry = from_record(record)
                if entry[0].session.id != key:
                    raise Damaged(f"it is of session {entry[0].session.id:.40}")
                found.append(entry)
            except Damaged as problem:
                _log.warning("the kept state of session %s cannot be read and is left out: %s", key, problem)
                damaged.append(key)
        for member, values, suffixed in sorted(found, key=lambda entry: entry[0].standing):
            self._members.add(member)
            if member.session.kind == "system":
                self._hosts.restore(member, values)
            else:
                self._runs.restore(member, values, suffixed)
        self._members.changed.clear()
        self._runs.settle(now)
        self._members.changed.update(damaged)
        return len(damaged)

    def _join(self, session: Session) -> Member:
        member = Member(trimmed(session))
        self._members.add(member)
        if session.kind == "system":
            self._hosts.attach(member)
        else:
            self._runs.attach(member)
        return member

    def _take_system(self, member: Member, rows: list[Row], events: list[Event], now: float) -> Taken:
        for event in events:  # first, so that the first rows of a GPU find its uuid
            if event.kind == DEVICE:
                self._hosts.take_devices(member, event.data)
        return Taken(*self._hosts.take_rows(member, rows, now)) if rows else Taken()
