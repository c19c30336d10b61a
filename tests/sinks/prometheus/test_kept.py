"""What outlives a restart: the page is the same, whatever had happened, and damage costs only what is damaged."""

import itertools
import logging

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sinks.prometheus.pages import Desk, make_system, without_counted
from wayside_collector.sinks.prometheus.board import Board
from wayside_collector.sinks.prometheus.hosts import HOST_KEPT
from wayside_collector.sinks.prometheus.kept import VERSION, Damaged, decode, encode
from wayside_collector.sinks.prometheus.runs import REAPPEAR
from wayside_collector.testing import FakeClock, make_session

START = FakeClock().now
METRICS = ("train/loss", "train.loss", "gpu.power_watts", "run", "\ud800", 'q"\\\n')
SESSIONS = tuple(
    make_session(run=run, rank=rank, started=float(started), host=f"host-{rank}", id=f"{number:032x}")
    for number, (run, rank, started) in enumerate(itertools.product(("r1", "r2"), (None, 0, 1), (1, 2)))
)
SYSTEMS = tuple(make_system(host, id=f"{number + 100:032x}") for number, host in enumerate(("host-0", "host-1")))
SAMPLED = ("gpu/0/power_watts", "gpu/0/process/7/memory_used_bytes", "disk/vda/read_bytes_total", "host/load")

LOGS = st.tuples(
    st.just("log"),
    st.sampled_from(SESSIONS),
    st.dictionaries(st.sampled_from(METRICS), st.floats(), max_size=4),
    st.none() | st.integers(0, 9),
)
STEPS = st.one_of(
    LOGS,
    LOGS,
    st.tuples(st.just("finish"), st.sampled_from(SESSIONS), st.sampled_from((None, 0, 1))),
    st.tuples(st.just("alert"), st.sampled_from(SESSIONS), st.sampled_from(("INFO", "WARN", "?"))),
    st.tuples(st.just("sample"), st.sampled_from(SYSTEMS), st.sets(st.sampled_from(SAMPLED))),
    st.tuples(st.just("device"), st.sampled_from(SYSTEMS), st.sampled_from(("GPU-1", "GPU-2", ""))),
    st.tuples(st.just("scrape")),
    st.tuples(st.just("keep")),
    st.tuples(st.just("forward"), st.sampled_from((1.0, 10.0, 59.0, 100.0))),
    st.tuples(st.just("restart")),
)


def act(desk: Desk, step: tuple) -> None:  # type: ignore[type-arg]
    kind, *rest = step
    if kind == "log":
        desk.log(rest[0], rest[1], step=rest[2])
    elif kind == "finish":
        desk.finish(rest[0], rest[1])
    elif kind == "alert":
        desk.tell(rest[0], "alert", {"level": rest[1]})
    elif kind == "sample":
        desk.log(rest[0], dict.fromkeys(sorted(rest[1]), 1.0))
    elif kind == "device":
        desk.tell(rest[0], "device", {"gpu/0": {"uuid": rest[1]}})
    elif kind == "forward":
        if desk.clock() + rest[0] < START + REAPPEAR:  # a run that ended longer ago has its own test
            desk.clock.forward(rest[0])
    else:
        getattr(desk, kind)()


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=40), st.sampled_from(({}, {"max_series_per_run": 3}, {"max_series": 30})))
def test_a_restart_changes_nothing(steps: list[tuple], options: dict[str, int]) -> None:  # type: ignore[type-arg]
    """After anything that may happen, in any order, the page reads well in both formats, its size is what stands on
    it, and a new collector with the kept state shows the same page.
    """
    desk = Desk(**options, ended_runs=1)
    for step in steps:
        act(desk, step)
    before = desk.scrape()
    counted = {name for name in before if not name.startswith("wayside_metric_name_info")}
    assert desk.board.size == len(counted)
    desk.restart()
    if not options:  # with a limit it may be other series that find room
        after = without_counted(desk.scrape())
        assert {k: repr(float(v)) for k, v in after.items()} == {
            k: repr(float(v)) for k, v in without_counted(before).items()
        }


def test_only_sessions_that_changed_are_kept_again() -> None:
    """A send returns one record for each session it touched, and no other."""
    desk = Desk()
    first, second = make_session(run="r1", rank=0), make_session(run="r1", rank=1)
    desk.log(first, {"loss": 1.0})
    desk.log(second, {"loss": 1.0})
    assert set(desk.board.changes(desk.clock())) == {first.id, second.id}
    desk.log(second, {"loss": 2.0})
    assert set(desk.board.changes(desk.clock())) == {second.id}
    assert desk.board.changes(desk.clock()) == {}


