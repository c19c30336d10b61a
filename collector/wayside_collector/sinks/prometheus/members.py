"""The sessions on the page, and the one place where values are written to it.

A *slot* is a series and the session that owns it. Several sessions may log the same series: a rank that was started
again, a forked worker. The one of higher standing has it: open before ended, then the later started. So two lines of
equal labels cannot arise, and an old session cannot overwrite a new one.
"""

from collections.abc import Callable, Mapping

from ...session import Session
from ..names import plain_name
from . import kept
from .page import Family, Page

Slots = dict[str, "Slot"]  #: name as logged to slot


class Slot:
    """A series on the page. written: the number of scrapes when its value was last set; -1 for a restored one."""

    __slots__ = ("family", "labels", "owner", "written")

    def __init__(self, family: Family, labels: str, owner: "Member") -> None:
        self.family = family
        self.labels = labels
        self.owner = owner
        self.written = -1


class Member:
    """A session as the page knows it.

    values: of the series it owns. seq: of the last record taken, taken: when (Unix time in seconds, our clock). open:
    no finish was heard. past: it belongs to an attempt that ended before the run went on. gone: its run ended and is
    no longer shown. started: Unix time in seconds of the run's first session, as far as known. ended: Unix time in
    seconds of its finish. slots: of its rank or host. devices, periods (seconds, by sampler): what samplers told.
    """

    __slots__ = (
        "alerts",
        "devices",
        "ended",
        "exit_code",
        "gone",
        "last_step",
        "last_time",
        "nonfinite",
        "open",
        "order",
        "packed_names",
        "packed_session",
        "past",
        "periods",
        "seq",
        "session",
        "slots",
        "started",
        "taken",
        "values",
    )

    def __init__(self, session: Session) -> None:
        self.session = session
        self.order = (session.started, session.id)
        self.slots: Slots = {}
        self.values: dict[str, float] = {}
        self.seq = -1
        self.taken = 0.0
        self.open = True
        self.past = False
        self.gone = False
        self.started = session.started
        self.ended = 0.0
        self.exit_code: int | None = None
        self.last_time: float | None = None
        self.last_step: int | None = None
        self.alerts: dict[str, int] = {}
        self.nonfinite: dict[str, int] = {}
        self.devices: dict[str, dict[str, str]] = {}
        self.periods: dict[str, float] = {}
        self.packed_session = kept.pack_session(session)
        self.packed_names: kept.Names | None = None  # while the names of `values` stay the same

    @property
    def standing(self) -> tuple[bool, tuple[float, str]]:
        """Who of several has a series: the greater."""
        return self.open, self.order


class Members:
    """All sessions on the page. changed: ids of those whose kept record is no longer what it was."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.scrapes = 0
        self.by_id: dict[str, Member] = {}
        self.changed: set[str] = set()
        self._renames = 0  # those that the kept records know of

    def add(self, member: Member) -> None:
        self.by_id[member.session.id] = member
        self.changed.add(member.session.id)

    def forget(self, member: Member) -> None:
        """Let a session go, with the series it still owns."""
        for name in list(member.values):
            self.drop(member.slots, name)
        self.by_id.pop(member.session.id, None)
        self.changed.add(member.session.id)

    def drop(self, slots: Slots, name: str) -> None:
        """Take a series off the page."""
        slot = slots.pop(name)
        self.page.remove(slot.family, slot.labels)
        self._lose(slot.owner, name)

    def write(self, member: Member, latest: Mapping[str, float], make: Callable[[str], Slot | None]) -> tuple[int, int]:
        """Set the latest values of a session; `make` gives the slot of a new series, or None to refuse it.

        Returns how many points were superseded (one before them was never scraped, or they came from a session of
        lower standing) and how many were refused.
        """
        slots, scrapes = member.slots, self.scrapes
        superseded = refused = 0
        for name, value in latest.items():
            slot = slots.get(name)
            if slot is None:
                slot = make(name)
                if slot is None:
                    refused += 1
                    continue
                slots[name] = slot
                member.packed_names = None
            elif slot.owner is not member:
                if slot.owner.standing > member.standing:
                    superseded += 1
                    continue
                self._lose(slot.owner, name)
                slot.owner = member
                member.packed_names = None
            if slot.written == scrapes:
                superseded += 1
            slot.written = scrapes
            self.page.set(slot.family, slot.labels, value)
            member.values[name] = value
        return superseded, refused

    def changes(self) -> dict[str, bytes | None]:
        """The kept records that changed since the last call; None for a session that was let go."""
        if self._renames != self.page.renames:
            self._renames = self.page.renames
            self.changed.update(self.by_id)
            for member in self.by_id.values():
                member.packed_names = None
        found = {id: kept.encode(_record(self.by_id[id])) if id in self.by_id else None for id in self.changed}
        self.changed.clear()
        return found

    def _lose(self, owner: Member, name: str) -> None:
        owner.values.pop(name, None)
        owner.packed_names = None
        self.changed.add(owner.session.id)


def _record(member: Member) -> kept.Kept:
    if member.packed_names is None:
        suffixed = [name for name in member.values if member.slots[name].family.name != plain_name(name)]
        member.packed_names = kept.pack_names(member.values), kept.to_bytes(suffixed)
    names, suffixed_names = member.packed_names
    return kept.Kept(
        version=kept.VERSION,
        session=member.packed_session,
        names=names,
        suffixed=suffixed_names,
        values=kept.pack_values(member.values.values()),
        seq=member.seq,
        taken=member.taken,
        started=member.started,
        open=member.open,
        past=member.past,
        gone=member.gone,
        ended=member.ended,
        exit_code=member.exit_code,
        last_time=member.last_time,
        last_step=member.last_step,
        alerts=member.alerts,
        nonfinite=member.nonfinite,
        devices=member.devices,
        periods=member.periods,
    )


def from_record(record: bytes) -> tuple[Member, dict[str, float], set[str]]:
    """A session as it was kept, its values, and the names that bear a suffix; raises kept.Damaged."""
    found, session, values = kept.decode(record)
    member = Member(session)
    member.seq, member.taken, member.started = found.seq, found.taken, found.started
    member.open, member.past, member.gone = found.open, found.past, found.gone
    member.ended, member.exit_code = found.ended, found.exit_code
    member.last_time, member.last_step = found.last_time, found.last_step
    member.alerts, member.nonfinite = found.alerts, found.nonfinite
    member.devices, member.periods = found.devices, found.periods
    return member, values, set(kept.to_names(found.suffixed))
