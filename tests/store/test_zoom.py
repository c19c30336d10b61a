"""A million points in, exact minimum and maximum out at every zoom. On both engines."""

import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import pytest
from wayside.row import Row
from wayside_collector.sinks.base import Part
from wayside_collector.store import Reader, Writer
from wayside_collector.store.walk import Range
from wayside_collector.testing import make_session

START = 1_767_225_600.0


def parcels(values: list[float], steps: list[int]) -> Iterator[list[Part]]:
    session = make_session("r", rank=0)
    for begin in range(0, len(values), 5000):
        rows: list[object] = [
            Row(seq, START + seq, steps[seq], True, False, ("loss",), (values[seq],))
            for seq in range(begin, min(begin + 5000, len(values)))
        ]
        yield [Part(session, rows)]  # type: ignore[arg-type]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", [40_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_minimum_and_maximum_are_exact_at_every_zoom(writer: Writer, reader: Reader, count: int) -> None:
    """Whatever range and however few buckets: every point is counted once, and the extremes are those of the range;
    spikes of a single point too.
    """
    rng = random.Random(4)
    values = [rng.gauss(0, 1) for _ in range(count)]
    for _ in range(200):
        values[rng.randrange(count)] = rng.choice((-1, 1)) * rng.uniform(10, 1000)
    steps = [3 * seq for seq in range(count)]
    for parcel in parcels(values, steps):
        writer.write(parcel)
    for zoom in range(60):
        width = int(3 * count / 1.35**zoom) + 1
        start = rng.randint(-10, max(0, 3 * count - width))
        end = start + width
        low, high = bisect_left(steps, start), bisect_right(steps, end)
        most = rng.choice((2, 15, 150, 1000, 2000))
        (curve,) = reader.curves("r", "loss", Range("step", start, end), max_points=most)
        part = values[low:high]
        assert curve.count == len(part)
        assert len(curve.values) <= most
        assert min(curve.mins or curve.values, default=None) == min(part, default=None)
        assert max(curve.maxs or curve.values, default=None) == max(part, default=None)
    (curve,) = reader.curves("r", "loss", max_points=1000)
    assert len(curve.values) > 400  # no coarser than a screen shows
    (info,) = reader.series("r")
    assert (info.min, info.max, info.count) == (min(values), max(values), count)
    assert info.best_step == steps[values.index(min(values))]
