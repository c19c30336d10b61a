"""A store that is lost is built again from what else the collector keeps, and answers as it did."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from store.plain import everything
from store.test_writing import START, history
from wayside_collector.sinks.base import Context
from wayside_collector.sinks.introductions import Introduced
from wayside_collector.sinks.jsonl import JsonlOptions, JsonlSink
from wayside_collector.store import Database, Reader, Writer
from wayside_collector.store.rebuild import read_lines, store_all
from wayside_collector.store.writer import Written
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
    parcels += [make_parcel(system, samples[:10], open_runs=(*runs, sessions[2][0]))]
    parcels += [make_parcel(system, samples[10:20], open_runs=())]
    parcels += [make_parcel(system, samples[20:], open_runs=runs)]
    parcels += [make_parcel(session, records[300:]) for session, records in sessions]

    async def write_lines() -> None:
        sink = JsonlSink(JsonlOptions())
        await sink.open(Context("jsonl", tmp_path / "lines"))
        for parcel in parcels:
            await sink.send(parcel)

    asyncio.run(write_lines())
    files = sorted((tmp_path / "lines").glob("*.jsonl"))
    told = Introduced(sorted((tmp_path / "lines").glob("sessions-*.ndjson")))
    with files[-1].open("ab") as file:
        file.write(b'{"time": 1, "ses')  # a crash left this

    first, second = opened(url), opened(where := fresh())
    for parcel in parcels:
        Writer(first).write(parcel.parts)

    def rebuild() -> Written:
        return store_all(Writer(second), read_lines(files, told.sessions, told.open_runs))

    assert rebuild().points == first.query("SELECT sum(points) FROM sessions")[0][0]
    assert rebuild().points == 0
    found = []
    for place in (url, where):
        reader = Reader(place)
        found.append(everything(reader))
        reader.close()
    assert found[0].keys() == {"a", "b"}
    assert found[0] == found[1]


def test_lines_alone_tell_runs_by_their_ids(opened: Callable[[str], Database], tmp_path: Path) -> None:
    """Lines alone tell run, rank and session; the rest of the run's name is not known, and its points are all there."""
    line = '{"time":5.5,"step":%d,"run":"r","rank":2,"session":"%032x","seq":%d,"metrics":{"loss":"NaN","lr":0.5}}\n'
    (tmp_path / "rows.jsonl").write_text("".join(line % (n, 1, n) for n in range(3)) + "[1]\nnothing\n")
    url = str(tmp_path / "store.db")
    assert store_all(Writer(opened(url)), read_lines([tmp_path / "rows.jsonl"], {})).points == 6
    reader = Reader(url)
    assert [(one.name, one.rank, one.count) for one in reader.series("r")] == [("loss", 2, 3), ("lr", 2, 3)]
    reader.close()


@pytest.mark.parametrize(
    "odd",
    [
        '"time":1',
        '"time":1,"step":0',
        '"time":1,"step":0,"metrics":{"loss":"much"}',
        '"time":1,"step":0,"metrics":[1]',
        '"time":1,"step":"0","metrics":{"loss":1}',
        '"time":1,"step":9223372036854775808,"metrics":{"loss":1}',
        '"time":1e300,"step":0,"metrics":{"loss":1}',
        '"time":1,"step":0,"event":{"title":"t"}',
        '"time":1,"step":0,"event":' + '{"kind":' * 5000 + "1" + "}" * 5000,
    ],
)
def test_lines_of_something_else_are_passed_over(tmp_path: Path, odd: str) -> None:
    """A line that lacks what a row or event has, or has it of another kind, ends nothing: those around it are read."""
    line = '{"session":"%032x","seq":%d,"run":"r",%s}\n'
    good = '"time":1.5,"step":null,"metrics":{"loss":2}'
    (tmp_path / "rows.jsonl").write_text(line % (1, 0, good) + line % (1, 1, odd) + line % (1, 2, good))
    found = list(read_lines([tmp_path / "rows.jsonl"], {}))
    assert [one.records[0].seq for one in found] == [0, 2]
