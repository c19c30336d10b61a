"""What goes in comes out, once, whichever way the parcels were cut, and whenever they come again. On both engines."""

import math
import random
from collections.abc import Callable, Sequence

import pytest
from store.plain import check_curve, everything, inside, points_of
from wayside.row import Event, Row
from wayside_collector.session import Session
from wayside_collector.sinks.base import Part
from wayside_collector.store import Database, Reader, StoreError, Writer
from wayside_collector.store.walk import Range
from wayside_collector.testing import make_event, make_parcel, make_rows, make_session

START = 1_767_225_600.0
SEEDS = (0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 5)))
ODD = (math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308)


def history(seed: int, rows: int = 1500) -> list[tuple[Session, list[Row | Event]]]:
    """Two runs of several ranks, one of them started again; rows of changing names, steps that go back, odd values."""
    rng = random.Random(seed)
    found: list[tuple[Session, list[Row | Event]]] = []
    for number, (run, rank) in enumerate([("a", 0), ("a", 1), ("b", None), ("a", 0)]):
        session = make_session(
            run, rank=rank, id=f"{seed:016x}{number:016x}", workload=f"job-{run}", started=START + number * 100
        )
        found.append((session, _records(rng, rows, START + number * 100)))
    return found


def _records(rng: random.Random, count: int, start: float) -> list[Row | Event]:
    records: list[Row | Event] = []
    step, time = 0, start
    names = [("loss", "lr"), ("loss",), ("acc", "loss", "lr"), ()]
    for seq in range(count):
        time += rng.random()
        step = max(0, step + rng.choice((0, 1, 1, 1, 1, 7, -2)))
        if rng.random() < 0.03:
            kind, data = rng.choice(
                [
                    (
                        "config",
                        {"set": {rng.choice("xyz"): rng.choice([1, 2.5, "é", {"in": [1]}, None])}, "remove": []},
                    ),
                    ("summary", {"set": {"best": rng.choice([0.1, math.nan])}, "remove": [rng.choice(["best", "no"])]}),
                    ("alert", {"title": "a\0b", "text": "\ud800", "level": "WARN"}),
                    ("define_metric", {"name": "acc", "summary": "max"}),
                ]
            )
            records.append(make_event(kind, data, seq=seq, time=time, step=step))
            continue
        chosen = rng.choice(names[:1] * 20 + names)
        values = tuple(rng.choice(ODD) if rng.random() < 0.01 else rng.gauss(2, 1) for _ in chosen)
        records.append(Row(seq, time, None if rng.random() < 0.01 else step, True, False, chosen, values))
    records.append(make_event("finish", {"exit_code": 0}, seq=count, time=time + 1))
    return records


def cut(rng: random.Random, sessions: Sequence[tuple[Session, list[Row | Event]]], most: int) -> list[list[Part]]:
    """Parcels of all that, each session in its order, with some that come again."""
    left = {session.id: 0 for session, _ in sessions}
    parcels: list[list[Part]] = []
    while any(left[session.id] < len(records) for session, records in sessions):
        parts = []
        for session, records in rng.sample(list(sessions), rng.randint(1, len(sessions))):
            begin = left[session.id]
            if begin and rng.random() < 0.2:  # an answer was lost: from somewhere before on
                begin -= min(begin, rng.randint(1, most))
            end = min(len(records), begin + rng.randint(1, most))
            left[session.id] = max(left[session.id], end)
            parts.append(Part(session, list(records[begin:end])))
        parcels.append(parts)
        if rng.random() < 0.1:
            parcels.append(parts)
    return parcels


@pytest.mark.timeout(60)
@pytest.mark.parametrize("seed", SEEDS)
def test_answers_are_those_of_all_rows_once(writer: Writer, reader: Reader, seed: int) -> None:
    """However parcels are cut and repeated, a curve of any range holds exactly the points there are."""
    sessions = history(seed)
    rng = random.Random(seed)
    for parcel in cut(rng, sessions, 700):
        writer.write(parcel)
    for run, name, rank in (("a", "loss", 0), ("a", "lr", 1), ("b", "acc", None), ("b", "loss", None)):
        points = points_of(sessions, run, name, rank)
        for axis in ("step", "time"):
            for _ in range(12):
                ends = sorted(rng.uniform(-10, 2000) + (START if axis == "time" else 0) for _ in range(2))
                wanted = Range(axis, *(rng.choice((None, end)) for end in ends))
                most = rng.choice((1, 7, 100, 5000))
                (curve,) = reader.curves(run, name, wanted, max_points=most, ranks=[rank])
                check_curve(curve, inside(points, wanted), most)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_store_that_is_built_again_answers_alike(
    url: str, fresh: Callable[[], str], opened: Callable[[str], Database], seed: int
) -> None:
    """Every answer is a function of what was sent, not of how it was cut, in which order, or how often it came."""
    sessions = history(seed, rows=700)
    answers = []
    for place, most in ((url, 150), (fresh(), 700)):
        db = opened(place)
        for parcel in cut(random.Random(most), sessions, most):
            Writer(db, clock=lambda: START).write(parcel)
        reader = Reader(place)
        answers.append(everything(reader))
        reader.close()
    assert answers[0].keys() == {"a", "b"}
    assert answers[0] == answers[1]


