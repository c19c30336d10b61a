"""What `top` draws, of the last looks. Pure: looks in, something for rich to print out."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..configuration.units import show_size
from ..printing import number, plain, span
from ..store.answers import ProgressPage, RunProgress

KEPT = 6  #: looks: rates are those since the oldest of them, so that they do not flicker
STATES = {"running": "green", "failed": "red", "crashed": "red"}


class Look(NamedTuple):
    """moment: of a clock that only goes forward, in seconds. now: Unix time. troubles: what could not be asked."""

    moment: float
    now: float
    status: dict[str, Any] | None
    troubles: list[str]
    runs: ProgressPage


def view(looks: Sequence[Look], height: int | None) -> RenderableType:
    """height: lines there are, None for no end."""
    look = looks[-1]
    parts: list[RenderableType] = [Text(trouble, style="red") for trouble in look.troubles]
    used = len(parts) + 4
    if look.status is not None:
        head = _head(looks)
        parts += [*head, Text(), _sinks(look.status["sinks"])]
        used += len(head) + 2 + len(look.status["sinks"])
    room = None if height is None else max(1, height - used)
    shown = look.runs.runs[:room]
    parts += [Text(), _runs(looks, shown)]
    more = look.runs.total - len(shown)
    clock = datetime.fromtimestamp(look.now).strftime("%H:%M:%S")
    foot = "" if height is None else f"Ctrl-C ends it · {clock}"
    parts.append(Text(f"and {more} more runs · {foot}".strip(" ·") if more > 0 else foot, style="dim"))
    return Group(*parts)


def _head(looks: Sequence[Look]) -> list[RenderableType]:
    status = looks[-1].status or {}
    spool = status["spool"]
    up = span(looks[-1].now - status["started"])
    rate = points_rate(looks)
    lines = [
        f"wayside-collector {plain(str(status['version']))} at {plain(str(status['listen']))}, up {up}",
        f"{_speed(rate) or '?'} points/s · spool {show_size(spool['bytes'])} of"
        f" {show_size(spool['max_bytes'])} · {sum(one['state'] == 'open' for one in status['sessions'])} sessions open",
    ]
    found: list[RenderableType] = [Text(line) for line in lines]
    if status["ready"] is not True:
        found.append(Text(f"NOT READY: {plain('; '.join(status['ready']))}", style="bold red"))
    return found


def _sinks(sinks: Mapping[str, Mapping[str, Any]]) -> Table:
    table = _table("sink", "received", "delivered", "waiting", "dropped", "lag", "")
    for name, sink in sinks.items():
        dropped = sum(sink["dropped"].values())
        lag = span(sink["lag_seconds"]) if sink["waiting"] else ""
        numbers = [Text(str(sink[key])) for key in ("received", "delivered", "waiting")]
        lost = Text(str(dropped), style="red" if dropped else "")
        table.add_row(Text(name), *numbers, lost, Text(lag), Text(plain(sink["last_error"] or ""), style="yellow"))
    return table


def _runs(looks: Sequence[Look], shown: Sequence[RunProgress]) -> Table:
    table = _table("run", "step", "steps/s", "loss", "for", "state", "name", "project", right=(1, 2, 3, 4))
    rates = step_rates(looks)
    for run in shown:
        end = looks[-1].now if run.state == "running" else run.active
        rate = _speed(rates.get(run.id)) if run.state == "running" else ""
        loss = number(run.last_loss.value, 4) if run.last_loss is not None else ""
        table.add_row(
            Text(plain(run.id)), Text(number(run.step)), Text(rate), Text(loss), Text(span(end - run.started)),
            Text(run.state, style=STATES.get(run.state, "")), Text(plain(run.name or "")),
            Text(plain(run.project or ""), style="dim"),
        )  # fmt: skip
    return table


def _table(*head: str, right: Sequence[int] = (1, 2, 3, 4, 5)) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for place, name in enumerate(head):
        table.add_column(name, justify="right" if place in right else "left", no_wrap=True, overflow="ellipsis")
    return table


def _speed(rate: float | None) -> str:
    return f"{rate:,.0f}" if rate is not None and rate >= 100 else number(rate, 3)


def points_rate(looks: Sequence[Look]) -> float | None:
    """Points stored a second; None while that is not known, as after a restart of the collector."""
    first = next((look for look in looks if look.status is not None), None)
    last = looks[-1]
    if first is None or last.status is None or first.status is None or last.moment <= first.moment:
        return None
    if first.status["started"] != last.status["started"]:
        return None
    points = last.status["ingest"]["received_points"] - first.status["ingest"]["received_points"]
    return float(points) / (last.moment - first.moment)


def step_rates(looks: Sequence[Look]) -> dict[str, float]:
    """Steps a second, by run."""
    found: dict[str, float] = {}
    for run in looks[-1].runs.runs:
        for look in looks:
            known = next((one.step for one in look.runs.runs if one.id == run.id), None)
            if known is not None and run.step is not None and looks[-1].moment > look.moment:
                found[run.id] = (run.step - known) / (looks[-1].moment - look.moment)
                break
    return found
