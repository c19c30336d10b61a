"""The Prometheus sink. `PrometheusSink.render` gives the page of a scrape, `join` puts pages together; `negotiate`
says which format a scraper gets.

A row walks: `sink` (the contract, the lock) → `board` (what of it) → `digest` (the latest values) → `runs` or `hosts`
→ `members` (who owns the series) → `page`. A scrape walks: `negotiate` → `page` (a copy) → `encode`. `names` and
`sampled` say what things are called, `kept` what outlives a restart.
"""

from .encode import join
from .negotiate import Format, negotiate
from .options import PrometheusOptions
from .sink import PrometheusSink

__all__ = ["Format", "PrometheusOptions", "PrometheusSink", "join", "negotiate"]
