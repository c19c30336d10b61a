"""What the samplers measured, by host: gauges and counters of devices, and what is known of the devices.

Sampled series end by themselves: one that no sample refreshes is gone after `stale_after` seconds, or five of its
sampler's periods if that is longer. Age is measured from when a row was taken, by our clock: rows may come from hosts
whose clocks differ.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial

from wayside.row import Row

from ..names import label_text, plain_name, sound
from ..sampled import INFO_FIELDS, KEPT_FIELDS, described, parse_device, parse_sampled
from .digest import digest
from .members import Member, Members, Slot, Slots
from .options import PrometheusOptions
from .page import Family

PERIODS = 5  #: samples missed before a series is gone: one or two are lost to load, five to a device that left
MAX_DEVICES = 1024  #: descriptions kept of one host: 16 GPUs of 7 MIG instances and some hundred disks fit well
MAX_SAMPLERS = 64  #: samplers of one host whose periods are told apart; there are about ten kinds
HOST_KEPT = 3600.0  #: seconds after which a silent host is forgotten; a collector that comes back describes it anew
SWEEP_EVERY = 1.0  #: seconds: a gateway's page may hold 100,000 sampled series, some 20 ms to look through

Taken = tuple[int, int, int]  #: points superseded, refused, and of counters that cannot be


class Sampler:
    """When a sampler's rows come. family: what its names begin with. period: seconds; the last gap, but never less
    than half the one before, since a sampler may write two rows at once.
    """

    __slots__ = ("family", "last", "period")

    def __init__(self, family: str) -> None:
        self.family = family
        self.last: float | None = None
        self.period = 0.0

    def row(self, time: float) -> None:
        if self.last is not None:
            self.period = max(time - self.last, self.period / 2)
        self.last = time


class Fresh:
    """How fresh a series is. device: `gpu/0`, or None."""

    __slots__ = ("device", "refreshed", "sampler")

    def __init__(self, device: str | None, sampler: Sampler) -> None:
        self.device = device
        self.sampler = sampler
        self.refreshed = 0.0


class Host:
    """The sessions that measure one host, and the series they share. fresh, slots: by name as sampled. infos: device
    to its `…_info`. refreshed: Unix time in seconds of the last rows. dropped: series refused.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: list[Member] = []
        self.slots: Slots = {}
        self.fresh: dict[str, Fresh] = {}
        self.samplers: dict[str, Sampler] = {}
        self.devices: dict[str, dict[str, str]] = {}
        self.infos: dict[str, tuple[Family, str]] = {}
        self.dropped: set[str] = set()
        self.refreshed = 0.0


