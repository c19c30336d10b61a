"""The contract of a sampler, the special kind of source that measures hardware on a clock.

A sampler only measures; `sources/sampling.py` calls it on its interval, each sampler in a thread of its own, counts and
times the calls, and turns what it returns into rows of the collector's own session.

Names of sampled metrics are `family/metric` or `family/device/metric`, the device being everything between the first
slash and the last: `host/memory_used_bytes`, `container/cpu_usage_seconds_total`, `disk/vda/read_bytes_total`,
`gpu/0/utilization_ratio`. Units are base units and stand at the end of the name: seconds, bytes, ratios from 0 to 1,
celsius, watts, joules, hertz; `_total` marks a number that only grows. A value that cannot be had is left out: never
zero, never a vendor's sentinel.
"""

from dataclasses import dataclass, field
from typing import Protocol


class Unavailable(Exception):
    """There is nothing here for this sampler to measure (no such hardware, no driver, no library): said once, never
    an error.
    """


@dataclass(frozen=True, slots=True)
class Sample:
    """What a sampler measured in one call.

    metrics: name to value, as above. devices: what is known of the devices, for example `{"gpu/0": {"uuid": …,
    "name": …, "vendor": …, "driver": …}}`; sent on when it changes. problems: what could not be read in this call,
    each said once in the log ("gpu/1: power: not supported").
    """

    metrics: dict[str, float]
    devices: dict[str, dict[str, str]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


class Sampler(Protocol):
    """Measures. Called from one thread, its own: `open`, then `sample` again and again, then `close`.

    `open` raises Unavailable when there is nothing to measure; it is tried again every few minutes, since drivers
    come late. `sample` raises anything when the whole call failed, which is counted and logged once for each message;
    one absent field never hides the others. `close` may be called without `open` and twice.
    """

    def open(self) -> None: ...

    def sample(self) -> Sample: ...

    def close(self) -> None: ...
