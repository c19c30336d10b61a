"""What can be asked of runs: searching, series, events, rows as Lens has them, comparing. On both engines."""

import math
from collections.abc import Sequence
from typing import cast

import msgspec
import pytest
from wayside.row import Row
from wayside_collector.session import Pod, Run, Session
from wayside_collector.store import Database, Reader, Writer
from wayside_collector.store.answers import RunQuery
from wayside_collector.store.finding import find_runs
from wayside_collector.store.performance import Wanted
from wayside_collector.store.reader import NotFound
from wayside_collector.store.walk import Range
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session

START = 1_767_225_600.0


def run_session(id: str, rank: int | None = None, *, started: float = START, **fields: object) -> Session:
    known = {name: fields.pop(name) for name in list(fields) if name in Run.__struct_fields__}
    session = make_session(id, rank=rank, started=started, **fields)
    return msgspec.structs.replace(session, run=Run(id=id, **known))  # type: ignore[arg-type]


def put(writer: Writer, session: Session, *records: object) -> None:
    writer.write(make_parcel(session, list(records)).parts)  # type: ignore[arg-type]


def ids(reader: Reader, **query: object) -> list[str]:
    return [run.id for run in reader.runs(RunQuery(**query)).runs]  # type: ignore[arg-type]


def test_runs_are_found_by_what_is_known_of_them(writer: Writer, reader: Reader) -> None:
    """Text, project, group, workload, tags, state and config each narrow the list; the last begun comes first."""
    first = run_session("a1", name="Big_Model 50%", project="llama", group="g", tags=("x", "y"), workload="job-1")
    second = run_session("b2", name="small", project="llama", notes="try 50 again", tags=("x",), started=START + 1)
    third = run_session("c3", project="gpt", started=START + 2)
    put(writer, first, make_event("config", {"set": {"lr": 0.1, "opt": {"name": "adam", "betas": [0.9]}}}, seq=0))
    put(writer, second, make_event("config", {"set": {"lr": 0.2, "opt.name": "sgd"}}, seq=0))
    put(writer, third, *make_rows(1))
    put(writer, second, make_event("finish", {"exit_code": 0}, seq=1))
    assert ids(reader) == ["c3", "b2", "a1"]
    assert ids(reader, text="BIG_m") == ["a1"]
    assert ids(reader, text="50%") == ["a1"]
    assert ids(reader, text="again") == ["b2"]
    assert ids(reader, text="_") == ["a1"]
    assert ids(reader, project="llama", tags=("x",)) == ["b2", "a1"]
    assert ids(reader, tags=("x", "y")) == ["a1"]
    assert ids(reader, group="g") == ids(reader, workload="job-1") == ["a1"]
    assert ids(reader, state="finished") == ["b2"]
    assert ids(reader, config={"lr": 0.1}) == ["a1"]
    assert ids(reader, config={"opt.name": "adam"}) == ["a1"]
    assert ids(reader, config={"opt.name": "sgd", "lr": 0.2}) == ["b2"]
    assert ids(reader, config={"opt.betas": [0.9]}) == ["a1"]
    page = reader.runs(limit=1, offset=1)
    assert ([run.id for run in page.runs], page.total) == (["b2"], 3)


def test_a_page_of_runs_costs_a_page(db: Database, writer: Writer) -> None:
    """However many there are, no more are read than are told, unless tags or config choose among them."""
    for number in range(6):
        put(writer, run_session(f"r{number}", project="p", started=START + number, tags=("x",)), *make_rows(1))
    read: list[int] = []

    class Counting:
        def query(self, sql: str, *values: object) -> list[tuple[object, ...]]:
            read.append(len(found := db.query(sql, *values)))  # type: ignore[arg-type]
            return found

    for query in (RunQuery(), RunQuery(project="p", text="r")):
        page = find_runs(cast(Database, Counting()), query, 2, 3)
        assert ([run.id for run in page.runs], page.total) == (["r2", "r1"], 6)
        assert max(read) == 2
    page = find_runs(db, RunQuery(tags=("x",)), 2, 3)
    assert ([run.id for run in page.runs], page.total) == (["r2", "r1"], 6)


