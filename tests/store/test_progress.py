"""How far runs have come, workloads, what changed, and pages that end by size: on both engines."""

import math
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from store.test_reading import START, put, run_session
from wayside.row import Event, Row
from wayside_collector.store import Database, Reader, StoreError, StoreMissing, Writer, events
from wayside_collector.store.answers import LastPoint, LossInfo, RunQuery
from wayside_collector.store.performance import Wanted
from wayside_collector.store.progress import choose_loss
from wayside_collector.store.reader import TooMany
from wayside_collector.store.walk import Range
from wayside_collector.testing import make_event, make_rows


def test_a_run_s_progress(writer: Writer, reader: Reader) -> None:
    """The last step of any rank, and the loss of the lowest; a run without rows has neither."""
    put(writer, run_session("a", 0), *make_rows(1300, {"train/loss": 0.5, "other": 1.0}))
    put(writer, run_session("a", 1), *make_rows(1400, {"train/loss": 0.7}))
    put(writer, run_session("b", started=START + 1), make_event("config", {"set": {"lr": 1}}, seq=0))
    found = reader.run_progress("a")
    assert (found.step, found.last_loss) == (1399, LossInfo("train/loss", 0.5, 1299))
    page = reader.runs_progress(RunQuery(text="b"))
    assert [(one.id, one.step, one.last_loss) for one in page.runs] == [("b", None, None)]
    assert [one.id for one in reader.runs_progress().runs] == ["b", "a"]


def test_a_run_s_framework(writer: Writer, reader: Reader) -> None:
    """What was detected last of the lowest rank, wrapper before base, each once; a mere guess is none."""

    def told(seq: int, *names: str | None, confidence: str = "high") -> Event:
        data = {"framework": names[0], "base_framework": names[1], "confidence": confidence, "evidence": {"a": 1}}
        return make_event("detection", data, seq=seq, time=START + seq)

    put(writer, run_session("a", 1), told(0, "ray", None))
    put(writer, run_session("a", 0), told(0, "pytorch", "pytorch"))
    assert reader.run_progress("a").framework == "pytorch"
    put(writer, run_session("a", 0), told(1, "lightning", "pytorch"))
    assert reader.run_progress("a").framework == "lightning + pytorch"
    put(writer, run_session("b", 0), told(0, None, "jax", confidence="low"))
    put(writer, run_session("c", 0), make_event("detection", {"framework": 3, "confidence": "high"}, seq=0))
    put(writer, run_session("d", 0), told(0, None, None))
    assert [reader.run_progress(id).framework for id in "bcd"] == [None, None, None]


@pytest.mark.parametrize(
    ("names", "loss"),
    [
        (["acc", "Train/Loss", "eval/loss"], "Train/Loss"),
        (["train_loss", "loss"], "loss"),
        (["lm loss", "loss_scale"], "lm loss"),
        (["loss-scale", "grad"], None),
        (["val/loss", "loss_scale", "aux/loss_z"], "aux/loss_z"),
        ([], None),
    ],
)
def test_which_metric_is_the_loss(names: list[str], loss: str | None) -> None:
    """The plain names first, in their order; else the first that has loss in it, and never the scale."""
    assert choose_loss(names) == loss


def test_the_last_points(writer: Writer, reader: Reader) -> None:
    """Of the rank that speaks: each metric's last point, from blocks and from the tail; nan as it is."""
    put(writer, run_session("a", 0), *make_rows(600, {"x": 1.0}), *make_rows(1, {"y": math.nan}, seq=600, step=600))
    put(writer, run_session("a", 1), *make_rows(3, {"z": 2.0}))
    found = reader.latest("a")
    assert set(found) == {"x", "y"}
    assert found["x"] == LastPoint(599, 1_767_225_600.0 + 599, 1.0)
    assert math.isnan(found["y"].value)


def test_workloads(writer: Writer, reader: Reader) -> None:
    """By the run last begun; running while one of them is, else as the last ended; found by text; page by page."""
    ends = make_event("finish", {"exit_code": 0}, seq=9)
    bad = make_event("finish", {"exit_code": 1}, seq=9)
    put(writer, run_session("a", workload="Job-1"), ends)
    put(writer, run_session("b", workload="Job-1", started=START + 5), bad)
    put(writer, run_session("c", workload="job_2", started=START + 1), ends)
    put(writer, run_session("d", workload="job_2", started=START + 2), *make_rows(1))
    page = reader.workloads()
    assert [(one.workload, one.runs, one.state) for one in page.workloads] == [
        ("Job-1", 2, "failed"),
        ("job_2", 2, "running"),
    ]
    assert (page.workloads[0].started, page.total) == (START, 2)
    assert [one.workload for one in reader.workloads("b_2").workloads] == ["job_2"]
    assert [one.workload for one in reader.workloads(limit=1, offset=1).workloads] == ["job_2"]


def test_what_changed(db: Database, reader: Reader) -> None:
    """Runs that something was stored of since a time, the latest first, by the clock of who stored it."""
    clock = [100.0]
    writer = Writer(db, clock=lambda: clock[0])
    put(writer, run_session("a"), *make_rows(1))
    clock[0] = 200.0
    put(writer, run_session("b"), *make_rows(1))
    assert reader.changed(0) == [("b", 200.0), ("a", 100.0)]
    assert reader.changed(150) == [("b", 200.0)]
    clock[0] = 300.0
    put(writer, run_session("a"), *make_rows(1, seq=1))
    assert reader.changed(0, limit=1) == [("a", 300.0)]
    assert reader.touched("a") == 300.0


