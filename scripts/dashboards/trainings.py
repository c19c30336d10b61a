"""The dashboards of trainings: of one with its ranks, and of all."""

import chosen as of
from parts import Board, Panel, Query, Variable

_EACH = "{{run}} {{rank}} {{__name__}}"
_GPU = "{{host}} {{gpu}}"


def _named(names: str) -> list[Query]:
    """A run's metrics whose names match, under whatever name its framework logs them."""
    return [Query(f'{{__name__=~"wayside_{names}", {of.RANK}}}', _EACH)]


RUN = Board(
    "wayside-run",
    "Wayside / Run",
    "A training's curves and ranks. Every value is the latest at a scrape; the run's page has all of them.",
    [of.JOBS, of.RUNS, Variable("rank", f"wayside_run_last_row_timestamp_seconds{{{of.RUN}}}")],
    [
        (
            "Curves",
            [
                Panel("Loss", _named("(.+_)?loss(_.+)?"), width=12, of_run=True),
                Panel("Learning rate", _named("(.+_)?(lr|learning_rate)(_.+)?"), "sci", width=12, of_run=True),
                Panel("Gradient norm", _named("(.+_)?(grad|gradient)_norm(_.+)?"), width=12, of_run=True),
                Panel(
                    "Throughput",
                    _named(
                        "((.+_)?(tokens|samples|examples|images|steps|iterations|it)_per_(s|sec|second)(_.+)?"
                        "|(.+_)?(throughput|tflops|mfu|tps)(_.+)?)"
                    ),
                    width=12,
                    of_run=True,
                ),
            ],
        ),
        (
            "Ranks",
            [
                Panel("Last step", [Query(f"wayside_run_last_step{{{of.RANK}}}", "{{run}} {{rank}}")], of_run=True),
                Panel(
                    "Steps a second",
                    [
                        Query(
                            f"clamp_min(deriv(wayside_run_last_step{{{of.RANK}}}[$__rate_interval]), 0)",
                            "{{run}} {{rank}}",
                        )
                    ],
                    "cps",
                    of_run=True,
                ),
                Panel(
                    "Silent for",
                    [
                        Query(
                            f"time() - (wayside_run_last_row_timestamp_seconds{{{of.RANK}}} {of.OPEN})",
                            "{{run}} {{rank}}",
                        )
                    ],
                    "s",
                    of_run=True,
                    description="Since each rank's last row, while the run is open.",
                ),
                Panel(
                    "NaN and infinite values",
                    [Query(f"wayside_run_nonfinite_total{{{of.RUN}}} or vector(0)", "{{run}} {{original}}")],
                    of_run=True,
                ),
                Panel(
                    "Alerts of the script",
                    [Query(f"wayside_run_alerts_total{{{of.RUN}}}", "{{run}} {{level}}")],
                    of_run=True,
                ),
                Panel(
                    "Open for",
                    [Query(f"time() - (wayside_run_start_timestamp_seconds{{{of.RUN}}} {of.OPEN})", "{{run}}")],
                    "s",
                    of_run=True,
                ),
            ],
        ),
        (
            "What is known",
            [Panel("Runs", [Query(f"wayside_run_info{{{of.RUN}}}")], kind="table", width=24, of_run=True)],
        ),
    ],
)

_LAST_ROW = f"max by (run) (wayside_run_last_row_timestamp_seconds{{{of.RUN}}} {of.OPEN})"
_IDLE = f"avg_over_time(wayside_gpu_utilization_ratio{{{of.JOB}}}[10m]) < 0.05"

FLEET = Board(
    "wayside-fleet",
    "Wayside / Fleet",
    "All runs of all collectors that are scraped: how far they are, which stand still, which GPUs are idle.",
    [of.JOBS, of.RUNS],
    [
        (
            "Now",
            [
                Panel("Open runs", [Query(f"count({_LAST_ROW}) or vector(0)")], kind="number", width=4),
                Panel(
                    "Stalled runs",
                    [Query(f"count(time() - {_LAST_ROW} > 600) or vector(0)")],
                    kind="number",
                    width=4,
                    description="Nothing logged for ten minutes.",
                ),
                Panel(
                    "Ended within a day",
                    [
                        Query(
                            f"count(max by (run) (wayside_run_end_timestamp_seconds{{{of.RUN}}}) > time() - 86400) "
                            "or vector(0)"
                        )
                    ],
                    kind="number",
                    width=4,
                ),
                Panel("GPUs", [Query(f"count(wayside_gpu_utilization_ratio{{{of.JOB}}})")], kind="number", width=4),
                Panel(
                    "Idle GPUs",
                    [Query(f"count({_IDLE}) or vector(0)")],
                    kind="number",
                    width=4,
                    description="Busy for less than a twentieth of ten minutes.",
                ),
                Panel(
                    "GPUs in use",
                    [Query(f"avg(wayside_gpu_utilization_ratio{{{of.JOB}}})")],
                    "percentunit",
                    kind="number",
                    width=4,
                ),
            ],
        ),
        (
            "Runs",
            [
                Panel(
                    "Progress",
                    [Query(f"max by (run) (wayside_run_last_step{{{of.RUN}}})", "{{run}}")],
                    width=12,
                    of_run=True,
                ),
                Panel("Silent for", [Query(f"time() - {_LAST_ROW}", "{{run}}")], "s", width=12, of_run=True),
                Panel(
                    "Steps a second",
                    [
                        Query(
                            f"clamp_min(max by (run) (deriv(wayside_run_last_step{{{of.RUN}}}[$__rate_interval])), 0)",
                            "{{run}}",
                        )
                    ],
                    "cps",
                    width=12,
                    of_run=True,
                ),
                Panel(
                    "GPUs of each run",
                    [
                        Query(
                            f"avg by (run) (wayside_run_info{{{of.RUN}}} * on (host) group_left () "
                            f"avg by (host) (wayside_gpu_utilization_ratio{{{of.JOB}}}))",
                            "{{run}}",
                        )
                    ],
                    "percentunit",
                    width=12,
                    of_run=True,
                ),
                Panel("Runs", [Query(f"wayside_run_info{{{of.RUN}}}")], kind="table", width=24, of_run=True),
            ],
        ),
    ],
)
