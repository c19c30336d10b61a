"""Runs that are not as most are: without steps, with a single point, with metrics that are not to be shown."""

import math
from pathlib import Path

from page.filling import START, Filler, session_of
from wayside.row import DEFINE_METRIC, FINISH, Event, Row
from wayside_collector.testing import make_session


def fill_odd(path: Path) -> None:
    filler = Filler(path)
    for rank in (0, 3):
        rows = [_row(seq, None, seq, {"loss": 0.5 - seq / 100}) for seq in range(10)]
        filler.write(session_of("stepless", "rows without steps", START, rank), rows)
    _fill_short(filler)
    for rank in (0, 1):
        values = [1.0, math.nan, 2.0, math.inf, *[3.0] * (6 + rank)]
        rows = [_row(seq, seq, seq, {"loss": value}) for seq, value in enumerate(values)]
        filler.write(session_of("ranks", "two ranks with gaps", START, rank), rows)
    _fill_hidden(filler)
    filler.close()


def _fill_short(filler: Filler) -> None:
    """A run of a moment: each metric has one point, a sampler looked once."""
    short = session_of("short", "a moment", START + 100)
    system = make_session("sampler-short", kind="system", host="node-17", started=START + 100)
    filler.write(short, [_row(0, 0, 100, {"loss": 0.5})])
    sample = {"host/load1": 1.5, "network/eth0/transmit_bytes_total": 9e9}
    filler.write(system, [_row(0, None, 101, sample)], (short,))
    filler.write(short, [Event(9, START + 102, None, FINISH, {"exit_code": 0})])


def _fill_hidden(filler: Filler) -> None:
    session = session_of("hiding", "some are hidden", START)
    definitions = [
        {"name": "debug/*", "hidden": True},
        {"name": "debug/useful", "hidden": False},
        {"name": "val/*", "step_metric": "epoch"},
    ]
    events = [Event(seq, START, None, DEFINE_METRIC, data) for seq, data in enumerate(definitions)]
    metrics = {"loss": 0.5, "debug/a": 1.0, "debug/b": 2.0, "debug/useful": 3.0}
    filler.write(session, [*events, *(_row(seq, seq, seq, metrics) for seq in range(10, 20))])


def _row(seq: int, step: int | None, at: float, metrics: dict[str, float]) -> Row:
    return Row(seq, START + at, step, True, False, tuple(metrics), tuple(metrics.values()))
