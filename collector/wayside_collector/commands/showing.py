"""The books as people read them in a terminal."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from ..configuration.units import show_seconds, show_size

MAX_FEEDERS = 20  #: of the collectors that feed this one, those heard last; `/status` has more
MAX_LOSSES = 3  #: ranges shown; `/status` has more
LOST_BY = {"client": "no room in its journal", "sender": "its sender passed them over, or had them refused"}


def format_sinks(sinks: Mapping[str, Mapping[str, Any]]) -> str:
    """A table: for each sink, in points, what it received and what became of it; for one that is sent events alone, in
    events.
    """
    rows = [["sink", "received", "delivered", "waiting", "dropped", "filtered"]]
    for name, sink in sinks.items():
        if sink["rows"]["filtered"] and not sink["rows"]["received"] and sink["events"]["received"]:
            name, sink = f"{name} (events)", sink["events"]
        dropped = sum(sink["dropped"].values())
        reasons = ", ".join(f"{reason} {count}" for reason, count in sink["dropped"].items() if count)
        shown = f"{dropped} ({reasons})" if reasons else str(dropped)
        rows.append(
            [name, *(str(sink[key]) for key in ("received", "delivered", "waiting")), shown, str(sink["filtered"])]
        )
    return format_table(rows)


def format_status(status: Mapping[str, Any], now: float) -> str:
    """`/status` for people."""
    spool = status["spool"]
    up = show_seconds(max(0.0, now - status["started"]))
    lines = [
        f"wayside-collector {status['version']}, pid {status['pid']}, up {up}, {status['listen']}",
        f"socket {status['socket']}",
        f"spool  {spool['path']}: {show_size(spool['bytes'])} of {show_size(spool['max_bytes'])}",
    ]
    lines += _format_troubles(status)
    lines += ["", format_sinks(status["sinks"]), ""]
    for name, sink in status["sinks"].items():
        if sink["last_error"]:
            lines.append(f"{name}: {sink['last_error']}")
        if sink["dead_letters"]:
            lines.append(
                f"{name}: {sink['dead_letters']} dead letters: wayside-collector dead-letters list --sink {name}"
            )
    lines += _format_losses(status)
    lines += _format_refusals(status["refusals"])
    lines += format_feeders(status.get("feeders", []), now)
    sessions = [session for session in status["sessions"] if session["state"] == "open"]
    if sessions:
        rows = [["run", "project", "rank", "host", "pid", "up"]]
        for session in sessions:
            rank = "" if session["rank"] is None else str(session["rank"])
            age = show_seconds(max(0.0, now - session["started"]))
            rows.append(
                [str(session[key]) for key in ("run", "project")] + [rank, session["host"], str(session["pid"]), age]
            )
        lines += ["", format_table(rows)]
    for name, source in status["sources"].items():
        if source["last_error"]:
            lines.append(f"{name}: {source['last_error']}")
    for name, source in status.get("subscriptions", {}).items():
        state = source["last_error"] or ("connected" if source["connected"] else "connecting")
        lines.append(f"source {name}: {source['received']} received, {source['refused']} refused; {state}")
    return "\n".join(lines).rstrip()


def format_feeders(feeders: Sequence[Mapping[str, Any]], now: float) -> list[str]:
    """The collectors that feed this one: in points, what is stored of each, and what it says that it still has."""
    if not feeders:
        return []
    rows = [["fed by", "namespace", "stored", "waiting", "dropped", "lost", "heard"]]
    for feeder in feeders[-MAX_FEEDERS:]:
        books = feeder["books"]
        points = (feeder["points"], books["waiting"], sum(books["dropped"].values()), feeder["lost_points"])
        heard = show_seconds(max(0.0, now - feeder["heard"])) + " ago"
        rows.append([feeder["host"], feeder["namespace"] or "", *map(str, points), heard])
    more = [f"and {len(feeders) - MAX_FEEDERS} more"] if len(feeders) > MAX_FEEDERS else []
    return ["", format_table(rows), *more]


def _format_troubles(status: Mapping[str, Any]) -> list[str]:
    """What stands in the way of the whole collector."""
    lines = []
    if status["ready"] is not True:
        lines.append(f"NOT READY: {'; '.join(status['ready'])}")
    if status["counting"]:
        lines.append(f"still counting what waits, and not shown below: {', '.join(status['counting'])}")
    if status["config"]["last_error"]:
        lines.append(f"CONFIGURATION NOT TAKEN, the one before is in force: {status['config']['last_error']}")
    if status["config"]["needs_restart"]:
        lines.append(f"after a restart only: {', '.join(status['config']['needs_restart'])}")
    adopted = status.get("adopted", {})  # an older collector has none
    if adopted.get("left"):
        lines.append(f"left by collectors that are gone: {adopted['left']} folders wait: {adopted['last_error']}")
    return lines


def _format_losses(status: Mapping[str, Any]) -> list[str]:
    """What never came here, which no sink's books hold."""
    ingest, losses = status["ingest"], status["client_losses"]
    if not ingest["lost_rows"]:
        return []
    shown = ", ".join(
        f"session {lost['session'][:8]} seq {lost['first_seq']} to {lost['last_seq']}"
        f" ({LOST_BY.get(lost['reason'], lost['reason'])})"
        for lost in losses[:MAX_LOSSES]
    )
    more = f"; the latest: {shown}" if shown else ""
    return [f"lost before they came here: {ingest['lost_rows']} rows, {ingest['lost_points']} points{more}"]


def _format_refusals(refusals: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Who was turned away, at which door."""
    doors = [
        f"{door}: {', '.join(f'{count} for {reason}' for reason, count in reasons.items())}"
        for door, reasons in refusals.items()
    ]
    return [f"turned away since the start: {'; '.join(doors)}"] if doors else []


def format_letters(letters: Sequence[Mapping[str, Any]]) -> str:
    """Dead letters: a line for each."""
    rows = [["id", "sink", "run", "seq", "points", "refused", "reason"]]
    for letter in letters:
        when = datetime.fromtimestamp(letter["time"]).strftime("%Y-%m-%d %H:%M:%S")
        reason = letter["reason"] if letter["state"] == "dead" else f"(waits to go again) {letter['reason']}"
        told = [str(letter[key]) for key in ("id", "sink", "run", "seq", "points")]
        rows.append([*told, when, " ".join(reason.split())])
    return format_table(rows)


def format_table(rows: Sequence[Sequence[str]], right: Collection[int] | None = None) -> str:
    """Columns side by side; numbers to the right, or these columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if (cell[:1].isdigit() if right is None else place in right) else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
