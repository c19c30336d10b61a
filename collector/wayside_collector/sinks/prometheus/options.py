"""Options of the Prometheus sink. Every limit here has a counter on the page itself."""

from typing import Annotated, Literal

import msgspec

from ...configuration.units import Seconds
from ..base import SinkOptions

Positive = Annotated[int, msgspec.Meta(ge=1, le=100_000_000)]


class PrometheusOptions(SinkOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands on the page, and for how long.

    max_series_per_run: metrics times ranks; 10,000 is more than any framework logs, and a page of it renders in
    about 5 ms. max_series: the whole page, 100,000, some 10 MB of text: what a Prometheus server of ordinary size
    takes from one target. max_label_length: characters of a label's value, 256: above every id we know, and a
    thousand series with such labels are still small; a longer one is cut and ends in a hash of the whole.
    linger_scrapes: scrapes that still show a run after its end, 2: with one, a scrape that fails loses the last
    values; raise it to 4 when two Prometheus servers scrape. ended_runs: runs whose end timestamp is kept, 50: a day
    of half-hour runs; what has ended is history, and history is the store's. stale_after: seconds after which a
    sampled series that no sample refreshes is gone, 60 (or five of its sampler's periods, if that is longer). aliases:
    names under which others' dashboards and rules look for the same values: those of "dcgm"-exporter, those of Primus
    "lens"'s alert rules; they stand there beside ours. names: "legacy" shows
    `wayside_train_loss` to everybody, "utf8" `wayside_train/loss` to scrapers that ask for such names.
    """

    max_series_per_run: Positive = 10_000
    max_series: Positive = 100_000
    max_label_length: Annotated[int, msgspec.Meta(ge=32, le=65536)] = 256
    linger_scrapes: Positive = 2
    ended_runs: Positive = 50
    stale_after: Seconds = 60.0
    aliases: tuple[Literal["dcgm", "lens"], ...] = ()
    names: Literal["legacy", "utf8"] = "legacy"
