"""The report's HTML. Pure: a story in, one page out."""

import json
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from ..printing import number, owner, span, when
from ..store.answers import EventInfo, RunInfo, SeriesInfo
from .chart import Line, Mark, draw, line_of
from .story import Plot, RunStory, Story

SHOWN = 400  #: characters of one value or event in a table
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def write_page(story: Story) -> str:
    """The whole page."""
    title = " · ".join(story.labels)
    style, script = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    body = "\n".join(_body(story))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="generator" content="wayside-collector {escape(story.version)}">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
<footer>Written {when(story.written)} by wayside-collector {escape(story.version)}. Times are of the machine that wrote
this.</footer>
<script>
{script}</script>
</body>
</html>
"""


def _body(story: Story) -> Iterator[str]:
    yield f"<h1>{escape(' · '.join(story.labels))}</h1>"
    yield _runs(story.runs)
    yield from _alerts(story.runs)
    if story.comparison is not None:
        yield from _compared(story)
    else:
        yield from _values(story.runs[0])
    yield from _charts(story)
    yield from _differences(story)
    for place, run in enumerate(story.runs):
        yield from _details(run, story.labels[place], place, alone=len(story.runs) == 1)


def _runs(runs: Sequence[RunStory]) -> str:
    rows = []
    for place, run in enumerate(runs):
        info = run.info
        tags = " ".join(f'<span class="tag">{escape(tag)}</span>' for tag in info.tags)
        steps = [one.last_step for one in run.series if one.last_step is not None]
        rows.append(
            [
                f'<span class="key c{place}"></span>{escape(info.name or info.id)}',
                f"<code>{escape(info.id)}</code>", escape(info.project or ""), _state(info), when(info.started),
                span(info.active - info.started), number(max(steps, default=None)), tags,
            ]
        )  # fmt: skip
    head = ("run", "id", "project", "state", "begun", "for", "last step", "tags")
    notes = "".join(f'<p class="notes">{escape(run.info.notes)}</p>' for run in runs if run.info.notes)
    return _table(head, rows) + notes


def _state(info: RunInfo) -> str:
    code = f" ({info.exit_code})" if info.exit_code else ""
    return f'<span class="state {escape(info.state)}">{escape(info.state)}{code}</span>'


def _alerts(runs: Sequence[RunStory]) -> Iterator[str]:
    alerts = [(place, alert) for place, run in enumerate(runs) for alert in run.alerts]
    if not alerts:
        return
    yield "<h2>Alerts</h2>"
    rows = []
    for place, alert in alerts:
        level, title, text = (str(alert.data.get(key, "")) for key in ("level", "title", "text"))
        rows.append(
            [
                f'<span class="key c{place}"></span>{when(alert.time)}', number(alert.step), escape(level),
                f"<b>{escape(_cut(title))}</b> {escape(_cut(text))}",
            ]
        )  # fmt: skip
    yield _table(("when", "step", "level", "what"), rows)


# --- values ------------------------------------------------------------------------------------------------------


def _values(run: RunStory) -> Iterator[str]:
    """Last and best of one run's metrics."""
    own = [one for one in run.series if one.kind == "run"]
    if not own:
        yield '<p class="none">The run logged no metric.</p>'
        return
    yield "<h2>Metrics</h2>"
    rows = [[escape(one.name), escape(owner(one.rank, one.host)), *_numbers(one)] for one in own]
    head = ("metric", "of", "points", "last", "best", "at step", "min", "max", "mean")
    yield _table(head, rows, right=2)


def _numbers(one: SeriesInfo) -> list[str]:
    odd = one.count - one.finite
    count = f'{one.count} <span class="odd">({odd} not finite)</span>' if odd else str(one.count)
    return [count, *map(number, (one.last, one.best, one.best_step, one.min, one.max, one.mean))]


def _compared(story: Story) -> Iterator[str]:
    """Last and best of several, the best of all marked."""
    assert story.comparison is not None
    yield "<h2>Metrics</h2>"
    rows = []
    for metric in story.comparison.metrics:
        cells = [escape(metric.name), escape(metric.goal or "")]
        for place, (last, best) in enumerate(zip(metric.last, metric.best, strict=True)):
            told = number(best)
            cells += [number(last), f'<b class="best">{told} ★</b>' if place == metric.winner else told]
        rows.append(cells)
    heads = [
        f'<span class="key c{place}"></span>{escape(label)}<br>{what}'
        for place, label in enumerate(story.labels)
        for what in ("last", "best")
    ]
    yield _table(("metric", "better", *heads), rows, right=2)


# --- charts ------------------------------------------------------------------------------------------------------


