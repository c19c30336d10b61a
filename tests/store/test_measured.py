"""What hardware series of a run come to is of the run's own time, however long the sampler ran. On both engines."""

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from wayside.row import Row
from wayside_collector.session import Session
from wayside_collector.store import Database, Reader, Writer
from wayside_collector.store.answers import SeriesInfo
from wayside_collector.testing import make_parcel, make_session

START = 1_767_225_600.0
ROWS = 4096 * 2 + 700  # summaries of three levels, and a tail
#: From which row to before which one each run was open: at the ends of blocks, within one, over all of them.
OPEN = [(0, ROWS), (600, 8000), (512, 1024), (0, 512), (700, 710), (5000, ROWS), (ROWS - 3, ROWS), (4095, 4097)]


def sample(seq: int) -> Row:
    values = (math.sin(seq), math.nan if seq % 5 == 0 else float(seq))
    return Row(seq, START + 2 * seq, None, True, False, ("host/cpu", "gpu/power"), values)


def run_session(number: int) -> Session:
    return make_session(f"r{number}", rank=0)


def measure(writer: Writer) -> None:
    """One sampler's session, beside which all these runs came and went."""
    system = make_session("system", kind="system", host="node")
    bounds = sorted({bound for some in OPEN for bound in some})
    for begin, end in pairwise(bounds):
        runs = [run_session(place) for place, (first, last) in enumerate(OPEN) if first <= begin and end <= last]
        writer.write(make_parcel(system, [sample(seq) for seq in range(begin, end)], open_runs=runs).parts)


def by_name(found: Sequence[SeriesInfo]) -> dict[str, SeriesInfo]:
    return {one.name: one for one in found}


def test_a_series_is_told_of_the_run_s_time(writer: Writer, reader: Reader) -> None:
    """Count, least, greatest, mean and last are those of the samples between the run's first and its last."""
    measure(writer)
    for place, (begin, end) in enumerate(OPEN):
        samples = [sample(seq) for seq in range(begin, end)]
        series = by_name(reader.series(f"r{place}"))
        assert list(series) == ["gpu/power", "host/cpu"]
        for column, name in enumerate(("host/cpu", "gpu/power")):
            one, values = series[name], [row.values[column] for row in samples]
            numbers = [value for value in values if value == value]
            told = (one.kind, one.host, one.count, one.finite, one.min, one.max, one.last_time, one.last_step)
            assert told == (
                "system", "node", len(values), len(numbers), min(numbers), max(numbers), samples[-1].time, None,
            )  # fmt: skip
            assert one.mean == pytest.approx(sum(numbers) / len(numbers))
            assert one.last == values[-1] or math.isnan(values[-1]) == math.isnan(one.last)


def test_what_comes_after_a_run_changes_nothing(writer: Writer, reader: Reader) -> None:
    """The samplers go on when a run has ended, and its series stay as they were."""
    system, run = make_session("system", kind="system", host="node"), run_session(0)
    writer.write(make_parcel(system, [sample(seq) for seq in range(3)], open_runs=[run]).parts)
    before = repr(reader.series("r0"))
    writer.write(make_parcel(system, [sample(seq) for seq in range(3, 40)]).parts)
    assert repr(reader.series("r0")) == before


def test_what_was_not_measured_then_is_no_series(writer: Writer, reader: Reader) -> None:
    """A metric that the sampler's session had only before or after the run is none of the run's."""
    system, run = make_session("system", kind="system", host="node"), run_session(0)
    early, later = (sample(seq)._replace(names=("disk/free", "disk/used")) for seq in (0, 9))
    writer.write(make_parcel(system, [early]).parts)
    writer.write(make_parcel(system, [sample(1), sample(2)], open_runs=[run]).parts)
    writer.write(make_parcel(system, [later]).parts)
    assert {name: one.count for name, one in by_name(reader.series("r0")).items()} == {"host/cpu": 2, "gpu/power": 2}


def test_points_that_were_let_go_of(db: Database, writer: Writer, reader: Reader) -> None:
    """Where the points at the ends of a run's time are gone, the summaries of their blocks stand for them."""
    measure(writer)
    db.drop_blocks_before(1 << 30)
    counts = {place: by_name(reader.series(f"r{place}"))["host/cpu"].count for place in (1, 2, 4)}
    assert counts == {1: 8192 - 512, 2: 512, 4: 512}