def test_a_record_is_compact() -> None:
    """A session of 100 metrics keeps its names, 8 bytes a value, and little else."""
    desk = Desk()
    session = make_session(run="r1", rank=0)
    metrics = {f"train/metric_{number:03}": 1.0 for number in range(100)}
    desk.log(session, metrics)
    size = len(desk.keep()[session.id])
    assert size < sum(map(len, metrics)) + 100 * (8 + 2) + 400


def test_rows_that_were_taken_are_not_taken_again() -> None:
    """After a crash the pump sends from its last commit: the same rows and alerts change nothing."""
    desk = Desk()
    session = make_session(run="r1", rank=0)
    desk.log(session, {"loss": float("nan")})
    desk.tell(session, "alert", {"level": "WARN"})
    before = desk.scrape()
    desk.restart()
    desk._seqs.clear()
    desk.log(session, {"loss": float("nan")})
    desk.tell(session, "alert", {"level": "WARN"})
    assert {k: repr(v) for k, v in without_counted(desk.scrape()).items()} == {
        k: repr(v) for k, v in without_counted(before).items()
    }


def test_a_run_that_ended_long_ago_does_not_reappear() -> None:
    """After a restart an ended run is shown again only within Prometheus' look-back; its end timestamp always is."""
    for wait, shown in ((REAPPEAR - 1, True), (REAPPEAR + 1, False)):
        desk = Desk()
        session = make_session(run="r1")
        desk.log(session, {"loss": 1.0})
        desk.finish(session)
        desk.keep()
        desk.clock.forward(wait)
        desk.restart()
        assert (desk.scrape("loss") != {}) == shown
        assert len(desk.scrape("run_end")) == 1


def test_a_run_that_vanished_stays_away_after_a_restart() -> None:
    """What two scrapes have shown after its end does not come back because the collector was started again."""
    desk = Desk()
    session = make_session(run="r1")
    desk.log(session, {"loss": 1.0})
    desk.finish(session)
    for _ in range(3):
        desk.scrape()
    desk.restart()
    assert list(without_counted(desk.scrape())) == ["wayside_run_end_timestamp_seconds{run=r1}"]


def test_a_run_that_an_older_session_brought_back_is_kept_as_shown() -> None:
    """A run that had vanished and lives again, by a session older than the one that kept its totals, is shown after a
    restart, too.
    """
    desk = Desk()
    older, newer = make_session(run="r1", started=1.0), make_session(run="r1", started=2.0)
    for session in (older, newer):
        desk.finish(session)
    for _ in range(4):
        desk.scrape()
    desk.log(older, {"loss": 1.0})
    desk.finish(older)
    before = desk.scrape()
    desk.restart()
    assert desk.scrape() == before


def test_a_slow_sampler_is_as_slow_after_a_restart() -> None:
    """The period of a sampler is kept: a value that waits for its next sample does not vanish after a restart."""
    desk = Desk()
    system = make_system()
    for _ in range(2):
        desk.log(system, {"disk/vda/wear_ratio": 0.1})
        desk.clock.forward(100)
    desk.restart()
    assert len(desk.scrape("disk")) == 1


def test_a_session_that_took_over_a_series_keeps_it() -> None:
    """The record of a session follows what it owns, also when it takes a series that another had."""
    desk = Desk()
    old, new = make_session(run="r1", rank=0, started=1.0), make_session(run="r1", rank=0, started=2.0)
    desk.log(old, {"a": 1.0, "b": 1.0})
    desk.log(new, {"c": 3.0})
    desk.keep()
    desk.log(new, {"a": 2.0})
    desk.restart()
    assert desk.scrape("a", "b", "c") == {
        "wayside_a{rank=0,run=r1}": 2.0,
        "wayside_b{rank=0,run=r1}": 1.0,
        "wayside_c{rank=0,run=r1}": 3.0,
    }


def test_a_name_that_was_yielded_stays_yielded() -> None:
    """A metric that gave its name to hardware keeps its suffix over a restart, though the hardware is gone and nothing
    was logged since.
    """
    desk = Desk()
    desk.log(make_session(run="r1"), {"gpu.power_watts": 1.0})
    desk.keep()
    desk.log(make_system(), {"gpu/0/power_watts": 2.0})
    desk.keep()
    desk.clock.forward(100)
    before = desk.scrape("gpu")
    desk.restart()
    assert next(iter(before)).startswith("wayside_gpu_power_watts_x")
    assert desk.scrape("gpu") == before