def test_a_page_of_long_events_ends_by_size(writer: Writer, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page has no more bytes than it may, but one event at least; page by page all of them come."""
    monkeypatch.setattr(events, "MAX_BYTES", 1000)
    texts = ["a" * 900, "b" * 900, "c" * 10, "d" * 10, "e" * 5000]
    put(writer, run_session("a"), *(make_event("text", {"t": text}, seq=seq) for seq, text in enumerate(texts)))
    sizes, after = [], None
    while True:
        page = reader.event_page("a", after=after)
        sizes.append(len(page.events))
        after = page.next
        if after is None:
            break
    assert sizes == [1, 3, 1]
    assert [one.data["t"] for one in reader.events("a")] == texts
    assert len(reader.events("a", limit=3)) == 3


def test_many_curves_share_one_answer(writer: Writer, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves that are many have fewer points each, so that no answer has more than MAX_VALUES; too many are refused."""
    monkeypatch.setattr("wayside_collector.store.reader.MAX_VALUES", 2000)
    names = {f"m{number}": 1.0 for number in range(20)}
    put(writer, run_session("a"), *make_rows(1000, names))
    curves = reader.curves("a", list(names), max_points=20_000)
    assert len(curves) == 20
    assert all(len(curve.values) <= 100 for curve in curves)
    assert sum(len(curve.values) for curve in curves) > 1000
    assert all(curve.count == 1000 for curve in curves)
    monkeypatch.setattr("wayside_collector.store.reader.MAX_CURVES", 19)
    with pytest.raises(TooMany, match="20 curves, and 19 is the limit"):
        reader.curves("a", list(names))


def test_rows_of_a_time(writer: Writer, reader: Reader) -> None:
    """A time range finds the rows of its steps, be they in blocks, in the tail, or in a stream of their own."""
    put(writer, run_session("a", workload="job"), *make_rows(1500, {"loss": 1.0}, time=START))
    put(writer, run_session("a", workload="job"), *make_rows(5, {"val": 2.0}, seq=5000, step=700, time=START + 700))
    for start, end in ((0, 1), (600, 705), (1490, 9999), (-9, -1), (5000, 9000)):
        found = reader.performance("job", Wanted(start=START + start, end=START + end)).rows
        assert [row.iteration for row in found] == [step for step in range(1500) if start <= step <= end]
        assert [row.iteration for row in found if "val" in row.metrics] == [
            step for step in range(700, 705) if start <= step <= end
        ]
    assert reader.available("job")[1].count == 5


def test_thinned_rows_are_real_points(writer: Writer, reader: Reader) -> None:
    """About as many as wanted, from the first to near the last, each a point that was logged."""
    rows = [
        Row(step, START + step, 2 * step, True, False, ("a", "b"), (float(step), -float(step))) for step in range(3000)
    ]
    put(writer, run_session("a", workload="job"), *rows)
    found = reader.performance_thinned("job", most=400)
    assert 200 <= len(found) <= 400
    assert all(one.value == (one.iteration / 2 if one.name == "a" else -one.iteration / 2) for one in found)
    assert all(one.time == START + one.iteration / 2 for one in found)
    only = [one.iteration for one in found if one.name == "a"]
    assert only == sorted(only)
    assert (only[0], only[-1] > 5500) == (0, True)
    some = reader.performance_thinned("job", Wanted(frozenset({"b"}), START + 100, START + 199), most=1000)
    assert [one.iteration for one in some] == list(range(200, 400, 2))


def test_a_question_that_is_given_up_ends(url: str, writer: Writer, reader: Reader) -> None:
    """From another thread a long question is ended, with an error; so are further ones, and another reader answers."""
    put(writer, run_session("a"), *make_rows(300, {f"m{number}": 1.0 for number in range(50)}))
    ended: list[BaseException] = []

    def ask() -> None:
        try:
            while True:
                reader.series("a")
        except StoreError as problem:
            ended.append(problem)

    asking = threading.Thread(target=ask)
    asking.start()
    reader.give_up()
    asking.join(15)
    assert ended
    with pytest.raises(StoreError, match="given up"):
        reader.run("a")
    other = Reader(url)
    assert other.run("a").id == "a"
    other.close()


def test_nothing_was_ever_written(url: str, opened: Callable[[str], Database]) -> None:
    """A store that is not there yet, or is being made, is told as missing; then what is written is seen."""
    reader = Reader(url)
    with pytest.raises(StoreMissing):
        reader.runs()
    if not url.startswith("postgresql"):
        assert not Path(url).exists()
        Path(url).touch()  # as it is for a moment before its tables are there
        with pytest.raises(StoreMissing):
            reader.runs()
    put(Writer(opened(url)), run_session("a"), *make_rows(1))
    assert [one.id for one in reader.runs().runs] == ["a"]
    reader.close()


def test_a_store_of_nothing() -> None:
    """It answers like one that nobody has written into."""
    reader = Reader(None)
    assert reader.runs_progress().runs == []
    assert reader.workloads().total == 0
    assert reader.sources("job") == []
    assert reader.performance("job").rows == []
    with pytest.raises(LookupError):
        reader.run("a")
    reader.close()


def test_an_axis_of_time_needs_no_steps(writer: Writer, reader: Reader) -> None:
    """Rows without steps have curves by time, and none by step."""
    rows = [Row(seq, START + seq, None, True, False, ("x",), (1.0,)) for seq in range(3)]
    put(writer, run_session("a"), *rows)
    assert reader.curves("a", "x")[0].values == []
    assert reader.curves("a", "x", Range("time", None, None))[0].values == [1.0] * 3
    assert reader.latest("a") == {"x": LastPoint(None, START + 2, 1.0)}
