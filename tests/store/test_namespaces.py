"""A reader within a namespace sees its runs alone, whatever it is asked. On both engines."""

from collections.abc import Callable
from typing import Any

import pytest
from wayside_collector.session import Run, in_namespace, read_session
from wayside_collector.store import Database, Reader, Writer
from wayside_collector.store.answers import RunQuery
from wayside_collector.store.reader import NotFound
from wayside_collector.testing import make_parcel, make_rows, make_session

ASKED: list[Callable[[Reader, str], Any]] = [
    lambda reader, run: reader.run(run),
    lambda reader, run: reader.run_progress(run),
    lambda reader, run: reader.sessions(run),
    lambda reader, run: reader.config(run),
    lambda reader, run: reader.summary(run),
    lambda reader, run: reader.events(run),
    lambda reader, run: reader.alerts(run),
    lambda reader, run: reader.series(run),
    lambda reader, run: reader.curves(run, "train/loss"),
    lambda reader, run: reader.compare([run, "b.two"]),
]


def write(db: Database, run: str, namespace: str | None) -> None:
    session = make_session(run, workload="w", namespace=namespace)
    Writer(db).write(make_parcel(session, make_rows(3)).parts)


@pytest.fixture
def reader(url: str, db: Database) -> Any:
    for run, namespace in (("a.one", "a"), ("b.two", "b"), ("free", None)):
        write(db, run, namespace)
    found = Reader(url)
    yield found
    found.close()


def test_lists_leave_the_others_out(reader: Reader) -> None:
    """Runs, workloads, and the runs of a workload."""
    for namespace, runs in (("a", ["a.one"]), ("b", ["b.two"]), ("c", []), (None, ["a.one", "b.two", "free"])):
        mine = reader.within(namespace)
        assert sorted(run.id for run in mine.runs().runs) == runs
        assert mine.runs(RunQuery(workload="w")).total == mine.runs_progress().total == len(runs)
        assert sum(one.runs for one in mine.workloads().workloads) == len(runs)
        assert sorted(mine.workload_runs("w")) == runs
        assert len({row.run for row in mine.performance("w").rows}) == len(runs)
        assert sum(one.count for one in mine.sources("w")) == 3 * len(runs)


@pytest.mark.parametrize("ask", ASKED)
def test_a_run_of_another_is_not_there(reader: Reader, ask: Callable[[Reader, str], Any]) -> None:
    """As if it had never been."""
    ask(reader, "a.one")
    with pytest.raises(NotFound):
        ask(reader.within("b"), "a.one")
    with pytest.raises(NotFound):
        ask(reader.within("b"), "free")


def test_a_run_is_its_namespaces_though_another_wrote_first(reader: Reader, db: Database) -> None:
    """A trainer of this machine that chose such an id shuts nobody out; and what is a namespace's stays its own."""
    write(db, "c.exp", None)
    for run, namespace in (("c.exp", "c"), ("c.exp", None)):
        Writer(db).write(
            make_parcel(
                make_session(run, id=f"{run}{namespace}".ljust(32, "0"), namespace=namespace), make_rows(3)
            ).parts
        )
        assert reader.within("c").run("c.exp").id == "c.exp"
    with pytest.raises(NotFound):
        reader.within("a").run("c.exp")


def test_a_record_is_kept_in_its_namespace() -> None:
    """Its run's id begins with it, and its name is what the id was; what the record claims does not count elsewhere."""
    record = {"session": "a" * 32, "run": {"id": "r1", "project": "p"}, "namespace": "other"}
    session = read_session(in_namespace(record, "team-a"))
    assert (session.namespace, session.run) == ("team-a", Run("team-a.r1", "r1", "p"))
    assert in_namespace({"session": "a" * 32, "run": {"id": "r1"}}, None)["run"] == {"id": "r1"}