def test_a_parcel_that_comes_again_changes_nothing(db: Database, writer: Writer, reader: Reader) -> None:
    """Re-sent rows and events are known by (session, seq), in blocks and in the tail, and counted as doubles."""
    session = make_session("r", rank=0)
    records = [*make_rows(1300), make_event("alert", {"title": "t"}, seq=1300)]
    assert writer.write(make_parcel(session, records).parts).points == 1300
    before = everything(reader)
    again = writer.write(make_parcel(session, records).parts)
    assert (again.points, again.doubles) == (0, 1301)
    for begin, end in ((0, 10), (500, 530), (1290, 1301)):
        assert writer.write(make_parcel(session, records[begin:end]).parts).points == 0
    assert everything(reader) == before
    assert db.query("SELECT count(*) FROM tail")[0][0] == 1300 % 512


def test_rows_that_come_late_are_new(writer: Writer, reader: Reader) -> None:
    """A row whose seq is below others that are stored, and is not stored itself, is taken."""
    session = make_session("r", rank=0)
    rows = make_rows(2000)
    writer.write(make_parcel(session, rows[600:1400]).parts)
    writer.write(make_parcel(session, rows[:700]).parts)
    assert reader.series("r")[0].last_step == 1399
    writer.write(make_parcel(session, rows[1300:]).parts)
    (curve,) = reader.curves("r", "train/loss", max_points=5000)
    assert curve.steps == list(range(2000))


class Broken(Exception):
    pass


@pytest.mark.parametrize("at", range(12))
def test_a_crash_within_a_parcel_leaves_nothing_of_it(
    db: Database, reader: Reader, at: int, request: pytest.FixtureRequest
) -> None:
    """Wherever writing stops, nothing of the parcel is there, and the parcel is taken whole when it comes again."""
    session = make_session("r", rank=0)
    rows = make_rows(5000)
    Writer(db).write(make_parcel(session, rows[:700]).parts)
    before = everything(reader)
    stopping = _Stopping(db, at)
    with pytest.raises(Broken):
        Writer(stopping).write(make_parcel(session, rows[700:]).parts)  # type: ignore[arg-type]
    assert everything(reader) == before
    assert Writer(db).write(make_parcel(session, rows[700:]).parts).points == 4300
    (curve,) = reader.curves("r", "train/loss", max_points=20_000)
    assert curve.steps == list(range(5000))


class _Stopping:
    """A database that fails at the n-th write."""

    def __init__(self, db: Database, at: int) -> None:
        self._db = db
        self._left = at

    def __getattr__(self, name: str) -> object:
        if name in ("run", "run_many", "put"):
            if not self._left:
                raise Broken
            self._left -= 1
        return getattr(self._db, name)


def test_open_blocks_can_be_asked(writer: Writer, reader: Reader) -> None:
    """A row is in every answer as soon as its parcel is written, long before its block is full."""
    session = make_session("r", rank=3)
    for number, row in enumerate(make_rows(5)):
        writer.write(make_parcel(session, [row]).parts)
        (curve,) = reader.curves("r", "train/loss")
        (info,) = reader.series("r")
        assert curve.values[-1] == row.values[0]
        assert (info.count, info.last, info.last_step) == (number + 1, row.values[0], row.step)
        assert reader.performance("r").rows[-1].iteration == row.step


def test_series_beyond_the_limit_are_refused(db: Database, reader: Reader) -> None:
    """Rows that would begin more series than a run may have are named; all others are stored."""
    session = make_session("r", rank=0)
    rows = [Row(seq, START, seq, True, False, (f"m{seq}",), (1.0,)) for seq in range(5)]
    known = Row(5, START, 5, True, False, ("m0",), (2.0,))
    written = Writer(db, max_series=3).write(make_parcel(session, [*rows, known]).parts)
    assert written.refused == {(session.id, 3), (session.id, 4)}
    assert [(one.name, one.count) for one in reader.series("r")] == [("m0", 2), ("m1", 1), ("m2", 1)]