@pytest.mark.parametrize(
    ("ends", "state", "code"),
    [
        ({0: 0, 1: 0}, "finished", 0),
        ({0: 0}, "running", None),
        ({0: 1, 1: 0}, "failed", 1),
        ({0: 0, 1: None}, "crashed", None),
        ({0: None, 1: 137}, "failed", 137),
    ],
)
def test_a_run_s_state(
    writer: Writer, reader: Reader, ends: dict[int, int | None], state: str, code: int | None
) -> None:
    """A run is running until each rank has ended; then the exit codes tell how it ended."""
    for rank in (0, 1):
        session = run_session("r", rank)
        put(writer, session, *make_rows(2))
        if rank in ends:
            data = {} if ends[rank] is None else {"exit_code": ends[rank]}
            put(writer, session, make_event("finish", data, seq=2))
    run = reader.run("r")
    assert (run.state, run.exit_code) == (state, code)


def test_a_run_that_is_started_again_is_as_its_last_attempt(writer: Writer, reader: Reader) -> None:
    """After a crash, the rank's next session is what counts; an end without a code never hides one with a code."""
    crashed, again = run_session("r", 0), run_session("r", 0, started=START + 60)
    put(writer, crashed, *make_rows(2), make_event("finish", {}, seq=2))
    assert reader.run("r").state == "crashed"
    put(writer, again, *make_rows(2))
    assert reader.run("r").state == "running"
    put(writer, again, make_event("finish", {"exit_code": 0}, seq=2), make_event("finish", {}, seq=3, time=START + 99))
    assert reader.run("r").state == "finished"
    assert [one.exit_code for one in reader.sessions("r")] == [None, 0]


@pytest.mark.parametrize("name", ["0" * 32, "f" * 32])
def test_the_rest_of_a_session_that_was_given_up_tells_how_it_ended(writer: Writer, reader: Reader, name: str) -> None:
    """A session that was noted as crashed, and forgotten, goes on under another name: its real end counts, whatever
    that name is.
    """
    given_up = run_session("r", 0)
    rest = msgspec.structs.replace(given_up, session=name, continues=(given_up.id, 3, 2))
    put(writer, given_up, *make_rows(2), make_event("finish", {}, seq=2, time=START + 99))
    put(writer, rest, *make_rows(2), make_event("finish", {"exit_code": 0}, seq=2, time=START + 9))
    assert reader.run("r").state == "finished"
    assert [one.id for one in reader.sessions("r")] == [given_up.id, name]


@pytest.mark.parametrize("samples_first", [False, True])
def test_a_run_that_is_started_again_runs_whoever_tells_of_it_first(
    writer: Writer, reader: Reader, samples_first: bool
) -> None:
    """A finished run is running again, whether a row of its next session came first or a sample from beside it."""
    ended, again = run_session("r", 0), run_session("r", 0, started=START + 60)
    system = make_session("system", kind="system", host="node")
    put(writer, ended, *make_rows(2), make_event("finish", {"exit_code": 3}, seq=2))
    parcels = [make_parcel(again, make_rows(1)), make_parcel(system, make_rows(1), open_runs=(again,))]
    for parcel in reversed(parcels) if samples_first else parcels:
        writer.write(parcel.parts)
    run = reader.run("r")
    assert (run.state, run.exit_code) == ("running", None)


def test_the_lowest_rank_s_word_counts(writer: Writer, reader: Reader) -> None:
    """Name, tags and config of a run are those of its lowest rank, whichever rank came first."""
    put(writer, run_session("r", 1, name="one", tags=("b",)), make_event("config", {"set": {"k": 1, "only": 1}}, seq=0))
    put(writer, run_session("r", 0, name="zero", tags=("a",)), make_event("config", {"set": {"k": 0}}, seq=0))
    put(writer, run_session("r", 2, name="two"), make_event("config", {"set": {"k": 2}, "remove": ["only"]}, seq=0))
    run = reader.run("r")
    assert (run.name, run.tags) == ("zero", ("a",))
    assert reader.config("r") == {"k": 0, "only": 1}


def test_config_and_summary_are_as_last_said(writer: Writer, reader: Reader) -> None:
    """Keys are set, set anew and removed in the order of their times."""
    session = run_session("r")
    put(writer, session, make_event("summary", {"set": {"a": 1, "b": 2}, "remove": []}, seq=0, time=START))
    put(writer, session, make_event("summary", {"set": {"a": 3}, "remove": ["b"]}, seq=1, time=START + 1))
    put(writer, session, make_event("config", {"set": {"x": math.inf}}, seq=2, time=START + 2))
    assert reader.summary("r") == {"a": 3}
    assert reader.config("r") == {"x": "Infinity"}