class Hosts:
    """All hosts on the page."""

    def __init__(self, options: PrometheusOptions, members: Members, make_room: Callable[[], bool]) -> None:
        self._options = options
        self._members = members
        self._make_room = make_room
        self._page = members.page
        self._hosts: dict[str, Host] = {}
        self._swept = -SWEEP_EVERY

    def attach(self, member: Member) -> None:
        host = self._hosts.setdefault(member.session.host, Host(member.session.host))
        member.slots = host.slots
        host.members.append(member)
        self._describe(host, member.devices)

    def take_rows(self, member: Member, rows: list[Row], now: float) -> Taken:
        """Take rows at `now`, Unix time in seconds."""
        host = self._hosts[member.session.host]
        host.refreshed = now
        for row in rows:
            if row.names:
                sampler = self._sampler(host, row.names[0])
                sampler.row(row.time)
                member.periods[sampler.family] = sampler.period
        found = digest(rows)
        latest = {name: value for name, value in found.latest.items() if _may_be(name, value)}
        superseded, refused = self._write(host, member, latest, now)
        impossible = len(found.latest) - len(latest)
        return superseded + found.points - len(found.latest), refused, impossible

    def take_devices(self, member: Member, data: Mapping[str, object]) -> None:
        """Take descriptions of devices; what is no text, or no field we show, is left out."""
        told = {
            sound(device): {field: sound(text) for field in KEPT_FIELDS if isinstance(text := fields.get(field), str)}
            for device, fields in data.items()
            if "/" in device and isinstance(fields, dict)
        }
        member.devices.update(self._describe(self._hosts[member.session.host], told))

    def restore(self, member: Member, values: Mapping[str, float]) -> None:
        """Show a session as it was kept, as old as it is."""
        self.attach(member)
        host = self._hosts[member.session.host]
        host.refreshed = member.taken
        for family, period in member.periods.items():
            self._sampler(host, family).period = period
        self._write(host, member, values, member.taken)
        for name in member.values:
            member.slots[name].written = -1  # whether it was scraped is not known, so it counts as scraped

    def sweep(self, now: float) -> None:
        """Take off the page what was not refreshed for too long. now: Unix time in seconds."""
        if 0 <= now - self._swept < SWEEP_EVERY:
            return
        self._swept = now
        for host in list(self._hosts.values()):
            stale = [name for name, fresh in host.fresh.items() if now - fresh.refreshed > self._patience(fresh)]
            for name in stale:
                del host.fresh[name]
                self._members.drop(host.slots, name)
            if stale:
                shown = {fresh.device for fresh in host.fresh.values()}
                for device in [device for device in host.infos if device not in shown]:
                    self._page.remove(*host.infos.pop(device))
            newest = max(host.members, key=lambda member: member.order)
            silent = not host.fresh and now - host.refreshed > HOST_KEPT
            for member in [m for m in host.members if not m.values and (m is not newest or silent)]:
                host.members.remove(member)
                self._members.forget(member)
            if not host.members:
                del self._hosts[host.name]

    def _patience(self, fresh: Fresh) -> float:
        return max(self._options.stale_after, PERIODS * fresh.sampler.period)

    def _sampler(self, host: Host, name: str) -> Sampler:
        family = name.partition("/")[0]
        if family not in host.samplers and len(host.samplers) >= MAX_SAMPLERS:
            family = ""
        return host.samplers.setdefault(family, Sampler(family))

    def _write(self, host: Host, member: Member, latest: Mapping[str, float], now: float) -> tuple[int, int]:
        counts = self._members.write(member, latest, partial(self._new_slot, host, member))
        for name in latest:
            fresh = host.fresh.get(name)
            if fresh is not None:
                fresh.refreshed = now
        return counts

    def _new_slot(self, host: Host, member: Member, name: str) -> Slot | None:
        if not self._make_room():
            self._page.count_dropped(host.dropped, name, "total_limit")
            return None
        found = parse_sampled(name)
        pairs = (("host", host.name), *described(found.labels, host.devices, found.device))
        host.fresh[name] = Fresh(found.device, self._sampler(host, name))
        if found.device in host.devices and found.device not in host.infos:
            self._show_info(host, found.device)
        labels = label_text(pairs, self._options.max_label_length)
        return Slot(self._page.sampled(found.plain, found.kind, found.help), labels, member)

    def _describe(self, host: Host, told: Mapping[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        """Take descriptions; returns those within the limit. Series get the labels these tell, or the new ones."""
        accepted = {}
        shown = {fresh.device for fresh in host.fresh.values()}
        for device, fields in told.items():
            if device not in host.devices and len(host.devices) >= MAX_DEVICES:
                self._page.count_dropped(host.dropped, device, "device_limit")
                continue
            before = host.devices.get(device)
            host.devices[device] = accepted[device] = fields
            if before != fields:
                self._relabel(host, device)
            if device in shown:
                self._show_info(host, device)
        return accepted

    def _relabel(self, host: Host, device: str) -> None:
        for name, slot in host.slots.items():
            part = host.fresh[name].device
            if part is None or parse_device(part).whole != device:
                continue
            pairs = (("host", host.name), *described(parse_sampled(name).labels, host.devices, part))
            labels = label_text(pairs, self._options.max_label_length)
            value = slot.family.series.get(slot.labels)
            if labels != slot.labels and value is not None:
                self._page.set(slot.family, labels, value)  # first, so that the family is never without a series
                self._page.remove(slot.family, slot.labels)
                slot.labels = labels

    def _show_info(self, host: Host, device: str) -> None:
        found = parse_device(device)
        fields = [(field, text) for field in INFO_FIELDS if (text := host.devices[device].get(field))]
        old = host.infos.pop(device, None)
        if old is not None:
            self._page.remove(*old)
        if not fields:
            return
        if not self._make_room():
            self._page.count_dropped(host.dropped, f"{device}/info", "total_limit")
            return
        family = self._page.sampled(plain_name(f"{found.group}/info"), "info", f"What is known of a {found.group}.")
        pairs = (("host", host.name), *found.labels, *fields)
        labels = label_text(pairs, self._options.max_label_length)
        self._page.set(family, labels, 1)
        host.infos[device] = family, labels


def _may_be(name: str, value: float) -> bool:
    """A counter is finite and not negative; OpenMetrics refuses a page with another, so it never gets there."""
    return not name.endswith("_total") or 0 <= value < math.inf