@pytest.mark.parametrize("url", ["sqlite", pytest.param("postgres", marks=pytest.mark.long)], indirect=True)
def test_names_that_always_change_make_no_stream_each(db: Database, writer: Writer, reader: Reader) -> None:
    """Beyond 512 sets of names in one session, rows are filed name by name, and answers are the same."""
    session = make_session("r", rank=0)
    names = [f"n{number}" for number in range(60)]
    rng = random.Random(1)
    rows = []
    for seq in range(1200):
        chosen = tuple(sorted(rng.sample(names, 3)))
        rows.append(Row(seq, START + seq, seq, True, False, chosen, (1.0 * seq, 2.0, 3.0)))
    for begin in range(0, 1200, 400):
        writer.write(make_parcel(session, rows[begin : begin + 400]).parts)
    assert writer.write(make_parcel(session, rows).parts).points == 0
    assert db.query("SELECT count(*) FROM streams")[0][0] <= 512 + 60
    for name in names[:5]:
        (curve,) = reader.curves("r", name)
        points = [(row.step, row.metrics[name]) for row in rows if name in row.metrics]
        assert list(zip(curve.steps, curve.values, strict=True)) == points


def test_times_that_cannot_be_one_are_the_session_s_start(writer: Writer, reader: Reader) -> None:
    """A time that is no time is not believed, and such rows are counted."""
    session = make_session("r", rank=0)
    rows = [row._replace(time=time) for row, time in zip(make_rows(3), (math.nan, 1e300, START), strict=True)]
    assert writer.write(make_parcel(session, rows).parts).untimed == 2
    (curve,) = reader.curves("r", "train/loss")
    assert curve.times == [session.started, session.started, START]


def test_texts_no_table_can_hold_are_told_all_the_same(writer: Writer, reader: Reader) -> None:
    """NUL and halves of surrogate pairs in names, ids and events make nothing fail."""
    session = make_session("r\0\ud800", rank=0, host="h\0")
    row = Row(0, START, 1, True, False, ("a\0b", "c\udc00"), (1.0, 2.0))
    event = make_event("config", {"set": {"k\0": "v\ud800"}, "remove": []}, seq=1)
    writer.write(make_parcel(session, [row, event]).parts)
    assert writer.write(make_parcel(session, [row, event]).parts).doubles == 2
    (run,) = reader.runs().runs
    assert [one.name for one in reader.series(run.id)] == ["a\ufffdb", "c?"]
    assert reader.config(run.id) == {"k\ufffd": "v?"}


def test_long_texts_are_no_reason_to_fail(writer: Writer, reader: Reader) -> None:
    """Names, ids and keys longer than an index may hold are cut, and stay apart from each other."""
    rng = random.Random(1)
    names = tuple("".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(1024)) for _ in range(2))
    session = make_session("r" * 5000, rank=0, workload="w" * 5000)
    config = make_event("config", {"set": {"k" * 9000 + "a": 1, "k" * 9000 + "b": 2}, "remove": []}, seq=1)
    parcel = make_parcel(session, [Row(0, START, 1, True, False, names, (1.0, 2.0)), config])
    writer.write(parcel.parts)
    assert writer.write(parcel.parts).doubles == 2
    (run,) = reader.runs().runs
    series = reader.series(run.id)
    assert sorted(one.last for one in series) == [1.0, 2.0]
    assert [reader.curves(run.id, one.name)[0].values for one in series] == [[one.last] for one in series]
    assert sorted(reader.config(run.id).values()) == [1, 2]


def test_steps_at_the_ends_of_their_range(writer: Writer, reader: Reader) -> None:
    """Steps as far apart as 64 bits allow are kept as they are."""
    session = make_session("r", rank=0)
    steps = [-(1 << 62) - 5, 0, (1 << 63) - 1]
    rows = [Row(seq, START + seq, steps[seq % 3], True, False, ("loss",), (float(seq),)) for seq in range(600)]
    writer.write(make_parcel(session, rows).parts)
    (curve,) = reader.curves("r", "loss", Range("time", None, None), max_points=1000)
    assert curve.steps == [row.step for row in rows]


def test_a_failing_store_is_told_as_one(url: str, db: Database, writer: Writer) -> None:
    """What an engine raises is a StoreError, and the next transaction works."""
    with pytest.raises(StoreError):
        db.query("SELECT nothing FROM nowhere")
    with pytest.raises(StoreError), db.transaction():
        db.run("INSERT INTO runs (run) VALUES (1)")
    assert writer.write(make_parcel(make_session("r"), make_rows(2)).parts).points == 2