def test_events_come_in_order_and_page_by_page(writer: Writer, reader: Reader) -> None:
    """Events are told by time, session and seq, of the kinds that are asked for, each once over all pages."""
    for rank in (0, 1):
        events = [
            make_event(kind, {"title": f"{rank}-{seq}"}, seq=seq, time=START + seq // 2, step=seq)
            for seq, kind in enumerate(["alert", "text"] * 5)
        ]
        put(writer, run_session("r", rank), *events)
    every = reader.events("r")
    assert len(every) == 20
    assert [(one.time, one.session, one.seq) for one in every] == sorted(
        (one.time, one.session, one.seq) for one in every
    )
    pages, after = [], None
    while page := reader.events("r", limit=7, after=after):
        pages += page
        after = (page[-1].time, page[-1].session, page[-1].seq)
    assert pages == every
    assert {one.kind for one in reader.alerts("r")} == {"alert"}
    assert reader.alerts("r")[0].data == {"title": "0-0"}


def test_series_tell_what_they_have_come_to(writer: Writer, reader: Reader) -> None:
    """Count, last, least and greatest with their steps, and the best by what the run said or the name tells."""
    session = run_session("r", 0)
    values = [(3.0, 0.1, 5.0), (math.nan, 0.9, 6.0), (1.0, 0.5, 2.0), (2.0, math.inf, 4.0)]
    names = ("val/loss", "val/acc", "speed")
    put(writer, session, make_event("define_metric", {"name": "speed", "summary": "max"}, seq=0))
    rows = [Row(seq, START + seq, seq * 10, True, False, names, row) for seq, row in enumerate(values, 1)]
    put(writer, session, *rows[:2])
    put(writer, session, *rows[2:])
    speed, acc, loss = reader.series("r")
    assert (loss.name, loss.count, loss.finite, loss.min, loss.max, loss.last) == ("val/loss", 4, 3, 1.0, 3.0, 2.0)
    assert (loss.goal, loss.best, loss.best_step, loss.mean) == ("min", 1.0, 30, 2.0)
    assert (acc.name, acc.goal, acc.best, acc.best_step, acc.finite) == ("val/acc", "max", math.inf, 40, 3)
    assert (speed.goal, speed.best, speed.best_step, speed.last_step) == ("max", 6.0, 20, 40)


def test_samples_count_for_the_runs_that_were_open(writer: Writer, reader: Reader) -> None:
    """A sampler's series are a run's while it was open: not before, not after, and never one of another run's."""
    system = make_session("system", kind="system", host="node-1")
    one, other = run_session("r1", 0), run_session("r2", 0)
    samples = make_rows(100, {"host/cpu": 1.0})
    samples = [row._replace(step=None, values=(float(row.seq),)) for row in samples]
    for seq, row in enumerate(samples):
        runs = [one] if 20 <= seq < 50 else ([one, other] if 50 <= seq < 60 else [])
        writer.write(make_parcel(system, [row], open_runs=runs).parts)
    put(writer, one, *make_rows(1))
    (curve,) = reader.curves("r1", "host/cpu", Range("time", None, None))
    assert (curve.series_kind, curve.host, curve.values) == ("system", "node-1", [float(n) for n in range(20, 60)])
    (curve,) = reader.curves("r2", "host/cpu", Range("time", START + 55, None))
    assert curve.values == [55.0, 56.0, 57.0, 58.0, 59.0]
    assert [series.kind for series in reader.series("r1")] == ["run", "system"]
    assert [run.id for run in reader.runs().runs] == ["r1", "r2"]
    with pytest.raises(NotFound):
        reader.run(f"system/{system.id}")


def lens_rows(session: Session, steps: Sequence[int], **metrics: float) -> list[Row]:
    return [
        Row(seq, START + step, step, True, False, tuple(metrics), tuple(value + step for value in metrics.values()))
        for seq, step in enumerate(steps)
    ]


def test_rows_as_lens_has_them(db: Database, writer: Writer, reader: Reader) -> None:
    """One row for each run and step, the primary rank's metrics of that step together, in order and page by page."""
    first, second = run_session("r1", 0, workload="job"), run_session("r2", None, workload="job", started=START + 5)
    put(writer, first, *lens_rows(first, range(0, 2000, 2), loss=0.0))
    more = [row._replace(seq=row.seq + 1000) for row in lens_rows(first, range(0, 2000, 4), lr=0.5)]
    put(writer, first, *more)
    put(writer, run_session("r1", 1, workload="job"), *lens_rows(first, range(0, 2000, 2), loss=9e9))
    put(writer, second, *lens_rows(second, [7, 3, 3, 5], acc=1.0, target_iteration=100.0))
    rows, after = [], None
    while True:
        page = reader.performance("job", limit=300, after=after)
        rows += page.rows
        after = page.next
        if after is None:
            break
    assert [(row.run, row.iteration) for row in rows] == [("r1", n) for n in range(0, 2000, 2)] + [
        ("r2", 3), ("r2", 5), ("r2", 7)
    ]  # fmt: skip
    assert rows[2].metrics == {"loss": 4.0, "lr": 4.5}
    assert rows[1].metrics == {"loss": 2.0}
    assert [row.iteration for row in reader.performance("job", Wanted(frozenset({"acc"}))).rows] == [3, 5, 7]
    some = reader.performance("job", Wanted(start=START + 10, end=START + 16), run="r1").rows
    assert [row.iteration for row in some] == [10, 12, 14, 16]
    times = reader.iterations("job", run="r2").rows
    assert [(row.iteration, row.time, row.metrics["target_iteration"]) for row in times] == [
        (3, START + 3, 103.0), (5, START + 5, 105.0), (7, START + 7, 107.0)
    ]  # fmt: skip
    assert [(one.name, one.count) for one in reader.sources("job")] == [("wandb", 1003)]
    assert reader.sources("nothing") == []
    assert reader.performance("nothing").rows == []
    asked = "SELECT COUNT(*)\nFROM training_performance\nWHERE workload_uid = 'job'\nAND data_source = 'wandb';"
    assert db.query(asked) == [(1003,)]
    told = db.query("SELECT iteration FROM training_performance WHERE run_id = 'r2' ORDER BY iteration")
    assert told == [(3,), (5,), (7,)]


def test_runs_beside_each_other(writer: Writer, reader: Reader) -> None:
    """Where configs differ, each metric's last and best, and whose best is the best; 2 to 5 runs, none twice."""
    for number, (run, losses) in enumerate({"a": [3.0, 1.0, 2.0], "b": [4.0, 0.5], "c": [9.0]}.items()):
        session = run_session(run, 0)
        rows = [Row(seq, START + seq, seq, True, False, ("loss", f"m{run}"), (v, v)) for seq, v in enumerate(losses, 1)]
        config = {"lr": 0.1 * number, "same": 1, "opt": {"name": run}} | ({"only": True} if run == "b" else {})
        put(writer, session, make_event("config", {"set": config}, seq=0), *rows)
    found = reader.compare(["b", "a", "c"])
    assert [run.id for run in found.runs] == ["b", "a", "c"]
    assert found.config == {"lr": [0.1, 0.0, 0.2], "only": [True, None, None], "opt.name": ["b", "a", "c"]}
    metrics = {one.name: one for one in found.metrics}
    loss = metrics["loss"]
    assert (loss.goal, loss.last, loss.best, loss.winner) == ("min", [0.5, 2.0, 9.0], [0.5, 1.0, 9.0], 0)
    assert (metrics["ma"].last, metrics["ma"].winner) == ([None, 2.0, None], None)
    for wrong in (["a"], ["a", "a"], list("abcdef")):
        with pytest.raises(ValueError, match="2 to 5"):
            reader.compare(wrong)
    with pytest.raises(NotFound, match="'nope'"):
        reader.compare(["a", "nope"])


def test_who_a_run_s_workload_is(writer: Writer, reader: Reader) -> None:
    """The workload's uid; else the pod; else the run itself."""
    put(writer, run_session("r1", workload="uid", pod=Pod(name="pod")), *make_rows(1))
    put(writer, run_session("r2", pod=Pod(name="pod")), *make_rows(1))
    put(writer, run_session("r3"), *make_rows(1))
    assert [reader.run(id).workload for id in ("r1", "r2", "r3")] == ["uid", "pod", "r3"]
    assert reader.workload_runs("pod") == ["r2"]


def test_an_empty_store_answers(reader: Reader) -> None:
    """Before the first row, there are no runs, and asking for one says so."""
    assert reader.runs().total == 0
    with pytest.raises(NotFound, match="there is no run 'r'"):
        reader.series("r")