def _charts(story: Story) -> Iterator[str]:
    group = None
    for plot in story.plots:
        here = _group(plot)
        if here != group:
            yield ("" if group is None else "</div>") + f'<h2>{escape(here)}</h2><div class="charts">'
            group = here
        yield _chart(story, plot)
    if group is not None:
        yield "</div>"
    if story.charts_left_out:
        yield f'<p class="none">{story.charts_left_out} more metrics: choose them with <code>--metric</code>.</p>'


def _group(plot: Plot) -> str:
    if plot.kind == "system":
        return "system"
    return plot.name.partition("/")[0] if "/" in plot.name else "charts"


def _chart(story: Story, plot: Plot) -> str:
    several = len(story.runs) > 1
    lines: list[Line] = []
    seen: set[int] = set()
    for place, curve in plot.curves:
        whose = owner(curve.rank, curve.host)
        label = " ".join(part for part in (story.labels[place] if several else "", whose) if part) or plot.name
        colour = place if several else len(lines) % 8
        lines.append(line_of(curve, label, colour, place in seen, story.runs[place].info.started))
        seen.add(place)
    marks = [
        Mark(float(alert.step), str(alert.data.get("title", "alert")), place)
        for place, run in enumerate(story.runs)
        for alert in run.alerts
        if plot.axis == "step" and alert.step is not None
    ]
    legend = "".join(
        f'<li><span class="key c{line.colour}{" dashed" * line.dashed}"></span>{escape(line.label)}</li>'
        for line in lines
    )
    if plot.left_out:
        legend += f"<li>and {plot.left_out} more, not drawn</li>"
    words = "time since the run began" if plot.axis == "time" else "step"
    return (
        f"<figure><figcaption>{escape(plot.name)} <small>by {words}</small></figcaption>"
        f'{draw(lines, marks, plot.name, plot.axis)}<ul class="legend">{legend}</ul></figure>'
    )


# --- what the runs are -------------------------------------------------------------------------------------------


def _differences(story: Story) -> Iterator[str]:
    if story.comparison is None:
        return
    yield "<h2>Where the configurations differ</h2>"
    if not story.comparison.config:
        yield '<p class="none">Nowhere.</p>'
        return
    heads = [escape(label) for label in story.labels]
    rows = [
        [f"<code>{escape(path)}</code>", *(f"<code>{escape(_told(value))}</code>" for value in values)]
        for path, values in story.comparison.config.items()
    ]
    yield _table(("key", *heads), rows)


def _details(run: RunStory, label: str, place: int, *, alone: bool) -> Iterator[str]:
    """All else that is known of a run; printed whole, folded on a screen where there are several."""
    yield f"<details{' open' * alone}><summary><h2><span class='key c{place}'></span>"
    yield f"{escape(label)}: configuration, summary, sessions, events</h2></summary>"
    yield from _object("Configuration", run.config)
    yield from _object("Summary", run.summary)
    yield from _object("Code and environment", {key: run.about[key] for key in run.about if key != "packages"})
    rows = [
        [
            number(one.rank), escape(one.host), when(one.started), when(one.finished), number(one.exit_code),
            str(one.rows), str(one.points),
        ]
        for one in run.sessions
    ]  # fmt: skip
    yield "<h3>Sessions</h3>"
    yield _table(("rank", "host", "begun", "finished", "exit code", "rows", "points"), rows)
    yield from _events(run.events, run.left_out)
    yield "</details>"


def _object(title: str, value: dict[str, Any]) -> Iterator[str]:
    if value:
        rows = [
            [f"<code>{escape(path)}</code>", f"<code>{escape(_told(inner))}</code>"] for path, inner in _leaves(value)
        ]
        yield f"<h3>{title}</h3>{_table(('key', 'value'), rows)}"


def _leaves(value: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, f"{before}{key}.")
        else:
            yield f"{before}{key}", inner


def _events(events: Iterable[EventInfo], left_out: int) -> Iterator[str]:
    rows = [
        [
            when(one.time),
            number(one.rank),
            number(one.step),
            escape(one.kind),
            f"<code>{escape(_told(one.data))}</code>",
        ]
        for one in events
    ]
    if rows:
        yield "<h3>Events</h3>"
        yield _table(("when", "rank", "step", "kind", "what"), rows)
    if left_out:
        yield f'<p class="none">{left_out} more are not shown.</p>'


def _told(value: Any) -> str:
    return _cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: int | None = None) -> str:
    """Cells are HTML. right: from which column on they are numbers."""
    sides = ["" if right is None or place < right else ' class="number"' for place in range(len(head))]
    heads = "".join(f"<th{side}>{cell}</th>" for side, cell in zip(sides, head, strict=True))
    lines = "\n".join(
        "<tr>" + "".join(f"<td{side}>{cell}</td>" for side, cell in zip(sides, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>\n{lines}\n</tbody></table></div>'