def test_what_an_ended_attempt_showed_goes_after_a_restart_too() -> None:
    """Series that wait for their last scrapes when the collector is restarted are not left standing."""
    desk = Desk()
    first, second = (make_session(run="r1", rank=0, started=float(n)) for n in (1, 2))
    desk.log(first, {"loss": 1.0, "eval/loss": 2.0})
    desk.finish(first)
    desk.log(second, {"loss": 3.0})
    desk.restart()
    assert len(desk.scrape("eval")) == 1
    desk.scrape()
    assert desk.scrape("eval", "loss") == {"wayside_loss{rank=0,run=r1}": 3.0}


def test_samples_are_as_old_after_a_restart_as_before() -> None:
    """A restart does not make a sampled value fresh: what was stale before the new collector began is not shown."""
    desk = Desk()
    desk.log(make_system(), {"gpu/0/power_watts": 1.0})
    desk.keep()
    desk.clock.forward(30)
    desk.restart()
    assert len(desk.scrape("gpu")) == 1
    desk.clock.forward(31)
    assert desk.scrape("gpu") == {}
    desk.clock.forward(HOST_KEPT)
    desk.restart()
    assert desk.keep() == {}


def test_a_restored_value_is_not_said_to_be_superseded() -> None:
    """Whether the last collector was scraped is not known, so the first value after a restart counts nothing."""
    desk = Desk()
    session = make_session(run="r1")
    desk.log(session, {"loss": 1.0})
    desk.restart()
    assert desk.log(session, {"loss": 2.0}).superseded == 0
    assert desk.log(session, {"loss": 3.0}).superseded == 1


def damage(record: bytes) -> list[bytes]:
    found, _, _ = decode(record)
    newer = encode(msgspec.structs.replace(found, version=VERSION + 1))
    short = encode(msgspec.structs.replace(found, values=found.values[:-8]))
    other = record.replace(b"000", b"001", 1)
    return [
        newer,
        short,
        b"",
        b"\xc1",
        other,
        record[:-1],
        record + b"\x00",
        b"\x92\x02\x01",
        record.replace(b"loss", b"los"),
        b"\x80",
    ]


def test_damaged_state_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """A record that cannot be read is left out, said and no longer kept; the others are shown."""
    desk = Desk()
    one, two = make_session(run="r1"), make_session(run="r2")
    desk.log(one, {"loss": 1.0})
    desk.log(two, {"loss": 2.0})
    kept = dict(desk.keep())
    for record in damage(kept[one.id]):
        board = Board(desk.options)
        with caplog.at_level(logging.WARNING):
            assert board.restore({one.id: record, two.id: kept[two.id]}, desk.clock()) == 1
        assert one.id in caplog.text
        desk.board = board
        assert desk.scrape("loss") == {"wayside_loss{run=r2}": 2.0}
        assert board.changes(desk.clock()) == {one.id: None}


def test_a_run_of_which_only_the_past_is_left_has_ended() -> None:
    """When the record of a run's last attempt is damaged, what is left of the earlier one neither fails nor lingers."""
    desk = Desk()
    first, second = (make_session(run="r1", rank=0, started=float(n)) for n in (1, 2))
    desk.log(first, {"loss": 1.0})
    desk.finish(first)
    desk.log(second, {"other": 3.0})
    desk.state = {first.id: desk.keep()[first.id]}
    desk.board = Board(desk.options)
    assert desk.board.restore(desk.state, desk.clock()) == 0
    for _ in range(3):
        page = desk.scrape("loss", "run_end")
    assert list(page) == ["wayside_run_end_timestamp_seconds{run=r1}"]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_is_told_as_damage(data: st.DataObject) -> None:
    """Whatever bytes the state holds, reading them gives a session or `Damaged`, and nothing else."""
    desk = Desk()
    session = make_session(run="r1", rank=3)
    desk.log(session, {"loss": 1.0, "\ud800": 2.0})
    record = bytearray(desk.keep()[session.id])
    for _ in range(data.draw(st.integers(1, 4))):
        record[data.draw(st.integers(0, len(record) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(record))
    except Damaged:
        return
    Board(desk.options).restore({session.id: bytes(record)}, desk.clock())
