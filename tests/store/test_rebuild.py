"""A store that is lost is built again from what else the collector keeps, and answers as it did."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from store.plain import everything
from store.test_writing import START, history
from wayside_collector.sinks.base import Context
from wayside_collector.sinks.jsonl import JsonlOptions, JsonlSink
from wayside_collector.store import Database, Reader, Writer
from wayside_collector.store.rebuild import rebuild
from wayside_collector.testing import make_parcel, make_rows, make_session


@pytest.mark.timeout(60)
def test_the_json_lines_hold_all_of_it(
    url: str, fresh: Callable[[], str], opened: Callable[[str], Database], tmp_path: Path
) -> None:
    """Every answer of a store built from the lines is that of the first one; building it twice changes nothing."""
    sessions = [(session, records) for session, records in history(7, rows=600)]
    system = make_session("system", kind="system", host="node")
    samples = [row._replace(step=None) for row in make_rows(30, {"host/cpu": 0.5}, time=START)]
    runs = (sessions[0][0],)
    parcels = [make_parcel(session, records[:300]) for session, records in sessions]
    parcels += [make_parcel(system, samples, open_runs=runs)]
    parcels += [make_parcel(session, records[300:]) for session, records in sessions]

    async def write_lines() -> None:
        sink = JsonlSink(JsonlOptions())
        await sink.open(Context("jsonl", tmp_path / "lines"))
        for parcel in parcels:
            await sink.send(parcel)

    asyncio.run(write_lines())
    files = sorted((tmp_path / "lines").glob("*.jsonl"))
    with files[-1].open("ab") as file:
        file.write(b'{"time": 1, "ses')  # a crash left this

    first, second = opened(url), opened(where := fresh())
    for parcel in parcels:
        Writer(first).write(parcel.parts)
    known = {session.id: session for session in (*(one for one, _ in sessions), system)}
    written = rebuild(Writer(second), files, known)
    assert written.points == first.query("SELECT sum(points) FROM sessions")[0][0]
    assert rebuild(Writer(second), files, known).points == 0
    found = []
    for place in (url, where):
        reader = Reader(place)
        found.append(everything(reader))
        reader.close()
    assert found[0].keys() == {"a", "b"}
    for run, told in found[0].items():
        for what, answer in told.items():
            # Which runs a sample counts for is not in the lines: the new store takes all that were open.
            again = found[1][run][what]
            if what in ("series", "curves"):
                answer, again = _own(answer), _own(again)
            assert answer == again


def _own(told: object) -> list[str]:
    assert isinstance(told, list)
    return [one for one in told if "'host/cpu'" not in one and one != "[]"]


def test_without_the_spool_runs_have_at_least_their_ids(opened: Callable[[str], Database], tmp_path: Path) -> None:
    """Lines alone tell run, rank and session; the rest of the run's name is not known, and its points are all there."""
    line = '{"time":5.5,"step":%d,"run":"r","rank":2,"session":"%032x","seq":%d,"metrics":{"loss":"NaN","lr":0.5}}\n'
    (tmp_path / "rows.jsonl").write_text("".join(line % (n, 1, n) for n in range(3)) + "[1]\nnothing\n")
    url = str(tmp_path / "store.db")
    assert rebuild(Writer(opened(url)), [tmp_path / "rows.jsonl"], {}).points == 6
    reader = Reader(url)
    assert [(one.name, one.rank, one.count) for one in reader.series("r")] == [("loss", 2, 3), ("lr", 2, 3)]
    reader.close()
