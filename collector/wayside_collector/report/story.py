"""What a report tells, gathered. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..store.answers import Comparison, Curve, EventInfo, RunInfo, SeriesInfo, SessionInfo


class RunStory(NamedTuple):
    """One run. events: those worth reading, in order. left_out: how many more there were."""

    info: RunInfo
    sessions: list[SessionInfo]
    config: dict[str, Any]
    summary: dict[str, Any]
    series: list[SeriesInfo]
    alerts: list[EventInfo]
    events: list[EventInfo]
    about: dict[str, Any]
    left_out: int = 0


class Plot(NamedTuple):
    """One chart: a metric of all runs and ranks. curves: with the place of their run among the runs. left_out: curves
    there was no room for.
    """

    name: str
    kind: str
    axis: str
    curves: list[tuple[int, Curve]]
    left_out: int = 0


def labels(runs: Sequence[RunInfo]) -> list[str]:
    """What runs are called here: by name, where no other has it, else by name and id."""
    names = [run.name or run.id for run in runs]
    return [
        name if names.count(name) == 1 else f"{name} ({run.id})" for name, run in zip(names, runs, strict=True)
    ]  # fmt: skip


class Story(NamedTuple):
    """comparison: of several runs. charts_left_out: metrics there was no room for. written: Unix time in seconds."""

    runs: list[RunStory]
    plots: list[Plot]
    comparison: Comparison | None
    charts_left_out: int
    written: float
    version: str

    @property
    def labels(self) -> list[str]:
        return labels([run.info for run in self.runs])
